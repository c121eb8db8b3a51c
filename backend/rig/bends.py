"""Fits a limb's weights to the bends they must survive: no triangle turns over, no leg loses its flesh.

Enters: weights on the fold (left bones only, see `weights`), mesh, skeleton. Leaves: weights of the same kind.

Turning one bone, with all that hangs on it, moves a rest vertex x to x + s (T x - x), where T is the turn about the bone's hinge and s
the sum of the vertex's weights from that bone down. So every test bend of a leg depends on one scalar field of its own, and the
weights of a leg of n bones are n nested fields, 1 >= s_1 >= ... >= s_n >= 0. Each field in turn descends its own `BendEnergy`.
The gradient is smoothed over the surface, (M + l^2 L)^-1 g (a Sobolev gradient; Renka and Neuberger 1995), so borders move and widen
but don't fray; fields are clipped to their bounds after each step. Descent begins at the weights that geometry alone suggests and
ends as soon as the energy is nothing: they change as little as it takes.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, diags
from scipy.sparse.linalg import splu

from backend.rig.bend_energy import BendEnergy
from backend.rig.borders import laplacian
from backend.rig.checks import CROUCH_BEND, CROUCH_SIGNS, SINGLE_BEND, bone_gaps
from backend.rig.names import parse_name
from backend.rig.sections import Loop, joint_section
from backend.rig.skeleton import rest_matrices
from backend.rig.territory import Part, fold, part_bones
from backend.shape.laplacian import adjacency
from backend.types import Mesh, Skeleton

Array = NDArray[np.float64]
Indices = NDArray[np.int64]

STRICTER = 1.03
"""Test bends go a little further than what must hold."""
SMOOTHING = 0.03
"""Length l of the gradient's smoothing, in diagonals of the mesh."""
FINER = 0.1
"""Times that length in all rounds but the first: what a broad change can't mend, a narrow one may."""
ROUNDS, STEPS = 8, 100
"""Rounds over a limb's fields (each moves the patch whose volume the others keep), and steps of one descent at most."""
RATE = 0.03
"""Largest change of a weight in the first step."""
OVERSHOT = 2.0
"""Times the least energy so far, at which the descent goes back and halves its rate."""
MOMENTUM, MEMORY = 0.8, 0.9
"""Running means of the gradient and of its largest square."""
GROWTH_RINGS = 4
"""How far beyond its support a limb's share may grow in a round."""
YIELDING = 3.0
"""A limb's share is at most 1 less so many times that of other limbs: legs don't pull at each other."""
NEARLY_NEAREST = 1.05
"""Skin whose nearest bone is another leg's from the shin down, or all but, is that leg's: where bones meet, both are nearest."""
WHOLE, PAW_KEPT = 0.9, 0.97
"""What follows a turn by more than so much, two bones beyond its joint, keeps all of it; of the paw's own joint, so much."""
NOTHING = 1e-9


def fit_limb_weights(dense: Array, trunk: Array, mesh: Mesh, skeleton: Skeleton) -> Array:
    """(v, b) weights on the fold -> the same with the legs' fitted to their bends.

    trunk: (v, b) weights that a vertex has where no limb moves it, sum 1.
    """
    dense, limbs = dense.copy(), part_bones(skeleton)
    vertices, frames = fold(mesh.vertices), rest_matrices(skeleton)
    stiffness, areas = laplacian(mesh)
    links = adjacency(mesh)
    gaps = bone_gaps(mesh.vertices, skeleton)
    left = mesh.vertices[:, 0] >= 0
    faces = mesh.faces[left[mesh.faces].all(1)].astype(np.int64)
    for part in (Part.FRONT, Part.HIND):
        bones, other = limbs[part], limbs[Part.HIND if part == Part.FRONT else Part.FRONT]
        elsewhere = [bone for limb, its in limbs.items() if limb != part for bone in its]
        fields = np.stack([dense[:, bones[k:]].sum(1) for k in range(len(bones))], 1)  # (v, n)
        # Where the other leg is, and on the plane of symmetry, this one's share may not grow; well inside the other it is nothing.
        others = dense[:, other].sum(1)
        near_other = gaps[:, other[-3:]].min(1) < NEARLY_NEAREST * gaps.min(1)
        closed = (mesh.vertices[:, 0] <= 0) | (others > 1e-3) | near_other
        most = (1 - YIELDING * others).clip(0) * ~(near_other & (fields[:, 0] < 0.5))
        fields *= np.minimum(1, most / fields[:, 0].clip(1e-9))[:, None]
        room = 1 - dense[:, elsewhere].sum(1)
        limb = _Limb(vertices, faces, stiffness, areas, np.where(closed, fields[:, 0], np.maximum(room, fields[:, 0])), links)
        # Shoulder and hip lie in the trunk: no section of theirs is asked to stay.
        sections = [joint_section(mesh, skeleton, bone, left & (fields[:, 0] > 0.5)) if bone in bones[-3:] else None for bone in bones]
        hinges = [frames[bone] for bone in bones]
        angles = [_test_angles(skeleton.names[bone]) for bone in bones]
        for number in range(ROUNDS):
            if limb.settle(fields, hinges, angles, sections, lift=number > 0):
                break
        weights = fields - np.concatenate([fields[:, 1:], np.zeros((len(fields), 1))], 1)
        share = 1 - weights.sum(1) - dense[:, elsewhere].sum(1)
        kept = [bone for bone in range(dense.shape[1]) if bone not in bones and bone not in elsewhere]
        rest = dense[:, kept].sum(1)
        changed = left & (np.abs(weights - dense[:, bones]).max(1) > 0)
        # What a limb lets go, where all was limb, goes to the trunk bones that would have it.
        filled = np.where((rest > 1e-6)[:, None], dense[:, kept] / rest.clip(1e-12)[:, None], trunk[:, kept])
        dense[np.ix_(changed, kept)] = share[changed, None].clip(0) * filled[changed]
        dense[np.ix_(changed, bones)] = weights[changed]
    if mesh.mirror is not None:
        dense = np.where(left[:, None], dense, dense[mesh.mirror])
    return np.asarray(dense / dense.sum(1, keepdims=True))


