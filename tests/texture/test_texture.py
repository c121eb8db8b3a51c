"""Unwrap, bake and fill on a creature whose coat is known everywhere."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from scipy.ndimage import distance_transform_edt
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from backend.render.cpu import texture
from backend.texture import bake, fill, unwrap
from backend.texture.photo import build_pyramid
from backend.texture.texels import find_texels
from backend.texture.unwrap import GUTTER, find_twin_faces
from backend.types import Mesh, Texture
from tests.texture.creature import BACKGROUND, coat, light, lobed_body, photograph, view

SIZE = 512
MEAN, WORST = 0.01, 0.05
"""Albedo errors of texels the photo shows: on average, and of 99 in 100 (photo of 8 bits, pixels larger than texels)."""


@cache
def body() -> Mesh:
    return unwrap(lobed_body(), SIZE)


def texel_errors(mesh: Mesh, result: Texture) -> np.ndarray:
    """(n, 3) distance of each texel's colour from the coat."""
    texels = find_texels(mesh, SIZE)
    return np.abs(result.base_color[texels.rows, texels.columns] / 255 - coat(texels.at(mesh.vertices)))


def holds_background(result: Texture) -> bool:
    """Whether any texel, gutters included, is greener than the coat ever is."""
    color = result.base_color.astype(int)
    return bool((color[..., 1] - color[..., 0] > 20).any())


def chart_labels(mesh: Mesh) -> np.ndarray:
    """(f,) number of each face's chart: faces whose corners share vertex and UV are in one."""
    assert mesh.uvs is not None
    keys = np.concatenate([mesh.faces.reshape(-1, 1), np.round(mesh.uvs.reshape(-1, 2) * 2**16)], 1)
    _, point = np.unique(keys, axis=0, return_inverse=True)
    f = np.repeat(np.arange(len(mesh.faces)), 3)
    count = len(mesh.faces)
    graph = coo_matrix((np.ones(len(f)), (f, count + point.ravel())), (count + point.max() + 1,) * 2)
    return connected_components(graph, directed=False)[1][:count]


def test_left_and_right_have_mirrored_charts_in_their_own_halves() -> None:
    mesh = body()
    assert mesh.uvs is not None and mesh.mirror is not None
    left = mesh.vertices[mesh.faces][:, :, 0].sum(1) > 0
    assert mesh.uvs.min() >= 0 and mesh.uvs.max() <= 1
    assert mesh.uvs[left][..., 0].max() < 0.5 < mesh.uvs[~left][..., 0].min()
    twins = find_twin_faces(mesh.faces, mesh.mirror)
    for f in (0, 500, len(mesh.faces) - 1):
        for k in range(3):
            m = list(mesh.faces[twins[f]]).index(mesh.mirror[mesh.faces[f, k]])
            assert np.allclose(mesh.uvs[twins[f], m], mesh.uvs[f, k] * [-1, 1] + [1, 0])


def test_charts_neither_overlap_nor_touch_and_use_the_texture() -> None:
    mesh = body()
    texels = find_texels(mesh, SIZE)
    assert float(texels.area.sum()) == pytest.approx(len(texels.rows), rel=0.01)  # an overlap would be counted once
    assert len(texels.rows) > 0.3 * SIZE**2
    labels = np.full((SIZE, SIZE), -1)
    labels[texels.rows, texels.columns] = chart_labels(mesh)[texels.face]
    for chart in np.unique(labels[labels >= 0]):
        near = distance_transform_edt(labels != chart) < GUTTER - 0.5
        assert set(np.unique(labels[near])) <= {-1, chart}


def test_texels_are_as_large_on_one_part_as_on_another() -> None:
    mesh = body()
    corners = mesh.vertices[mesh.faces]
    area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1) / 2
    density = np.sqrt(find_texels(mesh, SIZE).area / area)
    low, high = np.percentile(density, [5, 95])
    assert high / low < 2


