"""Lets the tests import the modules of the parent folder."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))
