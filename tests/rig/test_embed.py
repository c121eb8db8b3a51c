"""Rest points pulled into the mesh."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from backend.rig.embed import contains, embed_points
from backend.rig.skeleton import MIN_BEND, build_skeleton, joint_bends
from backend.rig.template import load_quadruped
from tests.rig.animals import animal

TOUCHED = 0.07
"""Largest move of a point that was right to begin with, in body lengths: toe tips go down to the sole."""
MISSED = 0.01
"""Mean distance of guessed points may grow by this much, in body lengths."""


def samples_along_bones(skeleton, count: int = 9):  # type: ignore[no-untyped-def]
    share = np.linspace(0, 1, count)[:, None]
    return np.concatenate([skeleton.heads[b] * (1 - share) + skeleton.tails[b] * share for b in np.flatnonzero(skeleton.deform)])


def test_inside_and_outside_are_told_apart() -> None:
    mesh, points = animal("horse")
    assert contains(mesh, points).all()
    assert not contains(mesh, points + [0, 0, 10]).any()
    assert not contains(mesh, mesh.vertices[:50] * 1.5 + [0, 0.5, 0]).all()


@pytest.mark.parametrize("build", ["horse", "column"])
@pytest.mark.parametrize("noise", [0.0, 0.03])
def test_every_bone_ends_up_inside_mirrored_and_bent(build: str, noise: float) -> None:
    mesh, points = animal(build)
    template = load_quadruped()
    length = np.linalg.norm(points[template.point_index["withers"]] - points[template.point_index["tail0"]])
    guess = points + np.random.default_rng(1).normal(size=points.shape) * noise * length
    placed = embed_points(mesh, guess)
    assert contains(mesh, samples_along_bones(build_skeleton(placed))).all()
    assert np.array_equal(placed[template.mirror_points] * [-1, 1, 1], placed)
    assert (joint_bends(torch.from_numpy(placed)[None]) >= MIN_BEND).all()
    moved = np.linalg.norm(placed - points, axis=1) / length
    if noise:
        assert moved.mean() < np.linalg.norm(guess - points, axis=1).mean() / length + MISSED
    else:
        assert moved.max() < TOUCHED and np.median(moved) == pytest.approx(0, abs=1e-6)


def test_toe_tips_come_down_to_the_sole() -> None:
    mesh, points = animal("horse")
    index = load_quadruped().point_index
    placed = embed_points(mesh, points)
    for tip in ("front_tip.L", "hind_tip.R"):
        assert placed[index[tip], 1] - mesh.vertices[:, 1].min() < 0.06


def test_points_that_cannot_be_placed_are_refused() -> None:
    mesh, points = animal("horse")
    with pytest.raises(ValueError, match="finite"):
        embed_points(mesh, points * np.nan)


def test_a_thin_curved_tails_bones_end_up_inside() -> None:
    mesh, points = animal("horse")
    index = load_quadruped().point_index
    guess = points.copy()
    guess[index["tail2"], 1:] += [0.1, -0.15]  # beside the tail: the bones to and from it leave the skin
    assert contains(mesh, samples_along_bones(build_skeleton(embed_points(mesh, guess)))).all()
