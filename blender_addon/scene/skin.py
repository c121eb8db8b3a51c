"""Bones that the artist has moved in Edit Mode, and weights for them: what the re-skin errand is given and what it gives back.

Enters: a creature whose bones stand elsewhere than where they were placed. Leaves: a file of its mesh and bones for the backend, in the
asset file's container and frame; and, from the backend's answer, other weights in the mesh's vertex groups, nothing else changed.
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from pathlib import Path

import bpy
import numpy as np

from ..link.errors import LinkError
from .asset_file import DTYPES, MAX_VERTICES, TOLERANCE, Array, Damage, in_range, need, parse_object, split_container
from .creature import Creature

RESTS = "menagerie_rests"
"""Custom property of the armature: heads and tails of its bones, as the mesh has weights for them; their names are `place.BONES`."""
NOTES = "menagerie_skin_notes"
"""Of the same: sentences about the weights that were found last."""
STILL = 1e-5
"""Armature units by which a bone may have moved and still stand where it was."""
MAX_SKIN_BYTES = 64 << 20
AGAIN = "Press Re-skin again."


@dataclass(frozen=True)
class Skin:
    """names: b bones; bones (v, 4) int32, their numbers; weights (v, 4), rows sum to 1."""

    names: tuple[str, ...]
    bones: Array
    weights: Array


def rests(rig: bpy.types.Object, names: list[str]) -> list[float]:
    """Heads and tails of these bones in Object Mode's data, in one list; those that are gone stand at the origin."""
    found = [rig.data.bones.get(name) for name in names]
    return [float(x) for bone in found for end in ("head_local", "tail_local") for x in (getattr(bone, end) if bone else (0.0, 0.0, 0.0))]


def remember_rests(rig: bpy.types.Object, names: list[str], stand: list[float] | None = None) -> None:
    """Write down that the mesh has weights for bones that stand so (by default as they do now)."""
    rig[RESTS] = rests(rig, names) if stand is None else stand
    rig[NOTES] = []


def moved_bones(rig: bpy.types.Object, names: list[str]) -> list[str]:
    """Bones that have been moved since the mesh got its weights; of an armature in Edit Mode, before that."""
    stand = rig.get(RESTS)
    if stand is None or len(stand) != 6 * len(names):
        return []
    gaps = np.abs(np.array(stand) - rests(rig, names)).reshape(-1, 6).max(1)
    return [name for name, gap in zip(names, gaps.tolist(), strict=True) if gap > STILL]


def write_bones(creature: Creature, names: list[str], path: Path) -> list[float]:
    """Write mesh and bones of a creature for the backend -> where its bones stand. Raises LinkError where a bone is gone."""
    rig, mesh = creature.armature, creature.mesh.data
    gone = [name for name in names if name not in rig.data.bones]
    if gone:
        raise LinkError("bad_request", f"The bone {gone[0]} is gone.", "Undo its removal, or press Update for the bones as they were.")
    bones = [rig.data.bones[name] for name in names]
    mesh.calc_loop_triangles()
    vertices, faces = np.empty(3 * len(mesh.vertices), np.float32), np.empty(3 * len(mesh.loop_triangles), np.int32)
    mesh.vertices.foreach_get("co", vertices)
    mesh.loop_triangles.foreach_get("vertices", faces)
    into = np.array(rig.matrix_world.inverted() @ creature.mesh.matrix_world, np.float64)
    arrays = {
        "mesh.vertices": vertices.reshape(-1, 3) @ into[:3, :3].T + into[:3, 3],
        "mesh.faces": faces.reshape(-1, 3),
        "skeleton.heads": np.array([bone.head_local for bone in bones]),
        "skeleton.tails": np.array([bone.tail_local for bone in bones]),
        "skeleton.z_axes": np.array([bone.matrix_local.col[2][:3] for bone in bones]),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pack(arrays, json.dumps({"bones": names})))
    return rests(rig, names)


def pack(arrays: dict[str, Array], metadata: str) -> bytes:
    """Arrays, as F32 or whole numbers as I32, and a metadata text -> the container's bytes (`asset_file.split_container`)."""
    header: dict[str, object] = {"__metadata__": {"menagerie": metadata}}
    body = b""
    for name, array in arrays.items():
        kind = "I32" if np.issubdtype(array.dtype, np.integer) else "F32"
        data = np.ascontiguousarray(array, DTYPES[kind]).tobytes()
        header[name] = {"dtype": kind, "shape": list(array.shape), "data_offsets": [len(body), len(body) + len(data)]}
        body += data
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + body


def read_skin(path: Path) -> Skin:
    """The backend's answer, checked. Raises LinkError `asset_damaged`."""
    try:
        need(path.stat().st_size <= MAX_SKIN_BYTES, "it is far too large")
        arrays, text = split_container(path.read_bytes())
        names = parse_object(text, "metadata").get("bones")
        need(isinstance(names, list) and bool(names) and all(isinstance(name, str) for name in names), "its bones have no names")
        need(set(arrays) == {"skin.bones", "skin.weights"}, "arrays are missing or not of this kind")
        bones, weights = arrays["skin.bones"], arrays["skin.weights"]
        need(bones.dtype == DTYPES["I32"] and weights.dtype == DTYPES["F32"], "arrays are of another type")
        need(bones.ndim == 2 and bones.shape == weights.shape and bones.shape[1] == 4, "arrays have another shape")
        need(1 <= len(bones) <= MAX_VERTICES and in_range(bones, len(names)), "a vertex hangs on a bone that does not exist")
        sums = weights.astype(np.float64).sum(1)
        need(bool((weights >= 0).all() and (np.abs(sums - 1) <= TOLERANCE).all()), "a vertex has weights that do not sum to 1")
    except OSError as error:
        raise LinkError("asset_damaged", f"{path.name} cannot be read: {error.strerror or error}.", AGAIN) from error
    except Damage as damage:
        raise LinkError("asset_damaged", f"{path.name} is damaged: {damage}.", AGAIN) from damage
    return Skin(tuple(names), bones, weights)


def replace_weights(body: bpy.types.Object, skin: Skin) -> None:
    """Give a mesh in Object Mode these weights in the groups of these bones; the artist's other groups stay. Raises LinkError where it
    has other vertices by now."""
    if len(body.data.vertices) != len(skin.bones):
        raise LinkError("bad_request", f"{body.name} has other vertices than before.", AGAIN)
    everything = list(range(len(skin.bones)))
    for number, name in enumerate(skin.names):
        group = body.vertex_groups.get(name)
        led, place = np.nonzero((skin.bones == number) & (skin.weights > 0))
        if group is None:
            if not len(led):
                continue
            group = body.vertex_groups.new(name=name)
        group.remove(everything)
        for vertex, weight in zip(led.tolist(), skin.weights[led, place].tolist(), strict=True):
            group.add((vertex,), weight, "REPLACE")
