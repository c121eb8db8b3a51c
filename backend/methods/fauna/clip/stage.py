"""The track as an asset has it: a root that walks upright over the ground, hips that do the rest, a camera that stands or goes along.

Enters: a `Track` in the clip's camera, the `World` found about it. Leaves: local rotations and the root's way, object frame, and the camera
of every frame. In the first frame the root stands where it rests and faces +Z.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from backend.methods.fauna.clip.track import Track
from backend.methods.fauna.clip.world import World
from backend.methods.fauna.fitting.creature import Creature
from backend.rig.rotations import euler_to_matrix, matrix_to_quaternion
from backend.rig.skeleton import rest_matrices
from backend.types import FloatArray, Skeleton

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Staged:
    """rotations (t, b, 4) wxyz as in `Motion`; root_translations (t, 3); cameras (t, 4, 4) object to camera, one where it stands."""

    rotations: FloatArray
    root_translations: FloatArray
    cameras: FloatArray


def put_on_stage(creature: Creature, skeleton: Skeleton, track: Track, world: World) -> Staged:
    """A track of the creature, in the world found about it."""
    count, steady = len(track.rotation), world.steady
    view, place = steady @ track.rotation.double().numpy(), (steady @ track.translation.double().numpy()[..., None])[..., 0]
    axes = level_axes(view[0], world.up)  # (3, 3): camera -> world
    turned = axes @ view  # (t, 3, 3): object -> world
    moved = (place + world.path) @ axes.T
    yaw = np.arctan2(turned[:, 0, 2], turned[:, 2, 2])
    upright = np.zeros((count, 3, 3))
    upright[:, 0, 0] = upright[:, 2, 2] = np.cos(yaw)
    upright[:, 0, 2], upright[:, 2, 0], upright[:, 1, 1] = np.sin(yaw), -np.sin(yaw), 1.0
    names = skeleton.names
    hips, root = names.index("hips"), 0
    rest = rest_matrices(skeleton).astype(np.float64)
    home, pivot = rest[root, :3, 3], rest[hips, :3, 3]
    offset = np.array([0.0, float(creature.vertices[:, 1].min()), 0.0]) - (world.height[0] * np.array([0.0, 1.0, 0.0]))
    way = turned @ pivot + moved - (upright @ (pivot - home)[:, None])[..., 0] - home
    offset[[0, 2]] = -way[0, [0, 2]]
    local = torch.cat([torch.eye(3)[None, None].expand(count, 1, 3, 3), euler_to_matrix(track.angles)], 1).double()
    turns = local.numpy().copy()
    frame = rest[:, :3, :3]
    turns[:, root] = frame[root].T @ upright @ frame[root]
    turns[:, hips] = frame[hips].T @ np.swapaxes(upright, 1, 2) @ turned @ frame[hips] @ turns[:, hips]
    rotations = matrix_to_quaternion(torch.from_numpy(turns)).numpy()
    for k in range(1, count):  # the shortest way from frame to frame
        rotations[k][(rotations[k] * rotations[k - 1]).sum(-1) < 0] *= -1
    cameras = np.tile(np.eye(4), (count, 1, 1))
    back = np.swapaxes(steady, 1, 2)
    cameras[:, :3, :3] = back @ axes.T
    cameras[:, :3, 3] = (back @ (-(axes.T @ offset) - world.path)[..., None])[..., 0]
    return Staged(rotations.astype(np.float32), (way + offset).astype(np.float32), cameras.astype(np.float32))


def through_gaps(staged: Staged, numbers: NDArray[np.int64], count: int) -> Staged:
    """The same of all `count` frames of a clip: staged has those with numbers (t,), what lies between goes evenly from one to the next.

    A motion without its unseen frames would run ahead of the clip.
    """
    if len(numbers) == count:
        return staged
    at = np.interp(np.arange(count), numbers, np.arange(len(numbers)))
    before = np.floor(at).astype(int)
    after, share = np.minimum(before + 1, len(numbers) - 1), at - before

    def even(values: FloatArray) -> Array:
        part = share.reshape(-1, *[1] * (values.ndim - 1))
        return np.asarray((1 - part) * values[before] + part * values[after])

    rotations, cameras = even(staged.rotations), even(staged.cameras)
    u, _, vt = np.linalg.svd(cameras[:, :3, :3])
    cameras[:, :3, :3] = u @ vt
    made = (rotations / np.linalg.norm(rotations, axis=-1, keepdims=True), even(staged.root_translations), cameras)
    for values, own in zip(made, (staged.rotations, staged.root_translations, staged.cameras), strict=True):
        values[numbers] = own
    return Staged(*(values.astype(np.float32) for values in made))


def level_axes(view: Array, up: Array) -> Array:
    """(3, 3) camera axes -> a level frame in which an object seen by view (3, 3) faces +Z and up (3,) is +Y."""
    ahead = view[:, 2] - (view[:, 2] @ up) * up
    if np.linalg.norm(ahead) < 1e-6:
        ahead = view[:, 0] - (view[:, 0] @ up) * up
    ahead = ahead / np.linalg.norm(ahead)
    return np.stack([np.cross(up, ahead), up, ahead])
