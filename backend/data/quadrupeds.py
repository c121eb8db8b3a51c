"""The free quadrupeds of 0 A.D. in one canonical rest frame, with the template's points at one anatomical definition.

Enters an open `zero_ad.Archive`; leaves `Quadruped`s: object frame (+Y up, facing +Z, +X left), symmetry plane x = 0,
the bounding box centred in y and z and `DIAGONAL` units across. Rigs name and place their joints each in its own way,
so the points do not come from rig joints: `quadrupeds.json` holds, for every rig, the side view (z, y) of each point
as placed by looking at the reference mesh; the meshes of the same rig take them through their bind joints; x comes
from the mesh (middle of the limb's cross-section). Points then ride on the bones of the surface around them.
"""

from __future__ import annotations

import fnmatch
import json
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.data.cross_sections import crossings
from backend.data.smoothing import subdivide, weld
from backend.data.zero_ad import CLIPS, SKINS, Archive, BoneClip, SkinnedMesh, refuse_reserved
from backend.rig.template import load_quadruped
from backend.types import ByteArray, FloatArray, IntArray

DIAGONAL = 4.6
"""Length of the rest bounding box's diagonal, object units."""

SMOOTH_BELOW = 3000
"""Meshes with fewer faces are subdivided once, so that silhouettes are round."""

CENTRE = ("pelvis", "withers", "neck_mid", "poll", "muzzle", "jaw_hinge", "chin", "tail0", "tail1", "tail2", "tail3", "tail4")
SPINE = ("spine1", "spine2", "spine3", "chest")
PAIRED = (
    "ear_base", "ear_tip", "scapula", "shoulder", "elbow", "wrist", "front_knuckle", "front_tip", "hip", "knee", "hock",
    "hind_knuckle", "hind_tip",
)  # fmt: skip
FRONT_LEG = ("elbow", "wrist", "front_knuckle", "front_tip")
HIND_LEG = ("knee", "hock", "hind_knuckle", "hind_tip")
INSIDE = {"scapula": 0.55, "shoulder": 0.7, "hip": 0.6}
"""Where a joint inside the trunk lies between the symmetry plane and the skin."""


@dataclass(frozen=True)
class Quadruped:
    """One animal at rest, canonical frame.

    vertices (v, 3), faces (f, 3), uvs (v, 2) origin lower left; bones, weights (v, 4) into the rig's own b bones;
    inverse_bind (b, 4, 4) and to_canonical (4, 4): clip matrices G skin as to_canonical @ G @ inverse_bind, where
    inverse_bind already takes canonical points; points (42, 3) template order, exactly mirrored;
    point_weights (42, b), rows sum to 1; clips, skins: file names in the archive.
    """

    name: str
    species: str
    rig: str
    vertices: FloatArray
    faces: IntArray
    uvs: FloatArray
    bones: IntArray
    weights: FloatArray
    inverse_bind: FloatArray
    to_canonical: FloatArray
    points: FloatArray
    point_weights: FloatArray
    clips: tuple[str, ...]
    skins: tuple[str, ...]


@cache
def catalogue() -> dict[str, Any]:
    """quadrupeds.json: rigs and meshes."""
    return dict(json.loads((Path(__file__).parent / "quadrupeds.json").read_text("utf-8")))


def names() -> tuple[str, ...]:
    """Names of all free quadruped meshes."""
    return tuple(catalogue()["meshes"])


def load(archive: Archive, name: str) -> Quadruped:
    """The mesh `name` of the catalogue in the canonical frame, with its points. Raises ReservedAnimal, UnreadableArchive, KeyError."""
    refuse_reserved(name)
    entry = catalogue()["meshes"][name]
    rig = catalogue()["rigs"][entry["rig"]]
    mesh = _facing_forward(archive.mesh(f"skeletal/{name}.dae"), rig["turned"])
    side = _side_view(archive, mesh, rig, rig["reference"] == name)
    turn = np.diag(np.array([-1, 1, -1, 1] if rig["turned"] else [1, 1, 1, 1], np.float64))
    low, high = mesh.vertices.min(0).astype(np.float64), mesh.vertices.max(0).astype(np.float64)
    middle = (low + high) / 2
    middle[0] = _symmetry_plane(mesh.vertices)
    scale = DIAGONAL / float(np.linalg.norm(high - low))
    place = np.diag([scale, scale, scale, 1.0])
    place[:3, 3] = -scale * middle
    vertices = (mesh.vertices - middle) * scale  # (v, 3)
    vertices = _symmetrise(vertices.astype(np.float32), tolerance=0.02 * DIAGONAL)
    points = _points(vertices, mesh, {n: (p - middle[[2, 1]]) * scale for n, p in side.items()}, rig.get("ears"))
    to_canonical = place @ turn
    inverse_bind = np.linalg.inv(place @ mesh.bind.astype(np.float64))  # `mesh.bind` is turned already
    smooth = replace(mesh, vertices=vertices)
    if len(mesh.faces) < SMOOTH_BELOW:
        smooth = subdivide(smooth)
    point_weights = _point_weights(smooth, points, len(mesh.bind))
    clips, skins = clips_and_skins(archive, name)
    return Quadruped(
        name, entry["species"], entry["rig"], smooth.vertices, smooth.faces, smooth.uvs, smooth.bones, smooth.weights,
        inverse_bind.astype(np.float32), to_canonical.astype(np.float32), points, point_weights,
        clips, skins,
    )  # fmt: skip


