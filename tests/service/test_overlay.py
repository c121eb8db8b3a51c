"""The overlay shows the posed mesh where the recovered camera sees it, and the photo everywhere else."""

from __future__ import annotations

import dataclasses

import numpy as np

from backend.rig.posing import pose_mesh
from backend.service.overlay import LONGEST, draw_overlay, draw_posed
from backend.types import Image
from tests.asset.creature import make_creature

EDGE_PX = 1.5
"""Vertices on the outline may fall just beside the pixels whose centres are covered."""


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


def test_the_photo_stays_outside_and_large_photos_are_capped() -> None:
    asset = make_creature(triangles=1000, texture_size=64)
    photo = np.random.default_rng(0).integers(0, 255, (asset.camera.height, asset.camera.width, 3), np.uint8)
    drawn = draw_overlay(Image(photo), asset)
    _, cover = draw_posed(asset, photo.shape[:2])
    assert drawn.shape == photo.shape and (drawn[~cover] == photo[~cover]).all() and (drawn[cover] != photo[cover]).any()
    wide = dataclasses.replace(asset, camera=dataclasses.replace(asset.camera, width=3000, height=30, focal_px=3000.0))
    assert max(draw_overlay(Image(np.zeros((30, 3000, 3), np.uint8)), wide).shape) == LONGEST
