"""What the artist has chosen for a transfer: source, map and options, kept with the scene; and what these choices come to.

The map stands as rows of text, a part's bones from the trunk outward with commas between, so that each can be edited by hand.
"""

from __future__ import annotations

import bpy

from ..link import session
from ..scene.creature import armatures_of
from . import files, preview, sampling
from .bone_map import BoneMap, MapError, Pair, check_map, unmapped
from .guess import guess_map
from .rig import Rig
from .sampling import Played
from .solve import Options, Result, solve

STANCES = (
    ("auto", "Automatic", "The source's for one animal in two rest poses and for people, else the creature's own"),
    ("own", "Creature's Own", "The creature stands as it does and takes over how the source's bones turn"),
    ("source", "Source's", "Every bone points where the source's points"),
)
ROOTS = (
    ("bone", "Root Bone", "The root bone travels"),
    ("object", "Object", "The armature object travels"),
    ("in_place", "In Place", "The creature stays where it is"),
)
FEET = (
    ("off", "Off", "Feet go where the legs take them"),
    ("auto", "Auto", "Feet that stand in the source stand still"),
    ("always", "Always", "Feet that are low stand still, even where the source's slide"),
)


def armatures_only(chosen: MenagerieRetarget, thing: bpy.types.Object) -> bool:
    """Filter of the source's field."""
    return thing.type == "ARMATURE"


def bones_of_source(row: MenagerieMapRow, context: bpy.types.Context, text: str) -> list[str]:
    """Names for the row's source field."""
    owner = context.scene.menagerie_retarget.source
    names = [] if owner is None else [bone.name for bone in owner.data.bones]
    return completed(names, text)


def bones_of_target(row: MenagerieMapRow, context: bpy.types.Context, text: str) -> list[str]:
    """Names for the row's target field."""
    owner = target_of(context)
    return completed([] if owner is None else [bone.name for bone in owner.data.bones], text)


def completed(names: list[str], text: str) -> list[str]:
    """What is typed with each name in the place of its last."""
    before, comma, last = text.rpartition(",")
    return [f"{before}{comma} {name}".strip() if comma else name for name in names if last.strip().lower() in name.lower()]


filling = False
"""True while the map's rows are written, so that not each of them redoes the preview."""


def redo(changed: bpy.types.PropertyGroup, context: bpy.types.Context) -> None:
    """A preview follows what is changed."""
    owner = target_of(context)
    if not filling and owner is not None and preview.is_on(owner):
        try:
            show_preview(context, owner)
        except MapError as error:
            session.state.error = {"code": error.code, "sentence": error.sentence, "remedy": error.remedy}


class MenagerieMapRow(bpy.types.PropertyGroup):
    """One pair of the map."""

    part: bpy.props.StringProperty(name="Part")  # type: ignore[valid-type]
    source: bpy.props.StringProperty(
        name="Source", description="Bones of the source, from the trunk outward, with commas between", search=bones_of_source,
        search_options={"SUGGESTION"}, update=redo,
    )  # type: ignore[valid-type]  # fmt: skip
    target: bpy.props.StringProperty(
        name="Creature", description="Bones of the creature, from the trunk outward, with commas between", search=bones_of_target,
        search_options={"SUGGESTION"}, update=redo,
    )  # type: ignore[valid-type]  # fmt: skip


class MenagerieRetarget(bpy.types.PropertyGroup):
    """Of a scene."""

    kind: bpy.props.EnumProperty(
        name="From",
        items=(("ARMATURE", "Armature", "An action of an armature in this file"), ("FILE", "File", "A BVH or FBX file")),
        default="ARMATURE",
    )  # type: ignore[valid-type]
    source: bpy.props.PointerProperty(name="Source", type=bpy.types.Object, poll=armatures_only)  # type: ignore[valid-type]
    action: bpy.props.PointerProperty(name="Action", type=bpy.types.Action)  # type: ignore[valid-type]
    path: bpy.props.StringProperty(name="File", subtype="FILE_PATH")  # type: ignore[valid-type]
    stance: bpy.props.EnumProperty(name="Stance", items=STANCES, default="auto", update=redo)  # type: ignore[valid-type]
    root: bpy.props.EnumProperty(name="Travel", items=ROOTS, default="bone", update=redo)  # type: ignore[valid-type]
    feet: bpy.props.EnumProperty(name="Hold Feet", items=FEET, default="auto", update=redo)  # type: ignore[valid-type]
    add_travel: bpy.props.BoolProperty(
        name="Let It Travel", description="A clip that walks on the spot moves forward as its feet say", default=False, update=redo
    )  # type: ignore[valid-type]
    limits: bpy.props.BoolProperty(
        name="Joint Limits", description="Keep joints within the creature's limits", default=True, update=redo
    )  # type: ignore[valid-type]
    rows: bpy.props.CollectionProperty(type=MenagerieMapRow)  # type: ignore[valid-type]
    row: bpy.props.IntProperty()  # type: ignore[valid-type]
    unsure: bpy.props.StringProperty()  # type: ignore[valid-type]


