"""Set up the backend's environment, after saying what will be downloaded and from where."""

from __future__ import annotations

from pathlib import Path

import bpy

from .. import preferences
from ..link import session
from ..link.environment import torch_table
from ..link.errors import LinkError
from . import fit

SIZES = {"cpu": "about 0.6 GB", "cuda": "about 3.5 GB"}
"""What is downloaded."""


class MENAGERIE_OT_set_up(bpy.types.Operator):
    """Make the backend's own Python environment in the extension's folder; Blender's Python is not touched"""

    bl_idname = "menagerie.set_up"
    bl_label = "Set Up"

    offline: bpy.props.BoolProperty(
        name="From the Offline Archive", description="Install from the archive and use no network", options={"SKIP_SAVE"}
    )  # type: ignore[valid-type]
    consent: bpy.props.BoolProperty(
        name="Download these packages", description="Nothing is downloaded without this", default=False, options={"SKIP_SAVE"}
    )  # type: ignore[valid-type]

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if running():
            cls.poll_message_set("The set-up is running")
            return False
        return fit.idle()

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        if self.offline:
            return self.execute(context)
        return context.window_manager.invoke_props_dialog(self, width=480)

    def draw(self, context: bpy.types.Context) -> None:
        device = preferences.device_of(context)
        table = torch_table()
        column = self.layout.column()
        column.label(text=f"Downloads {SIZES[device]} of Python packages, once:")
        column.label(text="Packages from PyPI, each checked against its locked hash", icon="DOT")
        column.label(text=f"torch {table.version} from {table.index}", icon="DOT")
        column.label(text="Nothing about you, your files or your photos is sent.")
        column.prop(self, "consent")

    def execute(self, context: bpy.types.Context) -> set[str]:
        chosen = preferences.get(context)
        archive = Path(bpy.path.abspath(chosen.archive)) if self.offline and chosen is not None and chosen.archive else None
        if self.offline and archive is None:
            return fit.refuse(self, LinkError("backend_missing", "No offline archive is chosen.", "Choose the zip of wheels first."))
        if not self.offline and not self.consent:
            return fit.refuse(self, LinkError("backend_missing", "Nothing was downloaded.", "Tick the box to agree to the download."))
        if not self.offline and not bpy.app.online_access:
            remedy = "Allow Online Access in Blender's preferences under System, or use the offline archive."
            return fit.refuse(self, LinkError("backend_missing", "Blender may not use the network.", remedy))
        if session.state.backend is not None:
            session.state.backend.stop()  # Windows can't replace the files of a running program
        set_up = session.begin_set_up(context, archive)
        if bpy.app.background:
            set_up.wait(3600.0)
            if set_up.error is not None:
                error = set_up.error
                return fit.refuse(self, LinkError(error["code"], error["sentence"], error["remedy"]))
        return {"FINISHED"}


def running() -> bool:
    """A set-up is at work."""
    return session.state.set_up is not None and not session.state.set_up.done
