"""The parts of benches/performance.py. All but environment.py need the packages of its virtual environment."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]  # of the repository