def test_unwrapping_twice_gives_the_same_bits() -> None:
    again = unwrap(lobed_body(), SIZE)
    assert again.uvs is not None and body().uvs is not None and np.array_equal(again.uvs, body().uvs)


def test_a_mesh_without_mirror_fills_the_whole_texture_and_a_false_mirror_is_refused() -> None:
    plain = unwrap(replace(lobed_body(), mirror=None), SIZE)
    assert plain.uvs is not None and plain.uvs[..., 0].max() > 0.6
    turned = lobed_body()
    assert turned.mirror is not None
    with pytest.raises(ValueError):
        unwrap(replace(turned, mirror=np.roll(turned.mirror, 1)), SIZE)
    with pytest.raises(ValueError):
        find_texels(lobed_body(), SIZE)


@pytest.mark.parametrize("degrees", [90, 45, 10])
def test_seen_texels_reproduce_the_photo_freed_of_its_light(degrees: float) -> None:
    mesh, camera, shading = body(), view(degrees), light(body())
    rgb, mask = photograph(mesh, camera, shading)
    baked = bake(mesh, mesh.vertices, camera, rgb, mask, shading, SIZE)
    seen = baked.confidence > 0.1
    error = np.abs(baked.color - coat(baked.texels.at(mesh.vertices)))[seen]
    assert seen.mean() > 0.1
    assert error.mean() < MEAN and np.percentile(error, 99) < WORST
    assert baked.confidence.min() >= 0 and baked.confidence.max() <= 1


def test_texels_turned_away_or_hidden_have_no_confidence() -> None:
    mesh, camera = body(), view(10)
    rgb, mask = photograph(mesh, camera)
    baked = bake(mesh, mesh.vertices, camera, rgb, mask, None, SIZE)
    rest = baked.texels.at(mesh.vertices)
    assert baked.confidence[rest[:, 2] < -1.9].max() == 0  # the rear faces away
    # straight from the front, the first lobe hides the waist behind it
    waist = (np.abs(rest[:, 2] - 1.0) < 0.05) & (rest[:, 1] < 0)
    assert waist.sum() > 50 and baked.confidence[waist].mean() < 0.2


@pytest.mark.parametrize("degrees", [90, 45])
def test_a_filled_texture_is_the_coat_on_both_sides_and_holds_no_background(degrees: float) -> None:
    mesh, camera, shading = body(), view(degrees), light(body())
    rgb, mask = photograph(mesh, camera, shading)
    result = fill(mesh, bake(mesh, mesh.vertices, camera, rgb, mask, shading, SIZE))
    assert result.base_color.shape == (SIZE, SIZE, 3) and result.base_color.dtype == np.uint8
    assert not holds_background(result)
    texels = find_texels(mesh, SIZE)
    side = np.abs(texels.at(mesh.vertices)[:, 0]) > 0.35
    error = texel_errors(mesh, result)[side]
    assert np.median(error) < 2 * MEAN  # left as seen, right by symmetry


def test_a_mesh_that_does_not_quite_fit_the_photo_takes_no_background() -> None:
    mesh = body()
    rgb, mask = photograph(mesh, view(90))
    fat = replace(mesh, vertices=(mesh.vertices * np.array([1.1, 1.12, 1.08])).astype(np.float32))
    result = fill(mesh, bake(mesh, fat.vertices, view(90, shift=(0.1, 0.05)), rgb, mask, None, SIZE))
    assert not holds_background(result)


def test_a_mask_that_is_a_little_too_wide_takes_no_background() -> None:
    mesh = body()
    rgb, mask = photograph(mesh, view(90))
    wide = (distance_transform_edt(mask < 0.5) < 1.5).astype(np.float32)
    result = fill(mesh, bake(mesh, mesh.vertices, view(90), rgb, wide, None, SIZE))
    assert not holds_background(result)


