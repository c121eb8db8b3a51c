"""Composites: the mask is the pasted alpha, and the animal is where the mask says."""

from __future__ import annotations

import numpy as np
import pytest

from backend.data import composites
from backend.data.composites import HEIGHT, SHARES, WIDTH, Cutout, compose, crop_scene

RED = (230, 10, 10)


def disc(size: tuple[int, int] = (80, 120)) -> Cutout:
    """A red ellipse that touches its picture's border; what is transparent is white, as an old background would be."""
    rows, columns = np.mgrid[: size[0], : size[1]]
    inside = ((rows + 0.5) / size[0] * 2 - 1) ** 2 + ((columns + 0.5) / size[1] * 2 - 1) ** 2 <= 1
    rgb = np.where(inside[..., None], np.array(RED), 255).astype(np.uint8)
    return Cutout("disc", rgb, inside.astype(np.uint8) * 255)


def meadow() -> np.ndarray:
    return np.full((300, 500, 3), (30, 160, 40), np.uint8)


def box(mask: np.ndarray) -> tuple[int, int, int, int]:
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


@pytest.mark.parametrize("share", SHARES)
def test_the_mask_is_the_alpha_that_was_pasted(share: float) -> None:
    for seed in range(4):
        made = compose(disc(), meadow(), share, np.random.default_rng(seed))
        assert made.rgb.shape == (HEIGHT, WIDTH, 3) and made.mask.shape == (HEIGHT, WIDTH)
        left, top, right, bottom = box(made.mask > 0.5)
        width, height = right - left, bottom - top
        assert max(width / WIDTH, height / HEIGHT) == pytest.approx(share, abs=0.01)
        assert (made.mask > 0.5).sum() == pytest.approx(np.pi / 4 * width * height, rel=0.02)
        # Seen by its colour, the animal covers the very pixels of the mask.
        red = made.rgb[..., 0].astype(int) > made.rgb[..., 1]
        assert (red & (made.mask > 0.5)).sum() / (red | (made.mask > 0.5)).sum() > 0.97


def test_the_old_background_leaves_no_rim() -> None:
    made = compose(disc(), meadow(), 0.7, np.random.default_rng(1))
    rim = (made.mask > 0.05) & (made.mask < 0.95)
    assert rim.sum() > 100
    assert made.rgb[rim].astype(int)[:, 2].max() < 110  # blue: 255 in the cut-out's surround, little in animal and meadow


def test_the_edge_is_soft_and_the_inside_full() -> None:
    made = compose(disc(), meadow(), 0.55, np.random.default_rng(2))
    values = np.unique(np.round(made.mask, 2))
    assert made.mask.max() == pytest.approx(1, abs=1e-4) and made.mask.min() == 0 and len(values) > 10


def test_sizes_and_places_differ_and_one_seed_gives_one_picture() -> None:
    made = [compose(disc(), meadow(), 0.4, np.random.default_rng(seed)) for seed in range(8)]
    again = compose(disc(), meadow(), 0.4, np.random.default_rng(3))
    assert np.array_equal(again.rgb, made[3].rgb) and np.array_equal(again.mask, made[3].mask)
    corners = {box(c.mask > 0.5)[:2] for c in made}
    assert len(corners) == 8
    assert all(left >= 0 and right <= WIDTH and bottom <= HEIGHT for left, _, right, bottom in (box(c.mask > 0.5) for c in made))


def test_the_animals_light_goes_toward_the_places_but_not_all_the_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(composites, "NOISE", (0.0, 1e-6))
    grey = Cutout("grey", np.full((60, 90, 3), 120, np.uint8), np.full((60, 90), 255, np.uint8))
    levels = []
    for brightness in (20, 120, 240):
        made = compose(grey, np.full((400, 600, 3), brightness, np.uint8), 0.6, np.random.default_rng(0))
        levels.append(float(made.rgb[made.mask > 0.99].mean()))
    assert levels[0] < levels[1] < levels[2] and levels[1] == pytest.approx(120, abs=3)
    assert levels[0] >= 0.72 * 120 and levels[2] <= 1.38 * 120


def test_a_scene_is_filled_to_the_frame_whatever_its_shape() -> None:
    for shape in ((300, 900), (900, 300), (512, 768)):
        place, enlarged = crop_scene(np.full((*shape, 3), 77, np.uint8), np.random.default_rng(0))
        assert place.shape == (HEIGHT, WIDTH, 3) and place == pytest.approx(77 / 255)
        assert enlarged >= max(WIDTH / shape[1], HEIGHT / shape[0])


def test_an_empty_cut_out_is_refused() -> None:
    with pytest.raises(ValueError, match="holds no animal"):
        compose(Cutout("none", np.zeros((9, 9, 3), np.uint8), np.zeros((9, 9), np.uint8)), meadow(), 0.5, np.random.default_rng(0))
