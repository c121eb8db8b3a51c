"""How a rest shape is brought onto other proportions: training's shapes onto the mean skeleton, and the model's answer back.

Enters a rest mesh, its points and another skeleton; leaves every template bone's influence on the mesh and one affine map a bone.
The weights are softer than a skin's and blind to what touches what: they carry a shape from one rest pose to another, never into
a bend.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import identity
from torch import Tensor

from backend.rig.kinematics import invert_frames, rest_frames
from backend.rig.template import load_quadruped
from backend.shape.laplacian import face_adjacency, neighbour_mean
from backend.types import FloatArray, IntArray

SHARPNESS = 1.0
"""How fast a bone's influence on a vertex fades with its distance, in the bone's own radii. Where neighbours move very differently,
as an elephant's neck and head, sharper weights fold the shape, and the way back can't be found."""
OVERSHOOT = 1.0
"""How much farther a bone is from what lies beyond its ends, in shares of how far beyond."""
LONGEST = 2.5
"""Bound of a bone's stretch, and 1 / LONGEST of its shrinking: a missing tail or ear isn't drawn out into one."""


def carry_bones(before: Tensor, after: Tensor, girth: Tensor) -> Tensor:
    """Affine maps (b, 4, 4) of the template's bones from one rest skeleton onto another; the way back undoes them.

    before, after (P, 3): rest points; a bone is stretched by the ratio of its lengths, bounded by LONGEST. girth (b, 2): logarithm of
    the same across, along local X and Z. An ear keeps its shape and its side of the head: between an elephant's flap and a deer's ear
    lies half a turn, which would tear the head, so an ear goes with its own base and otherwise as its parent does.
    """
    template = load_quadruped()
    both = torch.stack([before, after])
    frames = rest_frames(both)  # (2, b, 4, 4)
    length = (both[:, template.tail_points] - both[:, template.head_points]).norm(dim=2).clamp_min(1e-6)
    stretch = (length[1] / length[0]).clamp(1 / LONGEST, LONGEST)
    stretch = torch.where(torch.from_numpy(template.parents < 0), 1.0, stretch)
    across = torch.exp(girth)
    scale = torch.diag_embed(torch.stack([across[:, 0], stretch, across[:, 1], torch.ones_like(stretch)], -1))
    maps = frames[1] @ scale @ invert_frames(frames[0])
    ears = [i for i, bone in enumerate(template.bones) if bone.name.startswith("ear")]
    linear = maps[template.parents[ears], :3, :3]  # (e, 3, 3)
    shift = frames[1, ears, :3, 3] - (linear @ frames[0, ears, :3, 3, None])[..., 0]
    carried = torch.cat([torch.cat([linear, shift[..., None]], -1), maps[ears, 3:]], 1)
    return maps.index_copy(0, torch.tensor(ears), carried)


def template_weights(
    vertices: FloatArray, faces: IntArray, points: FloatArray, places: NDArray[np.int64] | None = None, sharpness: float = SHARPNESS,
    overshoot: float = OVERSHOOT,
) -> FloatArray:  # fmt: skip
    """Smooth influence of the template's bones on a rest mesh: (v, b), rows sum to 1, mirrored where the mesh is.

    Nearness is counted in each bone's own radius, so a belly belongs to the spine far above it rather than to a thigh; a few rounds
    of averaging over edges make the borders soft. What lies beyond a bone's ends counts as farther away: an elephant's forehead is
    near the neck's end, but the head's, and a bone stretched to twice its length would draw it out.
    The other side's bones reach no farther than that averaging takes them.
    places (v,): which vertices are one when welded, where a mesh is split at seams.
    """
    template = load_quadruped()
    heads, tails = points[template.head_points], points[template.tail_points]
    along = tails - heads
    t = np.einsum("vbk,bk->vb", vertices[:, None] - heads[None], along) / np.maximum((along**2).sum(1), 1e-9)
    foot = heads[None] + np.clip(t, 0, 1)[..., None] * along[None]
    beyond = np.abs(t - np.clip(t, 0, 1)) * np.linalg.norm(along, axis=1)
    distance = np.linalg.norm(vertices[:, None] - foot, axis=2) + overshoot * beyond  # (v, b)
    for bone, name in enumerate(template.bone_names):
        other = vertices[:, 0] < -0.02 if name.endswith(".L") else vertices[:, 0] > 0.02 if name.endswith(".R") else None
        if other is not None:
            distance[other, bone] = 1e3
    distance[:, 0] = 1e3  # the root deforms nothing
    radius = np.full(distance.shape[1], 0.1)
    for _ in range(4):
        nearest = np.argmin(distance / radius, 1)
        for bone in range(1, len(radius)):
            own = distance[nearest == bone, bone]
            if len(own) > 3:
                radius[bone] = 0.5 * radius[bone] + 0.5 * float(np.clip(np.median(own), 0.04, 0.9))
    ratio = distance / ((radius + radius[template.mirror_bones]) / 2)  # ties on the plane of symmetry went to one side
    weights = np.exp(-sharpness * (ratio - ratio.min(1, keepdims=True)))
    weights[weights < 1e-3] = 0
    weights /= weights.sum(1, keepdims=True)
    return _soften(weights.astype(np.float32), faces, np.arange(len(vertices)) if places is None else places)


def _soften(weights: FloatArray, faces: IntArray, index: NDArray[np.int64]) -> FloatArray:
    count = int(index.max()) + 1
    welded = np.zeros((count, weights.shape[1]), np.float32)
    welded[index] = weights
    around = neighbour_mean(face_adjacency(index[faces], count) + identity(count)).astype(np.float32)
    for _ in range(3):
        welded = around @ welded
    welded[welded < 1e-3] = 0
    return np.asarray(welded[index] / welded[index].sum(1, keepdims=True), np.float32)
