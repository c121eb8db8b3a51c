"""One errand: a mesh and bones that a person has moved in, weights for them out; the mesh stays as it is.

Enters: a file in the asset file's container, Blender frame: mesh.vertices F32 (v, 3), mesh.faces I32 (f, 3), skeleton.heads, tails and
z_axes F32 (b, 3), metadata {"bones": [names]}, of the template's bones. Leaves: `skin.safetensors` in the job's folder: skin.bones I32
(v, 4), skin.weights F32 (v, 4), the same metadata. Nothing in the file is trusted.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from backend.asset import schema
from backend.asset.container import Arrays, pack, parse_json, unpack
from backend.asset.write import write_whole
from backend.errors import MenagerieError
from backend.frames import blender_to_object
from backend.rig.embed import bones_outside
from backend.rig.reskin import weights_anew
from backend.rig.template import Template, load_quadruped
from backend.shape.checks import is_closed
from backend.types import Mesh, Progress, Skeleton, no_progress

SKIN = "skin.safetensors"
MAX_BYTES = 16 << 20
MAX_VERTICES = 40_000
"""Of a mesh that gets weights in seconds; one that was subdivided needs minutes."""
SHAPES = {"mesh.vertices": "<f4", "mesh.faces": "<i4", "skeleton.heads": "<f4", "skeleton.tails": "<f4", "skeleton.z_axes": "<f4"}
CLOSE_REMEDY = "Undo what opened the mesh, or press Update for a new one."


def reskin(source: Path, out: Path, progress: Progress = no_progress) -> dict[str, Any]:
    """Weights for the mesh and bones of a file -> `files` written into the folder `out`, made if absent, and `warnings`.

    Raises `MenagerieError` (`asset_damaged`, `bad_request`, `disk_full`, `not_writable`), `Cancelled`.
    """
    progress("bones", 0.0)
    mesh, skeleton = read_bones(source)
    if len(mesh.vertices) > MAX_VERTICES:
        raise MenagerieError("bad_request", f"The mesh has {len(mesh.vertices)} vertices.", "Subdivide it with a modifier instead.")
    if not is_closed(mesh.faces):
        raise MenagerieError("bad_request", "The mesh isn't closed any more.", CLOSE_REMEDY)
    progress("skin", 0.2)
    skin, reports = weights_anew(mesh, skeleton)
    schema.check_skin(skin, len(mesh.vertices), len(skeleton.names))
    progress("write", 0.9)
    out.mkdir(parents=True, exist_ok=True)
    arrays: Arrays = {"skin.bones": skin.bones.astype(np.int32), "skin.weights": skin.weights.astype(np.float32)}
    write_whole(pack(arrays, json.dumps({"bones": list(skeleton.names)}, sort_keys=True)), out / SKIN)
    progress("done", 1.0)
    outside = bones_outside(mesh, skeleton)
    warnings = [f"Outside the body: {', '.join(outside)}."] if outside else []
    if not all(report.passes() for report in reports):
        warnings.append("Some bends fold the skin: look at legs bent far.")
    return {"out": str(out), "files": [SKIN], "warnings": warnings}


def read_bones(path: Path) -> tuple[Mesh, Skeleton]:
    """The mesh (object frame, without UVs) and the skeleton of a file. Raises `asset_damaged` with the reason."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ValueError("it is too large")
        arrays, text = unpack(path.read_bytes())
        if set(arrays) != set(SHAPES) or any(arrays[name].dtype != kind or arrays[name].ndim != 2 for name, kind in SHAPES.items()):
            raise ValueError("arrays are missing or not of this kind")
        names = parse_json(text, "metadata").get("bones")
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise ValueError("the bones' names are not a list of names")
        vertices, faces = arrays["mesh.vertices"], arrays["mesh.faces"]
        uvs = np.zeros((len(faces), 3, 2), np.float32)
        schema.check_mesh(Mesh(vertices, faces, uvs))
        mesh = Mesh(blender_to_object(vertices), np.ascontiguousarray(faces))
        ends = (blender_to_object(arrays[f"skeleton.{name}"]) for name in ("heads", "tails", "z_axes"))
        skeleton = template_skeleton(load_quadruped(), tuple(names), *ends)
        schema.check_skeleton(skeleton)
    except OSError as error:
        raise MenagerieError("asset_damaged", f"{path.name} cannot be read: {error.strerror or error}.") from error
    except ValueError as error:
        raise MenagerieError("asset_damaged", f"{path.name} is damaged: {error}.", "Press Re-skin again.") from error
    return mesh, skeleton


def template_skeleton(template: Template, names: tuple[str, ...], heads: np.ndarray, tails: np.ndarray, z_axes: np.ndarray) -> Skeleton:
    """The template's bones, all or all but the tail's, in their order, each standing where it was put, joined to none.

    Raises ValueError for other bones.
    """
    bones = [bone for bone in template.bones if bone.name in names]
    missing = {bone.name for bone in template.bones if bone.group != "tail"} - set(names)
    if missing or names != tuple(bone.name for bone in bones):
        raise ValueError("its bones are not the template's")
    index = {name: number for number, name in enumerate(names)}
    parents = [index.get(template.bones[bone.parent].name, -1) if bone.parent >= 0 else -1 for bone in bones]
    deform = np.array([bone.deform for bone in bones])
    return Skeleton(names, np.array(parents, np.int32), np.zeros(len(names), bool), deform, heads, tails, z_axes)
