"""Import matplotlib quietly, whatever MPLBACKEND is; import this module before anything of matplotlib.

fastae draws without pyplot, so it needs no interactive backend, and an unknown MPLBACKEND must not end a command. If
matplotlib cannot write its cache, it logs a message at every import, which is suppressed here; `fastae doctor` reports
the problem and the fix.
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
    with contextlib.suppress(ValueError):  # for other code in this process that uses pyplot
        matplotlib.rcParams["backend"] = _chosen
