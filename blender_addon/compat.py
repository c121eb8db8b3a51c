"""Every difference between Blender versions stands here; the rest of the add-on asks no version.

Listed: 4.2 LTS, 4.5 LTS, 5.0, 5.2 LTS. Actions have layers and slots from 4.4 on (`action.fcurves` is gone in 5.0).
"""

from __future__ import annotations

from typing import Any

import bpy

HAS_SLOTS = bpy.app.version >= (4, 4, 0)
HAS_CURVE_GROUP_ARGUMENT = bpy.app.version >= (5, 0, 0)
HAS_STRIPS = bpy.app.version >= (4, 4, 0)
HAS_BRUSH_ASSETS = bpy.app.version >= (4, 3, 0)
HAS_MEDIA_TYPE = bpy.app.version >= (5, 0, 0)
POSE_BONES_ARE_SELECTED = bpy.app.version >= (5, 0, 0)
HAS_WIRE_WIDTH = "custom_shape_wire_width" in bpy.types.PoseBone.bl_rna.properties
NODES_ARE_ALWAYS_USED = bpy.app.version >= (5, 0, 0)
USD_KEEPS_POSE = bpy.app.version >= (4, 5, 0)
"""Seen in 4.2.23: a skeleton without an action comes back from USD at rest."""
RIGIFY_HOLDS = bpy.app.version >= (4, 5, 0)
"""Seen in 4.2.23: posing a creature that a rig of Rigify's drives ends Blender ("free(): invalid pointer" in its dependency graph)."""
HAS_HINTS = "placeholder" in bpy.types.UILayout.bl_rna.functions["prop"].parameters
UNWRAP_METHOD = "MINIMUM_STRETCH" if bpy.app.version >= (4, 3, 0) else "ANGLE_BASED"
"""Of `uv.unwrap`: the one that keeps lengths, where there is one."""


def curve_home(action: bpy.types.Action, owner: bpy.types.ID) -> Any:
    """What holds the action's curves for `owner` (an object): the action itself, or a channelbag of its one slot.

    Makes slot, layer and strip where they are missing; assigns nothing.
    """
    if not HAS_SLOTS:
        return action
    slot = action.slots[0] if action.slots else action.slots.new(id_type="OBJECT", name=owner.name)
    layer = action.layers[0] if action.layers else action.layers.new("Layer")
    strip = layer.strips[0] if layer.strips else layer.strips.new(type="KEYFRAME")
    return strip.channelbag(slot, ensure=True)


def curves_of(action: bpy.types.Action) -> list[bpy.types.FCurve]:
    """All of the action's curves."""
    if not HAS_SLOTS:
        return list(action.fcurves)
    bags = [bag for layer in action.layers for strip in layer.strips for bag in strip.channelbags]
    return [curve for bag in bags for curve in bag.fcurves]


def new_curve(home: Any, data_path: str, index: int, group: str) -> bpy.types.FCurve:
    """A new curve in what `curve_home` gave, in the channel group of that name."""
    if HAS_CURVE_GROUP_ARGUMENT:
        return home.fcurves.new(data_path, index=index, group_name=group)
    if not HAS_SLOTS:
        return home.fcurves.new(data_path, index=index, action_group=group)
    curve = home.fcurves.new(data_path, index=index)
    curve.group = home.groups.get(group) or home.groups.new(group)
    return curve


def clear_curves(home: Any) -> None:
    """Removes all curves from what `curve_home` gave."""
    for curve in list(home.fcurves):
        home.fcurves.remove(curve)


def assign_action(owner: bpy.types.Object, action: bpy.types.Action) -> None:
    """Assigns the action, and its slot where there are slots."""
    animation = owner.animation_data_create()
    animation.action = action
    if HAS_SLOTS and action.slots:
        animation.action_slot = action.slots[0]


def select_bone(owner: bpy.types.Object, name: str) -> None:
    """Selects one more bone of an armature object, in Pose Mode."""
    (owner.pose.bones[name] if POSE_BONES_ARE_SELECTED else owner.data.bones[name]).select = True


def slot_of(owner: bpy.types.Object) -> str | None:
    """The identifier of the slot that an object's action plays, None where there are no slots or none is chosen."""
    slot = owner.animation_data.action_slot if HAS_SLOTS and owner.animation_data is not None else None
    return None if slot is None else slot.identifier


