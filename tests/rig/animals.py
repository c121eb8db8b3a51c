"""Made-up quadrupeds of different build, as rest points and as closed meshes: the rig's tests share them.

Object frame. Points are drawn for a withers-to-tail length of about 1 and scaled at the end. Bodies are smooth unions
of round cones along the bones, so every bone is inside and every part's thickness is known.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from backend.rig.skeleton import half_to_points, settle_points
from backend.rig.template import load_quadruped
from backend.shape.cleanup import clean
from backend.shape.extract import extract
from backend.types import Mesh

CENTRE = {
    "pelvis": (0.86, 0.0), "spine1": (0.87, 0.16), "spine2": (0.87, 0.33), "spine3": (0.87, 0.5), "chest": (0.88, 0.66),
    "withers": (0.92, 0.83), "neck_mid": (1.12, 0.98), "poll": (1.3, 1.1), "muzzle": (1.16, 1.45), "jaw_hinge": (1.2, 1.14),
    "chin": (1.09, 1.36), "tail0": (0.86, -0.165), "tail1": (0.78, -0.25), "tail2": (0.68, -0.29), "tail3": (0.58, -0.31),
    "tail4": (0.47, -0.32),
}  # fmt: skip
LEFT = {
    "ear_base": (0.06, 1.34, 1.1), "ear_tip": (0.13, 1.47, 1.08), "scapula": (0.1, 0.88, 0.78), "shoulder": (0.13, 0.65, 0.88),
    "elbow": (0.13, 0.5, 0.76), "wrist": (0.13, 0.28, 0.79), "front_knuckle": (0.13, 0.1, 0.78), "front_tip": (0.13, 0.04, 0.86),
    "hip": (0.12, 0.78, -0.04), "knee": (0.14, 0.52, 0.09), "hock": (0.14, 0.32, -0.12), "hind_knuckle": (0.14, 0.1, -0.08),
    "hind_tip": (0.14, 0.04, 0.01),
}  # fmt: skip
STRAIGHT = {
    "shoulder": (0.13, 0.7, 0.8), "elbow": (0.13, 0.5, 0.8), "wrist": (0.13, 0.28, 0.8), "front_knuckle": (0.13, 0.1, 0.8),
    "hip": (0.12, 0.78, -0.04), "knee": (0.125, 0.52, -0.04), "hock": (0.13, 0.32, -0.04), "hind_knuckle": (0.135, 0.1, -0.04),
}  # fmt: skip

BUILDS = {
    # legs thick by, trunk thick by, blend of parts, stance wide by
    "horse": (1.0, 1.0, 0.03, 1.0),
    "column": (1.7, 1.15, 0.04, 1.45),
    "low": (1.1, 0.95, 0.03, 1.15),
    "thin": (0.7, 0.8, 0.02, 0.9),
    "bear": (1.5, 1.15, 0.04, 1.4),
}


def rest_points(build: str = "horse", scale: float = 1.0) -> NDArray[np.float64]:
    """(42, 3): "horse", "thin" (long legs and neck), "column" (straight thick legs, as an elephant's), "bear" (thick all
    over), "low" (short legs), "jitter" (an unsure network's)."""
    template = load_quadruped()
    centre = np.array([CENTRE[name] for name in template.centre_points])
    joints = LEFT | (STRAIGHT if build == "column" else {})
    left = np.array([joints[name] for name in template.paired_points])
    if build == "low":
        legs = left[:, 1] < 0.6
        left[legs, 1] *= 0.55
        left[~legs, 1] -= 0.6 * 0.45
        centre[:, 0] -= 0.6 * 0.45
    if build == "thin":
        centre[template.centre_points.index("neck_mid") : 11, 0] += 0.25
        left[: template.paired_points.index("scapula"), 1] += 0.25
    left[template.paired_points.index("scapula") :, 0] *= BUILDS.get(build, BUILDS["horse"])[3]
    if build == "jitter":
        noise = np.random.default_rng(5)
        centre += noise.normal(size=centre.shape) * 0.03
        left += noise.normal(size=left.shape) * 0.03
    points = half_to_points(torch.from_numpy(centre), torch.from_numpy(left))
    return np.asarray((points * scale).numpy())


def round_cone(p: Tensor, start: NDArray[np.float64], end: NDArray[np.float64], r0: float, r1: float) -> Tensor:
    """(n, 3) -> (n,) signed distance, positive inside, to spheres swept along a segment."""
    a, b = torch.from_numpy(start).float(), torch.from_numpy(end).float()
    t = (((p - a) @ (b - a)) / (b - a).square().sum()).clamp(0, 1)
    return r0 + (r1 - r0) * t - (p - a - t[:, None] * (b - a)).norm(dim=1)


def body_distance(p: Tensor, points: NDArray[np.float64], build: str) -> Tensor:
    """(n, 3) -> (n,) signed distance, positive inside, of the whole body; symmetric in x."""
    legs, trunk, blend, _ = BUILDS[build]
    index = load_quadruped().point_index
    p = torch.cat([p[:, :1].abs(), p[:, 1:]], 1)

    def cone(start: str, end: str, r0: float, r1: float) -> Tensor:
        ends = [points[index[name if name in index else f"{name}.L"]] for name in (start, end)]
        return round_cone(p, ends[0], ends[1], r0, r1)

    rump, breast = points[index["pelvis"]].copy(), points[index["withers"]].copy()
    rump[1] -= 0.14 * trunk
    breast[1] -= 0.2 * trunk
    toe = legs if build != "column" else 1.3
    parts = [
        round_cone(p, rump, breast, 0.19 * trunk, 0.19 * trunk),
        cone("pelvis", "withers", 0.07, 0.06),
        cone("withers", "neck_mid", 0.12 * trunk, 0.09 * trunk), cone("neck_mid", "poll", 0.09 * trunk, 0.075),
        cone("poll", "muzzle", 0.085, 0.05), cone("jaw_hinge", "chin", 0.05, 0.035), cone("ear_base", "ear_tip", 0.035, 0.022),
        cone("tail0", "tail1", 0.045, 0.035), cone("tail1", "tail2", 0.035, 0.03), cone("tail2", "tail3", 0.03, 0.028),
        cone("tail3", "tail4", 0.028, 0.025),
        cone("scapula", "shoulder", 0.07, 0.085 * trunk), cone("shoulder", "elbow", 0.085 * trunk, 0.06 * legs),
        cone("elbow", "wrist", 0.055 * legs, 0.04 * legs), cone("wrist", "front_knuckle", 0.038 * legs, 0.034 * toe),
        cone("front_knuckle", "front_tip", 0.036 * toe, 0.034 * toe),
        cone("hip", "knee", 0.12 * trunk, 0.075 * legs), cone("knee", "hock", 0.065 * legs, 0.042 * legs),
        cone("hock", "hind_knuckle", 0.04 * legs, 0.034 * toe), cone("hind_knuckle", "hind_tip", 0.036 * toe, 0.034 * toe),
    ]  # fmt: skip
    return blend * torch.logsumexp(torch.stack(parts) / blend, 0)


@cache
def animal(build: str = "horse", triangles: int = 8000, cells: int = 128) -> tuple[Mesh, NDArray[np.float64]]:
    """The mesh, scaled to the network's box (bounding diagonal 4.6, centred in y and z), and its settled rest points."""
    points = settle_points(torch.from_numpy(rest_points(build))[None])[0].numpy()
    low, high = points.min(0) - 0.08, points.max(0) + 0.08
    scale = 4.6 / float(np.linalg.norm(high - low))
    middle = np.array([0.0, (low[1] + high[1]) / 2, (low[2] + high[2]) / 2])

    def distance(p: Tensor) -> Tensor:
        return body_distance(p / scale + torch.from_numpy(middle).float(), points, build) * scale

    mesh = clean(extract(distance, cells, 1.3), distance, triangles)
    return mesh, (points - middle) * scale
