"""Skinning weights that bend: at most four a vertex, smooth, sum 1, exactly mirrored.

Enters: a rest mesh and its skeleton. Leaves: `types.Skin`. The paper's softmax(-d / 0.05) (3D-Fauna eq. 4) bends legs
like paper and lets them pull at each other; here instead

1. every vertex gets its part (`territory`), so a leg's weights end where the leg ends, however near the next one is;
2. the border of a part is diffused over the surface (`borders`);
3. along a part the bones follow one another, a smooth step at each joint (`chain`);
4. every deforming bone is given at least HELD vertices;
5. the legs' weights descend from there until no test bend folds skin or costs a leg its volume (`bends`).

All lengths scale with the animal. Everything is worked out on the fold x >= 0 and copied to the other side.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from backend.rig.bends import fit_limb_weights
from backend.rig.borders import part_shares
from backend.rig.chain import along_chain, smooth_step
from backend.rig.checks import LEAST_SECTION, MOST_VOLUME, BendReport, bend_report, dense_weights
from backend.rig.names import mirror_name
from backend.rig.template import load_quadruped
from backend.rig.territory import Part, fold, part_bones, parts_of
from backend.types import Mesh, Skeleton, Skin

Array = NDArray[np.float64]

INFLUENCES = 4
HELD = 24
"""Vertices that each deforming bone leads, at least, where the mesh has them."""
OWN_HELD = 15
"""Vertices of its own a tail must have a bone, to be content with them."""
MOST_FITS = 5
"""Times that the legs' weights are fitted and pruned, at most: what pruning folds, the next fit mends, until the test bends hold."""
HOPELESS = 0.1
"""Share of its way that a paw goes with its bones, below which nothing more is tried: where a leg's flesh was taken for another part's, no
fit finds it."""
FLIPPED, MARGIN = 0.0006, 0.03
"""Share of triangles turned over in a test bend that is good enough, and how far other measures stay from what must hold."""
LIMBS_FIRST = 3.0
"""How much more a leg's weight counts than the trunk's where there are too many: legs swing further."""


def skin_weights(mesh: Mesh, skeleton: Skeleton, fitted: bool = True) -> Skin:
    """Weights of a closed rest mesh (any unit, object frame, symmetric in x) on a template skeleton (with or without tail).

    fitted: False leaves what geometry alone suggests, enough for a mesh that is yet to change.
    Raises ValueError where the mesh has no vertices or isn't finite. Where `mesh.mirror` is set the skin is mirrored exactly.
    """
    return fitted_weights(mesh, skeleton)[0] if fitted else _first_weights(mesh, skeleton)[0]


def fitted_weights(mesh: Mesh, skeleton: Skeleton) -> tuple[Skin, BendReport]:
    """Weights as of `skin_weights`, and how they bend."""
    skin, trunk = _first_weights(mesh, skeleton)
    found: list[tuple[Skin, BendReport]] = []
    for _ in range(MOST_FITS):
        dense = fit_limb_weights(fold_weights(skin, mesh, skeleton), trunk, mesh, skeleton)
        skin = prune(unfold(dense, mesh, skeleton), skeleton)
        report = bend_report(mesh, skeleton, skin, mirrored=mesh.mirror is not None)
        found.append((skin, report))
        if report.flipped < FLIPPED and report.section > LEAST_SECTION + MARGIN and report.volume < MOST_VOLUME * (1 - MARGIN):
            break
        if report.travel < HOPELESS:
            break
    return min(found, key=lambda pair: pair[1].flipped)


