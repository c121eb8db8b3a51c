"""A made-up creature in a made-up clip: its own frames, and the truth that it is itself."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from backend.evaluate.clip_creature import at_frame, moving_points, silhouette
from backend.evaluate.motion_scores import find_contacts
from backend.evaluate.surfaces import view_turn
from backend.rig.skeleton import skeleton_points
from backend.rig.template import load_quadruped
from backend.types import Asset, Camera, Motion, Pose
from tests.asset.creature import make_creature

FPS, FRAMES, WIDTH, HEIGHT = 24.0, 8, 96, 64


def filmed_creature(moving: bool = False) -> Asset:
    """The creature of the asset's tests walks along +Z for eight frames, seen from its left; moving: by a camera that goes along."""
    creature, template = make_creature(1500, 64), load_quadruped()
    phase = 2 * np.pi * np.arange(FRAMES) / FRAMES
    rotations = np.tile(np.array([1.0, 0, 0, 0]), (FRAMES, len(creature.skeleton.names), 1))
    for number, leg in enumerate(template.legs):
        half = 0.2 * np.sin(phase + np.pi * (number in (1, 2)))
        bone = creature.skeleton.names.index(template.bone_names[leg.bones[0]])
        rotations[:, bone, 0], rotations[:, bone, 1] = np.cos(half), np.sin(half)
    places = np.zeros((FRAMES, 3))
    places[:, 2] = 0.04 * np.arange(FRAMES)
    camera = np.eye(4, dtype=np.float32)
    camera[:3, :3] = view_turn(80, 5)
    camera[:3, 3] = -camera[:3, :3] @ np.array([0, 0.8, 0.6]) + [0, 0, 7]
    cameras = np.tile(camera, (FRAMES, 1, 1))
    cameras[:, :3, 3] -= places @ camera[:3, :3].T
    motion = Motion("clip", FPS, rotations.astype(np.float32), places.astype(np.float32), cameras=cameras if moving else None)
    first = Pose(motion.rotations[0], motion.root_translations[0])
    return replace(creature, camera=Camera(WIDTH, HEIGHT, 200.0, camera), photo_pose=first, motions=(motion,))


def write_clip(folder: Path, asset: Asset) -> Path:
    """The clip's folder as `data.clips` would write it of that creature."""
    (folder / "frames").mkdir(parents=True)
    motion, template = asset.motions[0], load_quadruped()
    for number in range(len(motion.rotations)):
        cover = silhouette(at_frame(asset, number))
        Image.fromarray(np.dstack([np.full((HEIGHT, WIDTH, 3), 120, np.uint8), cover * np.uint8(255)]), "RGBA").save(
            folder / "frames" / f"{number:04}.png"
        )
    points = moving_points(asset)
    still = np.tile(asset.camera.object_to_camera, (len(points), 1, 1))
    rest, bones = skeleton_points(asset.skeleton), len(template.bones)
    np.savez(
        folder / "truth.npz", cameras=still if motion.cameras is None else motion.cameras, points=points.astype(np.float32),
        contacts=find_contacts(points, FPS, 1.0), rotations=np.zeros((len(points), bones, 4), np.float32),
        placements=np.tile(np.eye(4), (len(points), 1, 1)), rest_points=rest, rest_vertices=asset.mesh.vertices, faces=asset.mesh.faces,
        influence=asset.skin.weights, influence_bones=asset.skin.bones,
    )  # fmt: skip
    facts = {
        "name": folder.name, "animal": "bead", "species": "creature", "kind": "walk", "camera": "still", "fps": FPS, "width": WIDTH,
        "height": HEIGHT, "focal_px": asset.camera.focal_px,
    }  # fmt: skip
    (folder / "truth.json").write_text(json.dumps(facts))
    return folder
