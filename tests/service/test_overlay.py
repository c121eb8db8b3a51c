"""The overlay shows the posed mesh where the recovered camera sees it, and the photo everywhere else."""

from __future__ import annotations

import dataclasses

import numpy as np

from backend.rig.posing import pose_mesh
from backend.service.overlay import CUT_OUT, STRIP_PIXELS, draw_overlay, draw_posed
from backend.types import Image
from tests.asset.creature import make_creature

EDGE_PX = 1.5
"""Vertices on the outline may fall just beside the pixels whose centres are covered."""

STRIP_TOLERANCE = 1e-5


def test_every_projected_vertex_falls_on_the_drawn_mesh() -> None:
    asset = make_creature(triangles=2000, texture_size=64)
    camera = asset.camera
    _, cover = draw_posed(asset, (camera.height, camera.width))
    vertices = pose_mesh(asset.mesh, asset.skeleton, asset.skin, asset.photo_pose)
    seen = vertices @ camera.object_to_camera[:3, :3].T + camera.object_to_camera[:3, 3]
    pixels = camera.focal_px * seen[:, :2] / seen[:, 2:] + np.array([camera.width, camera.height]) / 2
    inside = (pixels > EDGE_PX).all(1) & (pixels < np.array([camera.width, camera.height]) - EDGE_PX).all(1)
    rows, columns = np.nonzero(cover)
    covered = np.stack([columns + 0.5, rows + 0.5], 1)
    assert inside.any()
    for point in pixels[inside][::20]:
        assert np.abs(covered - point).max(1).min() <= EDGE_PX


def test_the_photo_stays_outside_and_the_mesh_is_drawn_inside() -> None:
    asset = make_creature(triangles=1000, texture_size=64)
    photo = np.random.default_rng(0).integers(0, 255, (asset.camera.height, asset.camera.width, 3), np.uint8)
    drawn = draw_overlay(Image(photo), asset)
    _, cover = draw_posed(asset, photo.shape[:2])
    assert drawn.shape == photo.shape and (drawn[~cover] == photo[~cover]).all()
    assert (drawn[cover] != photo[cover]).any(1).mean() > 0.9


def test_a_large_photo_keeps_its_size_and_strips_meet_without_a_seam() -> None:
    asset = make_creature(triangles=1000, texture_size=64)
    scale = 4000 / max(asset.camera.width, asset.camera.height)
    width, height = round(asset.camera.width * scale), round(asset.camera.height * scale)
    camera = dataclasses.replace(asset.camera, width=width, height=height, focal_px=asset.camera.focal_px * scale)
    asset = dataclasses.replace(asset, camera=camera)
    assert width * height > 2 * STRIP_PIXELS
    photo = np.zeros((height, width, 3), np.uint8)
    drawn = draw_overlay(Image(photo), asset)
    _, cover = draw_posed(asset, (height, width))
    assert drawn.shape == photo.shape
    # Strips round a pixel's place differently, at edges only.
    assert ((drawn > 0).any(2) != cover).mean() < STRIP_TOLERANCE


def test_a_cut_out_animal_stands_before_grey() -> None:
    asset = make_creature(triangles=1000, texture_size=64)
    size = (asset.camera.height, asset.camera.width)
    _, cover = draw_posed(asset, size)
    alpha = np.zeros(size, np.uint8)
    alpha[:, : size[1] // 2] = 255
    drawn = draw_overlay(Image(np.full((*size, 3), 7, np.uint8), alpha), asset)
    assert (drawn[~cover & (alpha > 0)] == 7).all() and (drawn[~cover & (alpha == 0)] == CUT_OUT).all()
