"""Skinning weights that bend: at most four a vertex, smooth, sum 1, exactly mirrored.

Enters: a rest mesh and its skeleton. Leaves: `types.Skin`. The paper's softmax(-d / 0.05) (3D-Fauna eq. 4) bends legs
like paper and lets them pull at each other; here instead

1. every vertex gets its part (`territory`), so a leg's weights end where the leg ends, however near the next one is;
2. the border of a part is diffused over the surface, (M + l^2 L) m = M p as in bone heat (Baran and Popovic 2007), with
   l of the limb's own thickness, held at 0 on the plane of symmetry so that left and right never share a vertex;
3. along a part the bones follow one another: at each joint a smooth step across the plane that halves the joint, so the joint's
   own section is half and half and keeps cos(bend / 2) of its area; the step widens with the distance from the hinge, most on the
   side that is pressed together, so nothing folds over and little volume is lost (`folding_step`);
4. vertices of triangles that still turn over in test bends are smoothed (`relax`);
5. every deforming bone is given at least HELD vertices.

All lengths scale with the animal. Everything is worked out on the fold x >= 0 and copied to the other side.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix, csr_matrix, diags
from scipy.sparse.linalg import splu
from scipy.spatial import cKDTree

from backend.rig.checks import CROUCH_SIGNS
from backend.rig.names import mirror_name, parse_name
from backend.rig.relax import relax
from backend.rig.skeleton import rest_matrices
from backend.rig.template import load_quadruped
from backend.rig.territory import Part, fold, inscribed_radius, part_bones, parts_of
from backend.types import Mesh, Skeleton, Skin

Array = NDArray[np.float64]

INFLUENCES = 4
HELD = 24
"""Vertices that each deforming bone leads, at least, where the mesh has them."""
FIRST_BONES = {Part.FRONT: 2, Part.HIND: 1, Part.TAIL: 1, Part.EAR: 1}
"""Bones of a part that lie in the trunk, or begin there."""
DIFFUSION = 0.8
"""Diffusion length at a part's border, in inscribed radii of its first bones."""
BORDER_WIDTH = {Part.FRONT: 0.75, Part.HIND: 0.7, Part.TAIL: 0.8, Part.EAR: 0.5}
"""Half width of a part's border, in distances from its first joints."""
FOLD_PRESSURE = 0.8
"""Share of the steepest step without folding that `folding_step` takes: less is wider and loses more volume."""
BEND_WIDTH = 0.5
"""Half width of the ramp at a joint, in distances from the bone, where it is bent by 40 degrees at most or skin is stretched. A turn
by a presses skin at depth q together by 2 q sin(a / 2) w' against cos(a / 2) that is left of it, so w' must stay below 1.37 / q
at 40 degrees; the ramp's steepest slope is 0.59 over its half width. Wider would lose volume."""
ROUNDED = 0.15
"""Of the ramp, at either end."""
LEAST_WIDTH = 0.35
"""Half width at the hinge itself, in inscribed radii."""
BONE_SHARE, FOLD_SHARE = 0.45, 0.9
"""Largest half width, in the shorter of the two bones' lengths: of other joints, and of those that fold."""


def skin_weights(mesh: Mesh, skeleton: Skeleton) -> Skin:
    """Weights of a closed rest mesh (any unit, object frame, symmetric in x) on a template skeleton (with or without tail).

    Raises ValueError where the mesh has no vertices or isn't finite. Where `mesh.mirror` is set the skin is mirrored exactly.
    """
    if not len(mesh.faces) or not np.isfinite(mesh.vertices).all():
        raise ValueError("the mesh is empty or not finite")
    labels = parts_of(mesh, skeleton)
    vertices = fold(mesh.vertices)
    dense = _folded_weights(mesh, skeleton, vertices, part_shares(mesh, skeleton, labels))
    lead_enough(dense, vertices, skeleton, labels)
    dense = relax(dense, mesh, skeleton)
    return prune(unfold(dense, mesh, skeleton), skeleton)