def test_a_colour_field_fills_what_symmetry_cannot_and_is_matched_to_the_photo() -> None:
    mesh, camera = body(), view(0)
    rgb, mask = photograph(mesh, camera)
    baked = bake(mesh, mesh.vertices, camera, rgb, mask, None, SIZE)
    unseen = baked.confidence == 0
    spread = texel_errors(mesh, fill(mesh, baked))[unseen].mean()
    guided = fill(mesh, baked, lambda points: coat(points) * 0.8 + 0.1)  # the coat, paler
    error = texel_errors(mesh, guided)[unseen]
    offset = np.abs(coat(baked.texels.at(mesh.vertices)) * 0.8 + 0.1 - coat(baked.texels.at(mesh.vertices)))[unseen]
    assert error.mean() < 0.5 * spread and error.mean() < offset.mean()
    assert not holds_background(guided)


def test_a_further_photo_shows_what_the_first_does_not_in_the_firsts_light() -> None:
    mesh = replace(body(), mirror=None)
    front, side = (bake(mesh, mesh.vertices, camera, *photograph(mesh, camera), None, SIZE) for camera in (view(0), view(90)))
    dark = replace(side, color=(side.color * 0.7).astype(np.float32))  # taken in the evening
    added = (front.confidence == 0) & (side.confidence > 0.4)
    error, alone = (texel_errors(mesh, fill(mesh, front, others=others))[added].mean() for others in ((dark,), ()))
    assert added.mean() > 0.1
    assert error < 0.5 * alone and error < 0.5 * np.abs(dark.color - side.color)[added].mean()
    sure = front.confidence > 0.9
    both, first = (fill(mesh, front, others=others).base_color.astype(int) for others in ((dark,), ()))
    texels = front.texels
    changed = np.abs(both - first)[texels.rows, texels.columns][sure]
    assert np.percentile(changed, 95) <= 1, "what the first photo shows well is the first photo's"


def test_a_colour_field_is_asked_at_few_points_and_still_shown_faithfully() -> None:
    mesh = body()
    baked = bake(mesh, mesh.vertices, view(90), *(np.zeros((600, 900, *c), np.uint8) for c in ((3,), ())), None, SIZE)
    asked = []

    def field(points: np.ndarray) -> np.ndarray:
        asked.append(len(points))
        return coat(points)

    error = texel_errors(mesh, fill(mesh, baked, field))
    assert sum(asked) == len(mesh.vertices) + len(mesh.faces) * 3 // 2  # vertices and edges of a closed mesh
    assert error.mean() < 1 / 255 and error.max() < 0.03


def test_colours_meet_where_charts_meet() -> None:
    """Both texels of a seam, read bilinearly at its vertices, show the same colour."""
    mesh, camera = body(), view(60)
    rgb, mask = photograph(mesh, camera)
    result = fill(mesh, bake(mesh, mesh.vertices, camera, rgb, mask, None, SIZE), lambda points: coat(points) * 0.8 + 0.1)
    assert mesh.uvs is not None
    uv = torch.from_numpy(mesh.uvs.reshape(1, 1, -1, 2).copy())
    uv[..., 1] = 1 - uv[..., 1]
    read = texture(torch.from_numpy(result.base_color / np.float32(255))[None], uv)[0, 0].numpy()
    index = mesh.faces.ravel()
    low, high = np.full((len(mesh.vertices), 3), 2.0), np.full((len(mesh.vertices), 3), -1.0)
    np.minimum.at(low, index, read)
    np.maximum.at(high, index, read)
    assert np.percentile(high - low, 99) < 0.08
    assert (high - low).mean() < 0.01


