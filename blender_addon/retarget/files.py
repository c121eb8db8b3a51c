"""Motions from BVH and FBX files: Blender's own importers read them into a scene of their own, and everything they made is removed.

Enters: a path. Leaves: `sampling.Played`. The last file read is kept in memory while it doesn't change, since a preview asks
for it again and again.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import bpy
import numpy as np

from .. import compat
from .bone_map import MapError
from .sampling import Played, sample_action

KINDS = (
    "scenes", "collections", "objects", "meshes", "armatures", "cameras", "lights", "curves", "materials", "images", "textures", "actions",
    "shape_keys", "worlds", "node_groups",
)  # fmt: skip
"""Kinds of data that an importer may make."""
MOST_BYTES = 1 << 29
FRAME_TIME = re.compile(rb"Frame Time:\s*([0-9.eE+-]+)")

_last: tuple[tuple[str, int, int, float], Played] | None = None


def read_file(context: bpy.types.Context, path: str | os.PathLike[str]) -> Played:
    """The motion in a BVH or FBX file. Raises MapError file_unreadable, file_no_motion, importer_missing."""
    global _last
    file = Path(bpy.path.abspath(os.fspath(path)))
    rate = context.scene.render.fps / context.scene.render.fps_base
    try:
        found = file.stat()
    except OSError as error:
        raise MapError("file_unreadable", f"{file.name or 'The file'} cannot be read.", "Choose a BVH or FBX file.") from error
    key = (str(file), found.st_mtime_ns, found.st_size, rate)
    if _last is not None and _last[0] == key:
        return _last[1]
    if found.st_size > MOST_BYTES:
        raise MapError("file_unreadable", f"{file.name} is far too large.", "Choose a smaller file.")
    ending = file.suffix.lower()
    if ending not in (".bvh", ".fbx"):
        raise MapError("file_unreadable", f"{file.name} is neither BVH nor FBX.", "Choose a BVH or FBX file.")
    with imported(context, file, ending) as (owner, actions):
        # A file may hold several takes and poses: the longest is the motion.
        action = max(actions, key=lambda one: one.frame_range[1] - one.frame_range[0], default=None)
        if action is None:
            raise MapError("file_no_motion", f"{file.name} holds no motion of an armature.", "Choose a file with an animation.")
        played = replace(sample_action(context, owner, action), name=file.stem)
    if ending == ".bvh":
        played = in_time(played, bvh_seconds(file), rate)
    _last = key, played
    return played


def forget() -> None:
    """Drops the file that is kept."""
    global _last
    _last = None


@contextmanager
def imported(context: bpy.types.Context, file: Path, ending: str) -> Iterator[tuple[bpy.types.Object, list[bpy.types.Action]]]:
    """The file's armature, in a scene of its own, and its actions, until the block ends."""
    operator = importer(ending)
    before = {kind: set(getattr(bpy.data, kind)) for kind in KINDS}
    bench = bpy.data.scenes.new("Menagerie import")
    try:
        bench.render.fps, bench.render.fps_base = context.scene.render.fps, context.scene.render.fps_base
        try:
            with shown_in_window(context, bench):
                operator(filepath=str(file))
        except RuntimeError as error:  # what an importer reports; a damaged file's reason
            raise MapError("file_unreadable", f"{file.name} cannot be imported.", "Open it in Blender to see why.") from error
        rigs = [thing for thing in bench.objects if thing.type == "ARMATURE"]
        moving = [rig for rig in rigs if rig.animation_data is not None and rig.animation_data.action is not None]
        owner = max(moving or rigs, key=lambda rig: len(rig.data.bones), default=None)
        if owner is None:
            raise MapError("file_no_motion", f"{file.name} holds no armature.", "Choose a file with an animated armature.")
        actions = [action for action in bpy.data.actions if action not in before["actions"] and moves_bones(action, owner)]
        yield owner, actions
    finally:
        for kind in KINDS:
            bpy.data.batch_remove([block for block in getattr(bpy.data, kind) if block not in before[kind]])


def moves_bones(action: bpy.types.Action, owner: bpy.types.Object) -> bool:
    """Whether the action has curves of a bone of the armature."""
    paths = {curve.data_path for curve in compat.curves_of(action)}
    return any(f'pose.bones["{bpy.utils.escape_identifier(bone.name)}"]' in path for bone in owner.data.bones for path in paths)


@contextmanager
def shown_in_window(context: bpy.types.Context, scene: bpy.types.Scene) -> Iterator[None]:
    """The window shows the scene meanwhile: importers enter Edit Mode, which a mere override of the context doesn't carry through."""
    window = context.window or context.window_manager.windows[0]
    shown, layer = window.scene, window.view_layer
    window.scene = scene
    try:
        with context.temp_override(window=window, scene=scene, view_layer=scene.view_layers[0]):
            yield
    finally:
        window.scene = shown
        window.view_layer = layer


def importer(ending: str) -> Callable[..., object]:
    """Blender's own operator for the file. Raises MapError importer_missing."""
    candidates = compat.motion_importers(ending)
    for category, name in candidates:
        if name in dir(getattr(bpy.ops, category)):
            return getattr(getattr(bpy.ops, category), name)
    raise MapError(
        "importer_missing", f"Blender's {ending[1:].upper()} importer is switched off.",
        f"Switch on the add-on Import-Export: {'BioVision Motion Capture (BVH)' if ending == '.bvh' else 'FBX'} in the preferences.",
    )  # fmt: skip


def bvh_seconds(file: Path) -> float:
    """Seconds of one frame, as the file says. Raises MapError file_unreadable."""
    found = FRAME_TIME.search(file.read_bytes())
    seconds = float(found[1]) if found is not None else 0.0
    if not 1e-5 < seconds < 10:
        raise MapError("file_unreadable", f"{file.name} doesn't say how long its frames are.", "Choose another file.")
    return seconds


def in_time(played: Played, seconds: float, rate: float) -> Played:
    """The importer lays one frame of the file on one of the scene's: the same at the file's own speed."""
    clip = replace(played.clip, seconds=np.arange(len(played.frames)) * seconds)
    return replace(played, clip=clip, frames=played.frames[0] + clip.seconds * rate)
