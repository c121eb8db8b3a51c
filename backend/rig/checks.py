"""How a skin bends: the numbers that a rig must show, measured on the mesh itself.

Enters: a rest mesh, its skeleton and weights. Leaves: `BendReport`. Each leg bone (shoulder bones too) is turned alone by
+-40 degrees about its local X, then all legs crouch: elbows and knees bend by 90 degrees. In every pose we measure
- travel: how far the paw moves, over how far it would move stuck to its bone (mean over the toe bone's vertices);
- flipped: share of triangles whose normal opposes their own blended rotation of the rest normal;
- section: area of the loop round the joint that bends, cut at rest by the plane that halves the joint and followed into the pose,
  over its area at rest (its vector area, so a collapsed or twisted loop counts as small); the leg's own arc of it, where the
  plane cuts the trunk as well;
- volume: relative change of the limb's enclosed volume (the limb: where its leg's weights sum to over half), capped;
- leak: farthest way that a vertex of another leg moves, in body lengths (withers to tail base).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from backend.rig.posing import skin_transforms
from backend.rig.sections import Loop, joint_section, loop_area
from backend.rig.template import Leg, load_quadruped
from backend.types import Mesh, Pose, Skeleton, Skin

Array = NDArray[np.float64]

SINGLE_BEND = math.radians(40.0)
CROUCH_BEND = math.radians(90.0)
CROUCH_SIGNS = {"front_shin": 1.0, "shin": -1.0}
"""Turn about local X that folds the leg: the elbow brings the forearm forward, the knee the shank back."""
LEAST_TRAVEL, LEAST_SECTION, LEAST_HELD = 0.9, 0.6, 20
MOST_FLIPPED, MOST_VOLUME, MOST_LEAK = 0.001, 0.1, 0.005
"""What a rig must show, in the terms of the module; LEAST_HELD: vertices with any weight on a bone."""


@dataclass(frozen=True)
class BendRow:
    """One pose. name: bone and degrees, or "crouch"; the rest as in the module; flips: number of triangles."""

    name: str
    travel: float
    flips: int
    section: float
    volume: float
    leak: float


@dataclass(frozen=True)
class BendReport:
    """The worst of all poses, and the poses. travel, section: least; flipped, volume, leak: largest shares.

    held, dominated: for each deforming bone the number of vertices with any weight, and with their largest weight, on it.
    """

    travel: float
    flipped: float
    section: float
    volume: float
    leak: float
    held: dict[str, int]
    dominated: dict[str, int]
    rows: tuple[BendRow, ...]

    def passes(self) -> bool:
        """True if all stay within what a rig must show."""
        return (
            self.travel >= LEAST_TRAVEL and self.section >= LEAST_SECTION and min(self.held.values()) >= LEAST_HELD
            and self.flipped < MOST_FLIPPED and self.volume < MOST_VOLUME and self.leak <= MOST_LEAK
        )  # fmt: skip


@dataclass(frozen=True)
class _Limb:
    """A leg on the mesh. vertices: of the whole limb, by weight or by nearness; paw: of its toe bone; faces: of the limb,
    by weight; rim: (e, 2) its open edges, reversed to close it; sections: a loop by the bone below the joint."""

    leg: Leg
    vertices: NDArray[np.int64]
    paw: NDArray[np.int64]
    faces: NDArray[np.int64]
    rim: NDArray[np.int64]
    sections: dict[str, Loop]


def bend_report(mesh: Mesh, skeleton: Skeleton, skin: Skin, mirrored: bool = False) -> BendReport:
    """All measurements, as the module states them. The mesh's unit is free.

    mirrored: mesh, joints and weights are alike on both sides, so that what single bends of the left legs show holds for the right ones.
    """
    template = load_quadruped()
    dense = dense_weights(skin, len(skeleton.names))
    nearest = nearest_bones(mesh.vertices, skeleton)
    limbs = [_limb(leg, mesh, skeleton, dense, nearest) for leg in template.legs]
    length = float(np.linalg.norm(_head(skeleton, "neck.001") - _tail_base(skeleton)))
    rows = []
    for leg in template.legs:
        if mirrored and leg.side == "R":
            continue
        for number in (*(() if leg.girdle is None else (leg.girdle,)), *leg.bones):
            for angle in (SINGLE_BEND, -SINGLE_BEND):
                name = template.bone_names[number]
                rows.append(_row(f"{name} {math.degrees(angle):+.0f}", {name: angle}, mesh, skeleton, dense, limbs, leg, length))
    crouch = {f"{base}.{side}": sign * CROUCH_BEND for base, sign in CROUCH_SIGNS.items() for side in "LR"}
    rows.append(_row("crouch", crouch, mesh, skeleton, dense, limbs, None, length))
    deforming = [i for i, deform in enumerate(skeleton.deform) if deform]
    top = dense.argmax(1)
    return BendReport(
        travel=min(row.travel for row in rows),
        flipped=max(row.flips for row in rows) / len(mesh.faces),
        section=min(row.section for row in rows),
        volume=max(row.volume for row in rows),
        leak=max(row.leak for row in rows),
        held={skeleton.names[i]: int((dense[:, i] > 0).sum()) for i in deforming},
        dominated={skeleton.names[i]: int((top == i).sum()) for i in deforming},
        rows=tuple(rows),
    )


def dense_weights(skin: Skin, bones: int) -> Array:
    """(v, b) weights of all bones."""
    dense = np.zeros((len(skin.bones), bones))
    np.add.at(dense, (np.arange(len(dense))[:, None], skin.bones), skin.weights)
    return dense


def bend_transforms(skeleton: Skeleton, angles: dict[str, float]) -> Array:
    """(b, 4, 4) posed times inverse rest with some bones turned by radians about their local X, the others at rest."""
    rotations = np.zeros((len(skeleton.names), 4), np.float32)
    rotations[:, 0] = 1
    for name, angle in angles.items():
        rotations[skeleton.names.index(name)] = [math.cos(angle / 2), math.sin(angle / 2), 0, 0]
    return skin_transforms(skeleton, Pose(rotations, np.zeros(3, np.float32)))


def bend_vertices(vertices: NDArray[np.floating], dense: Array, transforms: Array) -> tuple[Array, Array]:
    """(v, 3) posed vertices and (v, 3, 3) blended rotations of linear blend skinning."""
    blended = (dense @ transforms[:, :3].reshape(-1, 12)).reshape(-1, 3, 4)
    return np.einsum("vij,vj->vi", blended[:, :, :3], vertices.astype(np.float64)) + blended[:, :, 3], blended[:, :, :3]


def flipped_faces(faces: NDArray[np.integer], rest_normals: Array, posed: Array, blended: Array) -> NDArray[np.bool_]:
    """(f,) triangles turned over against their blended rotation."""
    turned = np.einsum("fij,fj->fi", blended[faces].mean(1), rest_normals)
    return np.asarray((face_normals(posed, faces) * turned).sum(-1) < 0)


def face_normals(vertices: NDArray[np.floating], faces: NDArray[np.integer]) -> Array:
    """(f, 3) normals times twice the area."""
    a, b, c = vertices[faces].astype(np.float64).transpose(1, 0, 2)
    return np.cross(b - a, c - a)


def _row(
    name: str, angles: dict[str, float], mesh: Mesh, skeleton: Skeleton, dense: Array, limbs: list[_Limb], bent: Leg | None, length: float
) -> BendRow:
    turns = bend_transforms(skeleton, angles)
    rest = mesh.vertices.astype(np.float64)
    posed, blended = bend_vertices(rest, dense, turns)
    moved = np.linalg.norm(posed - rest, axis=1)
    touched = mesh.faces[(moved > 1e-5 * length)[mesh.faces].any(1)]  # more than rounding: no other can turn over
    flips = flipped_faces(touched, face_normals(rest, touched), posed, blended)
    travel, section, volume, leak = [], [], [], [0.0]
    for limb in limbs:
        if bent is not None and limb.leg is not bent:
            leak.append(float(moved[limb.vertices].max()) / length)
            continue
        stuck = rest[limb.paw] @ turns[limb.leg.bones[3], :3, :3].T + turns[limb.leg.bones[3], :3, 3]
        travel.append(float(moved[limb.paw].mean() / np.linalg.norm(stuck - rest[limb.paw], axis=1).mean()))
        held = enclosed_volume(rest, limb.faces, limb.rim)  # nothing where the weights lead no whole limb
        volume.append(abs(enclosed_volume(posed, limb.faces, limb.rim) / held - 1) if held else 1.0)
        section += [loop_area(posed, loop) / loop_area(rest, loop) for name, loop in limb.sections.items() if name in angles]
    return BendRow(name, min(travel), int(flips.sum()), min(section, default=1.0), max(volume), max(leak))


def _limb(leg: Leg, mesh: Mesh, skeleton: Skeleton, dense: Array, nearest: NDArray[np.int64]) -> _Limb:
    template = load_quadruped()
    bones = [skeleton.names.index(template.bone_names[b]) for b in (*(() if leg.girdle is None else (leg.girdle,)), *leg.bones)]
    own = dense[:, bones].sum(1) > 0.5
    near = np.isin(nearest, bones[-3:])
    faces = mesh.faces[own[mesh.faces].all(1)].astype(np.int64)
    rim = open_rim(faces, len(dense))
    top = dense.argmax(1)
    paw = np.flatnonzero(top == bones[-1])
    if not len(paw):
        paw = np.argsort(np.linalg.norm(mesh.vertices - skeleton.tails[bones[-1]], axis=1))[:20]
    sections = {skeleton.names[bone]: joint_section(mesh, skeleton, bone, own) for bone in bones[-3:]}
    return _Limb(leg, np.flatnonzero(own | near), paw, faces, rim, {name: loop for name, loop in sections.items() if loop is not None})


def nearest_bones(vertices: NDArray[np.floating], skeleton: Skeleton) -> NDArray[np.int64]:
    """(v,) the deforming bone nearest to each vertex, as the crow flies, on the vertex's own side."""
    return np.asarray(bone_gaps(vertices, skeleton).argmin(1))


