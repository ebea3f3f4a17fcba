"""``python -m fastae`` is the command ``fastae``."""

import sys

from fastae.cli import main

sys.exit(main())
