"""The geometry of a rig at rest, from its joints alone: which way the body faces, how long its legs are, how each chain lies.

Enters: a `Rig` and its parts. Joints are the heads of bones; a tail counts where it is told to be a joint. Everything is in the
rig's own armature space.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .parts import FRONT_LEG, HIND_LEG, SIDES, Parts, follower_of, match_scheme, split
from .rig import Rig
from .rotations import Array, unit

SIDEWAYS_PULL = 0.2
"""Share of the body's lateral axis in a limb's normal where species differ: a straight leg has no plane, a nearly straight a noisy one."""

MEETING = 0.05
"""Bone lengths from a tail to the child's head at which they are one joint."""
SAME_TAILS = 0.02
"""Share by which two rigs of the same bone names may differ in the lengths of their end bones and still be one skeleton."""


@dataclass(frozen=True, eq=False)
class Chain:
    """A part's joints at rest. bones: indices; joints (n + 1, 3): the bones' heads and the end; follower: the bone whose head is the
    end, or -1 where the end rides on the last bone; known: whether the end is a joint at all, or only guessed."""

    bones: tuple[int, ...]
    joints: Array
    follower: int
    known: bool

    @property
    def shares(self) -> Array:
        """(n + 1,) of the chain's length that lie before each joint."""
        lengths = np.linalg.norm(np.diff(self.joints, axis=0), axis=1)
        total = lengths.sum()
        return np.concatenate([[0.0], np.cumsum(lengths) / total]) if total > 0 else np.linspace(0, 1, len(self.joints))


def chain_of(rig: Rig, parts: Parts, part: str, tips: bool) -> Chain:
    """The part's chain. tips: tails of chain ends are joints."""
    index = rig.index
    bones = tuple(index[name] for name in parts[part])
    heads = rig.heads[list(bones)]
    after = follower_of(part, parts)
    if after is not None:
        follower = index[parts[after][0]]
        return Chain(bones, np.vstack([heads, rig.heads[follower]]), follower, True)
    if tips and rig.tails is not None:
        return Chain(bones, np.vstack([heads, rig.tails[bones[-1]]]), -1, True)
    if len(bones) > 1:  # as long as the segments before it, straight on: for shares of length, not for directions
        last = heads[-1] - heads[-2]
        mean = np.linalg.norm(np.diff(heads, axis=0), axis=1).mean()
        return Chain(bones, np.vstack([heads, heads[-1] + unit(last) * mean]), -1, False)
    return Chain(bones, np.vstack([heads, heads[-1]]), -1, False)


def first_joint(rig: Rig, parts: Parts, part: str) -> Array | None:
    """(3,) where the part begins."""
    return rig.heads[rig.index[parts[part][0]]] if parts.get(part) else None


def sideways(rig: Rig, parts: Parts, stems: tuple[str, ...]) -> Array | None:
    """(3,) unit, from the right joint to the left one of the first of these parts that has both sides."""
    for stem in stems:
        left, right = (first_joint(rig, parts, f"{stem}.{side}") for side in SIDES)
        if left is not None and right is not None and np.linalg.norm(left - right) > 0:
            return unit(left - right)
    return None


def limb_paths(rig: Rig, parts: Parts) -> dict[str, Array]:
    """"front.L" ... -> (n, 3) the leg's joints from the trunk down, thigh to toe; legs with fewer than two joints left out."""
    found = {}
    for name, stems in (("front", FRONT_LEG), ("hind", HIND_LEG)):
        for side in SIDES:
            joints = [joint for stem in stems if (joint := first_joint(rig, parts, f"{stem}.{side}")) is not None]
            if len(joints) >= 2:
                found[f"{name}.{side}"] = np.array(joints)
    return found


def body_axes(rig: Rig, parts: Parts) -> Array:
    """(3, 3) columns left, forward, up: the armature's own axes in the order and with the signs that fit the body best.

    Up is where the hind legs (else the front ones) come from: a file's axes may be read the wrong way round. Without legs it is the
    world's, of which the rig knows. Where no paired part tells left, head and tail tell forward, or else the armature is taken to face
    -Y as Blender's animals do. A rig that stands askew in its own space is taken by its nearest axes.
    """
    paths = limb_paths(rig, parts)
    hind = [path for name, path in paths.items() if name.startswith("hind")]
    legs = [path[0] - path[-1] for path in hind or paths.values()]
    up = snapped(np.sum(legs, axis=0) if legs else rig.up, np.zeros(3))
    across = [side for stem in ("thigh", "front_thigh", "shoulder", "haunch", "ear", "shin", "front_shin", "foot", "front_foot")
              if (side := sideways(rig, parts, (stem,))) is not None]  # fmt: skip
    if across:
        left = snapped(np.sum(across, axis=0), up)
        return np.stack([left, np.cross(left, up), up], -1)
    front, back = (next((joint for part in order if (joint := first_joint(rig, parts, part)) is not None), None)
                   for order in (("head", "neck"), ("tail", "hips", "spine")))  # fmt: skip
    if front is not None and back is not None and np.linalg.norm(front - back) > 0:
        forward = snapped(front - back, up)
    else:
        forward = snapped(np.array([0.0, -1.0, 0.0]), up)
    return np.stack([np.cross(up, forward), forward, up], -1)


def snapped(direction: Array, beside: Array) -> Array:
    """(3,) -> the signed axis nearest to it, apart from the axis `beside`."""
    free = np.where(beside != 0, 0.0, np.asarray(direction, float))
    axis = int(np.abs(free).argmax())
    if free[axis] == 0:
        axis = int(np.flatnonzero(beside == 0)[0])
    out = np.zeros(3)
    out[axis] = 1.0 if free[axis] >= 0 else -1.0
    return out


