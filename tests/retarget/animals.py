"""Made-up rigs and motions for the retargeting core: animals of different build on the common skeleton, the same with other rest
poses, rolls and counts of bones, and a walk whose contacts are known. Blender's frame: +Z up, facing -Y."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.frames import object_to_blender
from backend.rig.skeleton import build_skeleton
from backend.types import Skeleton
from tests.retarget.core import core
from tests.rig.animals import rest_points

rotations = core("rotations")
rigs = core("rig")
Array = NDArray[Any]


def skeleton(build: str = "horse", scale: float = 1.0) -> Skeleton:
    """The common skeleton of one of the rig tests' animals, standing on the ground."""
    return build_skeleton(rest_points(build, scale).astype(np.float32))


def rig_of(bones: Skeleton, rolls: Array | None = None) -> Any:
    """Skeleton in the object frame -> `Rig` as Blender has it; rolls (b,): turned about each bone's own length."""
    heads, tails = (object_to_blender(points).astype(np.float64) for points in (bones.heads, bones.tails))
    z = object_to_blender(bones.z_axes).astype(np.float64)
    return rig_from(bones.names, bones.parents, heads, tails, z, rolls)


def rig_from(names: tuple[str, ...], parents: Array, heads: Array, tails: Array, z: Array, rolls: Array | None = None) -> Any:
    """Bones as Blender makes them: Y along the bone, Z as near to `z` as may be, turned by the roll."""
    y = rotations.unit(tails - heads)
    x = rotations.unit(np.cross(y, z))
    rest = np.tile(np.eye(4), (len(names), 1, 1))
    rest[:, :3, :3] = np.stack([x, y, np.cross(x, y)], -1)
    rest[:, :3, 3] = heads
    if rolls is not None:
        rest[:, :3, :3] = rest[:, :3, :3] @ turn_about_y(rolls)
    return rigs.Rig(tuple(names), np.asarray(parents), rest, tails)


def turn_about_y(angles: Array) -> Array:
    """(n,) -> (n, 3, 3)."""
    return rotations.from_angles(np.stack([angles * 0, angles, angles * 0], -1))


def posed_anew(rig: Any, angles: Array, rolls: Array, scale: float) -> Any:
    """The same skeleton whose rest is another pose: angles (b, 3) about each bone's own axes, then other rolls, then larger."""
    posed = rigs.pose_clip(rig, "", 24.0, rotations.to_quaternions(rotations.from_angles(angles))[None]).poses[0]
    tails = (posed @ np.linalg.inv(rig.rest) @ np.append(rig.tails, np.ones((len(rig.tails), 1)), 1)[..., None])[:, :3, 0]
    rest = posed.copy()
    rest[:, :3, :3] = rest[:, :3, :3] @ turn_about_y(rolls)
    rest[:, :3, 3] *= scale
    return rigs.Rig(rig.names, rig.parents, rest, tails * scale)


def walk(rig: Any, count: int = 49, fps: float = 24.0, stride: float = 0.94, travels: bool = True) -> tuple[Array, Array]:
    """-> rotations (t, b, 4), root translations (t, 3) of the common skeleton: two steps of a walk with sway, bends and a turning
    head; not foot-true, which is what a motion capture would be like too."""
    time = np.linspace(0, 2 * np.pi * 2, count)
    angles = np.zeros((count, len(rig.names), 3))
    index = rig.index
    for name, phase in (("front", 0.0), ("hind", 0.5)):
        for side, shift in (("L", 0.0), ("R", np.pi)):
            swing = time + shift + phase * np.pi
            before = "front_" if name == "front" else ""
            thigh, shin, foot, toe = (index[f"{before}{part}.{side}"] for part in ("thigh", "shin", "foot", "toe"))
            lift = np.maximum(np.cos(swing), 0)
            sign = 1.0 if name == "front" else -1.0
            angles[:, thigh, 0] = 0.3 * np.sin(swing) - sign * 0.1 * lift
            angles[:, shin, 0] = sign * 0.55 * lift
            angles[:, foot, 0] = -sign * 0.6 * lift
            angles[:, toe, 0] = -0.3 * np.sin(swing) + 0.2 * lift
    for name, amount in (("spine.001", 0.05), ("spine.003", -0.06), ("neck.001", 0.1), ("neck.002", -0.08), ("tail.001", 0.2)):
        angles[:, index[name], 0] = amount * np.sin(2 * time)
        angles[:, index[name], 2] = amount * np.cos(time)
    angles[:, index["head"], 1] = 0.2 * np.sin(time)
    angles[:, index["tail.003"], 2] = 0.3 * np.cos(time + 1)
    angles[:, index["hips"], 2] = 0.06 * np.sin(time)
    angles[:, index["ear.L"], 0] = 0.3 * np.sin(2 * time)
    path = np.zeros((count, 3))
    if travels:
        path[:, 1] = -np.linspace(0, 2 * stride, count)
        path[:, 0] = 0.05 * np.sin(time / 2)
    return rotations.to_quaternions(rotations.from_angles(angles)), path


def posed_by(rig: Any, result: Any) -> Array:
    """(t, b, 4, 4) the target's bones in armature space, as Blender will pose them from the result's channels, object motion included."""
    basis = rotations.to_matrices(result.rotations)
    rest, poses = rig.rest, np.tile(np.eye(4), (*result.rotations.shape[:2], 1, 1))
    for bone, parent in enumerate(rig.parents):
        local = np.tile(np.eye(4), (len(basis), 1, 1))
        local[:, :3, :3] = basis[:, bone]
        if bone in result.locations:
            local[:, :3, 3] = result.locations[bone]
        above = poses[:, parent] @ np.linalg.inv(rest[parent]) if parent >= 0 else np.eye(4)
        poses[:, bone] = above @ rest[bone] @ local
    return poses if result.moves is None else result.moves[:, None] @ poses


def directions(rig: Any, poses: Array) -> Array:
    """(t, b, 3) from head to tail of every posed bone."""
    along = rotations.apply(rotations.transposed(rig.axes), rig.tails - rig.heads)  # in the bone's own axes
    return rotations.unit(rotations.apply(poses[..., :3, :3], along))
