"""An animal drawn toward another takes its proportions and its skin, by the share asked for."""

from __future__ import annotations

import numpy as np
import pytest

from backend.data import blends, variety
from backend.data.blends import MOST, MeanSkeleton, Measures, blend_offset, blend_scales, canonical_skin
from backend.data.canonical import carrying_weights
from backend.data.distances import ORIGIN, SHAPE, STEP, signed_distance_grid, trilinear
from backend.data.girths import measure_girths
from backend.data.stage import Figure, Stage, build_figure, pose_figure
from backend.rig.template import load_quadruped
from tests.data.figures import made_up_stage


@pytest.fixture(scope="module")
def stage() -> Stage:
    return made_up_stage()


def measure(figure: Figure) -> Measures:
    return Measures(figure.points, measure_girths(figure.points, figure.vertices, figure.stage.animal.faces, carrying_weights(figure)))


def lengths(points: np.ndarray) -> np.ndarray:
    template = load_quadruped()
    return np.linalg.norm(points[template.tail_points[1:]] - points[template.head_points[1:]], axis=1)


def test_the_whole_share_gives_the_others_bones(stage: Stage) -> None:
    own = build_figure(stage, variety.identity())
    other = build_figure(stage, variety.random_variation(np.random.default_rng(1), 0.5))
    scales = blend_scales(measure(own), measure(other), 1.0)
    assert np.abs(np.log(scales)).max() <= MOST + 1e-6
    drawn = build_figure(stage, variety.Variation(scales))
    before, after = (lengths(f.points) / lengths(other.points) for f in (own, drawn))
    plain = np.array(["ear" not in name for name in load_quadruped().bone_names[1:]])
    spread = [np.abs(np.log(ratio[plain]) - np.log(ratio[plain]).mean()).mean() for ratio in (before, after)]
    assert spread[1] < 0.35 * spread[0]
    assert (blend_scales(measure(own), measure(other), 0.0) == 1).all()


def slab(height: float) -> np.ndarray:
    """Distances of everything under a level, as a half grid."""
    y = ORIGIN[1] + STEP * np.arange(SHAPE[1])
    return np.broadcast_to((height - y)[None, :, None], SHAPE).astype(np.float32)


def test_the_skin_moves_toward_the_blended_level_by_the_share(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blends, "SMOOTHING", 0)  # a bead of six corners has no other neighbours
    figure = build_figure(stage, variety.identity())
    own = measure(figure)
    mean = MeanSkeleton(figure.points, own.girths)
    skin = canonical_skin(mean, figure, own)
    grid = signed_distance_grid(skin, stage.animal.faces).astype(np.float32)
    stouter = grid + 0.06  # the same skin, farther out
    outer = np.abs(trilinear(grid, skin)) < 0.01
    still, half, whole = (
        np.linalg.norm(blend_offset(figure, skin, mean, own, (grid, other), share)[outer], axis=1).mean()
        for other, share in ((grid, 0.5), (stouter, 0.5), (stouter, 1.0))
    )
    assert still < 0.015  # what corners cost on a grid of this step
    assert still + 0.005 < half < 0.04 and 1.5 * half < whole < 0.08


def test_an_offset_goes_through_every_pose(stage: Stage) -> None:
    offset = np.zeros_like(stage.animal.vertices)
    middle = int(np.linalg.norm(stage.animal.vertices, axis=1).argmin())  # inside the box that a figure is brought to
    offset[middle] = (0.0, 0.0, 0.05)
    plain, moved = (build_figure(stage, variety.identity(), o) for o in (None, offset))
    for frame in range(len(stage.shares)):
        step = np.linalg.norm(pose_figure(moved, frame)[0] - pose_figure(plain, frame)[0], axis=1)
        assert step[middle] == pytest.approx(0.05 * plain.scale, rel=0.02) and np.delete(step, middle).max() < 1e-5


def test_distances_between_nodes_are_linear_and_fall_off_outside() -> None:
    grid = slab(0.3)
    assert trilinear(grid, np.array([[0.21, 0.11, -0.33], [-0.21, 0.11, -0.33]])) == pytest.approx([0.19, 0.19], abs=1e-5)
    assert trilinear(grid, np.array([[0.0, 0.0, 3.4]]))[0] == pytest.approx(0.3 - 1.0, abs=1e-4)
