"""The paper's skeleton by heuristic: 8 body bones and 4 legs of 3, from a rest mesh alone (3D-Fauna section 3.3).

Object frame (y up, z front-back, x left-right). A bone is (joint nearer the root, joint nearer the tip) and turns about
the first. Bones 0..3 run from the +z tip to the middle, 4..7 from the -z tip; leg i has bones 8 + 3 i (foot end) to
10 + 3 i (hip end); legs stand in quadrants (+x, +z), (+x, -z), (-x, -z), (-x, +z). Roots are 3 and 7.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

BODY, LEGS, LEG_BONES = 8, 4, 3
TEMPERATURE = 0.05
"""Of the published skinning: w = softmax(-distance / 0.05)."""


def body_joints(vertices: NDArray[np.floating]) -> NDArray[np.float64]:
    """(v, 3) -> nine joints (9, 3) from the +z tip over the middle (index 4) to the -z tip."""
    mean = vertices.mean(0)
    upper = vertices[vertices[:, 1] > mean[1] - 0.5]
    front, back = upper[upper[:, 2].argmax()].astype(np.float64), upper[upper[:, 2].argmin()].astype(np.float64)
    middle = mean + np.array([0, 0.5, 0])
    for joint in (front, back, middle):
        joint[0] = 0
    steps = np.linspace(0, 1, 5)[:, None]
    ahead = front + (middle - front) * steps
    behind = middle + (back - middle) * steps[1:]
    return np.concatenate([ahead, behind])


def leg_feet(vertices: NDArray[np.floating]) -> NDArray[np.float64]:
    """(v, 3) -> the lowest vertex of each quadrant (4, 3).

    An empty quadrant (a shape with no leg there) takes the lowest point of the mirrored quadrant, or failing that the
    lowest of the mesh in that half, so that every shape has a skeleton.
    """
    low = vertices[vertices[:, 1] < np.quantile(vertices[:, 1], 0.4)]
    x0, z0 = np.median(low[:, 0]), np.median(low[:, 2])
    margin = 0.2 * (np.quantile(low, 0.95, axis=0) - np.quantile(low, 0.05, axis=0))
    x, z = low[:, 0], low[:, 2]
    right, left = x > x0 + margin[0], x < x0 - margin[0]
    front, back = z > z0 + margin[2], z < z0  # the margin in z is applied on the +z side alone, as published
    feet: list[NDArray[np.float64] | None] = []
    for side, end in ((right, front), (right, back), (left, back), (left, front)):
        own = low[side & end]
        feet.append(own[own[:, 1].argmin()].astype(np.float64) if len(own) else None)
    for i, twin in enumerate((3, 2, 1, 0)):
        if feet[i] is None:
            other = feet[twin]
            if other is None:
                half = low[front if i in (0, 3) else back]
                half = half if len(half) else low
                other = half[half[:, 1].argmin()].astype(np.float64)
            feet[i] = other * np.array([-1, 1, 1])
    return np.stack([foot for foot in feet if foot is not None])


def head_is_front(vertices: NDArray[np.floating]) -> bool:
    """Which end is the head: the one with more of the mesh's vertices beyond its legs (a head and neck outweigh a tail)."""
    feet = leg_feet(vertices)
    ahead = (vertices[:, 2] > feet[[0, 3], 2].mean()).sum()
    behind = (vertices[:, 2] < feet[[1, 2], 2].mean()).sum()
    return bool(ahead >= behind)


def bones(vertices: NDArray[np.floating]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """(v, 3) rest vertices -> bones (20, 2, 3) and the parent of each (20,), -1 for the two roots."""
    joints, feet = body_joints(vertices), leg_feet(vertices)
    out, parents = np.zeros((20, 2, 3)), np.full(20, -1)
    for i in range(4):
        out[i] = joints[i + 1], joints[i]
        parents[i] = i + 1 if i < 3 else -1
        out[4 + i] = joints[7 - i], joints[8 - i]
        parents[4 + i] = 5 + i if i < 3 else -1
    tips = out[:BODY, 1]
    attached: list[int] = []
    for leg in range(LEGS):
        # the right and left leg of a pair hang on the same body bone
        host = attached[1 - (leg - 2)] if leg >= 2 else int(np.abs(tips[:, 2] - feet[leg, 2]).argmin())
        attached.append(host)
        line = feet[leg] + (out[host, 1] - feet[leg]) * np.linspace(0, 1, LEG_BONES + 1)[:, None]
        for k in range(LEG_BONES):
            b = BODY + leg * LEG_BONES + k
            out[b] = line[k + 1], line[k]
            parents[b] = b + 1 if k + 1 < LEG_BONES else host
    return out, parents


def segment_distance(points: NDArray[np.floating], bone: NDArray[np.floating]) -> NDArray[np.float64]:
    """Distance of points (n, 3) to bones (b, 2, 3) -> (n, b)."""
    a, d = bone[:, 0], bone[:, 1] - bone[:, 0]
    t = ((points[:, None] - a) * d).sum(-1) / np.maximum((d * d).sum(-1), 1e-12)
    nearest = a + np.clip(t, 0, 1)[..., None] * d
    return np.linalg.norm(points[:, None] - nearest, axis=-1)


def skin_weights(points: NDArray[np.floating], bone: NDArray[np.floating]) -> NDArray[np.float64]:
    """The published near-hard weights: softmax(-distance / 0.05), (n, b)."""
    logits = -segment_distance(points, bone) / TEMPERATURE
    w = np.exp(logits - logits.max(1, keepdims=True))
    return w / w.sum(1, keepdims=True)
