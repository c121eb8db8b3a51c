"""Signed distances, cross-sections, subdivision and shape variety."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh

from backend.data import variety
from backend.data.canonical import canonical_vertices, carrying_weights, proportion_maps
from backend.data.cross_sections import crossings
from backend.data.distances import ORIGIN, SHAPE, STEP, cap_holes, signed_distance_grid, winding_numbers
from backend.data.girths import mean_girths, measure_girths, relative_girths
from backend.data.images import camera_turn, place_camera, random_view, take_picture
from backend.data.smoothing import subdivide
from backend.data.stage import Stage, build_figure, pose_figure
from backend.data.zero_ad import SkinnedMesh
from backend.rig.proportions import template_weights
from backend.rig.solve import solve_pose
from backend.rig.template import load_quadruped
from tests.data.figures import made_up_stage

RADIUS = 0.8
CHORD = 0.02
"""How far the ball's triangles lie under the ball."""
ROUNDING = 2e-3
"""float16 at a distance of 3."""


@pytest.fixture(scope="module")
def stage() -> Stage:
    return made_up_stage()


def ball() -> tuple[np.ndarray, np.ndarray]:
    mesh = trimesh.creation.icosphere(subdivisions=3, radius=RADIUS)
    return mesh.vertices.astype(np.float32), mesh.faces.astype(np.int32)


def nodes() -> np.ndarray:
    return ORIGIN + STEP * np.stack(np.meshgrid(*(np.arange(n) for n in SHAPE), indexing="ij"), -1)


def test_the_distance_is_positive_inside_and_right_everywhere() -> None:
    grid = signed_distance_grid(*ball()).astype(np.float64)
    truth = RADIUS - np.linalg.norm(nodes(), axis=-1)
    assert np.abs(grid - truth).max() < CHORD + ROUNDING
    assert grid[0, 60, 60] > 0 > grid[30, 0, 0]


def test_a_hole_is_capped_and_hidden_surfaces_do_not_count() -> None:
    vertices, faces = ball()
    open_faces = faces[vertices[faces][:, :, 1].mean(1) > -0.9 * RADIUS]
    inner = vertices * np.float32(0.3) + np.float32([0.1, 0.2, 0])
    both = np.concatenate([vertices, inner]), np.concatenate([open_faces, faces + len(vertices)])
    grid = signed_distance_grid(*both).astype(np.float64)
    truth = RADIUS - np.linalg.norm(nodes(), axis=-1)
    above = nodes()[..., 1] > 0.1  # nearer to the ball than to the cap
    assert np.abs(grid - truth)[above].max() < CHORD + ROUNDING
    capped = trimesh.Trimesh(*cap_holes(vertices, open_faces))
    assert capped.is_watertight


def test_winding_numbers_are_one_inside_and_zero_outside() -> None:
    points = np.array([[0, 0, 0], [0.7, 0, 0], [0, 0.9, 0], [3, 1, 0]], np.float64)
    np.testing.assert_allclose(winding_numbers(points, *ball()), [1, 1, 0, 0], atol=0.02)


def test_crossings_are_where_a_line_meets_the_ball() -> None:
    np.testing.assert_allclose(crossings(*ball(), 0, (0.013, 0.0)), [-RADIUS, RADIUS], atol=CHORD)
    np.testing.assert_allclose(crossings(*ball(), 1, (0.0, 0.011)), [-RADIUS, RADIUS], atol=CHORD)
    assert len(crossings(*ball(), 0, (2.0, 0.0))) == 0


def test_subdivision_bulges_toward_the_ball_and_keeps_seams_closed() -> None:
    coarse = trimesh.creation.icosphere(subdivisions=1, radius=1.0)
    corners = coarse.vertices[coarse.faces].reshape(-1, 3).astype(np.float32)  # every vertex doubled: all edges are seams
    faces = np.arange(len(corners), dtype=np.int32).reshape(-1, 3)
    ones = np.tile(np.array([1, 0, 0, 0], np.float32), (len(corners), 1))
    bones, bind = np.zeros((len(corners), 4), np.int32), np.eye(4, dtype=np.float32)[None]
    mesh = SkinnedMesh(corners, corners, corners[:, :2], faces, bones, ones, bind)
    fine = subdivide(mesh)
    assert len(fine.faces) == 4 * len(faces)
    middle = np.linalg.norm(fine.vertices[len(corners) :], axis=1)
    assert middle.min() > np.linalg.norm((coarse.vertices[coarse.edges_unique]).mean(1), axis=1).max()
    assert trimesh.Trimesh(fine.vertices.round(4), fine.faces, process=True).is_watertight
    np.testing.assert_allclose(fine.weights.sum(1), 1, atol=1e-6)


