"""A creature's motion on another armature, in one step: the source is set, the bones' map guessed, and the result baked.

The choices are those of the panel "Take a Motion", so that what was guessed can be looked at and changed there, and baked again.
"""

from __future__ import annotations

from dataclasses import dataclass

import bpy

from .. import compat
from ..control import ik
from ..retarget import baking, choices, preview, sampling
from ..retarget.guess import guess_map
from ..scene.creature import control_rig_of


@dataclass(frozen=True)
class Onto:
    """What came of it. action; plays: the target plays it; unsure: parts whose bones the guess wasn't sure of; rest: bones in no part."""

    action: bpy.types.Action
    plays: bool
    unsure: tuple[str, ...]
    rest: tuple[str, ...]


def targets(context: bpy.types.Context, rig: bpy.types.Object) -> list[bpy.types.Object]:
    """Armatures of the scene that may take the motion of `rig`, selected ones first."""
    others = [thing for thing in context.scene.objects if thing.type == "ARMATURE" and thing not in (rig, control_rig_of(rig))]
    return sorted(others, key=lambda thing: (not thing.select_get(view_layer=context.view_layer), thing.name))


def offer(context: bpy.types.Context, rig: bpy.types.Object, action: bpy.types.Action) -> None:
    """Choose the motion as the source of "Take a Motion"."""
    chosen = choices.of(context)
    chosen.kind, chosen.source, chosen.action = "ARMATURE", rig, action


def use_on(context: bpy.types.Context, rig: bpy.types.Object, action: bpy.types.Action, target: bpy.types.Object) -> Onto:
    """Bake the motion for the target, which plays it unless it plays one of the artist's own. Raises MapError."""
    offer(context, rig, action)
    played = sampling.sample_action(context, rig, action)
    bone_map = guess_map(played.rig, sampling.read_rig(target))
    choices.write_map(context, bone_map)
    their_rig, played, result = choices.transfer(context, target)
    if preview.is_on(target):
        preview.end(target)
    made = baking.write_action(target, their_rig, played, result, f"{target.name} {action.name}")
    made.use_fake_user = True
    own = target.animation_data.action if target.animation_data is not None else None
    if own is None:
        ik.follow_channels(context, target)
        compat.assign_action(target, made)
    return Onto(made, own is None, tuple(bone_map.unsure), choices.left_over(context, target))
