"""Remove the backend's environment from the extension's folder."""

from __future__ import annotations

import bpy

from .. import paths
from ..link import session, standing
from ..link.errors import LinkError
from . import fit
from .set_up import running


class MENAGERIE_OT_remove_environment(bpy.types.Operator):
    """Delete the environment that Set Up made, to free its disk space"""

    bl_idname = "menagerie.remove_environment"
    bl_label = "Remove"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return fit.idle() and not running()

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        return context.window_manager.invoke_confirm(self, event)

    def execute(self, context: bpy.types.Context) -> set[str]:
        if session.state.backend is not None:
            session.state.backend.stop()
        try:
            standing.remove(paths.user_folder())
        except LinkError as error:
            return fit.refuse(self, error)
        return {"FINISHED"}
