"""Rooms of the add-on that need no Blender, imported under a parent package of another name, since their own needs bpy."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType

ADD_ON = Path(__file__).parents[1] / "blender_addon"
PARENT = "menagerie_rooms"


def module_of(room: str, name: str) -> ModuleType:
    """blender_addon/<room>/<name>.py as a module; what it takes from other rooms comes in the same way."""
    if PARENT not in sys.modules:
        parent = ModuleType(PARENT)
        parent.__path__ = [str(ADD_ON)]
        sys.modules[PARENT] = parent
    return importlib.import_module(f"{PARENT}.{room}.{name}")
