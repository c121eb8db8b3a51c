"""A made-up animal as `backend.data.stage` holds it: round beads along the template's bones, one rig bone each."""

from __future__ import annotations

import numpy as np

from backend.data import variety
from backend.data.quadrupeds import DIAGONAL, Quadruped
from backend.data.smoothing import weld
from backend.data.stage import Stage
from backend.rig.proportions import template_weights
from backend.rig.solve import solve_pose
from backend.rig.template import load_quadruped
from tests.rig.animals import rest_points


def octahedron(centre: np.ndarray, radius: float) -> tuple[np.ndarray, np.ndarray]:
    """Closed, outward."""
    corners = centre + radius * np.array([[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1]])
    faces = [(0, 2, 4), (2, 1, 4), (1, 3, 4), (3, 0, 4), (2, 0, 5), (1, 2, 5), (3, 1, 5), (0, 3, 5)]
    return corners, np.array(faces)


def made_up_stage() -> Stage:
    """Two poses: at rest, and walking off to the animal's left with the neck lowered."""
    template = load_quadruped()
    points = rest_points().astype(np.float64)
    points *= DIAGONAL / np.linalg.norm(np.ptp(points, axis=0))
    points[:, 1:] -= (points[:, 1:].max(0) + points[:, 1:].min(0)) / 2
    vertices, faces, bones = [], [], []
    for bone, (head, tail) in enumerate(zip(template.head_points, template.tail_points, strict=True)):
        for share in (0.0, 0.5, 1.0) if tail >= 0 and head >= 0 else ():
            radius = 0.35 if template.bones[bone].group == "torso" else 0.09
            corners, sides = octahedron(points[head] + share * (points[tail] - points[head]), radius)
            faces.append(sides + 6 * len(vertices))
            vertices.append(corners)
            bones += [bone] * 6
    places = np.concatenate(vertices).astype(np.float32)
    count = len(template.bones)
    slots = np.zeros((len(places), 4), np.int32)
    slots[:, 0] = bones
    weights = np.tile(np.array([1, 0, 0, 0], np.float32), (len(places), 1))
    carried = np.zeros((len(points), count), np.float32)
    carried[np.arange(len(points)), template.point_bones] = 1
    eye = np.tile(np.eye(4, dtype=np.float32), (count, 1, 1))
    animal = Quadruped(
        "bead", "bead", "bead", places, np.concatenate(faces).astype(np.int32), np.zeros((len(places), 2), np.float32), slots, weights,
        eye, np.eye(4, dtype=np.float32), points.astype(np.float32), carried, (), (),
    )  # fmt: skip
    away = np.tile(np.eye(4), (count, 1, 1))
    away[:] = [[0, 0, 1, 3], [0, 1, 0, 0.2], [-1, 0, 0, -2], [0, 0, 0, 1]]
    matrices = np.stack([eye, away.astype(np.float32)])
    posed = np.stack([animal.points, animal.points @ away[0, :3, :3].T + away[0, :3, 3]]).astype(np.float32)
    frames = variety.posed_frames(animal.points, *solve_pose(animal.points, posed))
    influence = template_weights(animal.vertices, animal.faces, animal.points, weld(places)[1])
    skin = (np.full((2, 2, 3), 120, np.uint8),)
    return Stage(animal, matrices, posed, frames, np.array([0.5, 0.5]), ("rest", "off"), influence, weld(places)[1], skin)