def of(context: bpy.types.Context) -> MenagerieRetarget:
    """The choices of the context's scene."""
    return context.scene.menagerie_retarget


def target_of(context: bpy.types.Context) -> bpy.types.Object | None:
    """The armature that receives the motion: the creature's that is meant, else the active object's; this one before a creature that
    gives the motion."""
    meant, active = session.creature_of(context), next(iter(armatures_of(context.object)), None)
    chosen = of(context)
    gives = chosen.kind == "ARMATURE" and meant is not None and chosen.source == meant
    return active if gives and active is not None else meant or active


def play_source(context: bpy.types.Context) -> Played:
    """The source's motion. Raises MapError source_missing and what its readers raise."""
    chosen = of(context)
    if chosen.kind == "FILE":
        if not chosen.path:
            raise MapError("source_missing", "No file is chosen.", "Choose a BVH or FBX file.")
        return files.read_file(context, chosen.path)
    if chosen.source is None:
        raise MapError("source_missing", "No armature is chosen to take the motion from.", "Choose one under From.")
    action = action_of(chosen)
    if action is None:
        raise MapError("source_missing", f"{chosen.source.name} has no action.", "Choose an action.")
    return sampling.sample_action(context, chosen.source, action)


def action_of(chosen: MenagerieRetarget) -> bpy.types.Action | None:
    """The chosen action, else the source's own."""
    animation = chosen.source.animation_data if chosen.source is not None else None
    return chosen.action or (animation.action if animation is not None else None)


def options_of(context: bpy.types.Context) -> Options:
    """The chosen options."""
    chosen = of(context)
    return Options(chosen.stance, chosen.root, chosen.feet, chosen.add_travel, chosen.limits)


def map_of(context: bpy.types.Context) -> BoneMap:
    """The rows as a map; a row without bones on one side counts for nothing."""
    rows = of(context).rows
    pairs = tuple(Pair(row.part, bones_in(row.source), bones_in(row.target)) for row in rows)
    return BoneMap(tuple(pair for pair in pairs if pair.source and pair.target))


def bones_in(text: str) -> tuple[str, ...]:
    """The names in a row's field."""
    return tuple(name for part in text.split(",") if (name := part.strip()))


def write_map(context: bpy.types.Context, bone_map: BoneMap) -> None:
    """Fills the rows."""
    global filling
    chosen = of(context)
    filling = True
    try:
        chosen.rows.clear()
        for pair in bone_map.pairs:
            row = chosen.rows.add()
            row.part, row.source, row.target = pair.part, ", ".join(pair.source), ", ".join(pair.target)
    finally:
        filling = False
    chosen.row = 0
    chosen.unsure = ", ".join(bone_map.unsure)


def transfer(context: bpy.types.Context, owner: bpy.types.Object) -> tuple[Rig, Played, Result]:
    """The chosen motion for this armature; a map is guessed where there is none. Raises MapError."""
    played = play_source(context)
    rig = sampling.read_rig(owner)
    if not len(of(context).rows):
        write_map(context, guess_map(played.rig, rig))
    bone_map = map_of(context)
    check_map(bone_map, played.rig, rig)
    return rig, played, solve(played.rig, played.clip, rig, bone_map, options_of(context))


def show_preview(context: bpy.types.Context, owner: bpy.types.Object) -> Result:
    """The chosen motion on the creature, on trial. Raises MapError."""
    from . import baking

    rig, played, result = transfer(context, owner)
    preview.show(owner, baking.write_action(owner, rig, played, result, f"{owner.name} preview"))
    return result


def left_over(context: bpy.types.Context, owner: bpy.types.Object) -> tuple[str, ...]:
    """Bones of the target that no row moves."""
    return unmapped(map_of(context), Rig(tuple(bone.name for bone in owner.data.bones), None, None))  # type: ignore[arg-type]


def register() -> None:
    bpy.utils.register_class(MenagerieMapRow)
    bpy.utils.register_class(MenagerieRetarget)
    bpy.types.Scene.menagerie_retarget = bpy.props.PointerProperty(type=MenagerieRetarget)


def unregister() -> None:
    files.forget()
    del bpy.types.Scene.menagerie_retarget
    bpy.utils.unregister_class(MenagerieRetarget)
    bpy.utils.unregister_class(MenagerieMapRow)
