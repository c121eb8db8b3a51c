"""Reconstruct the chosen photo: starts the job and returns; the sidebar shows how far it is."""

from __future__ import annotations

from pathlib import Path

import bpy

from .. import settings
from ..link import session
from ..link.errors import LinkError
from . import fit, picking
from .paint_mask import save_mask


class MENAGERIE_OT_reconstruct(bpy.types.Operator):
    """Reconstruct the animal in the photo as a rigged, textured, posed creature"""

    bl_idname = "menagerie.reconstruct"
    bl_label = "Reconstruct"
    bl_options = {"REGISTER"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return fit.can_begin(cls, context)

    def execute(self, context: bpy.types.Context) -> set[str]:
        chosen = settings.of(context)
        photo = Path(bpy.path.abspath(chosen.photo))
        if not photo.is_file():
            return fit.refuse(self, LinkError("bad_request", "The photo is not there any more.", "Choose the photo again."))
        out = session.new_folder()
        try:
            asked = choices(context, out)
        except LinkError as error:
            return fit.refuse(self, error)
        return fit.start(self, context, session.Plan(str(photo), str(out), asked, context.scene.name, photo.stem))


def choices(context: bpy.types.Context, out: Path) -> dict[str, object]:
    """The scene's settings in the wire's names; a painted mask is written into the job's folder, one that is being picked is
    accepted first. Raises `LinkError`."""
    picking.keep_of(context, "PHOTO")
    chosen = settings.of(context)
    asked: dict[str, object] = {"quality": chosen.quality, "seed": chosen.seed}
    if chosen.mask_kind == "PAINTED":
        if chosen.mask_image is None:
            raise LinkError("mask_unreadable", "No mask has been painted.")
        asked["mask"] = str(save_mask(chosen.mask_image, out))
    elif chosen.mask_kind == "FILE":
        path = Path(bpy.path.abspath(chosen.mask_path))
        if not chosen.mask_path or not path.is_file():
            raise LinkError("mask_unreadable", "The mask's file is not there.")
        asked["mask"] = str(path)
    return asked
