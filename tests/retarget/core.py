"""The retargeting core without Blender."""

from __future__ import annotations

from types import ModuleType

from tests.rooms_without_blender import module_of


def core(name: str) -> ModuleType:
    """blender_addon/retarget/<name>.py as a module."""
    return module_of("retarget", name)
