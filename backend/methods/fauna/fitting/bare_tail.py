"""A tail that the network didn't see: raised over the back, curled or bushy, it stays bare in the mask.

Among training's animals hardly any carries its tail high, so the joint head leaves it short behind the rump, and a fit would fill the rest
with a hump. A large patch of bare mask beside the tail's base is taken for the tail: its joints are laid through the patch, as far from
the base as it reaches, in the animal's middle plane or, where that is seen edge-on, in the one that faces the camera.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import dijkstra
from torch import Tensor

from backend.methods.fauna.fitting.creature import Creature
from backend.methods.fauna.fitting.evidence import project
from backend.methods.fauna.fitting.fit import align, mismatch, seen_as
from backend.methods.fauna.fitting.readings import Settle, Standing, bare_patches
from backend.methods.fauna.fitting.viewpoint import Solution, solve_joints
from backend.rig.kinematics import pose_matrices, pose_points, rest_frames
from backend.rig.rotations import euler_to_matrix, matrix_to_euler
from backend.rig.template import load_quadruped

LEAST_AREA = 0.02
"""Of the patch, over the mask's."""
NEAR_BASE = 0.25
"""Half widths from the tail's base within which the patch begins."""
CONFIDENCE = 0.8
"""Of joints laid through a patch."""
LEAST_GAIN = 0.005
"""Of `fit.mismatch`, for the tail to be kept."""
EDGE_ON = 0.5
"""Sine of the angle between a ray and the middle plane below which the plane tells no depth."""
THICKEST = 1.2
"""Bound of the log of how much thicker it is made."""
ALONE = 0.8
"""Share of the tail's bones in vertices that tell how thick it is."""
STEPS = 60
"""Of the joints' solution with the tail there."""
TAIL = tuple(f"tail{number}" for number in range(5))


def cover_tail(creature: Creature, now: Standing, girth: Tensor, settle: Settle, hold_angles: bool = False) -> Standing:
    """What is known of the creature -> the same, or with its tail laid through a bare patch beside its base, where that explains more.

    girth (n, 2): see `Creature.start`; settle: what is compared goes through it first.
    """
    p, solution, evidence = now
    template = creature.model.template
    tail = [template.point_index[name] for name in TAIL]
    cover, points = seen_as(creature, p, evidence)
    rotation, translation = creature.camera(p)
    base = project(points, rotation, translation, evidence.focal)[tail[0]]
    patch = patch_at(cover.detach(), evidence.mask, base)
    if patch is None:
        return now
    path, width = path_through(patch, base)
    depth = float((points @ rotation.T + translation)[tail[0], 2])
    laid = torch.tensor(tail[1:])
    read = replace(
        evidence,
        seen=evidence.seen.index_copy(0, laid, path),
        confidence=evidence.confidence.index_fill(0, laid, CONFIDENCE),
        lifted_confidence=evidence.lifted_confidence.index_fill(0, laid, 0.0),
    )
    [tried] = solve_joints(creature.model, [raise_tail(solution, path, evidence.focal, tail)], read, STEPS, hold_angles)
    thick = thickened(creature, girth, width / evidence.focal * depth)
    start = creature.start(tried.rotation, tried.translation, tried.angles, tried.rest, thick)
    q = settle(align(creature, start, read), read)
    least = mismatch(creature, settle(replace(p), evidence), evidence) - LEAST_GAIN
    return Standing(q, tried, read) if mismatch(creature, q, read) < least else now


def thickened(creature: Creature, girth: Tensor, width: float | Tensor) -> Tensor:
    """Log girths (n, 2) with which the canonical tail, if it has flesh of its own, is as wide as that: object units."""
    flesh = creature.tail
    own = None if flesh is None else flesh.share[:, 0] > ALONE
    if flesh is None or own is None or not bool(own.any()):
        return girth
    middle = flesh.hats @ creature.rest[flesh.joints]
    radius = float((creature.vertices[flesh.which] - middle)[own].norm(dim=1).mean())
    bones = [bone.group for bone in creature.model.template.bones if bone.deform]
    tail = torch.tensor([number for number, group in enumerate(bones) if group == "tail"])
    return girth.index_fill(0, tail, float(np.clip(np.log(0.5 * width / radius), 0, THICKEST)))


def patch_at(cover: Tensor, mask: Tensor, base: Tensor) -> NDArray[np.bool_] | None:
    """Coverage and mask (s, s), the tail's base (2,) -> the largest patch (s, s) of bare mask beside it, if there is a large one."""
    for patch in bare_patches(cover, mask, LEAST_AREA):
        if np.linalg.norm(places(patch) - base.numpy(), axis=1).min() < NEAR_BASE:
            return patch
    return None


def places(patch: NDArray[np.bool_]) -> NDArray[np.float64]:
    """(s, s) -> (n, 2) positions of its pixels in [-1, 1]."""
    rows, columns = np.nonzero(patch)
    return (np.stack([columns, rows], 1) + 0.5) / patch.shape[0] * 2 - 1


