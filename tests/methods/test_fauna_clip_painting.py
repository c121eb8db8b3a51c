"""Several pictures of one texel are mixed by how well each shows it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from backend.methods.fauna.clip.painting import SHARPNESS, Paint
from backend.texture.bake import Baked

COUNT = 50


def shown(seed: int) -> Baked:
    """Random colours of texels; of every third nothing is seen."""
    dice = np.random.default_rng(seed)
    confidence = dice.random(COUNT, np.float32) * (np.arange(COUNT) % 3 != seed % 3)
    texels: Any = SimpleNamespace(rows=np.arange(COUNT))
    return Baked(texels, dice.random((COUNT, 3), np.float32), confidence.astype(np.float32))


def test_colours_are_means_by_confidence_however_many_pictures_come() -> None:
    pictures = [shown(seed) for seed in range(4)]
    paint = Paint.none(pictures[0].texels)
    for one in pictures:
        paint.add(one)
    mixed = paint.mixed()
    weights = np.stack([one.confidence.astype(np.float64) ** SHARPNESS for one in pictures])
    expected = (weights[..., None] * np.stack([one.color for one in pictures])).sum(0) / weights.sum(0)[:, None]
    assert np.allclose(mixed.color, expected, atol=1e-5) and mixed.color.dtype == np.float32
    assert np.array_equal(mixed.confidence, np.stack([one.confidence for one in pictures]).max(0))


def test_what_no_picture_shows_stays_unknown() -> None:
    one = shown(0)
    paint = Paint.none(one.texels)
    paint.add(one)
    mixed = paint.mixed()
    hidden = one.confidence == 0
    assert hidden.any() and (mixed.confidence[hidden] == 0).all() and (mixed.color[hidden] == 0).all()
