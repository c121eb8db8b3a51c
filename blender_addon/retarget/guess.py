"""Which bones are which part of the body: by naming schemes first; what no scheme names, by the rest pose.

From the joints at rest: legs are the mirrored chains that end lowest; of two pairs the hind one is told by several witnesses (words in
names, which end carries ears or a jaw, what hangs nearer to the hierarchy's top, whose second bend is the sharper), and left by up
and forward, never by order. Where the witnesses do not agree clearly the legs stay *unsure*: a question is better than a horse
that walks backwards.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from .bone_map import BoneMap, Pair, join
from .parts import FRONT_LEG, HIND_LEG, SIDES, Parts, match_scheme
from .rig import Rig
from .rotations import Array, unit

LOW = 0.18
"""Share of the rig's height below which a chain that ends there may be a leg."""
MIRRORED = 0.06
"""Share of the rig's size by which a joint may miss its twin's mirror image."""
ON_PLANE = 0.02
"""Share of the rig's size within which a joint lies on the symmetry plane."""
SURE = 1.5
"""By how much the witnesses for one end must outweigh those for the other."""
HIND_WORDS = re.compile(r"hind|back|rear|thigh|femur|calf|tibia|pelvi|hock|knee|upleg|backleg", re.I)
FRONT_WORDS = re.compile(r"front|fore|arm|hand|shoulder|scapula|clavicle|elbow|wrist|humer|finger", re.I)
HEAD_WORDS = re.compile(r"head|skull|jaw|ear(?![a-z])|ear_|neck|muzzle|snout", re.I)
TAIL_WORDS = re.compile(r"tail", re.I)


@dataclass(frozen=True, eq=False)
class Limb:
    """A leg. bones: from the trunk down; trunk: the bone that it hangs on, -1 for none; side: +1 or -1 along the lateral axis."""

    bones: tuple[int, ...]
    trunk: int
    side: float


def find_body(rig: Rig) -> tuple[Parts, tuple[str, ...]]:
    """The rig's parts, and those that it cannot decide."""
    found = match_scheme(rig)
    if found is not None and {"hips", "spine"} <= found[1].keys():
        return found[1], ()
    parts, unsure = by_geometry(rig)
    if found is None:
        return parts, unsure
    taken = {bone for bones in found[1].values() for bone in bones}
    missing = {part: bones for part, bones in parts.items() if part not in found[1] and not taken & set(bones)}
    return {**found[1], **missing}, ()


def guess_map(source: Rig, target: Rig) -> BoneMap:
    """The parts that both rigs have, and bones of one name in both that belong to no part."""
    theirs, unsure = find_body(source)
    ours, ours_unsure = find_body(target)
    found = join(theirs, ours, tuple(dict.fromkeys((*unsure, *ours_unsure))))
    used = [{bone for bones in parts.values() for bone in bones} for parts in (theirs, ours)]
    if found.unsure and not found.pairs and set(source.names) == set(target.names):
        used = [set(), set()]  # one skeleton, whatever it is
    shared = [name for name in target.names if name in set(source.names) - used[0] - used[1]]
    return BoneMap((*found.pairs, *(Pair(name, (name,), (name,)) for name in shared)), found.unsure)


