"""Scores of a motion against the true one: plain functions of points in space and of contacts.

Points are (t, 42, 3), frames and the template's points; +Y is up. A point that the creature lacks is NaN in every frame, and is left out
of both. A found motion has a world of its own: `align` brings it to the truth's by ONE similarity for the whole clip, so that drift,
a wrong speed and a wrong turn of the path count. What asks only whether feet stand (`foot_slide`, `find_contacts`) is read in
the motion's own world, as an artist sees it, in its own lengths.

A body is as long as from withers to tail base at rest, a leg as from hip or shoulder joint to toe tip, along its bones.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from backend.data import gait
from backend.data.clip_truth import feet, stances, strays
from backend.rig.template import load_quadruped

Array = NDArray[np.float64]

MEAN_ROUNDS = 10
"""Of finding a clip's mean pose; it settles sooner."""
SWAP_MARGIN = 0.02
"""Of a leg's length: by how much the legs must fit better crossed over, in the mean of their joints, to count as swapped."""
MOVES = np.radians(10.0)
"""A joint that truly swings less isn't asked how far it swings."""
SWING = (5.0, 95.0)
"""Percentiles of a joint's angle over the clip between which it swings."""
ALIKE = 0.2
"""How far from the true swing still counts as the same."""
CHAINS = (("shoulder", "elbow", "wrist", "front_knuckle", "front_tip"), ("hip", "knee", "hock", "hind_knuckle", "hind_tip"))
"""The five joints of a front and of a hind leg, from the trunk."""


@dataclass(frozen=True)
class Similarity:
    """x -> scale * turn @ x + shift."""

    scale: float
    turn: Array
    shift: Array

    def __call__(self, points: NDArray[np.floating]) -> Array:
        return np.asarray(self.scale * points @ self.turn.T + self.shift, np.float64)


def find_similarity(source: NDArray[np.floating], target: NDArray[np.floating], scaled: bool = True) -> Similarity:
    """(n, 3) both -> what brings source nearest to target in least squares (Umeyama 1991); not scaled: a rigid motion."""
    p0, q0 = source.mean(0, dtype=np.float64), target.mean(0, dtype=np.float64)
    p, q = source - p0, target - q0
    u, s, vt = np.linalg.svd(q.T @ p)
    sign = np.array([1.0, 1.0, np.sign(np.linalg.det(u @ vt))])
    turn = u * sign @ vt
    scale = float((s * sign).sum() / (p**2).sum()) if scaled else 1.0
    return Similarity(scale, turn, q0 - scale * turn @ p0)


def kept_points(found: NDArray[np.floating]) -> NDArray[np.bool_]:
    """(42,) points that the creature has."""
    return np.asarray(np.isfinite(found).all((0, 2)))


def align(found: NDArray[np.floating], truth: NDArray[np.floating]) -> Array:
    """Points (t, 42, 3) of both -> the found ones in the truth's world, after the one similarity that fits all frames best."""
    kept = kept_points(found)
    return find_similarity(found[:, kept].reshape(-1, 3), truth[:, kept].reshape(-1, 3))(found)


def joint_error(aligned: NDArray[np.floating], truth: NDArray[np.floating], body: float) -> float:
    """Mean over frames and joints of |aligned - truth|, over the body's length."""
    kept = kept_points(aligned)
    return float(np.linalg.norm(aligned[:, kept] - truth[:, kept], axis=-1).mean() / body)


def pose_error(found: NDArray[np.floating], truth: NDArray[np.floating], body: float) -> float:
    """As `joint_error`, after one scale for the clip (equal mean sizes of the frames) and, of each frame, the best rigid motion onto the
    true one: what is left is pose and build, without the way."""
    kept = kept_points(found)
    own, true = (points[:, kept].astype(np.float64) for points in (found, truth))
    sizes = [np.sqrt(((points - points.mean(1, keepdims=True)) ** 2).sum()) for points in (own, true)]
    pairs = list(zip(own * (sizes[1] / sizes[0]), true, strict=True))
    moved = np.stack([np.linalg.norm(find_similarity(one, other, scaled=False)(one) - other, axis=-1) for one, other in pairs])
    return float(moved.mean() / body)