def leg_length(rig: Rig, parts: Parts, common: Parts) -> float | None:
    """Mean length of the legs along their joints, of those joints that `common` has too; None without legs."""
    shared = {part: bones for part, bones in parts.items() if part in common}
    lengths = [np.linalg.norm(np.diff(path, axis=0), axis=1).sum() for path in limb_paths(rig, shared).values()]
    return float(np.mean(lengths)) if lengths and np.mean(lengths) > 0 else None


def trunk_length(rig: Rig, parts: Parts, common: Parts) -> float | None:
    """Length along the shared centre line's joints: what scales where there are no legs."""
    chains = [chain_of(rig, parts, part, False) for part in ("hips", "spine", "neck", "tail") if part in parts and part in common]
    total = sum(float(np.linalg.norm(np.diff(chain.joints, axis=0), axis=1).sum()) for chain in chains)
    return total if total > 0 else None


def proportions(rig: Rig, parts: Parts, common: Parts) -> Array:
    """Logarithms of segments' shares of their own limb, for the limbs that `common` has too: what two rigs of one build share."""
    shared = {part: bones for part, bones in parts.items() if part in common}
    shares = []
    for _, path in sorted(limb_paths(rig, shared).items()):
        lengths = np.linalg.norm(np.diff(path, axis=0), axis=1)
        shares.append(np.log(np.maximum(lengths, 1e-9) / max(lengths.sum(), 1e-9)))
    return np.concatenate(shares) if shares else np.zeros(0)


def limb_normal(path: Array, lateral: Array, pull: float) -> Array:
    """(n, 3) joints of a leg, (3,) the body's left -> (3,) unit normal of its plane, on the left's side.

    Each bend counts by its sine, so the nearly straight ones say little, and with the left's sign; pull: share of the left itself.
    """
    along = unit(np.diff(path, axis=0))
    bends = np.cross(along[:-1], along[1:])
    bends = bends * np.where(bends @ lateral < 0, -1.0, 1.0)[:, None]
    return unit(bends.sum(0) + (pull if len(bends) and np.linalg.norm(bends.sum(0)) > 1e-6 else 1.0) * lateral)


def segment_frame(along: Array, reference: Array) -> Array:
    """(3,) direction, (3,) reference across it -> (3, 3) columns: the direction, the reference made perpendicular, their cross."""
    y = unit(along)
    x = reference - (reference @ y) * y
    if np.linalg.norm(x) < 1e-6:
        x = np.eye(3)[np.abs(y).argmin()]
        x = x - (x @ y) * y
    x = unit(x)
    return np.stack([y, x, np.cross(y, x)], -1)


def references(rig: Rig, parts: Parts, chains: dict[str, Chain], left: Array, own: bool) -> dict[str, Array]:
    """Part -> (n, 3), for each of its bones a direction across it that belongs to the body: a leg's normal, else what points to
    the left there. own: of another species, so planes are steadied by the body's left, and the trunk's is that left itself."""
    normals = {name: limb_normal(path, left, SIDEWAYS_PULL if own else 0.0) for name, path in limb_paths(rig, parts).items()}
    known = {"hips": ("haunch", "thigh"), "chest": ("shoulder", "front_thigh"), "head": ("ear",)}
    there = {} if own else {name: side for name, stems in known.items() if (side := sideways(rig, parts, stems)) is not None}
    hips = there.get("hips", there.get("chest", left))
    chest = there.get("chest", hips)
    head = there.get("head", chest)
    found = {}
    for part, chain in chains.items():
        stem, side = split(part)
        count = len(chain.bones)
        if stem in FRONT_LEG or stem in HIND_LEG:
            normal = normals.get(("front" if stem in FRONT_LEG else "hind") + side, left)
            found[part] = np.tile(normal, (count, 1))
            continue
        share = np.arange(1, count + 1)[:, None] / (count + (stem != "spine"))
        ends = {"spine": (hips, chest), "neck": (chest, head), "shoulder": (chest, chest), "tail": (hips, hips), "hips": (hips, hips)}
        start, end = ends.get(stem, (head, head) if stem in ("head", "jaw", "ear") else (hips, hips))
        found[part] = unit(start * (1 - share) + end * share)
    return found


def tips_agree(source: Rig, target: Rig) -> bool:
    """Whether the tails of both rigs' chain ends are joints: their schemes say so, or they are one skeleton by names and lengths."""
    if source.tails is None or target.tails is None:
        return False
    if all(tips_known(rig) for rig in (source, target)):
        return True
    if set(source.names) != set(target.names) or not (tails_meet(source) and tails_meet(target)):
        return False
    there = source.index
    lengths = [np.linalg.norm(rig.tails - rig.heads, axis=1) for rig in (source, target)]  # type: ignore[operator]
    ratios = lengths[1] / np.maximum(lengths[0][[there[name] for name in target.names]], 1e-9)
    return bool(np.abs(ratios / np.median(ratios) - 1).max() < SAME_TAILS)


def tips_known(rig: Rig) -> bool:
    """Whether the rig's scheme says that the tails of chain ends are joints, and no importer has invented its tails."""
    found = match_scheme(rig)
    return found is not None and found[0].tips and tails_meet(rig)


def tails_meet(rig: Rig) -> bool:
    """Whether most bones that have children end where one of them begins."""
    if rig.tails is None:
        return False
    gaps = []
    for bone in range(len(rig.names)):
        below = rig.heads[rig.children(bone)]
        if len(below):
            length = np.linalg.norm(rig.tails[bone] - rig.heads[bone])
            gaps.append(np.linalg.norm(below - rig.tails[bone], axis=1).min() / max(length, 1e-9))
    return bool(gaps) and float(np.median(gaps)) < MEETING
