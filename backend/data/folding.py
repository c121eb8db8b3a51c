"""Animals that lie, sit, crouch or bow: of the game's, one rig alone has such clips, while photographs are full of them.

Enters one pose's points; leaves turns of the template's bones, as `variety.stretch_matrices` takes them. Each leg is folded in a plane
of its own, upright along the body and then splayed about the way ahead, by directions that hold for any quadruped: elbows go back
and knees forward. Angles are degrees from straight down, forward positive.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from backend.rig.rotations import axis_angle_to_matrix
from backend.rig.template import Leg, load_quadruped
from backend.types import FloatArray

Array = NDArray[np.float64]

KINDS = {"lie": 0.52, "sit": 0.22, "crouch": 0.14, "bow": 0.12}
"""A bow is how cats and dogs stretch or ask to play, and how cattle get up: chest on the ground, rump in the air."""
CROUCHED = (0.35, 0.8)
"""How far toward lying a crouch goes."""
PAWS, KNEELING, HIND, SAT, STRAIGHT, BOWED = (
    ((-75.0, 15.0), (86.0, 9.0), (86.0, 8.0), (88.0, 8.0)),
    ((-75.0, 15.0), (78.0, 12.0), (-42.0, 10.0), (-80.0, 15.0)),
    ((85.0, 12.0), (-82.0, 12.0), (84.0, 10.0), (88.0, 8.0)),
    ((82.0, 15.0), (-66.0, 12.0), (82.0, 10.0), (88.0, 8.0)),
    ((-38.0, 12.0), (0.0, 7.0), (6.0, 7.0), (70.0, 12.0)),
    ((12.0, 12.0), (-28.0, 12.0), (8.0, 9.0), (72.0, 12.0)),
)
"""Direction of each of a leg's four bones, mean and standard deviation: forelegs stretched before the chest (cats, dogs) or bent under
it (cattle, horses), hind legs of an animal that lies and of one that sits, forelegs that it sits on, and the hind legs that a bow leaves
standing."""
BENT_UNDER = 0.45
"""Chance that the forelegs of a lying animal are bent under its chest; each alone differs from its twin one time in five."""
TOGETHER = 0.75
"""Share of a leg's deviation that its twin has too."""
SPLAYED = {True: (4.0, 6.0), False: (12.0, 9.0)}
"""Degrees away from the middle, mean and standard deviation, of front and hind legs."""
ASIDE, ASIDE_BY = 0.4, (20.0, 60.0)
"""Chance that a lying animal rests on one hip, with both hind legs to the other side, and by how much."""
CURLED, CURLED_BY = 0.3, (6.0, 20.0)
"""Chance that a lying animal's back is bent aside, and by how much at each bone of it."""
BENT = ("spine.001", "spine.002", "spine.003", "chest", "neck.001", "neck.002")
DOZING, DOZING_BY = 0.3, (15.0, 50.0)
"""Chance that its head comes down toward the ground, and by how much."""
LEVEL, SLOPES = 5.0, {"sit": (25.0, 60.0), "bow": (-45.0, -18.0)}
"""Degrees of the trunk: standard deviation of a lying one's slope, ranges of the others."""
GROUNDED = (("tail.001", -45.0, 20.0), ("tail.002", -72.0, 14.0), ("tail.003", -84.0, 8.0), ("tail.004", -88.0, 8.0))
"""How a tail comes to lie on the ground behind."""