def mean_pose_error(truth: NDArray[np.floating], body: float) -> float:
    """What a creature would score that does not move its joints at all: the clip's own mean pose, put into each frame by the rigid motion
    that fits it best; mean distance of joints over the body's length. The mean pose is that of the true frames after each was moved
    rigidly onto it (generalised Procrustes)."""
    points = truth.astype(np.float64)
    mean = points[0]
    for _ in range(MEAN_ROUNDS):
        mean = np.mean([find_similarity(frame, mean, scaled=False)(frame) for frame in points], 0)
    moved = np.stack([find_similarity(mean, frame, scaled=False)(mean) for frame in points])
    return float(np.linalg.norm(moved - points, axis=-1).mean() / body)


def acceleration_error(aligned: NDArray[np.floating], truth: NDArray[np.floating], fps: float, body: float) -> float:
    """Jitter: mean over frames and joints of |a(aligned) - a(truth)|, a(k) = (p(k+1) - 2 p(k) + p(k-1)) fps^2, in body lengths a second
    squared. Frames that are NaN altogether, and their neighbours, are left out."""
    whole = np.isfinite(aligned).any((1, 2))
    kept = kept_points(aligned[whole])
    inner = whole[2:] & whole[1:-1] & whole[:-2]
    difference = (aligned - truth)[:, kept]
    second = (difference[2:] - 2 * difference[1:-1] + difference[:-2])[inner]
    return float(np.linalg.norm(second, axis=-1).mean() * fps**2 / body) if len(second) else float("nan")


def about_pelvis(points: NDArray[np.floating]) -> Array:
    """(t, 42, 3) -> the same, each frame's pelvis at the origin."""
    pelvis = load_quadruped().point_index["pelvis"]
    return np.asarray(points - points[:, pelvis : pelvis + 1], np.float64)


def bone_angle_error(aligned: NDArray[np.floating], truth: NDArray[np.floating]) -> float:
    """Degrees between the directions of found and true bones, head to tail, mean over frames and the bones that both have."""
    template = load_quadruped()
    kept = kept_points(aligned)
    bones = [b for b in range(len(template.bones)) if template.tail_points[b] >= 0 and template.head_points[b] >= 0]
    bones = [b for b in bones if kept[template.head_points[b]] and kept[template.tail_points[b]]]
    heads, tails = template.head_points[bones], template.tail_points[bones]
    one, other = (points[:, tails] - points[:, heads] for points in (np.asarray(aligned, np.float64), np.asarray(truth, np.float64)))
    sine, cosine = np.linalg.norm(np.cross(one, other), axis=-1), (one * other).sum(-1)
    return float(np.degrees(np.arctan2(sine, cosine)).mean())


def foot_slide(found: NDArray[np.floating], contacts: NDArray[np.bool_], leg: float) -> dict[str, float]:
    """How far standing feet go, in the creature's own world and leg lengths. contacts (t, 4): when they truly stand.

    Of each stance: the farthest that the toe's tip is, along the ground, from its mean place in that stance. slide: mean over the stances
    without the first and the last frame of each, where the true foot may still be rolling; slide_most: the worst of those;
    slide_ends: mean over the stances with all their frames.
    """
    tips = feet(found)
    firm = np.zeros_like(contacts)
    for foot, start, end in stances(contacts):
        firm[start + 1 : end - 1, foot] = True
    inner, every = strays(tips, firm) / leg, strays(tips, contacts) / leg
    return {
        "slide": float(inner.mean()) if len(inner) else 0.0, "slide_most": float(inner.max(initial=0.0)),
        "slide_ends": float(every.mean()) if len(every) else 0.0,
    }  # fmt: skip


def forward_of(points: NDArray[np.floating]) -> Array:
    """(t, 42, 3) -> (t, 3) unit, level: from the pelvis to the withers."""
    index = load_quadruped().point_index
    ahead = (points[:, index["withers"]] - points[:, index["pelvis"]]).astype(np.float64) * [1, 0, 1]
    return np.asarray(ahead / np.maximum(np.linalg.norm(ahead, axis=-1, keepdims=True), 1e-12))


def find_swaps(aligned: NDArray[np.floating], truth: NDArray[np.floating], leg: float) -> NDArray[np.bool_]:
    """(t, 2) frames in which the front or the hind legs explain the truth better crossed over: the left one's joints those of the true
    right one, and the other way round.

    Legs are compared as seen from the side, each from its own hip or shoulder joint (forward and up in the true animal's heading), so
    that which side of the body it is on does not count. Crossed over must be better by SWAP_MARGIN of a leg, in the mean of its joints.
    """
    index, forward = load_quadruped().point_index, forward_of(truth)
    found = []
    for joints in CHAINS:
        legs = {}
        for name, points in (("found", aligned), ("true", truth)):
            for side in "LR":
                chain = points[:, [index[f"{joint}.{side}"] for joint in joints]].astype(np.float64)
                away = chain[:, 1:] - chain[:, :1]  # (t, 4, 3)
                legs[name, side] = np.stack([(away * forward[:, None]).sum(-1), away[..., 1]], -1)
        straight, crossed = (
            sum(np.linalg.norm(legs["found", side] - legs["true", other], axis=-1).mean(1) for side, other in pairs) / 2
            for pairs in (("LL", "RR"), ("LR", "RL"))
        )
        found.append(crossed < straight - SWAP_MARGIN * leg)
    return np.stack(found, -1)