def test_variants_are_mirrored_exactly_and_fill_the_same_box(stage: Stage) -> None:
    twin = load_quadruped().mirror_points
    for seed in range(4):
        figure = build_figure(stage, variety.random_variation(np.random.default_rng(seed)))
        assert (figure.points[twin] == figure.points * np.array([-1, 1, 1], np.float32)).all()
        assert np.linalg.norm(np.ptp(figure.vertices, axis=0)) == pytest.approx(4.6, rel=1e-5)


def test_no_variation_changes_nothing(stage: Stage) -> None:
    figure = build_figure(stage, variety.identity())
    np.testing.assert_allclose(figure.points, stage.animal.points * figure.scale, atol=0.15)
    vertices, points = pose_figure(figure, 0)
    np.testing.assert_allclose(np.ptp(points, axis=0), np.ptp(figure.points, axis=0), atol=1e-4)
    np.testing.assert_allclose(np.ptp(vertices, axis=0), np.ptp(figure.vertices, axis=0), atol=1e-4)


def test_a_longer_leg_lengthens_the_leg_alone(stage: Stage) -> None:
    template = load_quadruped()
    scales = variety.identity().scales.copy()
    for side in (".L", ".R"):
        scales[template.bone_index["shin" + side], 1] = 1.5
    rest = stage.animal.points
    points = variety.stretch_points(variety.stretch_matrices(variety.Variation(scales), stage.frames[0], rest), rest)
    ratio = _lengths(points) / _lengths(rest)
    for bone, name in enumerate(template.bone_names[1:]):
        assert ratio[bone] == pytest.approx(1.5 if name.startswith("shin") else 1.0, rel=1e-4), name


def test_necks_and_tails_turn_as_wholes_and_nothing_else_does(stage: Stage) -> None:
    template = load_quadruped()
    figure = build_figure(stage, variety.identity())
    plain_skin, plain = pose_figure(figure, 0)
    parts = ("neck", "poll", "muzzle", "jaw", "chin", "ear"), ("tail1", "tail2", "tail3", "tail4")
    moves = {part: [i for i, n in enumerate(template.points) if n.startswith(part)] for part in parts}
    others = [i for i in range(len(plain)) if not any(i in each for each in moves.values())]
    turned = dict.fromkeys(moves, 0)
    for seed in range(12):
        skin, points = pose_figure(figure, 0, np.random.default_rng(seed))
        np.testing.assert_allclose(points[others], plain[others], atol=1e-5)
        np.testing.assert_allclose(_lengths(points), _lengths(plain), rtol=1e-4)
        for part, where in moves.items():
            turned[part] += bool(np.abs(points[where] - plain[where]).max() > 0.02)
        rotations, placement = solve_pose(figure.points, points)
        solved = variety.posed_frames(figure.points, rotations[None], placement[None])[0, 1:, :3, 3]
        np.testing.assert_allclose(solved, points[template.head_points[1:]], atol=0.02)  # the truth that training takes is this pose
        feet = plain_skin[:, 1] < plain_skin[:, 1].min() + 0.1
        np.testing.assert_allclose(skin[feet], plain_skin[feet], atol=1e-3)
    assert all(0 < count < 12 for count in turned.values())  # each by chance


def test_only_what_is_asked_for_is_turned(stage: Stage) -> None:
    figure, view = build_figure(stage, variety.identity()), random_view(np.random.default_rng(1))
    pictures = [take_picture(figure, 1, view, np.random.default_rng(s), size=64, turned=t).points for s in range(8) for t in (False, True)]
    assert all((points == pictures[0]).all() for points in pictures[::2])
    assert any((points != pictures[0]).any() for points in pictures[1::2])


def _lengths(points: np.ndarray) -> np.ndarray:
    template = load_quadruped()
    return np.linalg.norm(points[template.tail_points[1:]] - points[template.head_points[1:]], axis=1)


def test_a_posed_figure_stands_with_its_pelvis_at_rest_facing_ahead(stage: Stage) -> None:
    index = load_quadruped().point_index
    figure = build_figure(stage, variety.random_variation(np.random.default_rng(3)))
    points = pose_figure(figure, 1)[1]
    np.testing.assert_allclose(points[index["pelvis"]], figure.points[index["pelvis"]], atol=1e-5)
    assert abs(points[index["withers"], 0]) < 1e-5 < points[index["withers"], 2] - points[index["pelvis"], 2]
    # Turned and carried off as a whole, the animal is still in its rest pose.
    rotations = solve_pose(figure.points, points)[0]
    assert np.abs(rotations[:, 0]).min() > 0.995


def test_the_camera_sees_the_left_side_from_the_left(stage: Stage) -> None:
    view = random_view(np.random.default_rng(0), azimuth=np.pi / 2, elevation=0.0)
    turn = camera_turn(view)
    assert (turn @ [1, 0, 0])[2] < -0.9  # the animal's left is nearer
    assert (turn @ [0, 0, 1])[0] < -0.9  # it walks to the picture's left
    np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-6)
    assert np.linalg.det(turn) == pytest.approx(1)


