"""Where a new creature stands: at the world's origin, or where something stands already, at the nearest free place beside it.

Enters: an asset and the scene's view layer. Leaves: a spot on the ground (x, y, 0), in the scene's units. Free means that neither the
creature nor its photo's view meets anything: seen through its photo's camera, it would else be hidden. Nothing of the artist's is
moved. What is far larger than the creature (a room, a landscape) is where it stands, not what it meets; so is what lies at its feet.
"""

from __future__ import annotations

from collections.abc import Iterator

import bpy
import numpy as np

from .asset_file import Array, AssetFile
from .view import plane_depth

SOLID = ("MESH", "CURVE", "SURFACE", "META", "FONT", "CURVES", "VOLUME")
"""Types of objects that a creature could stand in."""
SURROUNDING = 5.0
"""Things longer than this many creatures are its surroundings."""
LOW = 0.1
"""Things that rise no higher than this share of the creature's height lie at its feet."""
GAP = 0.2
"""Between a creature and what it stands beside, in body lengths."""
STEP, FAR = 0.25, 15.0
"""How finely, and how far from the origin, places are tried, in body lengths."""
DIRECTIONS = ((1.0, 0.0), (-1.0, 0.0), (0.0, -1.0), (0.0, 1.0))
"""In which order, of places equally far: to the animal's left, to its right, before it, behind it."""
SAMPLES = 5
"""Points a side of a thing's box that are looked for in the photo's view."""


def free_spot(asset: AssetFile, layer: bpy.types.ViewLayer) -> tuple[float, float, float]:
    """The spot for a new creature in this view layer. Where no place leaves the photo's view free, one where the creature at least
    stands free; the origin where there is none either."""
    low, high = asset.vertices.min(0), asset.vertices.max(0)
    boxes = np.array(list(obstacles(layer, low, high)), np.float64).reshape(-1, 2, 3)
    stands = (spot for spot in places() if not meets(low + spot, high + spot, boxes))
    first = next(stands, None)
    if first is None:
        return 0.0, 0.0, 0.0
    points = samples(boxes)
    unhidden = (spot for spot in (first, *stands) if not seen(asset, points - spot))
    x, y, z = next(unhidden, first).tolist()
    return x, y, z


def places() -> Iterator[Array]:
    """Spots (3,) from the origin outward."""
    yield np.zeros(3)
    for distance in np.arange(STEP, FAR + STEP / 2, STEP):
        for x, y in DIRECTIONS:
            yield np.array([x * distance, y * distance, 0.0])


def obstacles(layer: bpy.types.ViewLayer, low: Array, high: Array) -> Iterator[Array]:
    """Boxes (2, 3) in the world of what is to be seen there. low, high (3,): of the creature at the origin."""
    layer.update()  # places of what was made a moment ago
    longest, ankle = float((high - low).max()) * SURROUNDING, low[2] + LOW * (high[2] - low[2])
    for thing in layer.objects:
        if thing.type not in SOLID or not thing.visible_get(view_layer=layer):
            continue
        world = np.array(thing.matrix_world)
        corners = np.array(thing.bound_box) @ world[:3, :3].T + world[:3, 3]
        box = np.stack([corners.min(0), corners.max(0)])
        if float(np.ptp(box, axis=0).max()) <= longest and box[1, 2] > ankle:
            yield box


def meets(low: Array, high: Array, boxes: Array) -> bool:
    """Whether a box (3,), (3,) comes nearer than the gap to one of the boxes (n, 2, 3)."""
    apart = (boxes[:, 0] > high + GAP) | (boxes[:, 1] < low - GAP)
    return bool((~apart.any(1)).any())


def samples(boxes: Array) -> Array:
    """(n, 2, 3) -> points (m, 3) spread through the boxes."""
    shares = np.stack(np.meshgrid(*[np.linspace(0, 1, SAMPLES)] * 3, indexing="ij"), -1).reshape(-1, 3)
    return (boxes[:, None, 0] + shares * (boxes[:, None, 1] - boxes[:, None, 0])).reshape(-1, 3)


def seen(asset: AssetFile, points: Array) -> bool:
    """Whether one of the points (m, 3), where the creature stands at the origin, is in the photo's view before the photo's plane."""
    camera = points @ asset.blender_to_camera[:3, :3].T + asset.blender_to_camera[:3, 3]
    ahead = camera[(camera[:, 2] > 0) & (camera[:, 2] < plane_depth(asset))]
    across = np.abs(ahead[:, :2]) * asset.focal_px / ahead[:, 2:]
    return bool((across < np.array([asset.width, asset.height]) / 2).all(1).any())
