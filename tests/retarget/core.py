"""The retargeting core without Blender: `blender_addon/retarget` imported under a name of its own, since its parent needs bpy."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

FOLDER = Path(__file__).parents[2] / "blender_addon" / "retarget"
NAME = "menagerie_retarget"


def core(name: str) -> ModuleType:
    """blender_addon/retarget/<name>.py as a module."""
    if NAME not in sys.modules:
        spec = importlib.util.spec_from_file_location(NAME, FOLDER / "__init__.py", submodule_search_locations=[str(FOLDER)])
        assert spec is not None and spec.loader is not None
        package = importlib.util.module_from_spec(spec)
        sys.modules[NAME] = package
        spec.loader.exec_module(package)
    return importlib.import_module(f"{NAME}.{name}")