def test_smaller_versions_of_a_texture_hold_no_colour_but_the_coats() -> None:
    """Renderers filter with halved pictures: down to the smallest none is darker or brighter than the charts, so no texel is left unfilled;
    and the first two halvings, read at a chart's corners, mix in no other chart."""
    mesh, camera = body(), view(60)
    rgb, mask = photograph(mesh, camera)
    result = fill(mesh, bake(mesh, mesh.vertices, camera, rgb, mask, None, SIZE), coat)
    texels = find_texels(mesh, SIZE)
    charts = result.base_color[texels.rows, texels.columns]
    level = result.base_color.astype(np.float32)
    while len(level) > 1:
        level = halved(level)
        assert level.min() >= charts.min() and level.max() <= charts.max()
    labels, homes = chart_labels(mesh), np.full((SIZE, SIZE), -1)
    homes[texels.rows, texels.columns] = labels[texels.face]
    rows, columns = distance_transform_edt(homes < 0, return_distances=False, return_indices=True)
    homes = homes[rows, columns]
    assert mesh.uvs is not None
    for chart in np.unique(labels):
        own = (homes == chart).astype(np.float32)[..., None]
        uv = torch.from_numpy(mesh.uvs[labels == chart].reshape(1, 1, -1, 2) * np.float32([1, -1]) + np.float32([0, 1]))
        for _ in range(3):
            assert texture(torch.from_numpy(own)[None], uv).min() > 1 - 1e-5
            own = halved(own)


def halved(picture: np.ndarray) -> np.ndarray:
    """(s, s, c) -> (s / 2, s / 2, c), each texel the mean of four."""
    side, channels = len(picture) // 2, picture.shape[2]
    return picture.reshape(side, 2, side, 2, channels).mean((1, 3))


def test_without_any_photo_the_field_or_grey_is_left() -> None:
    mesh, camera = body(), view(90)
    rgb = np.full((camera.height, camera.width, 3), BACKGROUND, np.uint8)
    baked = bake(mesh, mesh.vertices, camera, rgb, np.zeros(rgb.shape[:2], np.float32), None, SIZE)
    assert baked.confidence.max() == 0
    assert np.unique(fill(mesh, baked).base_color).tolist() == [128]
    assert texel_errors(mesh, fill(mesh, baked, coat)).mean() < 1 / 255
    behind = view(90)
    away = replace(behind, object_to_camera=np.diag([1, 1, -1, 1]).astype(np.float32) @ behind.object_to_camera)
    rgb, mask = photograph(mesh, camera)
    assert bake(mesh, mesh.vertices, away, rgb, mask, None, SIZE).confidence.max() == 0


def test_the_pyramid_reads_only_the_animal_at_every_level_and_never_holds_a_large_photo_as_floats() -> None:
    rgb = np.full((2500, 5000, 3), BACKGROUND, np.uint8)
    mask = np.zeros((2500, 5000), np.float32)
    mask[:, 300:4700] = 1  # reaches the photo's upper and lower border
    rgb[:, 300:4700] = (200, 40, 90)
    pyramid = build_pyramid(rgb, mask)
    assert pyramid is not None and pyramid.reduction == 3 and max(pyramid.levels[0].shape) <= 2048
    places = np.array([[2500, 1250], [2500, 2], [330, 1250], [150, 1250], [-50, 9000]], np.float32)
    for footprint in (1.0, 9.0, 60.0):
        color, weight = pyramid.sample(places, np.full(5, footprint, np.float32))
        assert weight[0] == pytest.approx(1, abs=1e-3) and weight[1] > 0.4  # cut by the frame is no rim
        assert np.abs(color[weight > 0.01] - np.array([200, 40, 90]) / 255).max() < 0.01
    assert pyramid.sample(places, np.ones(5, np.float32))[1][3:].max() == 0


def test_sizes_that_do_not_fit_are_refused() -> None:
    mesh, camera = body(), view(90)
    rgb, mask = np.zeros((camera.height, camera.width, 3), np.uint8), np.zeros((camera.height, camera.width), np.float32)
    with pytest.raises(ValueError):
        bake(mesh, mesh.vertices, camera, rgb[:-1], mask, None, SIZE)
    with pytest.raises(ValueError):
        bake(mesh, mesh.vertices, camera, rgb, mask[:-1], None, SIZE)
    with pytest.raises(ValueError):
        bake(mesh, mesh.vertices[:-1], camera, rgb, mask, None, SIZE)