def _first_weights(mesh: Mesh, skeleton: Skeleton) -> tuple[Skin, Array]:
    """What geometry alone suggests, and the (v, b) weights on the fold that there would be without limbs."""
    if not len(mesh.faces) or not np.isfinite(mesh.vertices).all():
        raise ValueError("the mesh is empty or not finite")
    labels = parts_of(mesh, skeleton)
    vertices = fold(mesh.vertices)
    shares = part_shares(mesh, skeleton, labels)
    trunk = _trunk_weights(skeleton, vertices)
    dense = trunk * (1 - np.sum(list(shares.values()), axis=0)).clip(0, 1)[:, None]
    for part, bones in part_bones(skeleton).items():
        dense[:, bones] = shares[part][:, None] * along_chain(skeleton, vertices, bones)
    lead_enough(dense, vertices, skeleton, labels)
    return prune(unfold(dense, mesh, skeleton), skeleton), trunk


def _trunk_weights(skeleton: Skeleton, vertices: Array) -> Array:
    """(v, b) weights as if there were no limbs, sum 1."""
    dense = np.zeros((len(vertices), len(skeleton.names)))
    trunk = [skeleton.names.index(n) for n in ("hips", "spine.001", "spine.002", "spine.003", "chest", "neck.001", "neck.002", "head")]
    dense[:, trunk] = along_chain(skeleton, vertices, trunk)
    head, jaw = skeleton.names.index("head"), skeleton.names.index("jaw")
    lower = _jaw_share(skeleton, vertices)
    dense[:, jaw] = dense[:, head] * lower
    dense[:, head] *= 1 - lower
    return dense


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


def lead_enough(dense: Array, vertices: Array, skeleton: Skeleton, labels: NDArray[np.int64]) -> None:
    """Lets every deforming bone lead HELD vertices a side (2 HELD on the centre line), in place, on the fold: the vertices
    nearest to a bone that leads fewer are drawn to it, fading over as many more.

    A tail that has enough of its own shares them out among its bones, but for the base: what is nearest to a hanging one is the rump.
    """
    home = {bone: part for part, bones in part_bones(skeleton).items() for bone in bones}
    tail = [bone for bone, part in home.items() if part == Part.TAIL]
    own = int((labels == Part.TAIL).sum()) // max(len(tail), 1)
    folded = [i for i, name in enumerate(skeleton.names) if skeleton.deform[i] and not name.endswith(".R")]
    counts = np.bincount(dense.argmax(1), minlength=len(skeleton.names))
    for bone in sorted(folded, key=lambda i: int(counts[i])):
        alone = bone in tail and own >= OWN_HELD
        enough = int(np.clip(own // 2, HELD, 2 * HELD)) if alone else 2 * HELD
        top = dense.argmax(1)
        if int((top == bone).sum()) >= enough:
            continue
        counts = np.bincount(top, minlength=len(skeleton.names))
        gaps = segment_distance(vertices, skeleton.heads[bone], skeleton.tails[bone])
        # Nothing is taken from a bone that has no more than it needs, nor from another leg.
        scarce = (counts[top] < 1.5 * enough) & (top != bone)
        near_by = (Part.TAIL,) if alone and bone != tail[0] else (home.get(bone, Part.TRUNK), Part.TRUNK)
        foreign = ~np.isin(labels, near_by) & (top != bone)
        gaps[scarce | foreign] = np.inf
        near = np.argsort(gaps, kind="stable")[: 2 * enough]
        near = near[np.isfinite(gaps[near])]
        pull = np.interp(np.arange(len(near)), [0, enough, 2 * enough], [0.8, 0.55, 0.0])
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


def fold_weights(skin: Skin, mesh: Mesh, skeleton: Skeleton) -> Array:
    """(v, b) weights on left bones: `unfold` undone."""
    dense = dense_weights(skin, len(skeleton.names))
    swap = np.array([skeleton.names.index(mirror_name(name)) for name in skeleton.names])
    return np.where(mesh.vertices[:, :1] < 0, dense[:, swap], dense)


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
    wanted = dense.copy()
    for family in families(skeleton)[:-1]:
        wanted[:, family] *= LIMBS_FIRST
    bones = np.argsort(-wanted, 1, kind="stable")[:, :INFLUENCES]
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