def pose_slot(action: bpy.types.Action) -> str | None:
    """The identifier of the action's slot that moves most of a pose, None where there are no slots."""
    if not HAS_SLOTS:
        return None
    bags = [bag for layer in action.layers for strip in layer.strips for bag in strip.channelbags if bag.slot is not None]
    best = max(bags, key=lambda bag: sum(curve.data_path.startswith("pose.bones") for curve in bag.fcurves), default=None)
    return None if best is None else best.slot.identifier


def assign_slot(owner: bpy.types.Object, identifier: str | None) -> None:
    """Lets an object's action play the slot of this identifier."""
    if HAS_SLOTS:
        slots = owner.animation_data.action.slots
        owner.animation_data.action_slot = next((slot for slot in slots if slot.identifier == identifier), None)
def set_wire_width(bone: bpy.types.PoseBone, width: float) -> None:
    """How thick a bone's custom shape is drawn, in pixels, where Blender can choose."""
    if HAS_WIRE_WIDTH:
        bone.custom_shape_wire_width = width


def use_material_nodes(material: bpy.types.Material) -> None:
    """Makes sure that the material has its node tree and uses it."""
    if not NODES_ARE_ALWAYS_USED:
        material.use_nodes = True


def use_world_nodes(world: bpy.types.World) -> None:
    """Makes sure that the world has its node tree and uses it."""
    if not NODES_ARE_ALWAYS_USED:
        world.use_nodes = True


def eevee_engine() -> str:
    """EEVEE's engine id."""
    return "BLENDER_EEVEE" if bpy.app.version >= (5, 0, 0) else "BLENDER_EEVEE_NEXT"


def set_file_format(settings: bpy.types.ImageFormatSettings, name: str) -> None:
    """Sets a render's file format ("FFMPEG", "PNG", ...), and the media type that must come first."""
    if HAS_MEDIA_TYPE:
        settings.media_type = "VIDEO" if name == "FFMPEG" else "IMAGE"
    settings.file_format = name


def use_image_brush(context: bpy.types.Context, brush: bpy.types.Brush) -> bool:
    """Takes the brush for painting in the context's Image Editor; False where that editor has no tools yet, or refuses."""
    if not HAS_BRUSH_ASSETS:
        context.tool_settings.image_paint.brush = brush
        return True
    # Without tools, before the editor is drawn for the first time, the operator would crash Blender.
    if context.workspace.tools.from_space_image_mode("PAINT", create=False) is None:
        return False
    if brush.asset_data is None:
        brush.asset_mark()
    try:
        bpy.ops.brush.asset_activate(
            asset_library_type="LOCAL", asset_library_identifier="", relative_asset_identifier=f"Brush/{brush.name}"
        )
    except RuntimeError:  # not among the assets: the artist picks a brush
        return False
    return True


def sequencer_strips(editor: bpy.types.SequenceEditor) -> Any:
    """The collection of top-level strips, with its `new_...` functions."""
    return editor.strips if HAS_STRIPS else editor.sequences


def motion_importers(ending: str) -> tuple[tuple[str, str], ...]:
    """Operators (category, name) that import a `.bvh` or `.fbx`, the preferred first. Blender's own FBX reader came with 4.5."""
    if ending == ".bvh":
        return (("import_anim", "bvh"),)
    return (("import_scene", "fbx"), ("wm", "fbx_import"))
def new_strip(track: bpy.types.NlaTrack, name: str, start: int, action: bpy.types.Action) -> bpy.types.NlaStrip:
    """A strip that plays the action, by its slot where there are slots."""
    strip = track.strips.new(name, start, action)
    if HAS_SLOTS and action.slots:
        strip.action_slot = action.slots[0]
    return strip


def known_arguments(operator: Any, **wanted: Any) -> dict[str, Any]:
    """Those of the arguments that this version's operator has; exporters gain and lose some with each."""
    known = operator.get_rna_type().properties
    return {name: value for name, value in wanted.items() if name in known}


def hint(text: str) -> dict[str, str]:
    """Words for `UILayout.prop` with which an empty field says what it is for, where Blender can show that."""
    return {"placeholder": text} if HAS_HINTS else {}
