"""Animate the chosen clip: starts the job and returns; the sidebar shows how far it is."""

from __future__ import annotations

from pathlib import Path

import bpy

from .. import settings
from ..clip import choices
from ..link import session
from ..link.errors import LinkError
from . import fit, picking
from .paint_mask import save_mask


class NeedsClip:
    """Of operators that work on the chosen clip."""

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if not fit.idle():
            cls.poll_message_set("A reconstruction is running")
            return False
        if not choices.of(context).path:
            cls.poll_message_set("Choose a clip first")
            return False
        return True


class MENAGERIE_OT_animate(NeedsClip, bpy.types.Operator):
    """Reconstruct the animal in the clip as one creature that moves as it does there"""

    bl_idname = "menagerie.animate"
    bl_label = "Animate"
    bl_options = {"REGISTER"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        chosen = choices.of(context)
        try:
            path = check(chosen)
            asked = wire_settings(context)
        except LinkError as error:
            return fit.refuse(self, error)
        plan = session.Plan(
            str(path), str(session.new_folder()), asked, context.scene.name, path.stem if path.is_file() else path.name,
            method="animate", placing=choices.placing(chosen),
        )  # fmt: skip
        return fit.start(self, context, plan)


def follow_panel(context: bpy.types.Context, plan: session.Plan) -> None:
    """A plan that does a clip anew takes the panel's settings where the panel shows that clip. Raises `LinkError`."""
    chosen = choices.of(context)
    if str(choices.path_of(chosen)) == plan.photo:
        check(chosen)
        plan.settings, plan.placing = wire_settings(context), choices.placing(chosen)


def wire_settings(context: bpy.types.Context) -> dict[str, object]:
    """What is asked of the clip; a mask of its first frame that was picked or painted is written into a folder. Raises `LinkError`."""
    chosen = choices.of(context)
    picking.keep_of(context, "CLIP")
    asked = choices.wire_settings(chosen, settings.of(context).seed)
    mask = choices.own_mask(chosen)
    if mask is not None and not asked["mask_dir"]:
        asked["mask_dir"] = str(save_mask(mask, session.new_folder()).parent)  # one picture without a number is the first frame's
    return asked


def check(chosen: choices.MenagerieClip) -> Path:
    """The clip's path. Raises `LinkError` where clip or masks aren't there."""
    path = choices.path_of(chosen)
    if path is None or not (path.is_file() or path.is_dir()):
        raise LinkError("bad_request", "The clip is not there any more.", "Choose the clip again.")
    masks = choices.masks_of(chosen)
    if masks is not None and not masks.is_dir():
        raise LinkError("mask_unreadable", "The folder of masks is not there.", "Choose the folder again, or leave it empty.")
    return path