def bone_gaps(vertices: NDArray[np.floating], skeleton: Skeleton) -> Array:
    """(v, b) distance of each vertex to each deforming bone on its own side; infinite to the others."""
    heads, along = skeleton.heads.astype(np.float64), (skeleton.tails - skeleton.heads).astype(np.float64)
    gaps = np.full((len(vertices), len(heads)), np.inf)
    for bone in np.flatnonzero(skeleton.deform):
        share = np.clip((vertices - heads[bone]) @ along[bone] / (along[bone] @ along[bone]), 0, 1)
        gaps[:, bone] = np.linalg.norm(vertices - heads[bone] - share[:, None] * along[bone], axis=1)
        gaps[(vertices[:, 0] > 0) & skeleton.names[bone].endswith(".R"), bone] = np.inf
        gaps[(vertices[:, 0] < 0) & skeleton.names[bone].endswith(".L"), bone] = np.inf
    return gaps


def open_rim(faces: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """(e, 2) edges that close a patch of faces (f, 3) of `count` vertices: its open ones, reversed."""
    edges = faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2)
    return edges[~np.isin(edges[:, 0] * count + edges[:, 1], edges[:, 1] * count + edges[:, 0])][:, ::-1]


def enclosed_volume(vertices: Array, faces: NDArray[np.int64], rim: NDArray[np.int64]) -> float:
    """Of faces (f, 3) and a fan over their rim (e, 2)."""
    middle = vertices[rim[:, 0]].mean(0) if len(rim) else vertices.mean(0)
    a, b, c = vertices[faces].transpose(1, 0, 2) - middle
    return float(np.einsum("fi,fi->f", a, np.cross(b, c)).sum() / 6)  # the fan meets `middle`: nothing to add


def _head(skeleton: Skeleton, name: str) -> Array:
    return skeleton.heads[skeleton.names.index(name)].astype(np.float64)


def _tail_base(skeleton: Skeleton) -> Array:
    return _head(skeleton, "tail.001" if "tail.001" in skeleton.names else "hips")
