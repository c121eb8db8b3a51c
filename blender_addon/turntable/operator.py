"""The turntable's buttons: start, cancel, and the panel that shows how far it is.

In Blender's interface an app timer renders one picture a tick; no modal operator runs, so autosave goes on. The
running turntable stands at module level: undo and loading a file do not touch it.
"""

from __future__ import annotations

import errno
import math
from pathlib import Path

import bpy

from ..link import session
from ..link.errors import LinkError
from .stage import Look
from .stands import kept_by_hand
from .turn import Turn

TICK_SECONDS = 0.05
FULL_WORDS = ("no space left", "not enough space", "disk full")
SUFFIXES = {"MP4": ".mp4", "GIF": ".gif", "PNG": "", "STILL": ".png"}

ENGINE_ITEMS = (
    ("WORKBENCH", "Workbench", "Texture with plain shading, under a second a picture"),
    ("EEVEE", "EEVEE", "The material in light; seconds a picture without a graphics card"),
    ("CYCLES", "Cycles", "Path tracing"),
)
FORMAT_ITEMS = (
    ("MP4", "Movie (mp4)", "H.264"),
    ("GIF", "GIF", "Made by the backend"),
    ("PNG", "Pictures (PNG)", "A folder of numbered pictures"),
    ("STILL", "Still (PNG)", "One picture, framed for itself"),
)
MOTION_ITEMS = (
    ("HOLD", "Hold Pose", "The pose that stands now"),
    ("LOOP", "Play, Looping", "The action in whole rounds, so that the end meets the beginning; its speed may change a little"),
    ("ONCE", "Play Once", "The action at its own speed, then its last pose"),
)
PASS_ITEMS = (
    ("CLAY", "Clay", "The shape in plain grey"),
    ("WIREFRAME", "Wireframe", "Every edge over the clay"),
    ("NORMALS", "Normals", "Which way the surface faces, seen from the camera; drawn by Workbench"),
    ("SKELETON", "Skeleton", "The bones in their groups' colours inside a body of glass; drawn by Workbench"),
)

STILL_ANGLE = math.radians(35)
"""A little from the animal's left: face and flank are seen."""

running: Turn | None = None


def shown_objects(context: bpy.types.Context) -> list[bpy.types.Object]:
    """The active creature's armature and meshes, else the selected meshes."""
    rig = session.creature_of(context)
    if rig is None:
        return [thing for thing in context.selected_objects if thing.type == "MESH"]
    worn = [
        thing
        for thing in context.scene.objects
        if thing.type == "MESH" and any(m.type == "ARMATURE" and m.object == rig for m in thing.modifiers)
    ]
    return [rig, *worn]


def start(turn: Turn) -> None:
    """Let the timer make the pictures."""
    global running
    running = turn
    bpy.app.timers.register(tick, first_interval=TICK_SECONDS, persistent=True)


def tick() -> float | None:
    """The timer: one picture, the last time the file. None ends it."""
    turn = running
    if turn is None:
        return None
    if session.rendering():
        return 1.0
    goes_on = False
    try:
        with kept_by_hand(bpy.context):
            if len(turn.pictures) < turn.total:
                turn.step()
                turn.rest()
                session.redraw()
                goes_on = True
            else:
                goes_on = not turn.finish()
    except (ValueError, OSError, RuntimeError, ReferenceError) as reason:
        session.state.error = failure(reason, turn).to_wire()
    finally:  # whatever else happens Blender shows; the button must not wait for a timer that has ended
        if not goes_on:
            stop()
    return TICK_SECONDS if goes_on else None


def stop() -> None:
    """End the running turntable and remove what it left."""
    global running
    turn, running = running, None
    if turn is not None:
        turn.close()
        session.redraw()


def failure(reason: Exception, turn: Turn | None = None) -> LinkError:
    """What went wrong, as an error that the panel shows. Blender tells of a full disk in words, or not at all: the disk is asked."""
    full = isinstance(reason, OSError) and reason.errno == errno.ENOSPC
    if full or any(word in str(reason).lower() for word in FULL_WORDS) or (turn is not None and turn.out_of_space()):
        return LinkError("disk_full", "The disk is full.")
    if isinstance(reason, OSError):
        return LinkError("not_writable", f"The turntable was not written: {reason}.")
    return LinkError("bad_request", f"The turntable stopped: {reason}.", "Select a creature with a mesh and try again.")


def said(error: LinkError) -> str:
    """An error as the status bar shows it."""
    return f"{error.sentence} {error.remedy}"


