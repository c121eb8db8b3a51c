"""The paper's skeleton by heuristic: 8 body bones and 4 legs of 3, from a rest mesh alone (3D-Fauna section 3.3).

Object frame (y up, z front-back, x left-right). A bone is (joint nearer the root, joint nearer the tip) and turns about
the first. Bones 0..3 run from the +z tip to the middle, 4..7 from the -z tip; leg i has bones 8 + 3 i (foot end) to
10 + 3 i (hip end); legs stand in quadrants (+x, +z), (+x, -z), (-x, -z), (-x, +z). Roots are 3 and 7.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from backend.rig.names import parse_name
from backend.rig.template import load_quadruped

BODY, LEGS, LEG_BONES = 8, 4, 3
TEMPERATURE = 0.05
"""Of the published skinning: w = softmax(-distance / 0.05)."""
SOFTENING = 1e-6
"""Added to squared distances there, and the least squared length of a bone."""


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
    """Which end is the head: the one with the larger third moment beyond its feet, the sum of its vertices' overhangs cubed.

    A rump is thick but ends soon; a tail hangs out far, if at all, but has few vertices. Right on every animal that it was tried on
    (five made up, twelve reconstructed); the first power is wrong for a lion's tail.
    """
    feet = leg_feet(vertices)
    ahead = (vertices[:, 2] - feet[[0, 3], 2].mean()).clip(0)
    behind = (feet[[1, 2], 2].mean() - vertices[:, 2]).clip(0)
    return bool((ahead**3).sum() >= (behind**3).sum())


def bones(
    vertices: NDArray[np.floating], hosts: tuple[int, int, int, int] | None = None, attached: bool = True
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """(v, 3) rest vertices -> bones (20, 2, 3) and the parent of each (20,), -1 for the two roots.

    hosts: the body bones on which the legs hang; None for those whose far joint is nearest in z. attached: whether the legs have those
    bones as parents; otherwise they are four more roots.
    """
    joints, feet = body_joints(vertices), leg_feet(vertices)
    out, parents = np.zeros((20, 2, 3)), np.full(20, -1)
    for i in range(4):
        out[i] = joints[i + 1], joints[i]
        parents[i] = i + 1 if i < 3 else -1
        out[4 + i] = joints[7 - i], joints[8 - i]
        parents[4 + i] = 5 + i if i < 3 else -1
    tips = out[:BODY, 1]
    chosen: list[int] = []
    for leg in range(LEGS):
        # the right and left leg of a pair hang on the same body bone
        if hosts is not None:
            host = hosts[leg]
        else:
            host = chosen[3 - leg] if leg >= 2 else int(np.abs(tips[:, 2] - feet[leg, 2]).argmin())
        chosen.append(host)
        line = feet[leg] + (out[host, 1] - feet[leg]) * np.linspace(0, 1, LEG_BONES + 1)[:, None]
        for k in range(LEG_BONES):
            b = BODY + leg * LEG_BONES + k
            out[b] = line[k + 1], line[k]
            parents[b] = b + 1 if k + 1 < LEG_BONES else host if attached else -1
    return out, parents


def segment_distance(points: NDArray[np.floating], bone: NDArray[np.floating]) -> NDArray[np.float64]:
    """Distance of points (n, 3) to bones (b, 2, 3) -> (n, b), as published: sqrt(d^2 + `SOFTENING`)."""
    a, d = bone[:, 0], bone[:, 1] - bone[:, 0]
    t = ((points[:, None] - a) * d).sum(-1) / np.maximum((d * d).sum(-1), SOFTENING)
    nearest = a + np.clip(t, 0, 1)[..., None] * d
    return np.sqrt(((points[:, None] - nearest) ** 2).sum(-1) + SOFTENING)


def skin_weights(points: NDArray[np.floating], bone: NDArray[np.floating]) -> NDArray[np.float64]:
    """The published near-hard weights: softmax(-distance / 0.05), (n, b)."""
    logits = -segment_distance(points, bone) / TEMPERATURE
    w = np.exp(logits - logits.max(1, keepdims=True))
    return w / w.sum(1, keepdims=True)


HIP_SHARE, SCAPULA_SHARE, KNUCKLE_SHARE = 0.7, 0.95, 0.3
"""Where on the published leg's last bone shoulder and hip lie, and the scapula; where on its foot bone the knuckle."""
TURN = np.array([-1.0, 1.0, -1.0])
"""Half a turn about y, where the head turns out to be at -z."""


def template_points(vertices: NDArray[np.floating]) -> tuple[NDArray[np.float64], bool]:
    """(v, 3) rest vertices -> the template's 42 rest points (P, 3) of the animal facing +Z, and whether it had to be turned for that.

    `quadruped.json` ("official20") names the bones: head, neck.002, neck.001, chest ahead of the middle; spine.001, hips, tail.001,
    tail.003 behind it; three a leg. What the template has more of is split off: two spine bones, every tail bone in two, toes
    from the feet, the girdle from the thighs, ears and jaw from the head. The points want `embed_points` next.
    """
    turned = not head_is_front(vertices)
    vertices = vertices * TURN if turned else vertices
    joints, (found, _) = body_joints(vertices), bones(vertices)
    muzzle, poll, neck, withers, middle, rear, rump, dock, tip = joints
    size = float(np.linalg.norm(muzzle - poll))
    across, up = np.array([0.3 * size, 0, 0]), np.array([0, 0.3 * size, 0])
    place: dict[str, NDArray[np.float64]] = {
        "pelvis": rump, "spine1": rear, "spine2": rear + (middle - rear) / 3, "spine3": rear + (middle - rear) * 2 / 3,
        "chest": middle, "withers": withers, "neck_mid": neck, "poll": poll, "muzzle": muzzle,
        "jaw_hinge": poll - up / 2, "chin": muzzle - up / 3, "tail0": rump + (dock - rump) * 0.1, "tail1": (rump + dock) / 2,
        "tail2": dock, "tail3": (dock + tip) / 2, "tail4": tip, "ear_base": poll + across / 2 + up / 2, "ear_tip": poll + across + up,
    }  # fmt: skip
    front, hind = ("front_tip", "front_knuckle", "wrist", "elbow", "shoulder"), ("hind_tip", "hind_knuckle", "hock", "knee", "hip")
    for leg, names in ((0, front), (1, hind)):
        foot, shin, thigh = found[BODY + leg * LEG_BONES : BODY + (leg + 1) * LEG_BONES]
        ends = foot[1], foot[1] + KNUCKLE_SHARE * (foot[0] - foot[1]), shin[1], thigh[1], thigh[1] + HIP_SHARE * (thigh[0] - thigh[1])
        place |= dict(zip(names, ends, strict=True))
        if leg == 0:
            place["scapula"] = thigh[1] + SCAPULA_SHARE * (thigh[0] - thigh[1])
    template = load_quadruped()
    points = np.array([place[parse_name(name).base] for name in template.points])
    points[: len(template.centre_points), 0] = 0
    points[template.right_points] *= np.array([-1.0, 1.0, 1.0])
    return points, turned