def by_geometry(rig: Rig) -> tuple[Parts, tuple[str, ...]]:
    """Parts by rest geometry and hierarchy; nothing for what is no animal on four legs."""
    up = unit(rig.up)
    lateral = lateral_axis(rig, up)
    if lateral is None:
        return {}, ("legs",)
    limbs = find_limbs(rig, up, lateral)
    if len(limbs) != 4:
        return {}, ("legs",)
    along = unit(np.cross(lateral, up))
    order = sorted(limbs, key=lambda limb: float(rig.heads[limb.bones[0]] @ along))
    pairs = order[:2], order[2:]
    if any({limb.side for limb in pair} != {1.0, -1.0} for pair in pairs):
        return {}, ("legs",)
    weight = sum(witnesses(rig, pairs, up, along))
    if abs(weight) < SURE:
        return {}, ("legs", "front and hind")
    forward, (hind, front) = (along, pairs) if weight > 0 else (-along, pairs[::-1])
    left = float(np.cross(up, forward) @ lateral)  # which side of the lateral axis is the animal's left
    parts: Parts = {}
    for pair, stems, girdle in ((hind, HIND_LEG, "haunch"), (front, FRONT_LEG, "shoulder")):
        for limb in pair:
            side = SIDES[0] if limb.side * left > 0 else SIDES[1]
            for stem, bone in leg_parts(rig, limb.bones, stems, girdle, up).items():
                parts[f"{stem}.{side}"] = (rig.names[bone],)
    parts.update(centre_parts(rig, hind, front, up, forward, lateral))
    return parts, ()


def lateral_axis(rig: Rig, up: Array) -> Array | None:
    """(3,) the horizontal axis across which the joints are mirrored; None where they aren't."""
    size = float(np.ptp(rig.heads, axis=0).max())
    best: tuple[int, Array] | None = None
    for axis in np.eye(3):
        if abs(axis @ up) > 0.5:
            continue
        count = len(twins(rig, axis, size))
        if count and (best is None or count > best[0]):
            best = count, axis
    return None if best is None else best[1]


def twins(rig: Rig, axis: Array, size: float) -> dict[int, int]:
    """Bone -> its mirror twin, for joints off the plane through the armature's middle."""
    middle = float(np.median(rig.heads @ axis))
    offset = rig.heads @ axis - middle
    aside = np.flatnonzero(np.abs(offset) > ON_PLANE * size)
    mirrored = rig.heads - 2 * offset[:, None] * axis
    found = {}
    for bone in aside:
        distance = np.linalg.norm(mirrored[bone] - rig.heads, axis=1)
        distance[offset * offset[bone] >= 0] = np.inf
        twin = int(distance.argmin())
        if distance[twin] < MIRRORED * size:
            found[int(bone)] = twin
    return found


def find_limbs(rig: Rig, up: Array, lateral: Array) -> list[Limb]:
    """The chains that end low and off the plane, each with a twin."""
    size = float(np.ptp(rig.heads, axis=0).max())
    heights = rig.heads @ up
    pairs = twins(rig, lateral, size)
    joints = [bone for bone in range(len(rig.names)) if bone in pairs]
    if not joints:
        return []
    low = heights[joints].min()
    height = max(float(np.percentile(heights[joints], 95) - low), 1e-9)
    middle = float(np.median(rig.heads @ lateral))
    limbs = []
    for end in joints:
        if rig.children(end) or heights[end] > low + LOW * height:
            continue
        path, bone = [end], int(rig.parents[end])
        while bone >= 0 and (bone in pairs or all(child == path[-1] for child in rig.children(bone))):
            path.append(bone)  # a hip may lie on the plane: it is the leg's as long as nothing else hangs on it
            bone = int(rig.parents[bone])
        path = path[::-1]
        if len(path) >= 3 and heights[path].max() - heights[end] > 0.4 * height:
            limbs.append(Limb(tuple(path), bone, float(np.sign(rig.heads[end] @ lateral - middle))))
    by_top: dict[int, Limb] = {}
    for limb in limbs:  # several toes: the longest chain
        if limb.bones[0] not in by_top or len(limb.bones) > len(by_top[limb.bones[0]].bones):
            by_top[limb.bones[0]] = limb
    return list(by_top.values())


