"""The motion of a creature that came from a clip: its actions, Make Cycle, and the motion on another armature."""

from __future__ import annotations

import bpy

from .. import settings
from ..clip import action as actions
from ..clip import loops
from ..link import session
from ..ops import clipping
from ..scene.creature import ROLE
from . import clip_settings
from .main import Sidebar, wrapped


class MENAGERIE_PT_clip_options(Sidebar, bpy.types.Panel):
    """What else can be chosen of a clip"""

    bl_idname = "MENAGERIE_PT_clip_options"
    bl_parent_id = "MENAGERIE_PT_main"
    bl_label = "Clip Options"
    bl_options = {"DEFAULT_CLOSED"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return settings.of(context).kind == "CLIP"

    def draw(self, context: bpy.types.Context) -> None:
        column = self.layout.column()
        column.enabled = session.state.job is None
        clip_settings.draw_options(column, context)


class MENAGERIE_PT_clip(Sidebar, bpy.types.Panel):
    """The motion that came with the clip"""

    bl_idname = "MENAGERIE_PT_clip"
    bl_parent_id = "MENAGERIE_PT_main"
    bl_label = "Clip's Motion"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return clipping.rig_of(context) is not None

    def draw(self, context: bpy.types.Context) -> None:
        rig = clipping.rig_of(context)
        if rig is None:
            return
        column = self.layout.column()
        if rig != session.creature_of(context) or rig != context.object:
            column.label(text=rig.name, icon="ARMATURE_DATA")
        playing = rig.animation_data.action if rig.animation_data is not None else None
        motions = loops.motions_of(rig)
        for motion in motions:
            icon = "FILE_REFRESH" if motion.get(ROLE) == actions.CYCLE else "ACTION"
            column.operator("menagerie.play_clip", text=motion.name, icon=icon, depress=motion == playing).action = motion.name
        if playing is not None and playing not in motions:
            wrapped(column, f"Plays {playing.name}.", "INFO")
        column.operator("menagerie.make_cycle", icon="FILE_REFRESH")
        column.operator("menagerie.use_clip_on", icon="ARMATURE_DATA")
