"""Try failed photos of the batch again, with the mask that was made for one meanwhile."""

from __future__ import annotations

from pathlib import Path

import bpy

from .. import settings
from ..link import batch
from ..link.batch_list import Entry
from ..link.errors import LinkError
from . import fit, picking
from .paint_mask import save_mask


class MENAGERIE_OT_batch_retry(bpy.types.Operator):
    """Let what failed wait again; a mask that was picked or painted for it meanwhile is used"""

    bl_idname = "menagerie.batch_retry"
    bl_label = "Retry"

    index: bpy.props.IntProperty(
        name="Photo", description="Row of the list; -1 for all that failed", default=-1, min=-1, options={"SKIP_SAVE"}
    )  # type: ignore[valid-type]

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return any(entry.state == "failed" for entry in batch.entries())

    def execute(self, context: bpy.types.Context) -> set[str]:
        one = batch.entry_at(self.index)
        chosen = batch.entries() if one is None else [one]
        try:
            for entry in chosen:
                if entry.state == "failed":
                    take_mask(context, entry)
        except LinkError as error:
            return fit.refuse(self, error)
        batch.retry(chosen)
        return {"FINISHED"}


def take_mask(context: bpy.types.Context, entry: Entry) -> None:
    """The panel's painted mask, if it is of this photo, becomes the entry's; one that is being picked is accepted first. Raises
    `LinkError`."""
    chosen = settings.of(context)
    if bpy.path.abspath(chosen.photo) == entry.photo:
        picking.keep_of(context, "PHOTO")
    if chosen.mask_kind == "PAINTED" and chosen.mask_image is not None and bpy.path.abspath(chosen.mask_photo) == entry.photo:
        entry.settings["mask"] = str(save_mask(chosen.mask_image, Path(entry.out)))
