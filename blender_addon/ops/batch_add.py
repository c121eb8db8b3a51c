"""Add photos to the batch: those that are picked in the file browser, or all of a folder."""

from __future__ import annotations

from pathlib import Path

import bpy

from ..link import batch
from ..link.errors import LinkError
from . import fit
from .drop_photo import EXTENSIONS

ENDINGS = tuple(EXTENSIONS.split(";"))


class MENAGERIE_OT_batch_add(bpy.types.Operator):
    """Add photos to the list: pick several, or pick none to take every photo in the folder. They get the panel's quality and seed"""

    bl_idname = "menagerie.batch_add"
    bl_label = "Add Photos"

    directory: bpy.props.StringProperty(subtype="DIR_PATH", options={"SKIP_SAVE"})  # type: ignore[valid-type]
    files: bpy.props.CollectionProperty(type=bpy.types.OperatorFileListElement, options={"HIDDEN", "SKIP_SAVE"})  # type: ignore[valid-type]
    filter_glob: bpy.props.StringProperty(default=";".join(f"*{end}" for end in ENDINGS), options={"HIDDEN"})  # type: ignore[valid-type]

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        folder = Path(bpy.path.abspath(self.directory))
        picked = [folder / element.name for element in self.files if element.name]
        try:
            found = picked or photos_in(folder)
            added = batch.add(context, found)
        except LinkError as error:
            return fit.refuse(self, error)
        same = len(found) - added
        self.report({"INFO"}, f"{added} photo{'' if added == 1 else 's'} added" + (f", {same} were there already" if same else ""))
        return {"FINISHED"}


def photos_in(folder: Path) -> list[Path]:
    """The photos of a folder, by name. Raises `LinkError` where there is none."""
    try:
        found = [path for path in folder.iterdir() if path.suffix.lower() in ENDINGS and not path.name.startswith(".")]
    except OSError as error:
        raise LinkError("bad_request", f"The folder can't be read ({error.strerror}).", "Choose another folder.") from error
    if not found:
        raise LinkError("bad_request", "There is no photo in this folder.", f"Photos end with {', '.join(ENDINGS)}.")
    return sorted(found, key=lambda path: (path.stem.casefold(), path.name))