def joint_angles(points: NDArray[np.floating]) -> Array:
    """(t, 42, 3) -> (t, 4, 3) radians: of each leg, in the template's order, the angle between trunk and thigh, and those of its next two
    joints (elbow and wrist, knee and hock)."""
    template = load_quadruped()
    index = template.point_index
    trunk = (points[:, index["withers"]] - points[:, index["pelvis"]]).astype(np.float64)
    angles = []
    for leg in template.legs:
        bones = np.diff(points[:, list(leg.points[:4])].astype(np.float64), axis=1)  # (t, 3, 3)
        chain = np.concatenate([trunk[:, None], bones], 1)
        one, other = chain[:, :-1], chain[:, 1:]
        angles.append(np.arctan2(np.linalg.norm(np.cross(one, other), axis=-1), (one * other).sum(-1)))
    return np.stack(angles, 1)


def swing_scores(found: NDArray[np.floating], truth: NDArray[np.floating]) -> dict[str, float]:
    """How far legs' joints swing against how far they truly do, each from its 5th to its 95th percentile over the clip.

    range: the found swings' sum over the true ones'; range_within: share of joints whose swing is the true one's within ALIKE. Only joints
    that truly swing by MOVES; both NaN where none does.
    """
    own, true = (np.ptp(np.percentile(joint_angles(points), SWING, axis=0), axis=0).ravel() for points in (found, truth))
    asked = true > MOVES
    if not asked.any():
        return {"range": float("nan"), "range_within": float("nan")}
    ratio = own[asked] / true[asked]
    return {"range": float(own[asked].sum() / true[asked].sum()), "range_within": float((np.abs(ratio - 1) <= ALIKE).mean())}


def find_contacts(points: NDArray[np.floating], fps: float, body: float) -> NDArray[np.bool_]:
    """Points (t, 42, 3) in a world whose ground is level -> (t, 4) which feet stand, in the template's order of legs.

    The rule of `data.gait`, for an animal that is moving through its world. A foot is slow where its tip is still or, if the animal
    travels, its knuckle is left behind, both against the pelvis's mean speed; it stands where it is slow and its tip less than LOW body
    lengths above the height that it has in its slow frames. Speeds are the lower ones of those to the frame before and to the one
    after, so that the first and last frame of a stance belong to it.
    """
    template = load_quadruped()
    tips, knuckles = (points[:, [leg.points[joint] for leg in template.legs]].astype(np.float64) / body for joint in (4, 3))
    pelvis = points[:, template.point_index["pelvis"]].astype(np.float64)[:, [0, 2]] / body
    travel = (pelvis[-1] - pelvis[0]) * (fps / max(len(points) - 1, 1))
    speed = float(np.linalg.norm(travel))
    still = _slower(np.linalg.norm(np.diff(tips[..., [0, 2]], axis=0), axis=-1) * fps)
    if speed < gait.STILL:
        slow = still < gait.STILL
    else:
        ahead = _slower((np.diff(knuckles[..., [0, 2]], axis=0) @ (travel / speed)) * fps)
        slow = (ahead < (1 - gait.BACKWARD) * speed) | (still < gait.AS_THE_GROUND * speed)
    return np.asarray(slow & (tips[..., 1] < gait.level(tips[..., 1], slow) + gait.LOW))


def _slower(steps: Array) -> Array:
    """(t - 1, k) of the steps between frames -> (t, k) the smaller of those before and after each."""
    return np.minimum(np.concatenate([steps[:1], steps]), np.concatenate([steps, steps[-1:]]))


def contact_f1(found: NDArray[np.bool_], truth: NDArray[np.bool_]) -> float:
    """F1 of contacts (t, 4), all feet together; 1 where neither has any."""
    both = int((found & truth).sum())
    return 2 * both / (int(found.sum()) + int(truth.sum())) if found.any() or truth.any() else 1.0
