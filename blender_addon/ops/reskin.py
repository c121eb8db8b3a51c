"""Weights for bones that were moved in Edit Mode: an errand of the backend, whose answer another short operator puts in."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import bpy

from ..link import session
from ..link.errors import LinkError
from ..link.process import Job
from ..scene import skin
from ..scene.creature import find_creature
from ..scene.place import BONES
from . import fit

SOURCE, ANSWER = "bones.safetensors", "skin.safetensors"


@dataclass
class Errand:
    """What is asked for, at module level because undo would undo it. rig: name of the armature; stand: where its bones stood; out: the
    job's folder; file: see `session.Plan`; job: None once it has ended well and waits to be put in."""

    rig: str
    stand: list[float]
    out: Path
    file: int
    job: Job | None
    notes: list[str]


current: Errand | None = None


class MENAGERIE_OT_reskin(bpy.types.Operator):
    """Find weights for the bones where they stand now; the mesh stays as it is"""

    bl_idname = "menagerie.reskin"
    bl_label = "Re-skin"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        rig = session.creature_of(context)
        if running() is not None:
            cls.poll_message_set("Weights are being found")
            return False
        if rig is None or rig.mode == "EDIT":
            cls.poll_message_set("Leave Edit Mode first")
            return False
        return fit.idle()

    def execute(self, context: bpy.types.Context) -> set[str]:
        global current
        rig = session.creature_of(context)
        creature = find_creature(rig) if rig is not None else None
        try:
            if rig is None or creature is None or rig.get(BONES) is None:
                raise LinkError("bad_request", "No creature is selected.", "Select a creature that Menagerie made.")
            if creature.mesh.mode != "OBJECT":
                raise LinkError("bad_request", f"{creature.mesh.name} is being edited.", "Go back to Object Mode.")
            out = session.new_folder()
            stand = skin.write_bones(creature, list(rig[BONES]), out / SOURCE)
            session.state.error = None
            job = session.send(context, "reskin", ended, source=out / SOURCE, out=out)
        except LinkError as error:
            return fit.refuse(self, error)
        current = Errand(rig.name, stand, out, session.state.files, job, [])
        if bpy.app.background:
            session.finish_errands()
            if session.state.error is not None:
                error = session.state.error
                self.report({"ERROR"}, f"{error['sentence']} {error['remedy']}")
                return {"CANCELLED"}
        return {"FINISHED"}


class MENAGERIE_OT_place_weights(bpy.types.Operator):
    """Give the mesh the weights that were found"""

    bl_idname = "menagerie.place_weights"
    bl_label = "Place Weights"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return ready() is not None and not session.rendering()

    def execute(self, context: bpy.types.Context) -> set[str]:
        global current
        found = ready()
        if found is None:
            return {"CANCELLED"}
        rig = bpy.data.objects.get(found.rig) if found.file == session.state.files else None
        creature = find_creature(rig) if rig is not None else None
        try:
            if rig is None or creature is None:
                current = None
                raise LinkError("bad_request", "The creature is gone.", "Nothing was changed.")
            if creature.mesh.mode != "OBJECT" or rig.mode == "EDIT":
                raise LinkError("bad_request", f"{creature.mesh.name} is being edited.", "Go back to Object Mode and press Place Weights.")
            current = None
            skin.replace_weights(creature.mesh, skin.read_skin(found.out / ANSWER))
        except LinkError as error:
            return fit.refuse(self, error)
        skin.remember_rests(rig, list(rig[BONES]), found.stand)
        rig[skin.NOTES] = found.notes
        for note in found.notes:
            self.report({"WARNING"}, note)
        return {"FINISHED"}


def running() -> Errand | None:
    """The errand while the backend is at it."""
    return current if current is not None and current.job is not None else None


def ready() -> Errand | None:
    """The errand that waits to be put in."""
    return current if current is not None and current.job is None else None


def ended(job: Job) -> None:
    """Told by `session.pump`: put the weights in if the artist is where they belong, else they wait for Place Weights."""
    global current
    errand = running()
    if errand is None or errand.job is not job:
        return
    if job.result is None:
        current = None
        if job.error is not None and job.error.get("code") != "cancelled":
            session.state.error = job.error
        session.redraw()
        return
    errand.job, errand.notes = None, [str(note) for note in job.result.get("warnings", [])]
    put_in_if_free(errand)
    session.redraw()


def put_in_if_free(errand: Errand) -> None:
    """Call the operator from the timer, in a window that shows the creature's scene, in a mode where nothing is being edited."""
    for window in bpy.context.window_manager.windows or [None]:
        with bpy.context.temp_override(**({} if window is None else {"window": window, "screen": window.screen})):
            rig = bpy.context.view_layer.objects.get(errand.rig)
            if rig is None or bpy.context.mode not in ("OBJECT", "POSE") or session.rendering() or errand.file != session.state.files:
                continue
            try:
                bpy.ops.menagerie.place_weights("EXEC_DEFAULT", True)  # from Python no undo step is pushed by itself
            except RuntimeError:
                return  # the operator has left its error for the panel
            return


def forget() -> None:
    """The add-on ends."""
    global current
    current = None