def _test_angles(name: str) -> list[float]:
    """Radians about its hinge that a bone is tested by."""
    base = parse_name(name).base
    fold_angle = [CROUCH_SIGNS[base] * CROUCH_BEND] if base in CROUCH_SIGNS else []
    return [STRICTER * angle for angle in (SINGLE_BEND, -SINGLE_BEND)] + [1.01 * angle for angle in fold_angle]


class _Limb:
    """A left leg's surroundings on the fold, and the descent of its fields.

    vertices (v, 3), faces (f, 3), stiffness (v, v) and areas (v,): of the whole fold; ceiling (v,): the most that the limb's share may
    be; links (v, v): the mesh's edges.
    """

    def __init__(
        self, vertices: Array, faces: Indices, stiffness: csr_matrix, areas: Array, ceiling: Array, links: csr_matrix
    ) -> None:
        self.vertices, self.faces, self.ceiling, self.links = vertices, faces, ceiling, links
        self.stiffness, self.areas = stiffness, areas
        self.smoothing = SMOOTHING * float(np.linalg.norm(np.ptp(vertices, axis=0)))

    def settle(self, fields: Array, hinges: list[Array], angles: list[list[float]], sections: list[Loop | None], lift: bool) -> bool:
        """One round over the fields (v, n), in place; True if there was nothing to do.

        A field is held below the one above it, or, with `lift`, lifts it where it must: held, it can be stuck.
        """
        near = fields[:, 0] > 1e-3
        for _ in range(GROWTH_RINGS):
            near = self.links @ near > 0
        free = np.flatnonzero(near & (self.ceiling > 0))
        if not len(free):
            return True
        smooth = splu((diags(self.areas[free]) + (self.smoothing * (FINER if lift else 1)) ** 2 * self.stiffness[free][:, free]).tocsc())
        settled = True
        for k, (hinge, test, section) in enumerate(zip(hinges, angles, sections, strict=True)):
            patch = self.faces[(fields[:, 0] > 0.5)[self.faces].all(1)]
            if not len(patch):
                return True
            ceiling = fields[:, k - 1] if k and not lift else self.ceiling
            moving = fields[:, k] > 0
            moving[free] = True
            touched = self.faces[(moving & (ceiling > 1e-6))[self.faces].any(1)]
            ring = np.zeros((0, 2), np.int64) if section is None else section[0]
            used = np.unique(np.concatenate([patch.ravel(), touched.ravel(), free, ring.ravel()]))
            place = np.zeros(len(fields), np.int64)
            place[used] = np.arange(len(used))
            energy = BendEnergy(
                self.vertices[used], place[touched], place[patch], hinge, test, None if section is None else (place[ring], section[1])
            )
            start = fields[used, k]
            kept = (fields[:, k + 2] > 0.5) if k + 2 < len(hinges) else PAW_KEPT * (fields[:, -1] > 0.5)
            if energy(start)[0] < NOTHING:
                continue
            settled = False
            least = kept[used] * start * (start > WHOLE)
            fields[used, k] = _descend(energy, start, (least, ceiling[used]), place[free], smooth.solve)
            fields[:, k + 1 :] = np.minimum(fields[:, k + 1 :], fields[:, k : k + 1])
            fields[:, :k] = np.maximum(fields[:, :k], fields[:, k : k + 1])
        return settled


def _descend(energy: BendEnergy, start: Array, bounds: tuple[Array, Array], free: Indices, smooth) -> Array:  # type: ignore[no-untyped-def]
    """The field (n,) of least energy on the way down from `start`; only `free` vertices move, between their bounds."""
    field, best, least = start, start, math.inf
    rate, mean, square, since = RATE, np.zeros(len(free)), 0.0, 0
    for step in range(STEPS):
        found, gradient = energy(field)
        if found < least:
            best, least = field, found
        if found < NOTHING:
            break
        if found > OVERSHOT * least:
            # Too far: from the best once more, in smaller steps.
            field, rate, mean, square, since = best, rate / 2, np.zeros(len(free)), 0.0, 0
            _, gradient = energy(field)
        slope = smooth(gradient[free])
        mean = MOMENTUM * mean + (1 - MOMENTUM) * slope
        square = MEMORY * square + (1 - MEMORY) * float((slope * slope).max())
        since += 1
        size = rate * (1 - 0.8 * step / STEPS) / (1 - MOMENTUM**since)
        field = field.copy()
        field[free] -= size * mean / math.sqrt(square / (1 - MEMORY**since) + 1e-30)
        field = field.clip(*bounds)
    return best
