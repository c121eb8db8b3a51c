"""Whether a finished asset's mesh and rig hold what an artist needs: measured on the final rest mesh, skeleton and weights.

Enters: a `types.Asset`. Leaves: numbers and truths by name, for the tables of `python -m backend evaluate` and for tests;
`shortfalls` says in words what isn't reached.
"""

from __future__ import annotations

from backend.rig.apart import legs_apart
from backend.rig.checks import LEAST_HELD, LEAST_SECTION, LEAST_TRAVEL, MOST_FLIPPED, MOST_LEAK, MOST_VOLUME, bend_report
from backend.rig.embed import bones_outside
from backend.shape.checks import measure
from backend.types import Asset

LEAST = {"good_angles": 0.95, "held": LEAST_HELD, "bend_travel": LEAST_TRAVEL, "bend_section": LEAST_SECTION}
MOST = {
    "duplicates": 0, "crossing": 0.005, "bones_outside": 0,
    "bend_flipped": MOST_FLIPPED, "bend_volume": MOST_VOLUME, "bend_leak": MOST_LEAK,
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
