"""Correct: the joints over the photo, dragged, and the photo explained again with them; weights for bones that were moved."""

from __future__ import annotations

import bpy

from ..link import session
from ..ops import reskin
from ..ops.show_joints import shown
from ..scene import joints, skin
from ..scene.place import BONES
from .main import Sidebar, wrapped


class MENAGERIE_PT_correct(Sidebar, bpy.types.Panel):
    """Of the creature that is meant."""

    bl_idname = "MENAGERIE_PT_correct"
    bl_parent_id = "MENAGERIE_PT_creature"
    bl_label = "Correct"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return session.creature_of(context) is not None

    def draw(self, context: bpy.types.Context) -> None:
        column = self.layout.column()
        draw_joints(column, context)
        draw_bones(column, session.creature_of(context))


def draw_joints(column: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """Show Joints, or while they are shown how many are pinned, and what can be done with them."""
    found = shown(context)
    if found is None:
        column.operator("menagerie.show_joints", icon="EMPTY_AXIS")
        return
    thing = context.object
    count = sum(joints.is_pinned(each) for each in found[1])
    if joints.is_handle(thing):
        column.label(text=joints.title(thing), icon="PINNED" if joints.is_pinned(thing) else "UNPINNED")
    else:
        wrapped(column, "Drag with G, in the photo's view, joints that are wrong", "INFO")
    view = getattr(context.space_data, "region_3d", None)
    if context.scene.camera != found[0].camera or view is not None and view.view_perspective != "CAMERA":
        column.operator("menagerie.use_photo_view", icon="CAMERA_DATA")
    row = column.row()
    row.scale_y = 1.5
    row.operator("menagerie.refit", text=f"Refit with {count} pinned" if count else "Refit", icon="PINNED")
    row = column.row(align=True)
    row.operator("menagerie.unpin", icon="UNPINNED")
    row.operator("menagerie.hide_joints", icon="HIDE_ON")


def draw_bones(column: bpy.types.UILayout, rig: bpy.types.Object | None) -> None:
    """Re-skin where bones were moved; while weights are found, that; then what is to be said of them."""
    if rig is None or rig.get(BONES) is None:
        return
    if reskin.running() is not None:
        column.label(text="Finding weights", icon="MOD_VERTEX_WEIGHT")
        return
    if reskin.ready() is not None:
        column.operator("menagerie.place_weights", text="Ready: Place Weights", icon="CHECKMARK")
    moved = skin.moved_bones(rig, list(rig[BONES])) if rig.mode != "EDIT" else []
    if moved:
        text = f"{moved[0]} was moved" if len(moved) == 1 else f"{len(moved)} bones were moved"
        column.label(text=text, icon="BONE_DATA")
        row = column.row()
        row.scale_y = 1.5
        row.operator("menagerie.reskin", icon="MOD_VERTEX_WEIGHT")
    for note in rig.get(skin.NOTES) or ():
        wrapped(column, str(note), "INFO")
