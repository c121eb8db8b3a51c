"""Steps with masks: one is painted, and one of two animals is picked with a click."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bpy

from tests.gui import artist
from tests.gui.artist import DRAWN_SECONDS, WAIT_SECONDS, call, check, close_second_window, module, picture, press_at, wait_up_to


def paint_a_mask() -> Iterator[float]:
    """An editor opens with the photo, and a brush of ours in the hand; the artist's own are as before."""
    painting = bpy.context.scene.tool_settings.image_paint
    theirs = {brush.name: brush.blend for brush in bpy.data.brushes}
    call(bpy.ops.menagerie.paint_mask, "INVOKE_DEFAULT", True)
    yield from wait_up_to(lambda: painting.brush is not None and painting.brush.blend == "ERASE_ALPHA")
    yield from arranged()
    yield from picture("mask")
    brush = painting.brush
    ours = brush is not None and brush.blend == "ERASE_ALPHA" and brush.name not in theirs
    same = all(bpy.data.brushes[name].blend == blend for name, blend in theirs.items())
    check("a mask is painted with an eraser of ours", ours and same, [brush and brush.name, theirs])
    check_framing()
    yield from close_second_window()


def arranged() -> Iterator[float]:
    """Wait until the picture stands where it is to stay: it is moved in two steps, each of which has to be drawn."""
    opened = module(".ops.mask_editor")
    yield DRAWN_SECONDS
    yield from wait_up_to(lambda: not opened.fresh | opened.zoomed)
    yield DRAWN_SECONDS


def check_framing() -> None:
    """The whole picture is seen in the editor that was opened, beside its sidebar and above its shelf."""
    area = bpy.context.window_manager.windows[-1].screen.areas[0]
    region = next(region for region in area.regions if region.type == "WINDOW")
    left, bottom = region.view2d.view_to_region(0.0, 0.0, clip=False)
    right, top = region.view2d.view_to_region(1.0, 1.0, clip=False)
    free = module(".scene.framing").free_part(area)
    inside = free.left <= left and right <= free.right and free.bottom <= bottom and top <= free.top
    check("the whole photo is seen in the mask's editor", inside, [free, (left, bottom, right, top)])


def pick_one_of_two() -> Iterator[float]:
    """A click in the photo chooses one of two animals, Enter accepts it; a click on the other and Esc leave everything as it was."""
    picking = module(".ops.picking")
    chosen = bpy.context.scene.menagerie
    chosen.photo = str(two_animals())
    for key in ("RET", "ESC"):
        before = chosen.mask_image and picking.read_alpha(chosen.mask_image).copy()
        call(bpy.ops.menagerie.pick_animal, "INVOKE_DEFAULT")
        yield from wait_up_to(lambda: picking.current is not None and bool(picking.editors(picking.current.image)))
        check("a picking begins", picking.current is not None)
        if picking.current is None:
            return
        yield from arranged()
        yield from click_at(picking, (0.75, 0.7) if key == "RET" else (0.25, 0.4))
        yield from wait_up_to(lambda: picking.current is None or picking.current.answered == 1, WAIT_SECONDS)
        check(f"a click is answered ({key})", picking.current is not None and picking.current.answered == 1)
        yield from picture(f"pick-{key.lower()}")
        yield 0.5
        yield from press_in(editor(picking), key)
        yield from wait_up_to(lambda: picking.current is None)
        alpha = chosen.mask_image and picking.read_alpha(chosen.mask_image)
        if key == "RET":
            height, width = alpha.shape
            one = alpha[int(0.7 * height), int(0.75 * width)] > 0.9 and alpha[:, : width // 2].max() < 0.1
            kept = picking.current is None and chosen.mask_kind == "PAINTED"
            check("a click chooses one of two animals and Enter keeps it", kept and one, [kept, one])
        else:
            same = before is not None and alpha is not None and bool((abs(alpha - before) < 1 / 128).all())
            check("Esc leaves the mask as it was", picking.current is None and same)
    yield from close_second_window()
    chosen.photo = str(artist.setting.photo)


def two_animals() -> Path:
    """A cut-out with two islands of like size: about (0.25, 0.4) and (0.75, 0.7) of its width and, from below, its height."""
    image = bpy.data.images.new("two", 600, 400, alpha=True)
    pixels = [0.0] * (600 * 400 * 4)
    for left, bottom in ((50, 110), (370, 220)):
        for row in range(bottom, bottom + 100):
            for column in range(left, left + 180):
                pixels[4 * (row * 600 + column) : 4 * (row * 600 + column) + 4] = (0.4, 0.3, 0.2, 1.0)
    image.pixels.foreach_set(pixels)
    image.filepath_raw, image.file_format = str(artist.setting.out / "two.png"), "PNG"
    image.save()
    bpy.data.images.remove(image)
    return artist.setting.out / "two.png"


def editor(picking: Any) -> tuple[Any, Any, Any]:
    """Window, area and region of the Image Editor in which is picked."""
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            if area in picking.editors(picking.current.image):
                return window, area, next(region for region in area.regions if region.type == "WINDOW")
    raise LookupError("no editor shows the photo")


def click_at(picking: Any, place: tuple[float, float]) -> Iterator[float]:
    """Click on a place of the photo, in shares of its width and, from below, its height."""
    window, area, region = editor(picking)
    x, y = region.view2d.view_to_region(*place, clip=False)
    yield from press_in((window, area, region), "LEFTMOUSE", (region.x + x, region.y + y))


def press_in(where: tuple[Any, Any, Any], key: str, at: tuple[int, int] | None = None, **modifiers: bool) -> Iterator[float]:
    """Press and release a key or button with the pointer in an editor."""
    window, area, _ = where
    x, y = at or (area.x + area.width // 2, area.y + area.height // 2)
    yield from press_at(window, key, x, y, **modifiers)