def witnesses(rig: Rig, pairs: tuple[list[Limb], list[Limb]], up: Array, along: Array) -> list[float]:
    """Positive: the second pair, further along the axis, is the front one."""
    votes = []
    words = [sum(len(pattern.findall(rig.names[bone])) for limb in pair for bone in limb.bones)
             for pattern in (HIND_WORDS, FRONT_WORDS) for pair in pairs]  # fmt: skip
    hind, front = words[0] - words[1], words[3] - words[2]
    votes.append(3.0 * float(np.sign(hind + front)))
    middles = [np.mean([rig.heads[limb.bones[0]] for limb in pair], axis=0) @ along for pair in pairs]
    centre = sum(middles) / 2
    for pattern, weight in ((HEAD_WORDS, 3.0), (TAIL_WORDS, -3.0)):
        named = [bone for bone, name in enumerate(rig.names) if pattern.search(name)]
        if named:
            votes.append(weight * float(np.sign(np.mean(rig.heads[named] @ along) - centre)))
    legs = {bone for pair in pairs for limb in pair for bone in limb.bones}
    # Beyond the legs: a head is carried higher than a tail's end, and has pairs of joints.
    beyond = [[bone for bone in range(len(rig.names)) if bone not in legs and sign * (rig.heads[bone] @ along - middle) > 0]
              for sign, middle in ((-1, middles[0]), (1, middles[1]))]  # fmt: skip
    ends = [max((float(rig.heads[bone] @ up) for bone in bones), default=None) for bones in beyond]  # type: ignore[type-var]
    if None not in ends:
        tall = np.ptp(rig.heads @ up)
        votes.append(float(np.clip((ends[1] - ends[0]) / (0.1 * tall), -1, 1)))  # type: ignore[operator]
    size = float(np.ptp(rig.heads, axis=0).max())
    paired = [sum(bone in twins(rig, unit(np.cross(up, along)), size) for bone in bones) for bones in beyond]
    votes.append(1.0 * float(np.sign(paired[1] - paired[0])))
    depth = [np.mean([len(rig.ancestors(limb.bones[0])) for limb in pair]) for pair in pairs]
    votes.append(1.0 * float(np.sign(depth[1] - depth[0])))
    bends = [np.mean([second_bend(rig, limb) for limb in pair]) for pair in pairs]
    votes.append(float(np.clip((bends[0] - bends[1]) / 0.35, -1, 1)))
    return votes


def second_bend(rig: Rig, limb: Limb) -> float:
    """The sharpest bend of the leg's lower half, radians: a hock's is sharper than a wrist's."""
    joints = rig.heads[list(limb.bones)]
    along = unit(np.diff(joints, axis=0))
    turns = np.arccos(np.clip((along[1:] * along[:-1]).sum(1), -1, 1))
    lengths = np.linalg.norm(np.diff(joints, axis=0), axis=1)
    at = np.cumsum(lengths)[:-1] / max(lengths.sum(), 1e-9)
    lower = turns[(at > 0.45) & (at < 0.85)]
    return float(lower.max()) if len(lower) else 0.0


GIRDLE = 0.3
"""Misfit at which a chain of five joints and more is still taken to begin with a girdle."""
EXPECTED = {"front": (1.0, 0.66, 0.33, 0.07), "hind": (1.0, 0.62, 0.31, 0.06)}
"""Heights of thigh, shin, foot and toe joints over the ground, as shares of the thigh's: what most animals on four legs have."""


def leg_parts(rig: Rig, bones: tuple[int, ...], stems: tuple[str, ...], girdle: str, up: Array) -> dict[str, int]:
    """Stem -> bone: four joints of the chain whose heights fit a leg's best, and what is above them as the girdle."""
    heights = rig.heads[list(bones)] @ up
    heights = heights - heights.min()
    expected = np.array(EXPECTED["front" if stems is FRONT_LEG else "hind"])
    best: tuple[float, tuple[int, ...]] | None = None
    for top in range(2 if len(bones) > 4 else 1):
        if len(bones) - top == 3:
            chosen = (top, top + 1, top + 2)
            best = best or (0.0, chosen)
            continue
        for second in range(top + 1, len(bones) - 2):
            for third in range(second + 1, len(bones) - 1):
                for fourth in range(third + 1, len(bones)):
                    shares = heights[[top, second, third, fourth]] / max(heights[top], 1e-9)
                    # A fifth joint is a shoulder blade's more often than a toe's end.
                    cost = float(np.abs(shares - expected)[1:].sum()) + 0.15 * (fourth + 2 < len(bones))
                    cost += GIRDLE * (top == 0 and len(bones) > 4)
                    if best is None or cost < best[0] - 1e-9:
                        best = cost, (top, second, third, fourth)
    chosen = (0, 1, 2) if best is None else best[1]
    found = {stem: bones[place] for stem, place in zip(stems, chosen, strict=False)}
    if chosen[0] > 0:
        found[girdle] = bones[chosen[0] - 1]
    return found


