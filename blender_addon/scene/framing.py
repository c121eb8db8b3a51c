"""What an artist looks at stands in the part of an editor that its toolbar, sidebar and shelf leave free: they lie over the view.

Pixels, from the lower left corner of the editor's WINDOW region. The camera's view follows Blender's `ED_view3d_calc_camera_border`: the
frame's side along the camera's sensor is as long as the region's times a factor, and its middle is moved by twice the offset times the
region's size times that factor.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import bpy

MARGIN = 12
"""Pixels between a frame and what is beside it."""
GIZMOS = 52
"""Pixels, at the interface's plain size, of the strip at an editor's right in which its navigation gizmos stand; they take clicks."""
LEAST = 0.3
"""Of the region's sides: with less room than this between the others, the whole region is used, as if nothing lay over it."""
ZOOM_RANGE = (-30.0, 600.0)
"""Of `RegionView3D.view_camera_zoom`."""


class Part(NamedTuple):
    """A part of a region."""

    left: float
    bottom: float
    right: float
    top: float

    @property
    def size(self) -> tuple[float, float]:
        """Width and height."""
        return self.right - self.left, self.top - self.bottom

    @property
    def middle(self) -> tuple[float, float]:
        """Its centre."""
        return (self.left + self.right) / 2, (self.bottom + self.top) / 2


def free_part(area: bpy.types.Area) -> Part:
    """The part of an editor's WINDOW region over which no other region lies."""
    window = next(region for region in area.regions if region.type == "WINDOW")
    left, bottom, right, top = 0, 0, window.width, window.height
    for region in area.regions:
        x, y = region.x - window.x, region.y - window.y
        inside = x < window.width and y < window.height and x + region.width > 0 and y + region.height > 0
        if region.type == "WINDOW" or min(region.width, region.height) <= 1 or not inside:
            continue  # one pixel: it is hidden
        if region.alignment == "LEFT":
            left = max(left, x + region.width)
        elif region.alignment == "RIGHT":
            right = min(right, x)
        elif region.alignment == "BOTTOM":
            bottom = max(bottom, y + region.height)
        elif region.alignment == "TOP":
            top = min(top, y)
    if right - left < LEAST * window.width:
        left, right = 0, window.width
    if top - bottom < LEAST * window.height:
        bottom, top = 0, window.height
    return Part(left, bottom, right, top)


def beside_gizmos(area: bpy.types.Area) -> Part:
    """The free part of a 3D viewport or an Image Editor, without the strip of its navigation gizmos."""
    free, space = free_part(area), area.spaces.active
    strip = GIZMOS * bpy.context.preferences.system.ui_scale if space.show_gizmo and space.show_gizmo_navigate else 0.0
    return free._replace(right=free.right - strip)


def look_through(area: bpy.types.Area, camera: bpy.types.Object, size: tuple[int, int]) -> None:
    """Turn a 3D viewport to the scene's camera, its frame as large as it fits between what lies over the view. size: of the render,
    pixels."""
    window, free = next(region for region in area.regions if region.type == "WINDOW"), beside_gizmos(area)
    region = area.spaces.active.region_3d
    region.view_perspective = "CAMERA"
    vertical = camera.data.sensor_fit == "VERTICAL" or (camera.data.sensor_fit == "AUTO" and size[1] > size[0])
    region.view_camera_zoom, region.view_camera_offset = fit_frame((window.width, window.height), free, size, vertical)


def zoom_image(area: bpy.types.Area, size: tuple[int, int]) -> None:
    """Make the picture of an Image Editor as large as it fits between what lies over it; called in the context of that editor. size: of
    the picture, pixels. When that has been drawn, `centre_image` puts it there."""
    free = beside_gizmos(area)
    bpy.ops.image.view_all(fit_view=True)
    bpy.ops.image.view_zoom_ratio(ratio=zoom_of(free, size))


def centre_image(area: bpy.types.Area, size: tuple[int, int]) -> None:
    """Move the picture that `zoom_image` has zoomed into the middle of the free part. Where it is now, Blender tells when it is drawn."""
    window, free = next(region for region in area.regions if region.type == "WINDOW"), beside_gizmos(area)
    now, zoom = window.view2d.view_to_region(0.5, 0.5, clip=False), zoom_of(free, size)
    bpy.ops.image.view_pan(offset=[(here - there) / zoom for here, there in zip(now, free.middle, strict=True)])


def zoom_of(free: Part, size: tuple[int, int]) -> float:
    """Pixels of the screen for one of a picture of this size that fills the part."""
    return min(max(side - 2 * MARGIN, 1) / pixels for side, pixels in zip(free.size, size, strict=True))


def fit_frame(region: tuple[int, int], free: Part, size: tuple[int, int], vertical: bool) -> tuple[float, tuple[float, float]]:
    """Zoom and offset of a camera's view with which a frame of the proportions of `size` fills the free part of a region. vertical: the
    sensor is fitted to the frame's height."""
    width, height = (max(side - 2 * MARGIN, 1) for side in free.size)
    scale = min(width / size[0], height / size[1])
    factor = scale * size[1] / region[1] if vertical else scale * size[0] / region[0]
    zoom = min(max(50 * (2 * math.sqrt(factor) - math.sqrt(2)), ZOOM_RANGE[0]), ZOOM_RANGE[1])
    factor = ((math.sqrt(2) + zoom / 50) / 2) ** 2
    x, y = ((side / 2 - middle) / (2 * side * factor) for side, middle in zip(region, free.middle, strict=True))
    return zoom, (x, y)
