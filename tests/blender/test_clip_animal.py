"""What is taken for the animal in a clip is seen before the whole is waited for, and put right where the motion begins."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bpy
import numpy as np
import pytest
from PIL import Image as Picture

from blender_addon.clip import choices, moment, source
from blender_addon.link import session
from blender_addon.ops import animate, picking
from blender_addon.panels import clip_animal as panel
from blender_addon.panels import main
from tests.blender.button import drawn, everything

pytestmark = [pytest.mark.blender5, pytest.mark.usefixtures("add_on")]

FRAMES, RATE, SIZE = 12, 24.0, (240, 160)
INSIDE, OUTSIDE = (60, 90), (200, 30)
"""Pixels of the first frame from its upper left corner: on the animal, and beside it."""


def box(number: int) -> tuple[int, int, int, int]:
    """Where the animal is in a frame."""
    return 30 + 4 * number, 60, 110 + 4 * number, 120


@pytest.fixture
def clip(tmp_path: Path) -> Iterator[Path]:
    """Cut-out frames with a red animal; the panel shows the clip."""
    folder = tmp_path / "Füchse 狐"
    folder.mkdir()
    for number in range(FRAMES):
        picture = Picture.new("RGBA", SIZE, (90, 110, 90, 0))
        picture.paste((220, 60, 40, 255), box(number))
        picture.save(folder / f"shot_{number:03}.png")
    choose(folder)
    yield folder
    picking.close()
    moment.forget()
    source.forget()


def choose(folder: Path) -> Any:
    bpy.context.scene.menagerie.kind = "CLIP"
    chosen = bpy.context.scene.menagerie_clip
    chosen.path, chosen.rate = str(folder / "shot_000.png"), RATE
    return chosen


def show() -> Any:
    assert bpy.ops.menagerie.show_animal() == {"FINISHED"}
    return bpy.context.scene.menagerie_clip


def covered(path: Path) -> np.ndarray:
    return np.asarray(Picture.open(path).convert("L")) > 127


def seen(mask: np.ndarray) -> bool:
    """Whether a mask, row 0 at the top, covers the animal and not what is beside it."""
    return bool(mask[INSIDE[::-1]] and not mask[OUTSIDE[::-1]])


def given() -> Path | None:
    """The folder of masks that would be asked for."""
    folder = animate.wire_settings(bpy.context)["mask_dir"]
    return None if folder is None else Path(str(folder))


def test_the_moment_is_shown_with_what_is_taken_for_the_animal(clip: Path) -> None:
    before = everything()
    assert panel.MENAGERIE_PT_clip_animal.poll(bpy.context)
    assert "menagerie.pick_animal" not in drawn(panel.MENAGERIE_PT_clip_animal)
    chosen = show()
    look = moment.of(chosen)
    assert look.answer["found"] and seen(covered(look.out / "mask.png"))
    assert (look.out / moment.SHOWN).is_file()
    shown = drawn(panel.MENAGERIE_PT_clip_animal)
    assert {"menagerie.show_animal", "menagerie.pick_animal", "menagerie.paint_mask"} <= set(shown) and "mask_kind" not in shown
    assert everything() == before and given() is None  # it was looked at, and nothing changed


def test_a_later_moment_is_shown_and_corrected_nowhere(clip: Path) -> None:
    chosen = choose(clip)
    chosen.at = 6 / RATE
    show()
    look = moment.of(chosen)
    assert look.answer["seconds"] == pytest.approx(6 / RATE)
    assert np.array_equal(np.asarray(Picture.open(look.out / moment.FRAME)), np.asarray(Picture.open(clip / "shot_006.png")))
    assert "menagerie.pick_animal" not in drawn(panel.MENAGERIE_PT_clip_animal) and not bpy.ops.menagerie.pick_animal.poll()
    chosen.at = 0.0
    assert moment.of(chosen) is None  # another moment's picture is not shown for this one
    chosen.at = 99.0
    assert choices.moment_of(chosen) == pytest.approx(FRAMES / RATE)
    assert bpy.ops.menagerie.show_animal() == {"FINISHED"} and moment.of(chosen).answer["seconds"] == pytest.approx((FRAMES - 1) / RATE)


def test_a_painted_mask_is_the_first_frames(clip: Path) -> None:
    chosen = show()
    assert bpy.ops.menagerie.paint_mask() == {"FINISHED"}
    assert chosen.mask_kind == "PAINTED" and tuple(chosen.mask_image.size) == SIZE
    alpha = picking.read_alpha(chosen.mask_image)
    assert seen(alpha[::-1] > 0.9)  # it begins as what was found
    alpha = np.zeros_like(alpha)
    alpha[40:80, 40:100] = 1
    picking.write_alpha(chosen.mask_image, alpha)
    folder = given()
    assert folder is not None
    [mask] = folder.iterdir()
    assert np.array_equal(covered(mask)[::-1], alpha > 0.5)
    assert not any(letter.isdigit() for letter in mask.stem)  # a single one without a number is the first frame's
    assert bpy.context.scene.menagerie.mask_image is None and bpy.context.scene.menagerie.mask_kind == "AUTO"
    chosen.mask_kind = "AUTO"
    assert given() is None and "mask_kind" in drawn(panel.MENAGERIE_PT_clip_animal)


def test_a_mask_counts_only_for_the_frame_that_it_was_made_on(clip: Path, tmp_path: Path) -> None:
    chosen = show()
    bpy.ops.menagerie.paint_mask()
    assert given() is not None
    chosen.start = 3 / RATE
    assert given() is None and not bpy.ops.menagerie.paint_mask.poll()
    chosen.start = 0.0
    assert given() is not None  # nothing was lost
    show()
    assert given() is not None and chosen.mask_photo == chosen.photo
    chosen.masks = str(tmp_path)
    assert given() == tmp_path and "menagerie.pick_animal" not in drawn(panel.MENAGERIE_PT_clip_animal)
    chosen.masks = ""
    chosen.start = 3 / RATE
    show()
    assert chosen.mask_image is None and chosen.mask_kind == "AUTO" and given() is None
    bpy.ops.menagerie.paint_mask()
    other = clip.with_name("other")
    clip.rename(other)
    choose(other)
    assert chosen.mask_image is None and not chosen.photo and moment.of(chosen) is None


def test_the_animal_is_picked_by_a_click_and_esc_brings_back_what_was(clip: Path, tmp_path: Path) -> None:
    chosen = show()
    photos = bpy.context.scene.menagerie
    before = everything()
    assert bpy.ops.menagerie.pick_animal(x=INSIDE[0], y=INSIDE[1]) == {"FINISHED"}
    assert picking.current is not None and picking.current.photo == Path(chosen.photo)
    assert "menagerie.keep_pick" in drawn(panel.MENAGERIE_PT_clip_animal)
    photos.kind = "PHOTO"  # the other tab has nothing to do with it
    assert picking.running(bpy.context) is not None
    assert bpy.ops.menagerie.drop_pick() == {"FINISHED"}
    assert not bpy.ops.menagerie.paint_mask.poll()  # there is no photo
    photos.kind = "CLIP"
    assert everything() == before and chosen.mask_image is None and chosen.mask_kind == "AUTO"
    bpy.ops.menagerie.pick_animal(x=INSIDE[0], y=INSIDE[1])
    assert bpy.ops.menagerie.keep_pick() == {"FINISHED"}
    assert seen(picking.read_alpha(chosen.mask_image)[::-1] > 0.9)
    assert given() is not None and photos.mask_image is None


def test_animate_takes_the_mask_and_keeps_it_for_update(clip: Path) -> None:
    show()
    bpy.ops.menagerie.pick_animal(x=INSIDE[0], y=INSIDE[1])
    assert bpy.ops.menagerie.animate() == {"FINISHED"}  # what is shown is what counts
    assert picking.current is None
    rig = bpy.data.objects[session.state.last_creature]
    record = session.read_record(rig)
    assert "Its masks are somebody's own." in record["warnings"]
    folder = Path(record["settings"]["mask_dir"])
    assert len(list(folder.iterdir())) == 1 and str(folder) in session.used_folders()
    bpy.context.view_layer.objects.active = rig
    assert bpy.ops.menagerie.update() == {"FINISHED"}
    assert "Its masks are somebody's own." in session.read_record(rig)["warnings"]


def test_a_clip_that_is_gone_is_said(clip: Path) -> None:
    clip.rename(clip.with_name("gone"))
    with pytest.raises(RuntimeError, match="not there any more"):
        bpy.ops.menagerie.show_animal()
    assert session.state.error["code"] == "bad_request" and moment.current is None


def test_where_animate_finds_no_animal_the_panel_offers_to_show_what_it_sees(clip: Path) -> None:
    session.state.error = {"code": "no_animal", "sentence": "None.", "remedy": "Choose."}
    shown = drawn(main.MENAGERIE_PT_main)
    assert "menagerie.show_animal" in shown and "menagerie.load_mask" not in shown