def laplacian(mesh: Mesh) -> tuple[csr_matrix, Array]:
    """Cotangent Laplacian (v, v), positive semidefinite and without negative weights, and vertex areas (v,)."""
    vertices, count = mesh.vertices.astype(np.float64), len(mesh.vertices)
    rows, columns, weights = [], [], []
    areas = np.zeros(count)
    for k in range(3):
        i, j, o = mesh.faces[:, k], mesh.faces[:, (k + 1) % 3], mesh.faces[:, (k + 2) % 3]
        a, b = vertices[i] - vertices[o], vertices[j] - vertices[o]
        double = np.linalg.norm(np.cross(a, b), axis=1).clip(1e-12)
        rows += [i, j]
        columns += [j, i]
        weights += [((a * b).sum(1) / double / 2).clip(0.02, 10.0)] * 2
        np.add.at(areas, o, double / 6)
    edges = coo_matrix((np.concatenate(weights), (np.concatenate(rows), np.concatenate(columns))), (count, count)).tocsr()
    return (diags(np.asarray(edges.sum(1)).ravel()) - edges).tocsr(), areas.clip(1e-12)


def part_shares(mesh: Mesh, skeleton: Skeleton, labels: NDArray[np.int64]) -> dict[Part, Array]:
    """(v,) of each limb on the fold: how much of a vertex belongs to it; their sum is at most 1.

    The diffused label is 1 - exp(-s / l) / 2 at a distance s inside the border and exp(s / l) / 2 outside (Varadhan), so it
    gives back a smooth signed distance along the surface; a step of finite width over it ends where it should.
    """
    stiffness, areas = laplacian(mesh)
    vertices = fold(mesh.vertices)
    tree = cKDTree(vertices)
    on_plane = mesh.vertices[:, 0] == 0
    shares = {}
    for part, bones in part_bones(skeleton).items():
        first = bones[: FIRST_BONES[part]]
        middles = (skeleton.heads[first] + skeleton.tails[first]).astype(np.float64) / 2
        radius = float(inscribed_radius(middles, tree).mean())
        length = DIFFUSION * radius
        system = (diags(areas) + length**2 * stiffness).tocsc()
        source = areas * (labels == part)
        if part != Part.TAIL:
            # The plane of symmetry is no limb's: a paired limb's share must be 0 there.
            source[on_plane] = 0
            system = system + diags(np.where(on_plane, 1e6 * areas.max(), 0))
        inside = splu(system.tocsc()).solve(source).clip(1e-12, 1 - 1e-12)
        distance = length * np.where(inside > 0.5, -np.log(2 * (1 - inside)), np.log(2 * inside))
        # A turn about a joint moves skin in proportion to its distance, and so must the border widen.
        joints = skeleton.heads[first].astype(np.float64)
        reach = np.mean([np.linalg.norm(vertices - joint, axis=1) for joint in joints], 0)
        width = np.clip(BORDER_WIDTH[part] * reach, 0.5 * radius, 3.0 * radius)
        shares[part] = ramp(distance / (2 * width) + 0.5)
        shares[part][on_plane] *= part == Part.TAIL
    total = np.maximum(np.sum(list(shares.values()), axis=0), 1.0)
    return {part: share / total for part, share in shares.items()}


def _folded_weights(mesh: Mesh, skeleton: Skeleton, vertices: Array, shares: dict[Part, Array]) -> Array:
    """(v, b) weights with all limbs' on the left bones."""
    dense = np.zeros((len(vertices), len(skeleton.names)))
    limbs = part_bones(skeleton)
    for part, bones in limbs.items():
        dense[:, bones] = shares[part][:, None] * along_chain(skeleton, vertices, bones)
    rest = (1 - np.sum(list(shares.values()), axis=0)).clip(0, 1)
    trunk = [skeleton.names.index(n) for n in ("hips", "spine.001", "spine.002", "spine.003", "chest", "neck.001", "neck.002", "head")]
    dense[:, trunk] = rest[:, None] * along_chain(skeleton, vertices, trunk)
    head, jaw = skeleton.names.index("head"), skeleton.names.index("jaw")
    lower = _jaw_share(skeleton, vertices)
    dense[:, jaw] = dense[:, head] * lower
    dense[:, head] *= 1 - lower
    return dense


