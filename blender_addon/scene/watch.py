"""What follows the artist's hand: a handle that was dragged looks pinned, and handles whose creature is gone go as well.

One handler of Blender's, called after every change; it looks at what changed and at collections of handles only. Objects are never
removed from within it: a timer does that a moment later.
"""

from __future__ import annotations

from collections.abc import Iterator

import bpy
from bpy.app.handlers import persistent

from . import joints
from .creature import ROLE


@persistent
def changed(scene: bpy.types.Scene, depsgraph: bpy.types.Depsgraph) -> None:
    """Blender's handler."""
    if bpy.app.is_job_running("RENDER"):
        return
    for update in depsgraph.updates:
        if update.is_updated_transform and isinstance(update.id, bpy.types.Object):
            thing = update.id.original
            if thing.type == "EMPTY" and joints.is_handle(thing):
                joints.show(thing)
    if not bpy.app.background and not bpy.app.timers.is_registered(tidy) and next(left_behind(), None) is not None:
        bpy.app.timers.register(tidy, first_interval=0.0)


def left_behind() -> Iterator[bpy.types.Object]:
    """Handles whose camera or creature was deleted."""
    for home in bpy.data.collections:
        if home.get(ROLE) == joints.HANDLES:
            yield from (thing for thing in home.objects if joints.is_handle(thing) and not belongs(thing.parent))


def belongs(camera: bpy.types.Object | None) -> bool:
    """Whether a handle's parent is a photo camera whose creature stands."""
    if camera is None or not camera.users_collection:
        return False
    rig = joints.focus_of(camera)
    return rig is not None and bool(rig.users_collection)


def tidy() -> None:
    """Remove what was left behind; the artist's own undo step holds it."""
    joints.remove(left_behind())


def begin() -> None:
    """Watch from now on."""
    bpy.app.handlers.depsgraph_update_post.append(changed)


def end() -> None:
    """Watch no more; a timer that is pending when Blender exits crashes it."""
    if changed in bpy.app.handlers.depsgraph_update_post:
        bpy.app.handlers.depsgraph_update_post.remove(changed)
    if bpy.app.timers.is_registered(tidy):
        bpy.app.timers.unregister(tidy)
