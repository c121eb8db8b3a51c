"""A creature that moves, read from its asset alone: where its joints are and what its camera sees, frame by frame.

Enters: a `types.Asset` whose first motion is a clip's. Leaves: points (t, 42, 3) in the asset's own world (object frame, +Y up), the
camera of each frame, silhouettes. And the other way round: an asset made of a clip's truth, which scores what the template's bones and
weights can do at best.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from backend.data.clip_truth import ClipTruth
from backend.errors import MenagerieError
from backend.evaluate.creature_scores import stack_points
from backend.evaluate.creature_views import exported, posed_surface
from backend.render.camera import camera_projection, transform_points
from backend.render.cpu import rasterize
from backend.rig.posing import posed_points
from backend.rig.rotations import matrix_to_quaternion, quaternion_to_matrix
from backend.rig.skeleton import build_skeleton, rest_matrices, skeleton_points
from backend.rig.solve import solve_pose
from backend.rig.template import load_quadruped
from backend.types import Asset, Camera, Mesh, Motion, Pose, Skin, Texture

NEAR = 0.5
"""Of the nearest vertex's depth: the near plane."""


def as_file(asset: Asset) -> Asset:
    """The asset as its file holds it. Raises bad_request where it has no motion, internal where the file has lost its moving camera."""
    if not asset.motions:
        raise MenagerieError("bad_request", f"The creature {asset.name} has no motion to score.")
    read = exported(asset)
    if asset.motions[0].cameras is not None and read.motions[0].cameras is None:
        raise MenagerieError("internal", "The asset file does not hold the clip's moving camera.")
    return read


def frame_count(asset: Asset) -> int:
    """Frames of its first motion."""
    return len(asset.motions[0].rotations)


def at_frame(asset: Asset, number: int) -> Asset:
    """The creature as a photo of that frame would give it: the motion's pose and camera as photo pose and camera."""
    motion = asset.motions[0]
    camera = asset.camera if motion.cameras is None else replace(asset.camera, object_to_camera=motion.cameras[number])
    return replace(asset, photo_pose=Pose(motion.rotations[number], motion.root_translations[number]), camera=camera)


def moving_points(asset: Asset) -> NDArray[np.float64]:
    """(t, 42, 3) in the asset's world; NaN for points that it lacks."""
    names, motion = list(load_quadruped().points), asset.motions[0]
    poses = (Pose(turns, root) for turns, root in zip(motion.rotations, motion.root_translations, strict=True))
    return np.stack([stack_points(posed_points(asset.skeleton, pose), names) for pose in poses])


def silhouette(asset: Asset) -> NDArray[np.bool_]:
    """(h, w) what the creature covers in its photo pose through its camera."""
    vertices, camera = posed_surface(asset).vertices, asset.camera
    depth = vertices @ camera.object_to_camera[2, :3] + camera.object_to_camera[2, 3]
    if depth.max() <= 0:
        return np.zeros((camera.height, camera.width), bool)
    near = max(NEAR * float(depth.min()), 1e-3 * float(depth.max()))
    seen = transform_points(torch.from_numpy(vertices), camera_projection(camera, near, 2 * float(depth.max())))
    rast = rasterize(seen[None].contiguous(), torch.from_numpy(asset.mesh.faces), (camera.height, camera.width))
    return np.asarray(rast[0, ..., 3].numpy() > 0)


def make_asset(truth: ClipTruth) -> Asset:
    """The truth as an asset: its own rest skin on its own skeleton, moved by the rotations that `solve_pose` finds; the root carries the
    way through the world. Not closed, not welded, grey: to be scored, not to be written."""
    skeleton = build_skeleton(truth.rest_points)
    rotations, placements = solve_pose(skeleton_points(skeleton), truth.points)
    root = rest_matrices(skeleton)[0]
    turned = root[:3, :3].T @ placements[:, :3, :3] @ root[:3, :3] @ quaternion_to_matrix(torch.from_numpy(rotations[:, 0])).numpy()
    rotations[:, 0] = matrix_to_quaternion(torch.from_numpy(turned)).numpy()
    places = placements[:, :3, :3] @ root[:3, 3] + placements[:, :3, 3] - root[:3, 3]
    facts, still = truth.facts, np.ptp(truth.cameras, axis=0).max() == 0
    camera = Camera(facts["width"], facts["height"], facts["focal_px"], truth.cameras[0])
    motion = Motion(
        facts["name"], truth.fps, rotations.astype(np.float32), places.astype(np.float32), cameras=None if still else truth.cameras
    )
    mesh = Mesh(truth.rest_vertices, truth.faces, np.zeros((len(truth.faces), 3, 2), np.float32))
    grey = Texture(np.full((4, 4, 3), 160, np.uint8))
    first = Pose(motion.rotations[0], motion.root_translations[0])
    return Asset(facts["name"], mesh, skeleton, Skin(truth.influence_bones, truth.influence), grey, camera, first, (motion,))