def path_through(patch: NDArray[np.bool_], base: Tensor) -> tuple[Tensor, float]:
    """-> where the tail's joints after its base lie (4, 2), by quarters of the way within the patch (geodesic), and its mean width."""
    at = places(patch)
    number = np.full(patch.shape, -1)
    number[patch] = np.arange(len(at))
    pairs = [(a[(a >= 0) & (b >= 0)], b[(a >= 0) & (b >= 0)]) for a, b in ((number[:-1], number[1:]), (number[:, :-1], number[:, 1:]))]
    heads, tails = (np.concatenate(ends) for ends in zip(*pairs, strict=True))
    length = 2.0 / patch.shape[0]
    graph = coo_array((np.full(len(heads), length), (heads, tails)), shape=(len(at), len(at)))
    away = np.linalg.norm(at - base.numpy(), axis=1)
    first = int(away.argmin())
    way = away[first] + dijkstra(graph, directed=False, indices=first)
    far = way / way.max()
    rings = [at[np.abs(far - share) <= 1 / 16] for share in (0.25, 0.5, 0.75)]
    end = at[far >= 15 / 16].mean(0)
    even = resample(np.stack([base.numpy(), *(ring.mean(0) for ring in rings if len(ring)), end]), len(TAIL))
    total = float(np.linalg.norm(np.diff(even, axis=0), axis=1).sum())
    return torch.from_numpy(even[1:].astype(np.float32)), len(at) * length**2 / total


def resample(chain: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """A polyline (m, 2) -> as many points on it, evenly spaced."""
    along = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(chain, axis=0), axis=1))])
    return np.stack([np.interp(np.linspace(0, along[-1], count), along, chain[:, axis]) for axis in range(2)], 1)


def raise_tail(solution: Solution, path: Tensor, focal: float | Tensor, tail: list[int]) -> Solution:
    """The solution with rest tail bones as long as those of the path (4, 2), laid out behind the base, and turned along it."""
    rest = solution.rest.clone()
    local = torch.cat([torch.eye(3)[None], euler_to_matrix(solution.angles)])
    base = pose_points(rest[None], local[None])[0][tail[0]]
    joints = torch.cat([base[None], laid_out(path, base, solution, focal)])
    steps = joints[1:] - joints[:-1]
    hanging = rest[tail[1:]] - rest[tail[:-1]]
    rest[tail[1:]] = rest[tail[0]] + (hanging * (steps.norm(dim=1) / hanging.norm(dim=1).clamp_min(1e-6))[:, None]).cumsum(0)
    return replace(solution, rest=rest, angles=turned_along(rest, local, solution.angles.clone(), steps))


def laid_out(path: Tensor, base: Tensor, solution: Solution, focal: float | Tensor) -> Tensor:
    """Image positions (n, 2) -> points (n, 3), object frame, seen there: in the animal's middle plane or, where that is seen edge-on,
    in the one through the base (3,) that faces the camera."""
    rays = torch.cat([path / focal, torch.ones(len(path), 1)], 1) @ solution.rotation  # object frame, 1 deep
    eye = -solution.translation @ solution.rotation
    side = torch.tensor([1.0, 0.0, 0.0])
    ahead = rays @ side / rays.norm(dim=1)
    if float(ahead.abs().min()) < EDGE_ON:
        side = solution.rotation[2]
    return eye + rays * (((base - eye) @ side) / (rays @ side))[:, None]


def turned_along(rest: Tensor, local: Tensor, angles: Tensor, steps: Tensor) -> Tensor:
    """Angles (n, 3) with which the tail's bones point along steps (4, 3), object frame, each from its parent's pose the shortest way."""
    template = load_quadruped()
    deform = [i for i, bone in enumerate(template.bones) if bone.deform]
    frames = rest_frames(rest[None])
    for number, step in enumerate(steps):
        bone = template.bone_index[f"tail.{number + 1:03d}"]
        parent = int(template.parents[bone])
        posed = pose_matrices(frames, local[None])[0, parent, :3, :3]
        here = posed @ frames[0, parent, :3, :3].T @ frames[0, bone, :3, :3]
        local[bone] = shortest_from_y(here.T @ (step / step.norm()))
        angles[deform.index(bone)] = matrix_to_euler(local[bone])
    return angles


def shortest_from_y(way: Tensor) -> Tensor:
    """(3, 3) the shortest turn of +Y onto a unit vector (3,); about X where it is opposite."""
    y = torch.tensor([0.0, 1.0, 0.0])
    axis, cosine = torch.linalg.cross(y, way), float(way[1])
    if cosine < -1 + 1e-6:
        return torch.diag(torch.tensor([1.0, -1.0, -1.0]))
    cross = torch.tensor([[0.0, -axis[2], axis[1]], [axis[2], 0.0, -axis[0]], [-axis[1], axis[0], 0.0]])
    return torch.eye(3) + cross + cross @ cross / (1 + cosine)
