"""The add-on's preferences: the backend's environment, the device, the weights with their licences, diagnostics."""

from __future__ import annotations

import json
import os
from functools import cache
from pathlib import Path
from typing import Any

import bpy

from . import paths
from .link import standing
from .link.errors import LinkError

CUDA = "For an NVIDIA graphics card. Only training and `benchmark --parity` use it so far: reconstruction runs on the processor anyway"
DEVICES = (("cpu", "Processor", "Works on every machine", 1), ("cuda", "CUDA", CUDA, 2))
"""The numbers are those of earlier versions' saved preferences, which had an automatic choice as 0."""


class MenageriePreferences(bpy.types.AddonPreferences):
    """Of the add-on."""

    bl_idname = paths.PACKAGE

    device: bpy.props.EnumProperty(
        name="Device", description="What the backend is set up for; press Set Up again after a change", items=DEVICES, default="cpu"
    )  # type: ignore[valid-type]
    interpreter: bpy.props.StringProperty(
        name="Python for Set Up", description="A Python from 3.11 to 3.13; empty: Blender's own, or one that is found", subtype="FILE_PATH"
    )  # type: ignore[valid-type]
    python_path: bpy.props.StringProperty(
        name="Own Environment", description="The Python of an environment you made yourself, used instead of the one Set Up makes",
        subtype="FILE_PATH",
    )  # type: ignore[valid-type]  # fmt: skip
    archive: bpy.props.StringProperty(
        name="Archive", description="A zip of the wheels, for machines without a network", subtype="FILE_PATH"
    )  # type: ignore[valid-type]

    sam2_file: bpy.props.StringProperty(
        name="Package", description="The package's file as its registry gives it, or one of the two files in it", subtype="FILE_PATH"
    )  # type: ignore[valid-type]

    def draw(self, context: bpy.types.Context) -> None:
        from .panels import preferences_panel

        preferences_panel.draw(self.layout, context, self)


def get(context: bpy.types.Context) -> MenageriePreferences | None:
    """The preferences, None where the add-on runs without being enabled (from a checkout)."""
    addon = context.preferences.addons.get(paths.PACKAGE)
    return addon.preferences if addon is not None else None


def backend_location(context: bpy.types.Context) -> tuple[Path, Path]:
    """-> interpreter and unit: the person's own environment, else the one that Set Up made. Raises `LinkError`."""
    chosen = get(context)
    if chosen is not None and chosen.python_path:
        python = Path(bpy.path.abspath(chosen.python_path))
        if not python.is_file():
            raise LinkError("backend_missing", "The chosen environment's Python is not there.")
        return python, paths.carried()
    return standing.location(paths.user_folder(), paths.version())


def device_of(context: bpy.types.Context) -> str:
    """cpu or cuda; the processor unless CUDA was chosen, which downloads much and speeds no reconstruction up."""
    chosen = get(context)
    return "cuda" if chosen is not None and chosen.device == "cuda" else "cpu"


def backend_variables(context: bpy.types.Context) -> dict[str, str]:
    """Environment variables of the child, which shall not even look for a graphics card where the processor is chosen."""
    return {"CUDA_VISIBLE_DEVICES": "-1"} if device_of(context) == "cpu" else {}


def set_up_choices(context: bpy.types.Context) -> tuple[Path, str, str]:
    """-> the user folder, the picked interpreter ("" for none) and the device."""
    chosen = get(context)
    picked = bpy.path.abspath(chosen.interpreter) if chosen is not None and chosen.interpreter else ""
    return paths.user_folder(), picked, device_of(context)


@cache
def weights() -> tuple[dict[str, Any], ...]:
    """The weights' list as the add-on carries it; () if it can't be read (the backend reports that as an error)."""
    try:
        rows = json.loads((paths.carried() / "weights_manifest.json").read_text(encoding="utf-8"))["weights"]
    except (OSError, ValueError, KeyError):
        return ()
    return tuple(rows)


def is_installed(row: dict[str, Any]) -> bool:
    """Whether an optional set lies where the backend looks for it (`optional_folder` of its `weights/manifest.py`)."""
    cache = os.environ.get("LOCALAPPDATA") or os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    folder = Path(os.environ.get("MENAGERIE_WEIGHTS") or Path(cache) / "menagerie" / "weights")
    return (folder / str(row["id"]) / Path(str(row["file"])).name).is_file()


def register() -> None:
    bpy.utils.register_class(MenageriePreferences)


def unregister() -> None:
    bpy.utils.unregister_class(MenageriePreferences)
