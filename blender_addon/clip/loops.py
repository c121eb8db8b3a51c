"""What can be done with a clip's motion once it stands in the scene: its cycle made, one or the other played."""

from __future__ import annotations

import bpy
import numpy as np

from .. import compat
from ..control import ik
from ..link.errors import LinkError
from ..retarget.rig import Rig
from ..retarget.sampling import read_rig
from ..scene.creature import NUMBER, ROLE
from . import action as actions
from .place import Wishes, add_cycle, clip_action, scene_rate

CYCLES_REMEDY = "Choose a longer stretch with two steps or more, or cut the loop by hand."


def motions_of(rig: bpy.types.Object) -> list[bpy.types.Action]:
    """The clip's motion and its cycles, the motion first."""
    number = rig.get(NUMBER)
    own = [action for action in bpy.data.actions if number is not None and action.get(NUMBER) == number]
    return [action for role in (actions.CLIP, actions.CYCLE) for action in own if action.get(ROLE) == role]


def make_cycle(context: bpy.types.Context, rig: bpy.types.Object) -> tuple[bpy.types.Action, bool]:
    """The loop in the clip's motion, as it is now with what the artist has changed, as an action -> it, and whether the creature plays it:
    one that plays an action of the artist's goes on with that. Raises LinkError no_cycle."""
    source = clip_action(rig)
    if source is None:
        raise LinkError("bad_request", f"{rig.name} has no motion of a clip.", "Select a creature that was made from a clip.")
    note = actions.read_note(source)
    first, last = (round(frame) for frame in source.frame_range)
    bones = bones_moved(rig, source)
    moves = actions.read_moves(source, rig, bones.names, np.arange(first, last + 1), scene_rate(context.scene))
    known = {key: note[key] for key in ("every", "angle", "place") if key in note}
    made = add_cycle(rig, source, bones, moves, Wishes(**known))
    if made is None:
        raise LinkError("no_cycle", f"No step repeats in {source.name}.", CYCLES_REMEDY)
    playing = rig.animation_data.action if rig.animation_data is not None else None
    if playing is not None and playing not in motions_of(rig):
        return made, False
    play(context, rig, made)
    return made, True


def bones_moved(rig: bpy.types.Object, action: bpy.types.Action) -> Rig:
    """The armature's bones that the action moves, with what they hang on, at rest."""
    whole = read_rig(rig)
    paths = {curve.data_path.rpartition(".")[0] for curve in compat.curves_of(action)}
    keyed = [bone for bone, name in enumerate(whole.names) if f'pose.bones["{bpy.utils.escape_identifier(name)}"]' in paths]
    kept = sorted({bone for one in keyed for bone in (one, *whole.ancestors(one))})
    place = {bone: number for number, bone in enumerate(kept)}
    parents = np.array([place.get(int(whole.parents[bone]), -1) for bone in kept])
    assert whole.tails is not None
    return Rig(tuple(whole.names[bone] for bone in kept), parents, whole.rest[kept], whole.tails[kept], whole.up)


def play(context: bpy.types.Context, rig: bpy.types.Object, action: bpy.types.Action) -> None:
    """Assign the action; what was assigned is kept in the file."""
    playing = rig.animation_data.action if rig.animation_data is not None else None
    if playing is not None:
        playing.use_fake_user = True
    ik.follow_channels(context, rig)
    compat.assign_action(rig, action)
