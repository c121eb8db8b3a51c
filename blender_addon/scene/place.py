"""Place a creature in the scene, and update one that stands there.

Enters: an asset (`asset_file.AssetFile`) and the photo's path. Leaves: a collection of its own with mesh, armature,
camera and photo plane. Objects are made through `bpy.data` and linked to the scene's own collection, so any mode, any
excluded collection and any selection stay as they are. The caller's operator makes the undo step.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace

import bpy
import numpy as np
from mathutils import Vector

from ..control import dress, ik, snap
from ..control.rig import has_controls
from ..control.rigify import skeleton
from ..link.errors import LinkError
from . import armature as armatures
from . import material as materials
from . import mesh as meshes
from . import motion as motions
from . import skin as skins
from . import view
from .asset_file import Array, AssetFile
from .creature import NUMBER, ROLE, Creature, control_rig_of, fresh_number, parts, twins

STANDS = "menagerie_stands"
"""Custom property of camera and armature: the view or pose we gave, to know whether the artist has changed it."""
BONES = "menagerie_bones"
"""Custom property of the armature: the bones' names in the asset's order."""
SPOT = "menagerie_spot"
"""Custom property of a camera: where its creature was placed, if not at the origin."""
ROW = "menagerie_row"
"""Custom property of the collection that gathers a row of creatures: its first name."""
MODE_REMEDY = "Go back to Object Mode and place it again."


def place_asset(
    context: bpy.types.Context,
    asset: AssetFile,
    photo_path: str | os.PathLike[str] | None = None,
    name: str | None = None,
    scene: bpy.types.Scene | None = None,
    spot: tuple[float, float, float] = (0.0, 0.0, 0.0),
    row: str = "",
    finish: Callable[[Creature], Creature] | None = None,
) -> Creature:
    """Makes the creature in `scene` (the context's own by default), in the photo's pose, nothing assigned.

    spot: where its origin goes, in the scene's units; row: name of a collection that gathers several creatures, made if absent;
    finish: what else is done to it, before it counts as made.
    Whatever fails on the way, nothing of it stays. Raises LinkError on bad files only through the caller's reader.
    """
    scene = context.scene if scene is None else scene
    name = asset.name if name is None else name
    before = {kind: set(getattr(bpy.data, kind)) for kind in KINDS}
    try:
        creature = build_creature(context, asset, photo_path, name, scene)
        move_to(creature, spot)
        if row:
            gather(creature.collection, scene, row)
        return creature if finish is None else finish(creature)
    except BaseException:  # an interrupt too: nothing half made stays, and the reason goes on
        for kind in KINDS:
            made = [block for block in getattr(bpy.data, kind) if block not in before[kind]]
            bpy.data.batch_remove(made)
        raise


KINDS = ("collections", "objects", "meshes", "armatures", "cameras", "materials", "images", "actions")
"""Kinds of data that a creature is made of, users before what they use."""


def build_creature(
    context: bpy.types.Context, asset: AssetFile, photo_path: str | os.PathLike[str] | None, name: str, scene: bpy.types.Scene
) -> Creature:
    """The work of `place_asset`."""
    rig = armatures.build_armature(context, asset, name)
    body = bpy.data.objects.new(f"{name} mesh", meshes.build_mesh(asset, f"{name} mesh"))
    meshes.add_vertex_groups(body, asset)
    body.data.materials.append(materials.build_material(name, materials.build_image(asset, f"{name} base color")))
    body.parent = rig
    modifier = body.modifiers.new("Armature", "ARMATURE")
    modifier.object = rig
    camera = view.build_camera(asset, f"{name} photo_camera")
    camera.data.dof.focus_object = rig  # whose camera it is; a duplicate's focus is the duplicate
    image = None if photo_path is None else view.load_photo(photo_path, f"{name} photo")
    plane = None if image is None else view.build_photo_plane(image, camera, asset, f"{name} photo")
    collection = bpy.data.collections.new(name)
    scene.collection.children.link(collection)
    number = fresh_number()
    for role, owner in (("armature", rig), ("mesh", body), ("camera", camera), ("photo", plane)):
        if owner is not None:
            owner[ROLE], owner[NUMBER] = role, number
            collection.objects.link(owner)
    motions.apply_pose(rig, asset.bone_names, asset.photo_rotations, asset.photo_translation)
    dress_rig(rig, asset)
    remember_pose(rig, asset)
    remember_view(camera)
    photo_pose, rest_pose = build_poses(rig, asset, name, None if image is None else view.photo_preview(image))
    rate = scene.render.fps / scene.render.fps_base
    actions = [motions.build_action(rig, asset, motion, f"{name} {motion.name}", rate) for motion in asset.motions]
    for action in actions:
        action[NUMBER] = number
    return Creature(collection, body, rig, camera, plane, photo_pose, rest_pose, tuple(actions))


def move_to(creature: Creature, spot: tuple[float, float, float]) -> None:
    """Moves a new creature, with its camera, so that photo and creature overlay there too."""
    if not any(spot):
        return
    creature.armature.location = spot
    if creature.camera is not None:
        creature.camera[SPOT] = spot
        stand_at_spot(creature.camera)
        remember_view(creature.camera)


def stand_at_spot(camera: bpy.types.Object) -> None:
    """Moves a camera that was just aimed to where its creature was placed."""
    camera.location += Vector(camera.get(SPOT, (0.0, 0.0, 0.0)))


def gather(collection: bpy.types.Collection, scene: bpy.types.Scene, row: str) -> None:
    """Moves a creature's collection from the scene's own into the row's, which the artist may have renamed or moved."""
    home = next((found for found in scene.collection.children_recursive if found.get(ROW) == row), None)
    if home is None:
        home = bpy.data.collections.new(row)
        home[ROW] = row
        scene.collection.children.link(home)
    scene.collection.children.unlink(collection)
    home.children.link(collection)


def build_poses(
    rig: bpy.types.Object, asset: AssetFile, name: str, preview: Array | None
) -> tuple[bpy.types.Action, bpy.types.Action]:
    """Photo pose and rest pose as pose assets; neither is assigned."""
    rest = motions.rest_rotations(asset)
    still = asset.photo_translation * 0
    photo_pose = motions.build_pose_asset(rig, asset, asset.photo_rotations, asset.photo_translation, f"{name} photo pose", preview)
    rest_pose = motions.build_pose_asset(rig, asset, rest, still, f"{name} rest pose", preview)
    for role, action in (("photo_pose", photo_pose), ("rest_pose", rest_pose)):
        action[ROLE], action[NUMBER] = role, rig[NUMBER]
    return photo_pose, rest_pose


def dress_rig(rig: bpy.types.Object, asset: AssetFile) -> None:
    """Gives the bones custom shapes as large as the asset's flesh asks for."""
    dress.measure(rig, asset.vertices, asset.skin_bones, asset.skin_weights, asset.bone_names)
    dress.dress_bones(rig)


def remember_pose(rig: bpy.types.Object, asset: AssetFile) -> None:
    """Writes down the pose we gave, and the rest pose."""
    rig[STANDS] = [*asset.photo_translation.tolist(), *asset.photo_rotations.ravel().tolist()]
    rig[BONES] = list(asset.bone_names)
    skins.remember_rests(rig, list(asset.bone_names))


def remember_view(camera: bpy.types.Object) -> None:
    """Writes down the view we gave."""
    camera[STANDS] = [number for row in camera.matrix_basis for number in row]


def update_asset(
    context: bpy.types.Context, creature: Creature, asset: AssetFile, photo_path: str | os.PathLike[str] | None = None
) -> Creature:
    """Gives a standing creature another result's mesh, texture, rest pose, and pose assets.

    Kept: the objects themselves with modifiers and constraints, the artist's actions, materials and extra bones; IK controls, which move
    to the new rest pose; the pose and the camera where the artist has changed them (else they follow the new result). Its duplicates
    stay as they are.
    Raises LinkError bad_request where mesh or armature is being edited, control_rig_exists where the bones follow a control rig,
    which would have to be another for other bones.
    """
    rig, body = creature.armature, creature.mesh
    refuse_control_rig(rig)
    if body.mode != "OBJECT" or rig.mode == "EDIT":
        raise LinkError("bad_request", f"{body.name} is being edited.", MODE_REMEDY)
    untouched = pose_is_ours(rig) and snap.shows_channels(context, rig)
    own_bones(rig)
    replace_mesh(body, asset)
    own_texture(body)
    image = base_image(body)
    if image is not None:
        materials.pack_png(image, asset.png)
    armatures.refit_armature(context, rig, asset)
    dress_rig(rig, asset)
    if untouched:
        motions.apply_pose(rig, asset.bone_names, asset.photo_rotations, asset.photo_translation)
    if has_controls(rig):
        ik.refit(context, rig, follow=untouched)
    update_view(creature, asset, photo_path)
    preview = view.photo_preview(creature.photo.data) if creature.photo is not None and creature.photo.data is not None else None
    if twins(rig):
        creature = part_from_twins(creature, asset, preview)
    else:
        fill_poses(creature, asset, preview)
    remember_pose(rig, asset)
    return creature


def refuse_control_rig(rig: bpy.types.Object) -> None:
    """Raises LinkError control_rig_exists where the armature follows a control rig (`control.rigify.again` lets it go)."""
    if control_rig_of(rig) is not None and skeleton.ties(rig):
        remedy = "Bake what you animated, remove the control rig, and make it again afterwards."
        raise LinkError("control_rig_exists", f"{rig.name} has a control rig, which would not fit the new bones.", remedy)


def fill_poses(creature: Creature, asset: AssetFile, preview: Array | None) -> None:
    """The pose assets follow the new result, where the artist has not deleted them."""
    rig, still = creature.armature, asset.photo_translation * 0
    if creature.photo_pose is not None:
        motions.fill_pose_asset(creature.photo_pose, rig, asset, asset.photo_rotations, asset.photo_translation, preview)
    if creature.rest_pose is not None:
        motions.fill_pose_asset(creature.rest_pose, rig, asset, motions.rest_rotations(asset), still, preview)


def part_from_twins(creature: Creature, asset: AssetFile, preview: Array | None) -> Creature:
    """Of a creature that has duplicates, or is one: a number and pose assets of its own; the others keep what they shared."""
    number = fresh_number()
    for thing in (creature.armature, creature.mesh, creature.camera, creature.photo):
        if thing is not None:
            thing[NUMBER] = number
    photo_pose, rest_pose = build_poses(creature.armature, asset, creature.armature.name, preview)
    return replace(creature, photo_pose=photo_pose, rest_pose=rest_pose)


def own_bones(rig: bpy.types.Object) -> None:
    """Copies the bones where a linked duplicate has the same ones."""
    if any(thing.data == rig.data for thing in parts("armature") if thing != rig):
        rig.data = rig.data.copy()


def own_texture(body: bpy.types.Object) -> None:
    """Copies our material and its image where a duplicate's mesh shows the same ones: Blender duplicates neither."""
    others = {material for thing in parts("mesh") if thing != body for material in thing.data.materials}
    images = {node.image for material in others if (node := base_node(material)) is not None}
    for slot, material in enumerate(body.data.materials):
        node = base_node(material)
        if node is None:
            continue
        if material in others:
            material = body.data.materials[slot] = material.copy()
            node = base_node(material)
        if node.image in images:
            node.image = node.image.copy()


def replace_mesh(body: bpy.types.Object, asset: AssetFile) -> None:
    """Swaps the object's mesh data for the asset's, under the old name and with the old material slots."""
    old = body.data
    name, slots = old.name, list(old.materials)
    fresh = meshes.build_mesh(asset, name)
    for material in slots:
        fresh.materials.append(material)
    body.data = fresh
    meshes.add_vertex_groups(body, asset)
    if old.users == 0:
        bpy.data.meshes.remove(old)
    fresh.name = name


def base_node(material: bpy.types.Material | None) -> bpy.types.ShaderNodeTexImage | None:
    """Our texture node, wherever the artist has moved or plugged it, if it shows an image."""
    node = material.node_tree.nodes.get("Base Color") if material is not None and material.node_tree is not None else None
    return node if node is not None and node.type == "TEX_IMAGE" and node.image is not None else None


def base_image(body: bpy.types.Object) -> bpy.types.Image | None:
    """The image of the first of our texture nodes."""
    nodes = (base_node(material) for material in body.data.materials)
    return next((node.image for node in nodes if node is not None), None)


def pose_is_ours(rig: bpy.types.Object) -> bool:
    """True if the armature plays nothing and stands in the pose that we gave it."""
    animation, stands, names = rig.animation_data, rig.get(STANDS), rig.get(BONES)
    if (animation is not None and (animation.action is not None or animation.nla_tracks)) or stands is None or names is None:
        return False
    numbers = np.array(stands, np.float32)
    return motions.holds_pose(rig, list(names), numbers[3:].reshape(-1, 4), numbers[:3])


def update_view(creature: Creature, asset: AssetFile, photo_path: str | os.PathLike[str] | None) -> None:
    """Moves the camera to the new view unless the artist has moved or animated it, and shows the new photo on its plane."""
    camera, plane = creature.camera, creature.photo
    if camera is not None:
        stands = camera.get(STANDS)
        here = [number for row in camera.matrix_basis for number in row]
        moved = stands is None or max(abs(a - b) for a, b in zip(stands, here, strict=True)) > 1e-5
        if not moved and camera.animation_data is None and camera.parent is None:
            view.aim_camera(camera, asset)
            stand_at_spot(camera)
            remember_view(camera)
    if plane is not None:
        image = plane.data
        fresh = None if photo_path is None else view.load_photo(photo_path, image.name if image is not None else plane.name)
        if fresh is not None:
            if image is not None and image.users == 1:
                bpy.data.images.remove(image)
            image = fresh
        if image is not None:
            view.fit_photo_plane(plane, image, asset)
