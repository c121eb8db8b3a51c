"""Whether a finished asset's mesh and rig hold what an artist needs: measured on the final rest mesh, skeleton and weights.

Enters: a `types.Asset`. Leaves: numbers and truths by name, for the tables of `python -m backend evaluate` and for tests;
`shortfalls` says in words what isn't reached.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from backend.rig.checks import bend_report
from backend.rig.embed import contains
from backend.shape.checks import cut_loops, measure
from backend.types import Asset, Mesh, Skeleton

ALONG = np.linspace(0.02, 0.98, 9)
"""Where along a bone it is asked whether it lies inside."""
SHINS = ("front_shin", "shin")

LEAST = {"good_angles": 0.95, "held": 20, "bend_travel": 0.9, "bend_section": 0.6}
MOST = {
    "duplicates": 0, "crossing": 0.005, "bones_outside": 0, "bend_flipped": 0.001, "bend_volume": 0.1, "bend_leak": 0.005,
}  # fmt: skip
TRUE = ("one_piece", "closed", "genus_0", "mirrored", "legs_apart")


def check_asset(asset: Asset) -> dict[str, float | bool]:
    """All numbers; a second for 8,000 triangles.

    triangles, duplicates (vertices), crossing and good_angles (shares of faces), bones_outside (deforming bones with a part outside
    the mesh), held (least number of vertices that a deforming bone has a weight on); one_piece, closed, genus_0, mirrored;
    legs_apart: a cut half way up the shins runs round each leg by itself; bend_*: the worst of `rig.checks.BendReport`.
    """
    mesh, skeleton = asset.mesh, asset.skeleton
    shape = measure(mesh.vertices, mesh.faces, mesh.mirror)
    bends = bend_report(mesh, skeleton, asset.skin)
    return {
        "triangles": float(shape.triangles),
        "one_piece": shape.components == 1,
        "closed": shape.closed,
        "genus_0": shape.genus == 0,
        "mirrored": bool(shape.mirrored),
        "duplicates": float(shape.duplicate_vertices),
        "crossing": shape.intersecting_share,
        "good_angles": shape.good_angles,
        "bones_outside": float(len(bones_outside(mesh, skeleton))),
        "held": float(min(bends.held.values())),
        "legs_apart": legs_apart(mesh, skeleton),
        "bend_travel": bends.travel,
        "bend_flipped": bends.flipped,
        "bend_section": bends.section,
        "bend_volume": bends.volume,
        "bend_leak": bends.leak,
    }


def shortfalls(found: dict[str, float | bool]) -> list[str]:
    """What isn't reached, as "name value (limit)"."""
    low = [f"{name} {found[name]:.4g} (at least {limit})" for name, limit in LEAST.items() if found[name] < limit]
    high = [f"{name} {found[name]:.4g} (at most {limit})" for name, limit in MOST.items() if found[name] > limit]
    return low + high + [f"not {name}" for name in TRUE if not found[name]]


def bones_outside(mesh: Mesh, skeleton: Skeleton) -> list[str]:
    """Names of deforming bones that leave the mesh somewhere between their ends."""
    deforming = np.flatnonzero(skeleton.deform)
    heads, tails = skeleton.heads[deforming, None], skeleton.tails[deforming, None]
    points = heads + (tails - heads) * ALONG[:, None]  # (b, n, 3)
    inside = contains(mesh, points.reshape(-1, 3)).reshape(len(deforming), len(ALONG))
    return [skeleton.names[bone] for bone, row in zip(deforming, inside, strict=True) if not row.all()]


def legs_apart(mesh: Mesh, skeleton: Skeleton) -> bool:
    """True if a level cut at the lower of the two mid-shin heights has four loops, each round one leg's bones alone.

    A tail or a belly that hangs as low has loops of its own there, which don't count.
    """
    names = skeleton.names
    middles = {f"{shin}.{side}": (skeleton.heads + skeleton.tails)[names.index(f"{shin}.{side}")] / 2 for shin in SHINS for side in "LR"}
    height = float(min(middle[1] for middle in middles.values()))
    places = [_crossing(skeleton, shin, height) for shin in middles]
    loops = cut_loops(mesh.vertices, mesh.faces, height)
    owners = []
    for place in places:
        # Points of a loop come in no order: a place belongs to the loop that goes round it, seen from there.
        round_it = [i for i, loop in enumerate(loops) if _surrounds(loop[:, [0, 2]] - place)]
        owners.append(min(round_it, key=lambda i: float(np.ptp(loops[i], axis=0).max()), default=-1))
    return -1 not in owners and len(set(owners)) == len(places)


def _crossing(skeleton: Skeleton, shin: str, height: float) -> NDArray[np.float64]:
    """(2,) x and z where a leg, from its shin down, passes a height."""
    base, side = shin.rsplit(".", 1)
    chain = [shin, f"{base.replace('shin', 'foot')}.{side}", f"{base.replace('shin', 'toe')}.{side}"]
    for name in chain:
        head, tail = skeleton.heads[skeleton.names.index(name)], skeleton.tails[skeleton.names.index(name)]
        if min(head[1], tail[1]) <= height <= max(head[1], tail[1]):
            share = (height - head[1]) / (tail[1] - head[1]) if tail[1] != head[1] else 0.0
            return np.asarray((head + share * (tail - head))[[0, 2]], np.float64)
    return np.asarray(((skeleton.heads + skeleton.tails) / 2)[skeleton.names.index(shin)][[0, 2]], np.float64)


def _surrounds(offsets: NDArray[np.float64]) -> bool:
    """True if (n, 2) offsets leave no half circle free: the origin lies in their midst."""
    angles = np.sort(np.arctan2(offsets[:, 1], offsets[:, 0]))
    return bool(np.diff(np.concatenate([angles, angles[:1] + 2 * np.pi])).max() < np.pi)
