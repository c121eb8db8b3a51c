"""The legs of a body in motion as what reaches: from the turns of its bones to hinges' angles, and back.

A leg's bones turn in frames whose X is the bend axis and points to the body's right: a bone's own axes where its X is that (rigs whose
limits we know are built so), else made from joints and the leg's plane. A part of several bones turns as one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from . import legs
from .body import Body
from .frames import limb_normal, segment_frame
from .rotations import Array, to_angles, transposed, unit

OWN_AXES = 0.8
"""Cosine of the angle between a bone's X and its leg's bend axis, above which the bone's own axes are the leg's."""
SIDEWAYS_PULL = 0.2
"""Share of the body's right in the bend axis: a straight leg has no plane."""
HINGES = {"front_shin": 1.0, "shin": -1.0, "foot": 1.0}
"""Elbow, knee and hock: the sign of the bend about X. A wrist may give way forward."""
FOLD = {"front_thigh": -0.4, "front_shin": 1.0, "front_foot": -1.0, "thigh": 0.4, "shin": -1.0, "foot": 1.0}
"""How a leg's bones turn about X when it folds."""
UNLIMITED = 10.0
"""Radians that no angle gets to."""
LEAST_BEND = np.radians(2.0)
"""That a knee, an elbow and a hock keep."""
MOST_POSTURE = np.radians(30.0)
"""Turn by which a joint may be held otherwise all the time, to keep its whole swing within its limits."""


@dataclass(frozen=True, eq=False)
class Limb:
    """bones (n): the first of each part; frames (n, 3, 3): their rest frames; leg: what reaches; given (t, n, 3): the angles that the
    motion asks for; joint: the bone whose head is held, the last; tip (3,): its end from its head at rest, 0 where it has none to hold."""

    bones: tuple[int, ...]
    frames: Array
    leg: legs.Leg
    given: Array
    tip: Array

    @property
    def joint(self) -> int:
        """The bone whose head is held."""
        return self.bones[-1]

    @property
    def segments(self) -> Array:
        """(n - 1,) lengths from joint to joint, at most over the clip."""
        return np.asarray(np.linalg.norm(self.leg.offsets[..., 1:, :], axis=-1).reshape(-1, len(self.bones) - 1).max(0))

    def base(self, body: Body, count: int) -> tuple[Array, Array]:
        """What the leg hangs on in a settled body: (count, 3, 3) and (count, 3)."""
        holder = body.holders[self.bones[0]]
        turn = body.turns[:count, holder] if holder >= 0 else np.broadcast_to(np.eye(3), (count, 3, 3))
        return turn @ self.frames[0], body.heads[:count, self.bones[0]]

    def stand(self, base: tuple[Array, Array], angles: Array) -> tuple[Array, Array, Array]:
        """-> (t, n, 3, 3) turns from rest, (t, n, 3) heads, (t, 3) the held tip, the last head where it has none."""
        turned, heads, tip = legs.stand(self.leg, base, angles)
        return np.stack(turned, 1) @ transposed(self.frames), np.stack(heads, 1), tip

    def toe_angles(self, base: tuple[Array, Array], angles: Array, toe: Array) -> Array:
        """(t, 3) of the last bone with which its turn from rest is `toe` (t, 3, 3), within its limits."""
        above = legs.stand(self.leg, base, angles)[0][-2]
        local = transposed(above @ self.leg.rests[..., -1, :, :]) @ toe @ self.frames[-1]
        return legs.clamped(to_angles(local), self.leg.limits[-1])

    def put(self, body: Body, angles: Array) -> None:
        """Turns the body's bones so; (t, n, 3) for all of its frames, its trunk is settled already."""
        base = self.base(body, len(body.turns))
        turns = self.stand(base, angles)[0]
        for number, bone in enumerate(self.bones):
            turn = turns[:, number] @ transposed(body.turns[:, bone])
            for name in body.parts[body.part_of[bone]]:
                body.turns[:, body.rig.index[name]] = turn @ body.turns[:, body.rig.index[name]]


