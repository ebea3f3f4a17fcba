"""matplotlib, imported before anything of it is: whatever MPLBACKEND says, and without its notices.

Pictures are drawn without pyplot, by no backend that could be chosen. Where matplotlib can keep nothing it says so at
every import; `fastae doctor` says so, and what mends it.
"""

import contextlib
import logging
import os

_chosen = os.environ.pop("MPLBACKEND", None)
_logger = logging.getLogger("matplotlib")
_level = _logger.level
_logger.setLevel(logging.ERROR)
try:
    import matplotlib
    import matplotlib.font_manager
finally:
    _logger.setLevel(_level)
    if _chosen is not None:
        os.environ["MPLBACKEND"] = _chosen
if _chosen:
    with contextlib.suppress(ValueError):  # for others in this process, who may use pyplot
        matplotlib.rcParams["backend"] = _chosen
