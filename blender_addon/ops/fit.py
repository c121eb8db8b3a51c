"""What the operators that start a job share: begin it, and in background mode wait for it and place the result."""

from __future__ import annotations

import bpy

from .. import settings
from ..clip import choices
from ..link import session
from ..link.errors import LinkError


def idle() -> bool:
    """No job runs."""
    return session.state.job is None


def start(operator: bpy.types.Operator, context: bpy.types.Context, plan: session.Plan) -> set[str]:
    """Begin the plan -> the operator's answer. In background mode (no timers fire there) the result is placed before returning."""
    try:
        session.begin(context, plan)
        if bpy.app.background:
            session.finish(context)
    except LinkError as error:
        return refuse(operator, error)
    return {"FINISHED"}


def refuse(operator: bpy.types.Operator, error: LinkError) -> set[str]:
    """Show an error in the panel and in the status bar."""
    session.state.error = error.to_wire()
    operator.report({"ERROR"}, f"{error.sentence} {error.remedy}")
    return {"CANCELLED"}


def refit(operator: bpy.types.Operator, context: bpy.types.Context, **changes: object) -> set[str]:
    """Fit the active creature's photo anew with some settings changed."""
    try:
        plan = session.again(context, **changes)
    except LinkError as error:
        return refuse(operator, error)
    return start(operator, context, plan)


def has_photo(operator: type[bpy.types.Operator], context: bpy.types.Context) -> bool:
    """A photo is chosen; where none is, the button's tip says so."""
    if not settings.of(context).photo:
        operator.poll_message_set("Choose a photo first")
        return False
    return True


def has_picture(operator: type[bpy.types.Operator], context: bpy.types.Context) -> bool:
    """There is a picture to make a mask on: the photo, or in the clip's tab the frame with which the motion begins; else the tip says
    what is missing."""
    if settings.of(context).kind != "CLIP":
        return has_photo(operator, context)
    if not choices.first_frame_known(choices.of(context)):
        operator.poll_message_set("Press Show Animal at the clip's start first")
        return False
    return True


def can_begin(operator: type[bpy.types.Operator], context: bpy.types.Context) -> bool:
    """No job runs and a photo is chosen; what is missing, the button's tip says."""
    if not idle():
        operator.poll_message_set("A reconstruction is running")
        return False
    return has_photo(operator, context)


def has_photo_creature(context: bpy.types.Context) -> bool:
    """The same, of a creature that came from a photo: a clip is not fitted again from another side."""
    return has_creature(context) and session.read_record(session.creature_of(context)).get("method") != "animate"


def has_creature(context: bpy.types.Context) -> bool:
    """No job runs and a creature is meant."""
    return idle() and session.creature_of(context) is not None
