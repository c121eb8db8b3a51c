"""Install an optional set of weights from a file that the artist has, after showing its licence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy

from .. import preferences
from ..link import session
from ..link.errors import LinkError
from ..link.process import Job
from . import fit

LINE = 80
"""Characters in a line of the dialog."""


class MENAGERIE_OT_install_weights(bpy.types.Operator):
    """Make an optional set of weights from the chosen file; its licence is shown first, and nothing is downloaded"""

    bl_idname = "menagerie.install_weights"
    bl_label = "Install from File"

    id: bpy.props.StringProperty(options={"HIDDEN", "SKIP_SAVE"})  # type: ignore[valid-type]
    filepath: bpy.props.StringProperty(
        name="File", description="Instead of the one that the preferences name", subtype="FILE_PATH", options={"SKIP_SAVE"}
    )  # type: ignore[valid-type]
    consent: bpy.props.BoolProperty(
        name="I agree to this licence", description="Nothing is installed without this", default=False, options={"SKIP_SAVE"}
    )  # type: ignore[valid-type]

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if running() is not None:
            cls.poll_message_set("An installation is running")
            return False
        return fit.idle()

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        return context.window_manager.invoke_props_dialog(self, width=520)

    def draw(self, context: bpy.types.Context) -> None:
        from ..panels.main import wrapped

        row = find_row(self.id)
        column = self.layout.column()
        file = chosen_file(context, self.filepath).name or "no file yet"
        column.label(text=f"{row['id']}, {row['bytes'] / 2**20:.0f} MiB, made from {file}")
        wrapped(column, f"{row['attribution']}. Licence: {row['licence']}. From {row['source']}.", width=LINE)
        column.label(text="The file's hash is checked. Nothing is downloaded or sent.")
        column.prop(self, "consent")

    def execute(self, context: bpy.types.Context) -> set[str]:
        try:
            row = find_row(self.id)
            if not self.consent:
                raise LinkError("bad_request", "Nothing was installed.", "Tick the box to agree to the licence.")
            file = chosen_file(context, self.filepath)
            if not file.is_file():
                raise LinkError("bad_request", "No file of the package is chosen.", f"Choose it. It is had from {row['source']}.")
            session.state.error = None
            session.send(context, "install", ended, id=self.id, source=file.absolute())
        except LinkError as error:
            return fit.refuse(self, error)
        if bpy.app.background:
            session.finish_errands()
            failed = session.state.error
            if failed is not None:
                return fit.refuse(self, LinkError(failed["code"], failed["sentence"], failed["remedy"]))
        return {"FINISHED"}


def running() -> Job | None:
    """The installation that is at work."""
    return next((job for job, _ in session.state.errands if job.method == "install"), None)


def ended(job: Job) -> None:
    """The errand's end: an error is shown in the panels."""
    if job.error is not None and job.error["code"] != "cancelled":
        session.state.error = job.error
    session.redraw()


def chosen_file(context: bpy.types.Context, given: str) -> Path:
    """The file that was given to the operator, else the one that the preferences name."""
    chosen = preferences.get(context)
    return Path(bpy.path.abspath(given or (chosen.sam2_file if chosen is not None else "")))


def find_row(id: str) -> dict[str, Any]:
    """The set in the list of weights. Raises `LinkError`."""
    row = next((row for row in preferences.weights() if row["id"] == id and row.get("parts")), None)
    if row is None:
        raise LinkError("bad_request", "The list of weights has no such set.", "Update the add-on.")
    return row
