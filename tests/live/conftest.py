"""Lets the live tests import the reference loop that also made the golden files."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "golden"))
