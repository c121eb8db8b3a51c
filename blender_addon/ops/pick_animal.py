"""Take one click on the photo: on the animal, or with Ctrl beside it."""

from __future__ import annotations

import bpy

from ..link import session
from ..link.errors import LinkError
from . import fit, picking

HINT = "Click: the animal    Ctrl Click: not the animal    Enter: accept    Esc: leave everything as it was"


class MENAGERIE_OT_pick_animal(bpy.types.Operator):
    """Click on the animal in the photo, with Ctrl on what doesn't belong to it; corrects a mask, or chooses one of several animals"""

    bl_idname = "menagerie.pick_animal"
    bl_label = "Pick Animal"

    x: bpy.props.FloatProperty(name="X", description="Of the click, in the photo's pixels", options={"SKIP_SAVE"})  # type: ignore[valid-type]
    y: bpy.props.FloatProperty(
        name="Y", description="Of the click, in the photo's pixels, from its upper edge", options={"SKIP_SAVE"}
    )  # type: ignore[valid-type]
    negative: bpy.props.BoolProperty(
        name="Not the Animal", description="What was clicked on doesn't belong to the animal", options={"SKIP_SAVE"}
    )  # type: ignore[valid-type]

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if not fit.idle():
            cls.poll_message_set("A reconstruction is running")
            return False
        return fit.has_picture(cls, context)

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        try:
            under_way = picking.running(context) or picking.begin(context)
        except LinkError as error:
            return fit.refuse(self, error)
        if not shows(context, under_way.image):
            picking.show(context)  # and this operator is called again there
            return {"FINISHED"}
        context.window.cursor_modal_set("EYEDROPPER")
        context.workspace.status_text_set(HINT)
        context.area.header_text_set(HINT)  # a window of its own has no status bar
        context.window_manager.modal_handler_add(self)
        return {"RUNNING_MODAL"}

    def modal(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        under_way = picking.running(context)
        if under_way is None or not shows(context, under_way.image):
            return self.leave(context, {"CANCELLED"})
        if event.value == "PRESS" and event.type in ("RET", "NUMPAD_ENTER"):
            self.leave(context, set())
            bpy.ops.menagerie.keep_pick("EXEC_DEFAULT", True)  # operators called from Python push no undo step by themselves
            return {"FINISHED"}
        if event.value == "PRESS" and event.type == "ESC":
            self.leave(context, set())
            bpy.ops.menagerie.drop_pick("EXEC_DEFAULT")
            return {"CANCELLED"}
        place = photo_place(context, event) if event.type == "LEFTMOUSE" and event.value == "PRESS" else None
        if place is None:
            return {"PASS_THROUGH"}
        self.x, self.y = place
        self.negative = event.ctrl
        return self.leave(context, self.execute(context))

    def leave(self, context: bpy.types.Context, answer: set[str]) -> set[str]:
        """Give pointer, status bar and header back."""
        context.window.cursor_modal_restore()
        context.workspace.status_text_set(None)
        if context.area is not None:
            context.area.header_text_set(None)
        return answer

    def cancel(self, context: bpy.types.Context) -> None:
        """Blender ends the operator: a window closes, another file is opened."""
        self.leave(context, set())

    def execute(self, context: bpy.types.Context) -> set[str]:
        try:
            if picking.running(context) is None:
                picking.begin(context)
            picking.add(context, self.x, self.y, not self.negative)
        except LinkError as error:
            if not bpy.app.background:
                picking.wait_for_click()
            return fit.refuse(self, error)
        if bpy.app.background:
            session.state.error = None
            session.finish_errands()
            error_shown = session.state.error
            if error_shown is not None:
                return fit.refuse(self, LinkError(error_shown["code"], error_shown["sentence"], error_shown["remedy"]))
        return {"FINISHED"}


def shows(context: bpy.types.Context, name: str) -> bool:
    """The context is an Image Editor with the image of this name."""
    space = context.space_data
    return space is not None and space.type == "IMAGE_EDITOR" and space.image is not None and space.image.name == name


def photo_place(context: bpy.types.Context, event: bpy.types.Event) -> tuple[float, float] | None:
    """The photo's pixel under the pointer, None where the pointer is elsewhere: beside the photo, on a sidebar, in another editor."""

    def under(region: bpy.types.Region) -> bool:
        return region.x <= event.mouse_x < region.x + region.width and region.y <= event.mouse_y < region.y + region.height

    regions = [region for region in context.area.regions if region.width > 1 and region.height > 1 and under(region)]
    under_way = picking.current
    if under_way is None or [region.type for region in regions] != ["WINDOW"]:
        return None
    u, v = regions[0].view2d.region_to_view(event.mouse_x - regions[0].x, event.mouse_y - regions[0].y)
    if not (0 <= u <= 1 and 0 <= v <= 1):
        return None
    return u * under_way.size[0], (1 - v) * under_way.size[1]
