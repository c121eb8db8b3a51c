"""The animal decoder: its shapes, its weights, and the second look, by which a small animal gets as many pixels as a large one."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image as Picture

from backend.errors import MenagerieError
from backend.observe import mask as masks
from backend.observe.animal.decoder import AnimalDecoder, load_decoder
from backend.observe.animal.look import SIZE, look_for_animal
from backend.observe.efficientnet import load_encoder
from backend.observe.mask import LEVEL, find_mask, look_twice
from backend.observe.refine import shrink
from backend.types import ByteArray, Image, Mask
from backend.weights.manifest import find_entry
from tests.observe.test_mask import PHOTOS, overlap

MOST_BYTES = 1_500_000
OVERLAP = 0.9
"""IoU with a photo's own alpha before something plain."""
COARSE = 40
"""Sides of the square that the made-up network answers with."""
SAMPLES = ("cow", "dog", "giraffe", "horse")


def test_the_decoder_answers_at_half_the_pictures_size() -> None:
    decoder, encoder = AnimalDecoder().eval(), load_encoder()
    with torch.inference_mode():
        seen = encoder(torch.rand(2, 3, 96, 128))
        logits = decoder(seen.stride8, seen.stride16, seen.stride32)
    assert logits.shape == (2, 48, 64) and bool(torch.isfinite(logits).all())


def test_the_bundled_decoder_is_small_and_loads() -> None:
    assert find_entry("animal-mask").bytes <= MOST_BYTES
    assert not load_decoder().training
    answer = look_for_animal(np.full((60, 90, 3), 128, np.uint8))
    assert answer.shape == (SIZE // 2, SIZE // 2) and answer.dtype == np.float32 and 0 <= answer.min() and answer.max() <= 1


def red(rgb: ByteArray) -> Mask:
    """A made-up network: what is red, on a coarse square."""
    small = np.asarray(shrink(rgb, COARSE, COARSE), np.float32)
    return np.asarray(np.clip((small[..., 0] - small[..., 1]) / 200, 0, 1), np.float32)


def meadow(*boxes: tuple[int, int, int, int]) -> tuple[ByteArray, ByteArray]:
    """Red boxes (left, top, right, bottom) in a wide picture, and their cover."""
    rgb, cover = np.full((600, 900, 3), (30, 130, 30), np.uint8), np.zeros((600, 900), np.uint8)
    for left, top, right, bottom in boxes:
        rgb[top:bottom, left:right], cover[top:bottom, left:right] = (230, 30, 30), 255
    return rgb, cover


def test_the_second_look_sees_a_small_animal_sharply() -> None:
    rgb, cover = meadow((617, 389, 700, 443))
    once = masks._paste(red(rgb), (0, 0, 900, 600), (900, 600))
    twice = look_twice(rgb, (900, 600), red, red)
    assert overlap(once, cover) < 0.85 < 0.93 < overlap(twice, cover)


def test_the_click_decides_which_of_two_is_looked_at_again() -> None:
    rgb, cover = meadow((100, 100, 200, 200), (600, 400, 700, 500))
    with pytest.raises(MenagerieError) as refusal:
        look_twice(rgb, (900, 600), red, red)
    assert refusal.value.code == "several_animals"
    found = look_twice(rgb, (900, 600), red, red, at=(650 / 900, 450 / 600)) > LEVEL
    assert found[450, 650] and not found[150, 150]


def test_where_no_animal_is_found_what_stands_out_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    rgb, cover = meadow((300, 200, 600, 400))
    monkeypatch.setattr(masks, "look_for_animal", lambda picture: np.zeros((COARSE, COARSE), np.float32))
    monkeypatch.setattr(masks, "look_for_subject", red)
    assert overlap(find_mask(Image(rgb)), cover) > 0.95


@pytest.mark.parametrize("name", SAMPLES)
@pytest.mark.parametrize("behind", ["grey", "gradient"])
def test_a_sample_photos_mask_before_something_plain(name: str, behind: str) -> None:
    with Picture.open(PHOTOS / f"{name}.png") as opened:
        animal = opened.convert("RGBA")
    size = round(1.6 * animal.width), round(1.6 * animal.height)
    ramp = np.linspace(70, 200, size[1])[:, None, None] * np.array([0.8, 1.0, 1.1])
    ground = np.full((size[1], size[0], 3), 128) if behind == "grey" else np.broadcast_to(ramp, (size[1], size[0], 3))
    picture, cover = Picture.fromarray(ground.astype(np.uint8)), Picture.new("L", size)
    place = (size[0] - animal.width) // 2, (size[1] - animal.height) // 2
    picture.paste(animal, place, animal)
    cover.paste(255, place, animal)
    assert overlap(find_mask(Image(np.array(picture))), np.asarray(cover)) >= OVERLAP