def clips_and_skins(archive: Archive, name: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names of an animal's clips and colour skins in the archive."""
    entry = catalogue()["meshes"][name]
    clips = _matching(archive, CLIPS + "quadraped/", ".cached.psa", entry["clips"])
    skins = _matching(archive, SKINS, ".cached.dds", entry["skins"])
    free = tuple(s for s in skins if not any(word in s for word in ("_norm", "_spec", "_dead")))
    return tuple("quadraped/" + c for c in clips), free


def skin_matrices(animal: Quadruped, clip: BoneClip) -> FloatArray:
    """(t, b, 4, 4) matrices that take canonical rest points to their posed places, still with the clip's own travel and heading."""
    turned = animal.to_canonical.astype(np.float64) @ clip.frames.astype(np.float64)
    return np.asarray(turned @ animal.inverse_bind.astype(np.float64), np.float32)


def pose(rest: FloatArray, weights: FloatArray, matrices: FloatArray) -> FloatArray:
    """Linear blend skinning with dense weights: rest (n, 3), weights (n, b), matrices (b, 4, 4) -> (n, 3)."""
    blended = np.einsum("nb,bij->nij", weights, matrices[:, :3])  # (n, 3, 4)
    return np.asarray(np.einsum("nij,nj->ni", blended[..., :3], rest) + blended[..., 3], np.float32)


def posed_points(animal: Quadruped, matrices: FloatArray) -> FloatArray:
    """matrices (b, 4, 4) of one frame -> (42, 3)."""
    return pose(animal.points, animal.point_weights, matrices)


def dense_weights(animal: Quadruped) -> FloatArray:
    """(v, b) weights of the animal's skin on all bones of its rig, as `pose` takes them."""
    dense = np.zeros((len(animal.vertices), animal.point_weights.shape[1]), np.float32)
    for slot in range(animal.bones.shape[1]):
        np.add.at(dense, (np.arange(len(dense)), animal.bones[:, slot]), animal.weights[:, slot])
    return dense


def skin_image(archive: Archive, name: str) -> ByteArray:
    """(h, w, 4) of one of `Quadruped.skins`."""
    return archive.skin(name)


def _matching(archive: Archive, folder: str, ending: str, patterns: list[str]) -> tuple[str, ...]:
    inside = sorted(n[len(folder) : -len(ending)] for n in archive.names if n.startswith(folder) and n.endswith(ending))
    return tuple(n for n in inside if any(fnmatch.fnmatchcase(n, p) or fnmatch.fnmatchcase(n.rsplit(".", 1)[0], p) for p in patterns))


def _facing_forward(mesh: SkinnedMesh, turned: bool) -> SkinnedMesh:
    """Half a turn about Y for the mesh that faces backwards; bind matrices turn with it."""
    if not turned:
        return mesh
    turn = np.diag(np.array([-1, 1, -1], np.float32))
    bind = mesh.bind.copy()
    bind[:, :3] = turn @ bind[:, :3]
    return replace(mesh, vertices=mesh.vertices @ turn, normals=mesh.normals @ turn, bind=bind)


def _side_view(archive: Archive, mesh: SkinnedMesh, rig: dict[str, Any], is_reference: bool) -> dict[str, NDArray[np.float64]]:
    """name -> (z, y) of every placed point in the mesh's own units."""
    if is_reference:
        reference = mesh
    else:
        reference = _facing_forward(archive.mesh(f"skeletal/{rig['reference']}.dae"), rig["turned"])
    low, high = reference.vertices.min(0), reference.vertices.max(0)
    origin, extent = low[[2, 1]].astype(np.float64), (high - low)[[2, 1]].astype(np.float64)
    placed = {name: origin + extent * np.array(p) for name, p in rig["points"].items()}
    if is_reference:
        return placed
    used = np.ones(len(mesh.bind), bool)
    for each in (mesh, reference):  # an unused bone may lie anywhere
        used &= np.bincount(each.bones.ravel(), each.weights.ravel(), len(used)) > 0.5
    here, there = mesh.bind[used][:, [2, 1], 3], reference.bind[used][:, [2, 1], 3]
    fits = [np.polyfit(there[:, k], here[:, k], 1) for k in (0, 1)]
    return {name: np.array([np.polyval(fits[k], p[k]) for k in (0, 1)]) for name, p in placed.items()}


def _symmetry_plane(vertices: FloatArray) -> float:
    """x of the mirror plane: the middle of the box, corrected by the mean of paired vertices."""
    x = (vertices[:, 0].min() + vertices[:, 0].max()) / 2
    return 0.0 if abs(x) < 0.02 * float(np.ptp(vertices[:, 0])) else float(x)


def _symmetrise(vertices: FloatArray, tolerance: float) -> FloatArray:
    """Vertices whose mirror image meets another vertex within `tolerance` move to the mean of both; the others stay."""
    from scipy.spatial import cKDTree

    places, index = weld(vertices)
    distance, twin = cKDTree(places).query(places * (-1, 1, 1))
    mutual = (distance < tolerance) & (twin[twin] == np.arange(len(places)))
    mean = (places + places[twin] * (-1, 1, 1)) / 2
    return np.where(mutual[:, None], mean, places)[index].astype(np.float32)


def _points(vertices: FloatArray, mesh: SkinnedMesh, side: dict[str, NDArray[np.float64]], ears: list[int] | None) -> FloatArray:
    """Template points (42, 3), exactly mirrored, from their side view in canonical units."""
    found: dict[str, NDArray[np.float64]] = {n: np.array([0.0, side[n][1], side[n][0]]) for n in CENTRE}
    for name in ("muzzle", "chin"):
        found[name] = _pull_inside(vertices, mesh.faces, found[name], found["poll"])
    for number, name in enumerate(SPINE):
        line = found["pelvis"] + (found["withers"] - found["pelvis"]) * (number + 1) / 5
        hits = crossings(vertices, mesh.faces, 1, (0.01, line[2]))
        if len(hits) >= 2:
            line[1] = 0.5 * line[1] + 0.5 * (hits[0] + 0.75 * (hits[-1] - hits[0]))
        found[name] = line
    for chain in (FRONT_LEG, HIND_LEG):
        found.update(_leg(vertices, mesh.faces, {n: side[n] for n in chain}))
    for name, depth in INSIDE.items():
        below = found["elbow" if name in ("scapula", "shoulder") else "knee"]
        hits = crossings(vertices, mesh.faces, 0, (side[name][1], side[name][0]))
        outer = float(np.max(np.abs(hits))) if len(hits) else float(below[0])
        x = min(depth * outer, 1.25 * float(below[0])) if name != "scapula" else depth * outer
        found[name] = np.array([x, side[name][1], side[name][0]])
    found.update(_ears(vertices, mesh, side, ears))
    template = load_quadruped()
    points = np.zeros((len(template.points), 3), np.float32)
    for index, name in enumerate(template.points):
        base, _, letter = name.partition(".")
        points[index] = found[base] * (1 if letter != "R" else -1, 1, 1)
    return points


def _pull_inside(
    vertices: FloatArray, faces: IntArray, point: NDArray[np.float64], goal: NDArray[np.float64]
) -> NDArray[np.float64]:
    """A centre point on the surface, moved toward `goal` until the mesh surrounds it."""
    for step in np.linspace(0, 0.5, 26):
        tried = point + step * (goal - point)
        if len(crossings(vertices, faces, 0, (tried[1], tried[2]))) >= 2:
            return np.asarray(tried)
    return point


def _leg(vertices: FloatArray, faces: IntArray, side: dict[str, NDArray[np.float64]]) -> dict[str, NDArray[np.float64]]:
    """Joints of one left leg, x in the middle of the leg's cross-section; the tip is the foremost low vertex."""
    out: dict[str, NDArray[np.float64]] = {}
    names = list(side)
    centres: dict[str, float] = {}
    for name in names[:3]:
        hits = np.sort(crossings(vertices, faces, 0, (side[name][1], side[name][0])))
        left = hits[hits > 0]
        if len(left) >= 2 and left[-2] > 0.1 * left[-1]:
            centres[name] = float(left[-2:].mean())  # a leg of its own
    known = list(centres.values())
    for name in names[:3]:
        x = centres.get(name, known[0] if known else 0.25)
        out[name] = np.array([x, side[name][1], side[name][0]])
    ground = float(vertices[:, 1].min())
    z, height = side[names[3]][0], side[names[2]][1] - ground
    near = (vertices[:, 0] > 0.02) & (np.abs(vertices[:, 2] - z) < 0.3) & (vertices[:, 1] < ground + max(0.6 * height, 0.06))
    foot = vertices[near]
    if len(foot):
        ahead = foot[foot[:, 2] > foot[:, 2].max() - 0.05]
        out[names[3]] = np.array([ahead[:, 0].mean(), max(ground, float(ahead[:, 1].min())), foot[:, 2].max()])
    else:
        out[names[3]] = np.array([out[names[2]][0], ground, z])
    return out


def _ears(
    vertices: FloatArray, mesh: SkinnedMesh, side: dict[str, NDArray[np.float64]], ears: list[int] | None
) -> dict[str, NDArray[np.float64]]:
    """Base and tip of the left ear: from the vertices of the ear bones, else from the vertices near the placed points."""
    if ears is not None:
        share = (mesh.weights * np.isin(mesh.bones, ears)).sum(1)
        ear = vertices[(share > 0.5) & (vertices[:, 0] > 0)]
        if len(ear) >= 3:
            partial = vertices[(share > 0.02) & (vertices[:, 0] > 0)]
            start = np.array([0.0, side["ear_base"][1], side["ear_base"][0]])
            start[0] = 0.6 * float(np.median(partial[:, 0]))
            tip = ear[np.argmax(np.linalg.norm(ear - start, axis=1))]
            near = np.argsort(np.linalg.norm(ear - tip, axis=1))[-max(2, len(ear) // 4) :]
            return {"ear_base": ear[near].mean(0).astype(np.float64), "ear_tip": tip.astype(np.float64)}
    out = {}
    for name in ("ear_tip", "ear_base"):
        target = side[name]
        left = vertices[vertices[:, 0] > 0.01]
        distance = np.hypot(left[:, 2] - target[0], left[:, 1] - target[1])
        nearest = left[np.argsort(distance)[: 1 if name == "ear_tip" else 3]]
        x = float(nearest[:, 0].max() if name == "ear_tip" else nearest[:, 0].mean())
        out[name] = np.array([x, nearest[0, 1], nearest[0, 2]]) if name == "ear_tip" else np.array([x, target[1], target[0]])
    return out


def _point_weights(mesh: SkinnedMesh, points: FloatArray, bones: int) -> FloatArray:
    """(42, b): each point rides on the mean bones of the surface around it, on its own side of the body."""
    corners = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5], [1 / 3, 1 / 3, 1 / 3]], np.float32)
    dense = np.zeros((len(mesh.vertices), bones), np.float32)
    for slot in range(4):
        np.add.at(dense, (np.arange(len(dense)), mesh.bones[:, slot]), mesh.weights[:, slot])
    places = np.einsum("kc,fcx->fkx", corners, mesh.vertices[mesh.faces]).reshape(-1, 3)
    edges = mesh.vertices[mesh.faces]
    area = np.linalg.norm(np.cross(edges[:, 1] - edges[:, 0], edges[:, 2] - edges[:, 0]), axis=1).repeat(len(corners))
    weights = np.einsum("kc,fcb->fkb", corners, dense[mesh.faces]).reshape(-1, bones)
    out = np.zeros((len(points), bones), np.float32)
    for index, point in enumerate(points):
        same = np.ones(len(places), bool) if point[0] == 0 else places[:, 0] * np.sign(point[0]) > 0.02
        distance = np.linalg.norm(places - point, axis=1)
        radius = max(1.6 * float(distance[same].min()), 0.05)
        kernel = np.where(same, area * np.exp(-0.5 * (distance / radius) ** 2) * (distance < 3 * radius), 0)
        out[index] = kernel @ weights / kernel.sum()
    out[out < 0.02] = 0
    return np.asarray(out / out.sum(1, keepdims=True), np.float32)