def limb_of(body: Body, bones: tuple[int, ...], tip: Array | None, left: Array, keeps: bool, hinged: bool) -> Limb:
    """The leg of these bones as the body's turns (its joints needn't be settled) have it. tip (3,): the last bone's end at rest; left (3,);
    keeps: within the rig's limits; hinged: knee, elbow and hock don't bend beyond straight."""
    rig = body.rig
    stems = [body.part_of[bone].split(".")[0] for bone in bones]
    joints = body.rest_heads[list(bones)]
    end = tip if tip is not None else joints[-1] + rig.axes[bones[-1], :, 1]
    normal = limb_normal(np.vstack([joints, end]), left, SIDEWAYS_PULL)
    own = [abs(rig.axes[bone, :, 0] @ normal) > OWN_AXES and rig.limits is not None for bone in bones]
    frames = np.stack([
        rig.axes[bone] if known else swapped(segment_frame(along, -normal))
        for bone, known, along in zip(bones, own, np.diff(np.vstack([joints, end]), axis=0), strict=True)
    ])  # fmt: skip
    limits = np.full((len(bones), 3, 2), np.inf) * [-1, 1]
    count = len(body.turns)
    given, rests, offsets = np.zeros((count, len(bones), 3)), np.zeros((count, len(bones), 3, 3)), np.zeros((count, len(bones), 3))
    rests[:, 0] = np.eye(3)
    for number, bone in enumerate(bones):
        holder = int(body.holders[bone])
        above = body.turns[:, holder] if holder >= 0 else np.broadcast_to(np.eye(3), (count, 3, 3))
        given[:, number] = to_angles(frames[number].T @ transposed(above) @ body.turns[:, bone] @ frames[number])
        if keeps and own[number] and holder == rig.parents[bone] and rig.limits is not None:
            limits[number] = rig.limits[bone]
        if number:
            upper = bones[number - 1]
            turned = transposed(body.turns[:, upper] @ frames[number - 1])
            rests[:, number] = turned @ above @ frames[number]
            offsets[:, number] = (turned @ held_at(body, upper, bone)[..., None])[..., 0]
            if hinged and stems[number] in HINGES:
                limits[number, 0] = narrowed(limits[number, 0], HINGES[stems[number]], frames[number][:, 0], *np.diff(
                    np.vstack([joints, end]), axis=0)[number - 1 : number + 1])  # fmt: skip
    reach = np.zeros(3) if tip is None else frames[-1].T @ (tip - joints[-1])
    limits = np.clip(limits, -UNLIMITED, UNLIMITED)
    fold = np.array([FOLD.get(stem, 0.0) for stem in stems])
    leg = legs.Leg(constant(rests), constant(offsets), reach, limits, fold, np.ones(len(bones)))
    return Limb(tuple(bones), frames, leg, given, np.zeros(3) if tip is None else tip - joints[-1])


def held_at(body: Body, upper: int, bone: int) -> Array:
    """(t, 3) from the head of a leg's part to that of the next one, which hangs on it, as they are turned."""
    way, total = bone, np.zeros((len(body.turns), 3))
    while way != upper:
        holder = int(body.holders[way])
        total = total + body.turns[:, holder] @ (body.rest_heads[way] - body.rest_heads[holder])
        way = holder
    return total


def constant(values: Array) -> Array:
    """(t, ...) -> (...) where it is the same in all frames, which all but parts of several bones are."""
    return values[0] if np.abs(values - values[:1]).max() < 1e-9 else values


def swapped(frame: Array) -> Array:
    """`frames.segment_frame`'s columns (along, across, third) -> X across, Y along."""
    return np.stack([frame[:, 1], frame[:, 0], -frame[:, 2]], -1)


def narrowed(limit: Array, sign: float, axis: Array, upper: Array, lower: Array) -> Array:
    """(2,) limits of a hinge about its axis (3,), narrowed so that its bones, which lie like this at rest, don't bend beyond straight."""
    bend = sign * float(np.arctan2(np.cross(unit(upper), unit(lower)) @ axis, unit(upper) @ unit(lower)))
    spare = max(bend - LEAST_BEND, 0.0)
    return np.array([max(limit[0], -spare), limit[1]]) if sign > 0 else np.array([limit[0], min(limit[1], spare)])


def postured(limb: Limb, wanted: Array) -> Array:
    """(n,) turns about X by which every hinge is held otherwise all the time: as near to the wanted (n,) as its limits leave its whole
    swing alone; where there is too little room for that, in the middle of it."""
    swing, limits = limb.given[..., 0], limb.leg.limits[:, 0]
    least, most = limits[:, 0] - swing.min(0), limits[:, 1] - swing.max(0)  # turns that keep the one limit, and the other
    shift = np.where(least <= most, np.clip(wanted, least, np.maximum(most, least)), (least + most) / 2)
    return np.clip(shift, -MOST_POSTURE, MOST_POSTURE)
