"""Place a finished result: one short operator, one undo step. Mode, selection, frame and view stay as they are."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import bpy

from .. import topology
from ..clip import onto
from ..clip import place as clips
from ..control.rigify import again
from ..link import session
from ..link.errors import LinkError
from ..retarget import choices as retarget_choices
from ..scene import asset_file, joints, room
from ..scene import place as placement
from ..scene.creature import Creature, find_creature
from . import fit

ASSET, REPORT = "asset.safetensors", "report.json"
PHOTO_COPY = "photo.jpg"
"""What the backend writes beside the asset where Blender can't open the photo, or would show it otherwise."""


OWN_UNDO = ("SCULPT", "PAINT_TEXTURE")
"""Modes whose undo steps hold strokes and not the file: undoing to one of them would leave the creature there, so a step of
the whole file goes before ours."""


MENDABLE = ("bad_request", "control_rig_exists")
"""Errors that the person can mend and then press Place again."""


class MENAGERIE_OT_place(bpy.types.Operator):
    """Put the finished creature into this scene"""

    bl_idname = "menagerie.place"
    bl_label = "Place"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if not session.state.ready:
            cls.poll_message_set("No result is waiting")
            return False
        if session.rendering():
            cls.poll_message_set("Wait until the rendering has ended")
            return False
        return True

    def execute(self, context: bpy.types.Context) -> set[str]:
        plan, result = session.state.ready[-1]
        try:
            place_result(context, plan, result)
        except LinkError as error:
            if error.code not in MENDABLE:
                session.state.ready.pop()
            return fit.refuse(self, error)
        session.state.ready.pop()
        return {"FINISHED"}


def place_result(context: bpy.types.Context, plan: session.Plan, result: dict[str, Any]) -> Creature:
    """Read a result, put it into the scene and write down where it came from. result: `out` and `report`. Raises `LinkError`."""
    out = Path(result["out"])
    asset = asset_file.read_asset_file(out / ASSET)
    if context.mode in OWN_UNDO and not bpy.app.background:
        bpy.ops.ed.undo_push(message="Before Place")
    said: list[str] = []
    creature = put(context, plan, asset, out, result["report"], said)
    report = {**result["report"], "warnings": [*result["report"].get("warnings", []), *said]}
    session.write_record(creature.armature, plan, report, (asset.width, asset.height))
    offer_motion(context, creature)
    if joints.handles(creature):
        joints.lay(creature, session.read_record(creature.armature))
    return creature


def read_report(out: Path) -> dict[str, Any]:
    """The report of a result's folder. Raises `LinkError`."""
    try:
        report = json.loads((out / REPORT).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise LinkError("asset_damaged", "The result's report can't be read.") from error
    return report if isinstance(report, dict) else {}


def put(
    context: bpy.types.Context, plan: session.Plan, asset: asset_file.AssetFile, out: Path, report: dict[str, Any], said: list[str]
) -> Creature:
    """The result in folder `out` as a new creature, or in place of the plan's target if that still stands; one that wears quads gets new
    ones, one with a control rig another that fits, one from a clip its motion. said: gets sentences for the artist. Raises `LinkError`."""
    standing = standing_creature(plan.target) if plan.at_home else None
    photo, moving = shown_photo(plan, out), None
    if plan.method == "animate" and asset.motions:
        moving = clips.Moving(asset, *clips.asked(plan.photo, plan.settings, plan.placing, report, still=photo))
        photo = None  # the clip takes its place
    still = asset if moving is None else replace(asset, motions=asset.motions[1:])
    if standing is None:
        finish = None if moving is None else lambda creature: moving.on_new(context, creature, said)
        spot = plan.spot if plan.row else room.free_spot(asset, context.view_layer)
        return placement.place_asset(context, still, photo, plan.name, spot=spot, row=plan.row, finish=finish)
    free = standing.mesh.mode == "OBJECT" and standing.armature.mode != "EDIT"  # else `update_asset` refuses
    control = again.let_go(context, standing.armature) if free else None
    quads = topology.back_to_triangles(standing.mesh) if free else None
    try:
        creature = placement.update_asset(context, standing, still, photo)
    except LinkError:
        if control is not None:
            again.tie_again(control)
        raise
    if quads is not None:
        try:
            topology.put_on_quads(context, creature.mesh, creature.armature, quads)
        except LinkError as error:  # the new result stands, in triangles
            session.state.error = error.to_wire()
    if control is not None:
        try:
            again.make_again(context, creature.armature, control)
        except LinkError as error:  # the new result stands, and beside it the old controls with their keys
            session.state.error = error.to_wire()
    if moving is not None:
        said += moving.on(context, creature)
    return creature


def offer_motion(context: bpy.types.Context, creature: Creature) -> None:
    """A clip's motion can be taken by other armatures at once: it is the source, unless the artist has chosen one."""
    action = clips.clip_action(creature.armature)
    if action is not None and retarget_choices.of(context).source is None:
        onto.offer(context, creature.armature, action)


def shown_photo(plan: session.Plan, out: Path) -> Path | None:
    """The picture for the photo's plane: the backend's upright copy where it made one (of a clip: of the first frame), else the photo."""
    copy = out / PHOTO_COPY
    if plan.method == "animate":
        return copy if copy.is_file() else None
    return copy if copy.is_file() else Path(plan.photo)


def standing_creature(name: str) -> Creature | None:
    """The creature whose armature has this name, if it is still whole."""
    armature = bpy.data.objects.get(name) if name else None
    return find_creature(armature) if armature is not None else None
