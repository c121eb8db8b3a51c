"""What every test shares: kernels cached in the environment, and Blender's tests left to Blender's environments."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path

# As `python -m backend` does: kernels are compiled once an environment, threads sleep while they wait.
if sys.prefix != sys.base_prefix:
    os.environ.setdefault("NUMBA_CACHE_DIR", str(Path(sys.prefix) / "kernels"))

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# tests/blender imports bpy; build.py runs it in the environments that have it, the rest in the one that hasn't.
collect_ignore = ["blender"] if importlib.util.find_spec("bpy") is None else []
