"""What is looked at stands beside the sidebar, not under it. That Blender draws it there is seen in a real window (tests/gui)."""

from __future__ import annotations

import math

import bpy
import pytest

from blender_addon.scene import framing
from blender_addon.scene.framing import MARGIN, Part

pytestmark = pytest.mark.blender5

REGION = (1048, 690)


def frame_of(zoom: float, offset: tuple[float, float], size: tuple[int, int], vertical: bool) -> Part:
    """Where Blender draws the camera's frame in a region of `REGION`: see the module's formula."""
    factor = (math.sqrt(2) + zoom / 50) ** 2 / 4
    side = factor * (REGION[1] / size[1] if vertical else REGION[0] / size[0])
    x, y = (length / 2 - 2 * length * factor * share for length, share in zip(REGION, offset, strict=True))
    width, height = side * size[0], side * size[1]
    return Part(x - width / 2, y - height / 2, x + width / 2, y + height / 2)


@pytest.mark.parametrize(("size", "vertical"), [((900, 600), False), ((600, 900), True), ((300, 900), True), ((1600, 200), False)])
@pytest.mark.parametrize("free", [Part(0, 0, *REGION), Part(56, 0, 764, 664), Part(400, 200, 1000, 690)])
def test_the_frame_fills_the_free_part_of_the_view(size: tuple[int, int], vertical: bool, free: Part) -> None:
    frame = frame_of(*framing.fit_frame(REGION, free, size, vertical), size, vertical)
    assert frame.middle == pytest.approx(free.middle)
    gaps = [(outer - inner) / 2 for outer, inner in zip(free.size, frame.size, strict=True)]
    assert min(gaps) == pytest.approx(MARGIN), "as large as it fits"


def test_a_frame_that_cannot_be_made_so_small_or_large_is_still_in_the_middle() -> None:
    free = Part(56, 0, 764, 664)
    for size, vertical in (((4, 100000), False), ((100000, 4), True)):
        zoom, offset = framing.fit_frame(REGION, free, size, vertical)
        assert framing.ZOOM_RANGE[0] <= zoom <= framing.ZOOM_RANGE[1]
        assert frame_of(zoom, offset, size, vertical).middle == pytest.approx(free.middle)


@pytest.mark.parametrize("gizmos", [True, False])
@pytest.mark.parametrize(("fit", "vertical"), [("HORIZONTAL", False), ("VERTICAL", True), ("AUTO", True)])
def test_the_viewport_looks_through_the_camera_beside_its_gizmos(fit: str, vertical: bool, gizmos: bool) -> None:
    bpy.ops.wm.read_factory_settings()
    area = next(area for area in bpy.context.screen.areas if area.type == "VIEW_3D")
    window = next(region for region in area.regions if region.type == "WINDOW")
    camera, region = bpy.context.scene.camera, area.spaces.active.region_3d
    camera.data.sensor_fit, area.spaces.active.show_gizmo_navigate = fit, gizmos
    framing.look_through(area, camera, (600, 900))
    free = framing.free_part(area)
    if gizmos:
        free = free._replace(right=free.right - framing.GIZMOS * bpy.context.preferences.system.ui_scale)
    zoom, offset = framing.fit_frame((window.width, window.height), free, (600, 900), vertical)
    assert region.view_perspective == "CAMERA" and region.view_camera_zoom == pytest.approx(zoom)
    assert tuple(region.view_camera_offset) == pytest.approx(offset, abs=1e-6)


class Region:
    """Stands for a region: `bpy.types.Region` can be neither made nor resized without a window."""

    def __init__(self, kind: str, alignment: str, x: int, y: int, width: int, height: int) -> None:
        self.type, self.alignment, self.x, self.y, self.width, self.height = kind, alignment, x, y, width, height


def test_what_lies_over_the_view_is_left_out_and_what_is_hidden_or_beside_it_is_not() -> None:
    class Area:
        regions = [
            Region("WINDOW", "NONE", 2, 60, 1000, 700),
            Region("HEADER", "TOP", 2, 760, 1000, 26),
            Region("TOOL_HEADER", "TOP", 2, 734, 1000, 26),
            Region("TOOLS", "LEFT", 2, 60, 56, 674),
            Region("UI", "RIGHT", 752, 60, 250, 674),
            Region("ASSET_SHELF", "BOTTOM", 2, 60, 1, 1),
            Region("HUD", "FLOAT", 70, 70, 200, 100),
        ]

    assert framing.free_part(Area) == Part(56, 0, 750, 674)
    Area.regions[5] = Region("ASSET_SHELF", "BOTTOM", 2, 60, 1000, 90)
    assert framing.free_part(Area) == Part(56, 90, 750, 674)
    Area.regions[4] = Region("UI", "RIGHT", 202, 60, 800, 674)
    assert framing.free_part(Area) == Part(0, 90, 1000, 674), "a sidebar over nearly all of it leaves no room to stand in"