def test_a_picture_holds_the_animal_and_its_points(stage: Stage) -> None:
    figure = build_figure(stage, variety.identity())
    for seed in range(6):
        rng = np.random.default_rng(seed)
        view = random_view(rng)
        picture = take_picture(figure, 1, view, rng, size=128)
        assert picture.rgb.shape == (128, 128, 3) and picture.mask.dtype == np.uint8
        rows, columns = np.nonzero(picture.mask > 127)
        longer = max(np.ptp(rows), np.ptp(columns)) + 1
        assert 0.5 * 128 < longer <= 128
        seen = picture.points @ picture.object_to_camera[:3, :3].T + picture.object_to_camera[:3, 3]
        pixels = 64 / np.tan(np.radians(12.5)) * seen[:, :2] / seen[:, 2:] + 64
        assert (pixels > -8).all() and (pixels < 136).all()
        assert 4 < picture.visibility.sum() <= 42


def test_the_same_seed_takes_the_same_picture(stage: Stage) -> None:
    figure = build_figure(stage, variety.identity())
    pictures = []
    for _ in range(2):
        rng = np.random.default_rng(9)
        pictures.append(take_picture(figure, 0, random_view(rng), rng, size=64))
    assert (pictures[0].rgb == pictures[1].rgb).all() and (pictures[0].object_to_camera == pictures[1].object_to_camera).all()


def test_the_far_sides_points_are_hidden(stage: Stage) -> None:
    figure = build_figure(stage, variety.identity())
    rng = np.random.default_rng(1)
    picture = take_picture(figure, 0, random_view(rng, azimuth=np.pi / 2, elevation=0.1), rng, size=128)
    index = load_quadruped().point_index
    assert picture.visibility[index["elbow.L"]] and picture.visibility[index["knee.L"]]
    camera = place_camera(figure.vertices, random_view(rng, azimuth=np.pi / 2, elevation=0.0), 128)
    left, right = (figure.points[index[f"hip.{s}"]] @ camera[:3, :3].T + camera[:3, 3] for s in "LR")
    assert left[2] < right[2]
    assert not picture.visibility[index["hip.R"]]


@pytest.mark.parametrize("axis", [0, 2])
def test_a_bone_stretched_across_is_as_much_thicker_there(stage: Stage, axis: int) -> None:
    index = load_quadruped().bone_index
    plain = build_figure(stage, variety.identity())
    scales = variety.identity().scales.copy()
    for name in ("front_shin.L", "front_shin.R"):
        scales[index[name], axis] = 1.4
    thick = build_figure(stage, variety.Variation(scales))
    girths = np.stack([measure_girths(f.points, f.vertices, stage.animal.faces, stage.influence) / f.scale for f in (plain, thick)])
    ratio = girths[1] / girths[0]
    assert ratio[index["front_shin.L"], axis // 2] == pytest.approx(1.4, abs=0.15)
    assert ratio[index["front_shin.L"], 1 - axis // 2] == pytest.approx(1.0, abs=0.05)
    assert ratio[index["shin.L"]] == pytest.approx(1.0, abs=0.02)
    np.testing.assert_array_equal(girths[:, index["shin.L"]], girths[:, index["shin.R"]])


def test_variants_of_an_animal_are_one_shape_on_the_mean_skeleton(stage: Stage) -> None:
    figures = [build_figure(stage, variety.random_variation(np.random.default_rng(seed))) for seed in range(4)]
    mean = np.mean([f.points for f in figures], 0).astype(np.float32)
    measured = np.stack([measure_girths(f.points, f.vertices, stage.animal.faces, carrying_weights(f)) for f in figures])
    girths = relative_girths(measured, mean_girths(measured))
    assert np.abs(girths).max() > 0.1 and not girths[:, load_quadruped().bone_index["root"]].any()

    def spread(vertices: list[np.ndarray]) -> float:
        return float(np.stack(vertices).std(0).mean())

    alike = spread([canonical_vertices(mean, f, g) for f, g in zip(figures, girths, strict=True)])
    assert alike < 0.5 * spread([canonical_vertices(mean, f, np.zeros_like(g)) for f, g in zip(figures, girths, strict=True)])


def test_the_way_back_from_the_mean_skeleton_arrives_at_the_animal(stage: Stage) -> None:
    figure = build_figure(stage, variety.random_variation(np.random.default_rng(3)))
    mean, girths = stage.animal.points.astype(np.float32), np.zeros((len(load_quadruped().bones), 2))
    girths[load_quadruped().bone_index["head"]] = 0.5  # beside a neck that is as thick as the mean's
    skin = canonical_vertices(mean, figure, girths)
    weights = template_weights(skin, stage.animal.faces, mean, stage.index)
    back = variety.stretch_vertices(proportion_maps(mean, figure.points, girths), weights, skin)
    gap = np.linalg.norm(back - figure.vertices, axis=1)
    assert np.quantile(gap, 0.99) < 0.01 and gap.max() < 0.05
    assert np.linalg.norm(skin - figure.vertices, axis=1).max() > 0.1
