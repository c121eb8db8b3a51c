"""The mask: the animal of a photo found by the bundled network, or a coded sentence about what stands in the way."""

from __future__ import annotations

import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Picture

from backend.errors import Cancelled, MenagerieError
from backend.observe.mask import ISLAND_SHARE, find_mask, keep_islands, select_animal
from backend.types import ByteArray, Image

PHOTOS = Path(__file__).parents[1] / "photos"
OVERLAP = 0.9
"""IoU with the cut-out's own alpha on a plain background."""
TIP_SHARE = 1.1 * ISLAND_SHARE
ISLANDS_SECONDS, ISLANDS_BYTES = 2.0, 64 << 20
"""Of the processor, and beyond the mask that is given back."""
GREEN = (120, 150, 90)


def scene(size: tuple[int, int], *animals: tuple[str, float, tuple[int, int]]) -> tuple[Image, ByteArray]:
    """Cut-outs (name, scale, left and top) on a plain meadow of `size` (width, height) -> the opaque photo, its true cover."""
    picture, cover = Picture.new("RGB", size, GREEN), Picture.new("L", size)
    for name, scale, place in animals:
        with Picture.open(PHOTOS / f"{name}.png") as opened:
            animal = opened.convert("RGBA")
        animal = animal.resize((round(animal.width * scale), round(animal.height * scale)))
        picture.paste(animal, place, animal)
        cover.paste(255, place, animal)
    return Image(np.array(picture)), np.asarray(cover)


def overlap(found: np.ndarray, true: ByteArray) -> float:
    inside, wanted = found > 0.5, true > 127
    return float((inside & wanted).sum() / (inside | wanted).sum())


@pytest.mark.parametrize(("size", "scale", "place"), [((320, 240), 1.0, (50, 60)), ((1800, 1000), 3.0, (1100, 480))])
def test_an_animal_is_found_in_the_middle_and_in_a_corner(size: tuple[int, int], scale: float, place: tuple[int, int]) -> None:
    photo, true = scene(size, ("cow", scale, place))
    mask = find_mask(photo)
    assert mask.shape == (size[1], size[0]) and mask.dtype == np.float32 and 0 <= mask.min() and mask.max() <= 1
    assert overlap(mask, true) > OVERLAP


def test_alpha_is_the_mask_where_there_is_one() -> None:
    photo, true = scene((320, 240), ("cow", 1.0, (50, 60)))
    mask = find_mask(Image(photo.rgb, alpha=true))
    assert np.array_equal(np.rint(mask * 255).astype(np.uint8), true)


def test_a_stray_speck_of_a_cut_out_goes_and_a_tail_tip_stays_with_its_soft_edge() -> None:
    photo, true = scene((640, 480), ("cow", 1.6, (100, 100)))
    cover = true.copy()
    area = int((true > 127).sum())
    side = int(np.ceil(np.sqrt(TIP_SHARE * area)))
    cover[40 : 40 + side, 560 : 560 + side] = 255
    cover[40 : 40 + side, 560 + side] = 90  # its soft edge
    wanted = cover.copy()
    cover[460:466, 20:26] = 255  # what erasing by hand has left
    cover[459, 20:26] = 60
    mask = find_mask(Image(photo.rgb, alpha=cover))
    assert np.array_equal(np.rint(mask * 255).astype(np.uint8), wanted)


def test_specks_of_any_shape_are_found_in_a_large_mask_in_little_time_and_memory() -> None:
    cover = np.zeros((6000, 8000), np.uint8)  # 48 megapixels
    cover[2000:5000, 2000:6000] = 255
    cover[1000:2000, 3000] = 255  # thinner than a block, but the animal's
    wanted = cover.copy()
    cover[100, 7900] = 255  # a single pixel
    cover[5900:5910, 100:3000] = 255
    tracemalloc.start()
    start = time.process_time()
    found = keep_islands(cover)
    seconds, (_, peak) = time.process_time() - start, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert np.array_equal(found, wanted)
    assert seconds < ISLANDS_SECONDS and peak < found.nbytes + ISLANDS_BYTES


def test_a_mask_without_specks_is_not_touched() -> None:
    cover = np.zeros((300, 400), np.uint8)
    assert keep_islands(cover) is cover
    cover[50:200, 50:200], cover[50:200, 250:390] = 255, 255
    assert keep_islands(cover) is cover


def test_two_animals_of_like_size_are_several() -> None:
    photo, _ = scene((560, 260), ("cow", 1.0, (20, 60)), ("pig", 1.0, (330, 80)))
    with pytest.raises(MenagerieError) as refusal:
        find_mask(photo)
    assert refusal.value.code == "several_animals" and "2 things" in refusal.value.sentence


@pytest.mark.parametrize("rgb", [np.full((240, 320, 3), 128, np.uint8), np.random.default_rng(0).integers(0, 255, (240, 320, 3), np.uint8)])
def test_a_photo_of_nothing_has_no_animal(rgb: ByteArray) -> None:
    with pytest.raises(MenagerieError) as refusal:
        find_mask(Image(rgb))
    assert refusal.value.code == "no_animal"


def test_small_parts_beside_the_animal_stay_and_far_specks_go() -> None:
    mask = np.zeros((400, 400), np.float32)
    mask[80:320, 80:240] = 1
    mask[120:160, 243:259] = 1  # an ear behind a fence
    mask[8:20, 380:392] = 1  # a bird
    chosen = select_animal(mask)
    assert chosen[140, 250] and not chosen[14, 386]


def test_a_cancelled_search_stops() -> None:
    def stop(stage: str, fraction: float, preview: object = None) -> None:
        if fraction >= 0.4:
            raise Cancelled

    photo, _ = scene((320, 240), ("cow", 1.0, (50, 60)))
    with pytest.raises(Cancelled):
        find_mask(photo, stop)
