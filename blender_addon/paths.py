"""Where the add-on may write, and what it carries. Nothing is ever written beside the code.

The extension's own folder holds `backend/` and `weights_manifest.json`; in a checkout they stand one level up.
"""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path

import bpy

PACKAGE = __package__ or "blender_addon"
HERE = Path(__file__).resolve().parent


def user_folder(*parts: str) -> Path:
    """A folder of this extension's under the user's resources, made if absent."""
    name = "/".join(parts)
    try:
        return Path(bpy.utils.extension_path_user(PACKAGE, path=name, create=True))
    except ValueError:  # not installed as an extension: run from a checkout
        return Path(bpy.utils.user_resource("DATAFILES", path="/".join(("menagerie", *parts)), create=True))


def carried() -> Path:
    """The folder that holds `backend/` and the manifest of weights."""
    return HERE if (HERE / "backend").is_dir() else HERE.parent


@cache
def version() -> str:
    """The add-on's version, as the manifest says."""
    with (HERE / "blender_manifest.toml").open("rb") as stream:
        return str(tomllib.load(stream)["version"])
