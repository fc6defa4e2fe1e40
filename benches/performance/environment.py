"""The virtual environment with the packages that the benchmark needs. This module is imported outside it, too, so it
imports only Python's own modules."""

import os
import subprocess
import sys
from pathlib import Path

from . import ROOT

PACKAGES = ["numpy==2.4.6", "onnxruntime==1.32.0", "pillow==13.0.0"]


def use_environment():
    """Continues in a virtual environment with PACKAGES, and creates it if it is missing."""
    folder = ROOT / ".test/performance"
    if Path(sys.prefix) == folder:
        return
    part = folder.with_suffix(".part")
    if not folder.exists():
        subprocess.run([sys.executable, "-m", "venv", part], check=True)
        subprocess.run([part / "bin/python", "-m", "pip", "install", "--quiet", *PACKAGES], check=True)
        part.rename(folder)
    python = folder / "bin/python"
    os.execv(python, [str(python), *sys.argv])