class MENAGERIE_OT_turntable(bpy.types.Operator):
    """Render the creature from all around into a movie, a GIF or pictures. A cancelled one goes on where it was"""

    bl_idname = "menagerie.turntable"
    bl_label = "Turntable"
    bl_options = {"REGISTER"}

    filepath: bpy.props.StringProperty(subtype="FILE_PATH")  # type: ignore[valid-type]
    check_existing: bpy.props.BoolProperty(default=True, options={"HIDDEN"})  # type: ignore[valid-type]
    format: bpy.props.EnumProperty(name="Format", items=FORMAT_ITEMS, default="MP4")  # type: ignore[valid-type]
    engine: bpy.props.EnumProperty(name="Engine", items=ENGINE_ITEMS, default="WORKBENCH")  # type: ignore[valid-type]
    frames: bpy.props.IntProperty(name="Frames", description="Pictures of one whole turn", default=48, min=2, max=720)  # type: ignore[valid-type]
    size: bpy.props.IntProperty(name="Size", description="Pixels a side", default=512, min=64, max=4096)  # type: ignore[valid-type]
    elevation: bpy.props.FloatProperty(
        name="Height", description="How far above the horizon the camera stands", subtype="ANGLE",
        default=Look.elevation, min=math.radians(-60), max=math.radians(80),
    )  # type: ignore[valid-type]  # fmt: skip
    angle: bpy.props.FloatProperty(
        name="Start", description="Where the first picture looks from: 0 the front, 90 degrees the animal's left", subtype="ANGLE",
        default=STILL_ANGLE, min=-math.pi, max=math.pi,
    )  # type: ignore[valid-type]  # fmt: skip
    motion: bpy.props.EnumProperty(name="Motion", items=MOTION_ITEMS, default="HOLD")  # type: ignore[valid-type]
    passes: bpy.props.EnumProperty(
        name="Also", description="Rendered beside it, into files of their own", items=PASS_ITEMS, options={"ENUM_FLAG"}, default=set()
    )  # type: ignore[valid-type]
    ground: bpy.props.BoolProperty(name="Ground Shadow", description="A soft shadow below", default=True)  # type: ignore[valid-type]

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if running is not None:
            cls.poll_message_set("A turntable is being made")
            return False
        if not shown_objects(context):
            cls.poll_message_set("Select a creature, or a mesh")
            return False
        return True

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        if not self.filepath:
            folder = Path(bpy.data.filepath).parent if bpy.data.filepath else Path.home()
            self.filepath = str(folder / (shown_objects(context)[0].name + " turntable"))
        self.check(context)
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def check(self, context: bpy.types.Context) -> bool:
        """Keep the file's ending in step with the format."""
        path = Path(self.filepath)
        bare = path.with_suffix("") if path.suffix in SUFFIXES.values() else path
        wanted = str(bare) + SUFFIXES[self.format]
        changed = wanted != self.filepath
        self.filepath = wanted
        return changed

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        layout.use_property_split, layout.use_property_decorate = True, False
        for names in (("format", "engine", "size"), ("frames", "motion"), ("elevation", "angle", "ground")):
            column = layout.column()
            for name in names:
                if name != "frames" or self.format != "STILL":
                    column.prop(self, name)
        column = layout.column(heading="Also")
        for item in PASS_ITEMS:
            column.prop_enum(self, "passes", item[0])

    def execute(self, context: bpy.types.Context) -> set[str]:
        self.check(context)
        passes = ("TEXTURE", *(item[0] for item in PASS_ITEMS if item[0] in self.passes))
        look = Look(
            self.frames, self.size, self.engine, self.elevation,
            motion=self.motion, passes=passes, ground=self.ground, angle=self.angle,
        )  # fmt: skip
        try:
            link = session.backend_for(context) if self.format == "GIF" else None
            place = (link.python, link.unit) if link is not None else None
            turn = Turn(context, shown_objects(context), bpy.path.abspath(self.filepath), look, self.format, place)
        except LinkError as error:
            self.report({"ERROR"}, said(error))
            return {"CANCELLED"}
        except (ValueError, OSError) as reason:
            self.report({"ERROR"}, said(failure(reason)))
            return {"CANCELLED"}
        if turn.pictures:
            self.report({"INFO"}, f"Goes on: {len(turn.pictures)} of {turn.total} pictures are there")
        if not bpy.app.background:
            start(turn)
            return {"FINISHED"}
        try:
            with kept_by_hand(context):
                turn.run()
        except (ValueError, OSError, RuntimeError) as reason:
            self.report({"ERROR"}, said(failure(reason, turn)))
            return {"CANCELLED"}
        finally:
            turn.close()
        return {"FINISHED"}


class MENAGERIE_OT_turntable_cancel(bpy.types.Operator):
    """Stop the turntable; no file is written, and with the same settings it goes on later"""

    bl_idname = "menagerie.turntable_cancel"
    bl_label = "Cancel Turntable"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return running is not None

    def execute(self, context: bpy.types.Context) -> set[str]:
        stop()
        return {"FINISHED"}


def draw(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """The button, or the bar with Cancel; for a panel of the sidebar."""
    if running is None:
        layout.operator(MENAGERIE_OT_turntable.bl_idname, icon="FILE_MOVIE")
        return
    layout.progress(factor=running.fraction, text=f"Turntable {len(running.pictures)} of {running.total}")
    layout.operator(MENAGERIE_OT_turntable_cancel.bl_idname, icon="X")


class MENAGERIE_PT_turntable(bpy.types.Panel):
    """Turntable"""

    bl_label = "Turntable"
    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = "Menagerie"
    bl_order = 90

    def draw(self, context: bpy.types.Context) -> None:
        draw(self.layout, context)


CLASSES = (MENAGERIE_OT_turntable, MENAGERIE_OT_turntable_cancel, MENAGERIE_PT_turntable)


def register() -> None:
    for made in CLASSES:
        bpy.utils.register_class(made)


def unregister() -> None:
    """A timer that is pending when Blender exits crashes it."""
    if bpy.app.timers.is_registered(tick):
        bpy.app.timers.unregister(tick)
    stop()
    for made in reversed(CLASSES):
        bpy.utils.unregister_class(made)
