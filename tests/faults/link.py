"""The add-on's link without Blender."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

from tests.rooms_without_blender import module_of

ROOT = Path(__file__).parents[2]


def link_module(name: str) -> ModuleType:
    """blender_addon/link/<name>.py as a module."""
    return module_of("link", name)
