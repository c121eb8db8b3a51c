"""A creature to a file: Blender's own exporters, told what each engine and format needs.

Enters: the creature's armature, a path, and choices. Leaves: the file, textures beside it where they are not inside. The artist's scene
stays as it was, also when an exporter fails.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import bpy

from .. import compat
from ..control.rigify.bake import SOURCE
from ..link.errors import LinkError
from ..scene.creature import control_rig_of
from . import motions, textures
from .copies import Copies, actions_of, standing_copies

FORMATS = {"GLTF": ".glb", "FBX": ".fbx", "USD": ".usdc"}
"""Format -> the ending of its files; glTF with textures beside has ".gltf"."""


STILL = ("POSE", "PHOTO")
"""Choices of a pose other than that at rest."""


@dataclass(frozen=True)
class Choices:
    """form: of `FORMATS`; style: of `names.STYLES`; motion: POSE (as the creature stands), PHOTO (as in its
    photo), REST or ACTIONS; embed: textures in the
    file (glTF and FBX; USD has them beside)."""

    form: str = "GLTF"
    style: str = "BLENDER"
    motion: str = "POSE"
    embed: bool = True

    @property
    def ending(self) -> str:
        return ".gltf" if self.form == "GLTF" and not self.embed else FORMATS[self.form]


def export_creature(context: bpy.types.Context, rig: bpy.types.Object, path: Path, choices: Choices) -> list[str]:
    """Writes the file -> the names of the motions in it. Raises LinkError usd_missing, usd_rests, exporter_off, no_motion, not_baked,
    not_writable, export_failed, bad_request (the photo's pose isn't known)."""
    operator = exporter(choices.form)
    if choices.form == "USD" and choices.motion in STILL and not compat.USD_KEEPS_POSE:
        remedy = "Export Rest Pose or Actions, use glTF or FBX, or Blender 4.5 or newer."
        raise LinkError("usd_rests", "This version of Blender writes no pose into USD.", remedy)
    actions = chosen_actions(rig) if choices.motion == "ACTIONS" else []
    if not path.parent.is_dir():
        raise LinkError("not_writable", f"There is no folder {path.parent}.")
    with standing_copies(context, rig, choices.style, choices.motion) as copies:
        if actions:
            made = motions.play_all(copies, rig, actions)
            if choices.form == "USD":
                made = made[:1]
                motions.play_one(copies, made[0])
        try:
            WRITERS[choices.form](operator, copies, path, choices)
        except (RuntimeError, OSError) as reason:
            words = str(reason).strip().splitlines()[-1].removeprefix("Error: ")
            raise LinkError("export_failed", f"The exporter says: {words}", "Choose another place or format.") from reason
    names = [action.name for action in actions]
    return names[:1] if choices.form == "USD" else names


def exporter(form: str) -> Callable[..., set[str]]:
    """The format's operator. Raises LinkError usd_missing, exporter_off."""
    if form == "USD":
        if not bpy.app.build_options.usd:
            remedy = "Use glTF or FBX, or a Blender from blender.org."
            raise LinkError("usd_missing", "This Blender was built without USD.", remedy)
        return bpy.ops.wm.usd_export
    name = {"GLTF": "gltf", "FBX": "fbx"}[form]
    if not hasattr(bpy.types, f"EXPORT_SCENE_OT_{name}"):
        title = {"GLTF": "glTF 2.0", "FBX": "FBX"}[form]
        raise LinkError("exporter_off", f"Blender's {title} add-on is switched off.", f"Switch on {title} in Preferences > Add-ons.")
    return getattr(bpy.ops.export_scene, name)


def chosen_actions(rig: bpy.types.Object) -> list[bpy.types.Action]:
    """The creature's motions, those that are baked included. Raises LinkError no_motion, not_baked."""
    actions = actions_of(rig)
    control = control_rig_of(rig)
    animation = control.animation_data if control is not None else None
    source = animation.action if animation is not None else None
    if source is not None and not any(action.get(SOURCE) == source.name for action in actions):
        raise LinkError("not_baked", f'"{source.name}" moves the control rig only.', "Press Bake to Skeleton first.")
    if not actions:
        raise LinkError("no_motion", f"{rig.name} has no action.", "Assign one to it, or export the pose.")
    return actions


def write_gltf(operator: Callable[..., set[str]], copies: Copies, path: Path, choices: Choices) -> None:
    """One skin, joints with the pose (or rest where it moves); each NLA track one animation, a key a frame from time 0."""
    moving = choices.motion == "ACTIONS"
    operator(**compat.known_arguments(
        operator, filepath=str(path), check_existing=False, export_format="GLB" if choices.embed else "GLTF_SEPARATE",
        use_active_scene=True, export_yup=True, export_apply=False, export_extras=False, export_cameras=False, export_lights=False,
        export_skins=True, export_all_influences=False, export_influence_nb=4, export_def_bones=False,
        export_rest_position_armature=choices.motion not in STILL, export_current_frame=False,
        export_animations=moving, export_animation_mode="NLA_TRACKS", export_force_sampling=True, export_frame_range=False,
        export_anim_slide_to_zero=True, export_optimize_animation_size=False, export_optimize_animation_keep_anim_armature=True,
        export_materials="EXPORT", export_image_format="AUTO",
    ))  # fmt: skip


def write_fbx(operator: Callable[..., set[str]], copies: Copies, path: Path, choices: Choices) -> None:
    """No leaf bones, every frame a key, each NLA strip a take; Unity's scale of 1, Unreal's smoothing groups."""
    with tempfile.TemporaryDirectory() as folder:
        textures.show_files(copies.bodies, Path(folder) if choices.embed else path.parent, path.stem)
        operator(**compat.known_arguments(
            operator, filepath=str(path), check_existing=False, use_selection=False, object_types={"ARMATURE", "MESH"},
            add_leaf_bones=False, use_armature_deform_only=False, use_custom_props=False, primary_bone_axis="Y", secondary_bone_axis="X",
            armature_nodetype="NULL", mesh_smooth_type="FACE" if choices.style == "UNREAL" else "OFF",
            apply_scale_options="FBX_SCALE_ALL" if choices.style == "UNITY" else "FBX_SCALE_NONE",
            bake_anim=choices.motion == "ACTIONS", bake_anim_use_all_bones=True, bake_anim_use_nla_strips=True,
            bake_anim_use_all_actions=False, bake_anim_force_startend_keying=True, bake_anim_step=1.0, bake_anim_simplify_factor=0.0,
            path_mode="COPY" if choices.embed else "RELATIVE", embed_textures=choices.embed,
        ))  # fmt: skip


def write_usd(operator: Callable[..., set[str]], copies: Copies, path: Path, choices: Choices) -> None:
    """A UsdSkel skeleton and its skinned meshes; one motion at most; textures in the folder "textures" beside the file."""
    if choices.motion == "POSE":
        copies.scene.frame_start = copies.scene.frame_end = copies.scene.frame_current
    operator(**compat.known_arguments(
        operator, filepath=str(path), check_existing=False, selected_objects_only=False, visible_objects_only=True,
        export_animation=choices.motion != "REST", export_armatures=True, only_deform_bones=False, export_materials=True,
        generate_preview_surface=True, export_textures=True, export_textures_mode="NEW", overwrite_textures=True, relative_paths=True,
        export_lights=False, export_cameras=False, convert_world_material=False, export_custom_properties=False, export_hair=False,
    ))  # fmt: skip


WRITERS = {"GLTF": write_gltf, "FBX": write_fbx, "USD": write_usd}