def centre_parts(rig: Rig, hind: list[Limb], front: list[Limb], up: Array, forward: Array, lateral: Array) -> Parts:
    """Hips, spine, neck, head, tail, as far as the hierarchy shows them."""
    size = float(np.ptp(rig.heads, axis=0).max())
    middle = float(np.median(rig.heads @ lateral))
    legs = {bone for limb in (*hind, *front) for bone in limb.bones}
    plane = [bone for bone in range(len(rig.names)) if bone not in legs and abs(rig.heads[bone] @ lateral - middle) < ON_PLANE * size]
    hip = np.mean([rig.heads[limb.bones[0]] for limb in hind], axis=0)
    shoulder = np.mean([rig.heads[limb.bones[0]] for limb in front], axis=0)
    floor = (rig.heads @ up).min() + 0.3 * float(hip @ up - (rig.heads @ up).min())
    trunk = [bone for bone in plane if rig.heads[bone] @ up > floor]
    if not trunk:
        return {}
    chest = front[0].trunk if front[0].trunk in trunk else -1
    hips = hind[0].trunk if hind[0].trunk in trunk else min(trunk, key=lambda bone: float(np.linalg.norm(rig.heads[bone] - hip)))
    ahead = [bone for bone in trunk if (rig.heads[bone] - shoulder) @ forward > 0.02 * size]
    end = max(ahead, key=lambda bone: float((rig.heads[bone] - shoulder) @ forward), default=-1)
    parts: Parts = {}
    if end >= 0:
        path = [bone for bone in [end, *rig.ancestors(end)][::-1] if bone in trunk]
        start = path.index(hips) + 1 if hips in path else 0
        behind_it = (place for place in range(start, len(path)) if (rig.heads[path[place]] - shoulder) @ forward < 0)
        joint = path.index(chest) if chest in path else max(behind_it, default=start - 1)
        spine, neck = path[start : joint + 1], path[max(joint + 1, start) :]
        forks = (place for place, bone in enumerate(neck) if len([child for child in rig.children(bone) if child not in legs]) > 1)
        head = next(forks, len(neck) - 1)
        if spine:
            parts["spine"] = tuple(rig.names[bone] for bone in spine)
        if neck:
            parts["head"] = (rig.names[neck[head]],)
            if head:
                parts["neck"] = tuple(rig.names[bone] for bone in neck[:head])
    if hips not in {rig.index[name] for names in parts.values() for name in names}:
        parts["hips"] = (rig.names[hips],)
    used = {name for names in parts.values() for name in names}
    behind = [bone for bone in plane if (rig.heads[bone] - hip) @ forward < -0.02 * size and rig.names[bone] not in used]
    tips = [bone for bone in behind if not any(child in behind for child in rig.children(bone))]
    tail = max(([tip, *[bone for bone in rig.ancestors(tip) if bone in behind]][::-1] for tip in tips), key=len, default=[])
    if tail:
        parts["tail"] = tuple(rig.names[bone] for bone in tail)
    top = rig.ancestors(hips)
    if top and rig.names[top[-1]] not in used:
        parts["root"] = (rig.names[top[-1]],)
    return parts
