"""What a ready motion's action was made with, kept on the action: its sliders make it anew as they move."""

from __future__ import annotations

import bpy

from ..link.errors import LinkError


def made_anew(made: MenagerieMotion, context: bpy.types.Context) -> None:
    """A slider has moved."""
    from ..link import session
    from . import action as actions

    action = made.id_data
    rig = actions.owner_of(action) if made.motion else None
    if rig is None:
        return
    try:
        actions.bake(action, rig, context.scene)
    except LinkError as error:
        session.state.error = error.to_wire()


class MenagerieMotion(bpy.types.PropertyGroup):
    """Of every action. motion: name of the ready motion, "" where it is none; owner: the armature's name; stamp: of the keys as made."""

    motion: bpy.props.StringProperty(options={"HIDDEN"})  # type: ignore[valid-type]
    owner: bpy.props.StringProperty(options={"HIDDEN"})  # type: ignore[valid-type]
    stamp: bpy.props.StringProperty(options={"HIDDEN"})  # type: ignore[valid-type]
    speed: bpy.props.FloatProperty(
        name="Speed", description="How fast the steps follow each other", default=1.0, min=0.1, max=4.0, soft_min=0.4, soft_max=2.0,
        step=5, update=made_anew,
    )  # type: ignore[valid-type]  # fmt: skip
    stride: bpy.props.FloatProperty(
        name="Stride", description="How wide the steps are", default=1.0, min=0.0, max=2.0, soft_min=0.4, soft_max=1.4,
        step=5, update=made_anew,
    )  # type: ignore[valid-type]  # fmt: skip
    in_place: bpy.props.BoolProperty(
        name="In Place", description="Walk on the spot; else the root bone travels", default=False, update=made_anew
    )  # type: ignore[valid-type]
    hold_feet: bpy.props.BoolProperty(
        name="Hold Feet", description="Feet that stand stay on their spot", default=True, update=made_anew
    )  # type: ignore[valid-type]

    def set_up(self, motion: str, owner: str) -> None:
        """Of a new action; bakes nothing."""
        self.motion, self.owner = motion, owner


def register() -> None:
    bpy.utils.register_class(MenagerieMotion)
    bpy.types.Action.menagerie_motion = bpy.props.PointerProperty(type=MenagerieMotion)


def unregister() -> None:
    del bpy.types.Action.menagerie_motion
    bpy.utils.unregister_class(MenagerieMotion)
