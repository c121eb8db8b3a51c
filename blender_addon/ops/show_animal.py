"""Show what is taken for the animal at a moment of the clip, before the whole is waited for."""

from __future__ import annotations

import bpy

from ..clip import choices, moment
from ..link import session
from ..link.errors import LinkError
from . import animate, fit


class MENAGERIE_OT_show_animal(animate.NeedsClip, bpy.types.Operator):
    """Look at this moment of the clip and show what is taken for the animal there; where the motion begins it can be put right"""

    bl_idname = "menagerie.show_animal"
    bl_label = "Show Animal"

    def execute(self, context: bpy.types.Context) -> set[str]:
        try:
            moment.ask(context, animate.check(choices.of(context)))
        except LinkError as error:
            return fit.refuse(self, error)
        if bpy.app.background:
            session.finish_errands()
            shown = session.state.error
            if shown is not None:
                return fit.refuse(self, LinkError(shown["code"], shown["sentence"], shown["remedy"]))
        return {"FINISHED"}