def along_chain(skeleton: Skeleton, vertices: Array, bones: list[int]) -> Array:
    """(v, n) shares of n bones in a row, sum 1, at vertices (v, 3) with x >= 0."""
    result = np.ones((len(vertices), len(bones)))
    tree = cKDTree(vertices)
    frames = rest_matrices(skeleton)
    lengths = np.linalg.norm(skeleton.tails - skeleton.heads, axis=1)
    for place in range(1, len(bones)):
        above, bone = bones[place - 1], bones[place]
        normal = frames[above, :3, 1] + frames[bone, :3, 1]
        normal /= np.linalg.norm(normal).clip(1e-9)
        offset = vertices - frames[bone, :3, 3]
        height = offset @ normal
        base = parse_name(skeleton.names[bone]).base
        shorter = float(min(lengths[above], lengths[bone]))
        if parse_name(skeleton.names[bone]).side:
            sign = CROUCH_SIGNS.get(base, 1.0)
            pressed = [sign * offset @ np.cross(frames[bone, :3, 0], frames[b, :3, 1]) for b in (above, bone)]
            depth = np.where(height < 0, pressed[0], pressed[1])  # from the bone, towards the side that a fold presses
            folds = (depth > 0) & (base in CROUCH_SIGNS)
            slope = np.where(folds, FOLD_REACH, BEND_WIDTH)
            radius = float(inscribed_radius(frames[bone, None, :3, 3], tree)[0])
            most = shorter * (FOLD_SHARE if base in CROUCH_SIGNS else BONE_SHARE)
            # Where the limb is bent at rest its skin runs aslant to the plane's normal.
            aslant = float(frames[bone, :3, 1] @ normal)
            width = aslant * np.minimum(np.hypot(slope * depth, LEAST_WIDTH * radius), most)
            steps = np.where(folds, folding_step(height / width), ramp(height / (2 * width) + 0.5))
        else:
            steps = ramp(height / (2 * BONE_SHARE * shorter) + 0.5)
        result[:, place - 1] *= 1 - steps
        result[:, place:] *= steps[:, None]
    return result


def _steepest_step() -> tuple[Array, Array]:
    """Places x >= 0, in depths, and the step there: the solution of w' = c (1 - 2 w (1 - w)) / (1 - x (2 w - 1)), w(0) = 1/2.

    A right angle's blended matrix at weight w shrinks skin along the bone by 1 - 2 w (1 - w), and the step itself presses skin
    at depth 1 together by w' (1 - x (2 w - 1)): with c = FOLD_PRESSURE = 1 the pressed skin would just be creased to a point.
    """
    places, step = [0.0], [0.5]
    while step[-1] < 1:
        x, w = places[-1], step[-1]
        places.append(x + 1e-3)
        step.append(w + 1e-3 * FOLD_PRESSURE * (1 - 2 * w * (1 - w)) / (1 - x * (2 * w - 1)))
    return np.array(places), np.minimum(step, 1.0)


FOLD_PLACES, FOLD_STEP = _steepest_step()
FOLD_REACH = float(FOLD_PLACES[-1])
"""Half width of `folding_step` in distances from the bone."""


def folding_step(x: Array) -> Array:
    """0 below -1, 1 above 1: the narrowest step that lets pressed skin survive a right angle (`_steepest_step`), over its half width."""
    half = np.interp(np.abs(x) * FOLD_REACH, FOLD_PLACES, FOLD_STEP)
    return np.asarray(np.where(x < 0, 1 - half, half))


def _jaw_share(skeleton: Skeleton, vertices: Array) -> Array:
    """(v,) share of the head's weight that the jaw takes: below the mouth's plane and in front of the hinge."""
    hinge, chin = (array[skeleton.names.index("jaw")].astype(np.float64) for array in (skeleton.heads, skeleton.tails))
    muzzle = skeleton.tails[skeleton.names.index("head")].astype(np.float64)
    mouth = (muzzle + chin) / 2 - hinge
    reach = float(np.linalg.norm(mouth))
    mouth /= max(reach, 1e-9)
    below = chin - muzzle - ((chin - muzzle) @ mouth) * mouth
    gap = float(np.linalg.norm(below))
    below /= max(gap, 1e-9)
    offset = vertices - hinge
    depth = smooth_step((offset @ below) / max(0.7 * gap, 1e-9) + 0.5)
    return np.asarray(depth * smooth_step((offset @ mouth) / (0.4 * reach) + 0.25))


def smooth_step(x: Array) -> Array:
    """0 below 0, 1 above 1, 3x^2 - 2x^3 between."""
    x = x.clip(0, 1)
    return np.asarray(x * x * (3 - 2 * x))


def ramp(x: Array) -> Array:
    """0 below 0, 1 above 1, straight between but for the first and last ROUNDED of the way."""
    x = x.clip(0, 1)
    low = np.minimum(x, 1 - x)
    rise = np.where(low < ROUNDED, low * low / (2 * ROUNDED), low - ROUNDED / 2) / (1 - ROUNDED)
    return np.asarray(np.where(x < 0.5, rise, 1 - rise))


