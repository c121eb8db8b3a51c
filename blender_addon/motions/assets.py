"""All ready motions for the Asset Browser: a folder with one .blend and its catalogs, and the library in the preferences.

Enters: the bundle. Leaves: `motions.blend` with an action a motion, each on the proportions of the animal that it comes from, marked as an
asset with its picture, catalog and credit. Whichever creature such an action is applied to gets it made for its own proportions
(`motion_of` says which it is). What is made on the way is gone from the artist's file afterwards.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import bpy
from mathutils import Vector

from ..link.errors import LinkError
from ..scene import armature as armatures
from . import action as actions
from . import library

LIBRARY = "Menagerie"
"""The library's name in the preferences."""
FILE, CATALOGS = "motions.blend", "blender_assets.cats.txt"
PROPERTY = "menagerie_motion"
"""Of an asset's metadata: the name of its ready motion. It can be read without opening the file."""
KINDS = ("armatures", "objects", "actions", "images")
"""Kinds of data that are made on the way."""


def write(context: bpy.types.Context, folder: Path) -> int:
    """Writes the folder's file and catalogs anew -> how many motions. Raises LinkError not_writable, asset_damaged."""
    shared, manager = library.load(), context.window_manager
    manager.progress_begin(0, len(shared.motions))  # seconds, which the pointer counts
    try:
        with nothing_stays():
            made = set()
            for number, motion in enumerate(shared.motions.values()):
                manager.progress_update(number)
                made.add(build(context, motion))
            partial = folder / f".{FILE}"
            bpy.data.libraries.write(str(partial), made, fake_user=True, compress=True)
            os.replace(partial, folder / FILE)
        (folder / CATALOGS).write_text(catalogs(shared), encoding="utf-8")
    except (OSError, RuntimeError) as error:
        raise LinkError("not_writable", f"The motions can't be written to {folder}.", "Free some space, or check the folder.") from error
    finally:
        manager.progress_end()
    return len(shared.motions)


def build(context: bpy.types.Context, motion: library.ReadyMotion) -> bpy.types.Action:
    """The motion on its own animal's proportions, as an asset."""
    rig = stand_in(context, motion)
    action = actions.new_action(rig, motion)
    actions.bake(action, rig, context.scene)
    action.name = motion.label
    action.menagerie_motion.set_up(motion.name, "")  # whoever plays it is its owner
    data, shared = action.asset_data, library.load()
    data.description = f"{motion.label}, a loop from {shared.credit} ({shared.licence}); applied, it takes the creature's proportions"
    data.catalog_id = catalog(motion.kind)
    data[PROPERTY] = motion.name
    return action


def stand_in(context: bpy.types.Context, motion: library.ReadyMotion) -> bpy.types.Object:
    """An armature with the bones of the motion's own animal."""
    bones = motion.skeleton
    owner = bpy.data.objects.new(motion.animal, bpy.data.armatures.new(motion.animal))
    with armatures.edit_mode(context, owner):
        made = [owner.data.edit_bones.new(name) for name in bones.names]
        for number, bone in enumerate(made):
            bone.head, bone.tail = bones.heads[number].tolist(), bones.tails[number].tolist()
            bone.align_roll(Vector(bones.z_axes[number].tolist()))
            parent = int(bones.parents[number])
            bone.parent = made[parent] if parent >= 0 else None
    return owner


@contextmanager
def nothing_stays() -> Iterator[None]:
    """Afterwards no data of these kinds is there that was not there before."""
    before = {kind: set(getattr(bpy.data, kind)) for kind in KINDS}
    try:
        yield
    finally:
        for kind in KINDS:
            bpy.data.batch_remove([block for block in getattr(bpy.data, kind) if block not in before[kind]])


def catalog(kind: str) -> str:
    """The catalog's number of a kind of motions: always the same one."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"menagerie/motions/{kind}"))


def catalogs(shared: library.Library) -> str:
    """The text of Blender's file of catalogs."""
    kinds = dict.fromkeys(motion.kind for motion in shared.motions.values())
    lines = [f"{catalog('')}:Motions:Motions"]  # else Blender would make it, and call the folder changed
    lines += [f"{catalog(kind)}:Motions/{kind.capitalize()}:Motions-{kind.capitalize()}" for kind in kinds]
    return "\n".join(["# Menagerie's ready motions; written by the add-on.", "", "VERSION 1", "", *lines, ""])


def register_library(context: bpy.types.Context, folder: Path) -> str:
    """Sees to it that the preferences list the folder as an asset library -> its name there."""
    libraries = context.preferences.filepaths.asset_libraries
    for known in libraries:
        if Path(bpy.path.abspath(known.path)) == folder:
            return known.name
    made = libraries.new(name=LIBRARY, directory=str(folder))
    made.import_method = "APPEND"  # a motion becomes the creature's own
    return made.name


def is_registered(context: bpy.types.Context, folder: Path) -> bool:
    """Whether the preferences list the folder, and it holds the motions."""
    listed = any(Path(bpy.path.abspath(known.path)) == folder for known in context.preferences.filepaths.asset_libraries)
    return listed and (folder / FILE).is_file()


def motion_of(asset: Any) -> str:
    """The ready motion of an asset that is chosen in an Asset Browser, "" where it is another one."""
    name = asset.metadata.get(PROPERTY) if asset is not None and asset.id_type == "ACTION" else None
    return name if isinstance(name, str) else ""
