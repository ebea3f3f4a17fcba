"""``python -m fastae`` is the command ``fastae``."""

import sys

if not sys.flags.safe_path:
    del sys.path[0]  # the current folder, where a learner's files may have the names of modules

from fastae.cli import main

sys.exit(main())