def lead_enough(dense: Array, vertices: Array, skeleton: Skeleton, labels: NDArray[np.int64]) -> None:
    """Lets every deforming bone lead HELD vertices a side (2 HELD on the centre line), in place, on the fold: the vertices
    nearest to a bone that leads fewer are drawn to it, fading over as many more."""
    home = {bone: part for part, bones in part_bones(skeleton).items() for bone in bones}
    folded = [i for i, name in enumerate(skeleton.names) if skeleton.deform[i] and not name.endswith(".R")]
    counts = np.bincount(dense.argmax(1), minlength=len(skeleton.names))
    for bone in sorted(folded, key=lambda i: int(counts[i])):
        top = dense.argmax(1)
        if int((top == bone).sum()) >= 2 * HELD:
            continue
        counts = np.bincount(top, minlength=len(skeleton.names))
        gaps = segment_distance(vertices, skeleton.heads[bone], skeleton.tails[bone])
        # Nothing is taken from a bone that has no more than it needs, nor from another leg.
        scarce = (counts[top] < 3 * HELD) & (top != bone)
        foreign = ~np.isin(labels, (home.get(bone, Part.TRUNK), Part.TRUNK)) & (top != bone)
        gaps[scarce | foreign] = np.inf
        near = np.argsort(gaps, kind="stable")[: 4 * HELD]
        near = near[np.isfinite(gaps[near])]
        pull = np.interp(np.arange(len(near)), [0, 2 * HELD, 4 * HELD], [0.8, 0.55, 0.0])
        wanted = np.maximum(dense[near, bone], pull)
        others = dense[near].copy()
        others[:, bone] = 0
        others *= ((1 - wanted) / others.sum(1).clip(1e-9))[:, None]
        others[:, bone] = np.where(others.sum(1) > 0, wanted, 1.0)
        dense[near] = others / others.sum(1, keepdims=True)


def segment_distance(points: Array, head: NDArray[np.floating], tail: NDArray[np.floating]) -> Array:
    """(n,) distance from points (n, 3) to the segment head-tail."""
    along = (tail - head).astype(np.float64)
    share = ((points - head) @ along / max(float(along @ along), 1e-12)).clip(0, 1)
    return np.linalg.norm(points - head - share[:, None] * along, axis=1)


def unfold(dense: Array, mesh: Mesh, skeleton: Skeleton) -> Array:
    """(v, b) weights on left bones -> on each vertex's own side; half and half on the plane of symmetry."""
    swap = np.array([skeleton.names.index(mirror_name(name)) for name in skeleton.names])
    x = mesh.vertices[:, 0]
    result = np.where(x[:, None] < 0, dense[:, swap], dense)
    return np.where(x[:, None] == 0, (dense + dense[:, swap]) / 2, result)


def prune(dense: Array, skeleton: Skeleton) -> Skin:
    """The INFLUENCES largest weights of each vertex, sum 1. Unused places hold bone 0 with weight 0.

    What the dropped bones of a limb, or of the trunk, had goes to the limb's (or the trunk's) bones that are kept: where a leg ends
    smoothly over many bones of the trunk its own weight must not jump, or a swing would crease the skin there.
    """
    dense = np.where(dense < 1e-4, 0, dense)
    bones = np.argsort(-dense, 1, kind="stable")[:, :INFLUENCES]
    kept = np.zeros_like(dense)
    np.put_along_axis(kept, bones, np.take_along_axis(dense, bones, 1), 1)
    for family in families(skeleton):
        whole, left = dense[:, family].sum(1), kept[:, family].sum(1)
        kept[:, family] *= np.where(left > 0, whole / left.clip(1e-12), 1)[:, None]
    weights = np.take_along_axis(kept, bones, 1)
    weights = (weights / weights.sum(1, keepdims=True)).astype(np.float32)
    weights /= weights.sum(1, keepdims=True)
    return Skin(np.where(weights > 0, bones, 0).astype(np.int32), np.ascontiguousarray(weights, np.float32))


def families(skeleton: Skeleton) -> list[list[int]]:
    """Bones of each limb, either side's by themselves; the trunk's, with neck, head and tail, come last."""
    template = load_quadruped()
    groups: dict[str, list[int]] = {}
    for number, name in enumerate(skeleton.names):
        group = template.bones[template.bone_index[name]].group
        groups.setdefault(group if "leg" in group else "", []).append(number)
    return sorted(groups.values(), key=lambda family: family == groups[""])
