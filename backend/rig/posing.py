"""Posing a finished rig, in numpy float64: what Blender will show.

Enters: `types.Skeleton`, `Skin`, `Mesh`, `Pose`. Leaves: posed bone matrices and vertices, object frame.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from backend.rig.kinematics import pose_matrices, skin
from backend.rig.rotations import quaternion_to_matrix
from backend.rig.skeleton import rest_matrices
from backend.rig.template import levels_of, load_quadruped
from backend.types import FloatArray, Mesh, Pose, Skeleton, Skin


def pose_skeleton(skeleton: Skeleton, pose: Pose) -> NDArray[np.float64]:
    """(b, 4, 4) posed bone matrices (columns X, Y, Z, head), object frame."""
    above = skeleton.parents.astype(np.int64)
    rest = torch.from_numpy(rest_matrices(skeleton))
    rotations = quaternion_to_matrix(torch.from_numpy(pose.rotations.astype(np.float64)))
    root = torch.from_numpy(pose.root_translation.astype(np.float64))
    posed = pose_matrices(rest[None], rotations[None], root[None], levels_of(above), above)
    return np.asarray(posed[0].numpy())


def skin_transforms(skeleton: Skeleton, pose: Pose) -> NDArray[np.float64]:
    """(b, 4, 4): posed times inverse rest, what a vertex on that bone alone goes through."""
    return np.asarray(pose_skeleton(skeleton, pose) @ np.linalg.inv(rest_matrices(skeleton)))


def posed_points(skeleton: Skeleton, pose: Pose) -> dict[str, NDArray[np.float64]]:
    """The template's points by name, (3,) each, posed: each rides on the bone whose end it is. Those of absent bones (a tail's) are
    absent."""
    transforms = skin_transforms(skeleton, pose)
    index = {name: i for i, name in enumerate(skeleton.names)}
    found: dict[str, NDArray[np.float64]] = {}
    for bone in load_quadruped().bones:
        if not bone.deform or bone.name not in index:
            continue
        b = index[bone.name]
        for name, at in ((bone.head, skeleton.heads[b]), (bone.tail, skeleton.tails[b])):
            if name is not None and name not in found:
                found[name] = transforms[b][:3, :3] @ at + transforms[b][:3, 3]
    return found


def pose_mesh(mesh: Mesh, skeleton: Skeleton, weights: Skin, pose: Pose) -> FloatArray:
    """(v, 3) float32 vertices of the mesh in the pose (worked out in float64)."""
    moved = skin(
        torch.from_numpy(mesh.vertices.astype(np.float64))[None],
        torch.from_numpy(weights.bones.astype(np.int64)),
        torch.from_numpy(weights.weights.astype(np.float64)),
        torch.from_numpy(skin_transforms(skeleton, pose))[None],
    )
    return np.ascontiguousarray(moved[0].numpy(), np.float32)
