"""The preferences' page: environment with its state, device, weights with their licences, diagnostics."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import bpy

from .. import paths
from ..link import session, standing
from ..ops import install_weights
from ..ops.set_up import running
from .main import draw_error, wrapped

if TYPE_CHECKING:
    from ..preferences import MenageriePreferences

STAGES = {
    "waiting": "Waiting", "python": "Looking for Python", "packages": "Installing packages", "torch": "Installing torch",
    "backend": "Copying the backend", "doctor": "Checking", "kernels": "Compiling", "done": "Done",
}  # fmt: skip


WIDE = 76
"""Characters in a line of the preferences' window at its first size."""


def draw(layout: bpy.types.UILayout, context: bpy.types.Context, chosen: MenageriePreferences) -> None:
    """The whole page."""
    draw_environment(layout.box(), chosen)
    draw_weights(layout.box(), chosen)
    draw_error(layout)
    layout.operator("menagerie.copy_diagnostics", icon="COPYDOWN")


def draw_environment(box: bpy.types.UILayout, chosen: MenageriePreferences) -> None:
    """State, set-up, path and the other ways."""
    box.label(text="Backend", icon="CONSOLE")
    set_up = session.state.set_up
    if set_up is not None and running():
        box.progress(factor=set_up.fraction, text=STAGES.get(set_up.stage, set_up.stage))
        box.label(text=set_up.line)
        box.operator("menagerie.set_up_cancel", icon="CANCEL")
        return
    if set_up is not None and set_up.error is not None and set_up.error["code"] != "cancelled":
        column = box.column(align=True)
        column.alert = True
        column.label(text=set_up.error["sentence"], icon="ERROR")
        column.label(text=set_up.error["remedy"])
    folder = paths.user_folder()
    state = standing.read_state(folder)
    if not state:
        box.label(text="Not set up yet", icon="INFO")
    elif state["version"] != paths.version():
        box.label(text=f"Version {state['version']}; the add-on is {paths.version()}", icon="ERROR")
    else:
        box.label(text=f"Ready: version {state['version']} for {state['device']}", icon="CHECKMARK")
    label = "Set Up" if not state else "Update Backend" if state["version"] != paths.version() else "Set Up Again"
    row = box.row(align=True)
    row.operator("menagerie.set_up", text=label, icon="IMPORT").offline = False
    if state:
        row.operator("menagerie.remove_environment", text="", icon="TRASH")
    if not bpy.app.online_access:
        box.label(text="Downloads need Allow Online Access under System; the archive does not", icon="INTERNET_OFFLINE")
    row = box.row(align=True)
    row.prop(chosen, "archive")
    row.operator("menagerie.set_up", text="Use", icon="FILE_ARCHIVE").offline = True
    box.prop(chosen, "device")
    box.prop(chosen, "interpreter")
    box.prop(chosen, "python_path")
    box.label(text=f"Path: {chosen.python_path or folder / 'environment'}")


def draw_weights(box: bpy.types.UILayout, chosen: MenageriePreferences) -> None:
    """Every file of the list with size, licence and credit; where a set is had from a file, what installs it."""
    from .. import preferences

    box.label(text="Weights", icon="ASSET_MANAGER")
    for row in preferences.weights():
        column = box.column(align=True)
        kind = "bundled" if row.get("bundled") else "optional"
        installed = bool(row.get("parts")) and preferences.is_installed(row)
        kind += ", installed" if installed else ""
        mark = "CHECKMARK" if installed else "DOT"
        column.label(text=f"{row.get('id')}  ({int(row.get('bytes', 0)) / 2**20:.1f} MiB, {kind})", icon=mark)
        wrapped(column, f"{str(row.get('licence')).rstrip('.')}: {row.get('attribution')}", "BLANK1", WIDE)
        if row.get("parts"):
            draw_installation(column, chosen, row, installed)


def draw_installation(column: bpy.types.UILayout, chosen: MenageriePreferences, row: dict[str, Any], installed: bool) -> None:
    """The file that a set is made from, and its button; the bar while that is at work."""
    wrapped(column, f"From {row.get('source')}", "BLANK1", WIDE)
    job = install_weights.running()
    if job is not None:
        column.progress(factor=job.fraction, text="Installing")
        return
    line = column.row(align=True)
    line.prop(chosen, "sam2_file")
    label = "Install SAM 2 Again" if installed else "Install SAM 2 from File..."
    line.operator("menagerie.install_weights", text=label, icon="IMPORT").id = row["id"]