def random_fold(points: FloatArray, rng: np.random.Generator) -> Array:
    """(b, 3, 3) turns for one pose's points (42, 3), up +Y, of an animal that then lies, sits, crouches or bows; identities elsewhere."""
    kind = str(rng.choice(list(KINDS), p=list(KINDS.values())))
    amount = float(rng.uniform(*CROUCHED)) if kind == "crouch" else 1.0
    body = _Body(points)
    slope = float(rng.uniform(*SLOPES[kind])) if kind in SLOPES else float(rng.normal(0, LEVEL))
    body.pitch("hips", amount * (slope - body.slope))
    aside = 0.0
    if kind == "lie" and rng.random() < ASIDE:
        aside = float(rng.uniform(*ASIDE_BY) * rng.choice((-1, 1)))
        body.roll("hips", -0.35 * aside)
    if kind == "lie" and rng.random() < CURLED:
        bend = float(rng.uniform(*CURLED_BY) * rng.choice((-1, 1)))
        for name in BENT:
            body.yaw(name, bend)
    if kind == "lie" and rng.random() < DOZING:
        body.pitch("neck.001", -float(rng.uniform(*DOZING_BY)))
    if kind in SLOPES:
        back = slope * float(rng.uniform(0.5, 1.0))  # the head is kept level
        body.pitch("neck.001", -0.6 * back)
        body.pitch("head", -0.4 * back)
    under = rng.random() < BENT_UNDER
    for front in (True, False):
        twins = [leg for leg in load_quadruped().legs if leg.front == front]
        shared = rng.normal(size=4)
        for leg in twins:
            other = front and rng.random() < 0.2
            directions = np.array(_directions(kind, front, under != other))
            spread = np.sqrt(TOGETHER) * shared + np.sqrt(1 - TOGETHER) * rng.normal(size=4)
            splay = abs(rng.normal(*SPLAYED[front])) * (1 if leg.side == "L" else -1) + (0 if front else aside)
            body.fold(leg, directions[:, 0] + directions[:, 1] * spread, splay, amount)
    if kind == "bow":
        return body.turns  # its tail is in the air, as the clip has it
    plane = _turn(body.up, float(rng.normal(0, 20)))
    for number, (name, mean, deviation) in enumerate(GROUNDED):
        body.aim(name, float(rng.normal(mean, deviation)), plane, amount, swing=number == 0)
    return body.turns


def _directions(kind: str, front: bool, under: bool) -> tuple[tuple[float, float], ...]:
    if kind == "sit":
        return STRAIGHT if front else SAT
    if kind == "bow" and not front:
        return BOWED
    if front:
        return KNEELING if under else PAWS
    return HIND


class _Body:
    """Turns of one posed animal's bones, made parents first."""

    def __init__(self, points: FloatArray) -> None:
        template = load_quadruped()
        at = template.point_index
        self.points = points.astype(np.float64)
        along = self.points[at["withers"]] - self.points[at["pelvis"]]
        flat = float(np.hypot(along[0], along[2]))
        self.up = np.array([0.0, 1.0, 0.0])
        self.ahead = along * (1, 0, 1) / max(flat, 1e-6)
        self.left = np.cross(self.up, self.ahead)
        self.slope = float(np.degrees(np.arctan2(along[1], flat)))
        self.turns = np.tile(np.eye(3), (len(template.bones), 1, 1))

    def pitch(self, name: str, degrees: float) -> None:
        """Raise the far end of a bone with all that hangs on it."""
        self._turn(name, self.left, -degrees)

    def roll(self, name: str, degrees: float) -> None:
        """Lower its right side."""
        self._turn(name, self.ahead, degrees)

    def yaw(self, name: str, degrees: float) -> None:
        """Turn its far end to the animal's left."""
        self._turn(name, self.up, degrees)

    def fold(self, leg: Leg, directions: Array, splay: float, amount: float) -> None:
        """Give a leg's four bones their directions, in a plane turned by `splay` about the way ahead."""
        plane = _turn(self.ahead, amount * splay)
        for number, (bone, direction) in enumerate(zip(leg.bones, directions, strict=True)):
            self.aim(load_quadruped().bones[bone].name, float(direction), plane, amount, swing=number == 0)

    def aim(self, name: str, direction: float, plane: Array, amount: float, swing: bool) -> None:
        """Turn a bone toward a direction in a plane, by a share of what is missing. swing: its parent is not in that plane yet."""
        template = load_quadruped()
        bone = template.bone_index[name]
        carried = self._total(int(template.parents[bone]))
        moved = plane @ carried if swing else carried
        along = plane.T @ moved @ (self.points[template.tail_points[bone]] - self.points[template.head_points[bone]])
        now = np.degrees(np.arctan2(along @ self.ahead, -along @ self.up))
        missing = amount * ((direction - now + 180) % 360 - 180)
        self.turns[bone] = carried.T @ plane @ _turn(self.left, -missing) @ plane.T @ moved

    def _turn(self, name: str, axis: Array, degrees: float) -> None:
        bone = load_quadruped().bone_index[name]
        self.turns[bone] = _turn(axis, degrees) @ self.turns[bone]

    def _total(self, bone: int) -> Array:
        parents = load_quadruped().parents
        out: Array = np.eye(3)
        while bone >= 0:
            out = self.turns[bone] @ out
            bone = int(parents[bone])
        return out


def _turn(axis: Array, degrees: float) -> Array:
    return np.asarray(axis_angle_to_matrix(axis, np.asarray(np.radians(degrees))), np.float64)
