"""Rooms of the add-on that need no Blender, imported under names of their own, since their parent package needs bpy."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

ADD_ON = Path(__file__).parents[1] / "blender_addon"


def module_of(room: str, name: str) -> ModuleType:
    """blender_addon/<room>/<name>.py as the module menagerie_<room>.<name>."""
    package_name, folder = f"menagerie_{room}", ADD_ON / room
    if package_name not in sys.modules:
        spec = importlib.util.spec_from_file_location(package_name, folder / "__init__.py", submodule_search_locations=[str(folder)])
        assert spec is not None and spec.loader is not None
        package = importlib.util.module_from_spec(spec)
        sys.modules[package_name] = package
        spec.loader.exec_module(package)
    return importlib.import_module(f"{package_name}.{name}")
