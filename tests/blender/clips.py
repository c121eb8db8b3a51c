"""What the tests of clips share: a creature whose asset has a clip's motion, movies of a known picture a frame, and a placed result."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import bpy
import numpy as np
from PIL import Image as PillowImage

from blender_addon.clip import place as clips
from blender_addon.retarget.rotations import continuous
from blender_addon.scene.asset_file import AssetFile, Motion
from blender_addon.scene.creature import Creature
from blender_addon.scene.place import place_asset
from blender_addon.turntable.movie import write_mp4
from tests.asset.creature import look_at
from tests.blender.creatures import read_creature

STRIDE = 26.5
"""Frames of one stride at 30 a second: no whole number, as in real clips."""
SIDE = 64
STEP = 3
"""By how much a movie's picture is brighter than the one before, of 255."""


@lru_cache
def clip_asset(frames: int = 70, fps: float = 30.0, moving: bool = False) -> AssetFile:
    """The made-up creature as if from a clip: it walks ahead with the root, legs and tail swing, the photo's pose is its first frame's.
    moving: the camera goes along and round."""
    asset = read_creature()
    asset = replace(asset, width=asset.height)  # as square as the movies here
    phase = 2 * np.pi * np.arange(frames) / STRIDE + 0.7
    rotations = np.zeros((frames, len(asset.bone_names), 4), np.float32)
    rotations[..., 0] = 1
    for bone, name in enumerate(asset.bone_names):
        shift = np.pi * (name.startswith("front") == name.endswith(".L"))
        part, axis = name.partition(".")[0], 1
        width = {"thigh": 0.35, "front_thigh": 0.35, "shin": 0.25, "front_shin": 0.2, "toe": 0.2, "front_toe": 0.2}.get(part, 0.0)
        if part == "tail":
            width, axis = 0.2, 3
        half = width / 2 * np.sin(phase + shift - (0.9 if "shin" in part else 0.0))
        rotations[:, bone, 0], rotations[:, bone, axis] = np.cos(half), np.sin(half)
    rotations[1::2] *= -1  # the same rotations: what reads them must not care
    walked = np.zeros((frames, 3), np.float32)
    walked[:, 1] = -0.02 * np.arange(frames)
    walked[:, 2] = 0.01 * np.sin(2 * phase)
    cameras = None
    if moving:
        angles = np.linspace(0, 0.6, frames)
        ways = [look_at((3.5 * np.cos(a), 1.4, 0.5 + 3.5 * np.sin(a)), (0.0, 0.75, 0.5 + 0.01 * i)) for i, a in enumerate(angles)]
        back = np.array(asset.blender_to_camera) @ np.linalg.inv(ways[0])
        cameras = np.stack([back @ way for way in ways]).astype(np.float32)
        cameras[:, 3] = [0, 0, 0, 1]
    motion = Motion("clip", fps, False, rotations, walked, cameras)
    return replace(asset, photo_rotations=continuous(rotations)[0].astype(np.float32), photo_translation=walked[0], motions=(motion,))


def write_frames(folder: Path, count: int = 80, first: int = 1) -> Path:
    """A folder of grey pictures, each a little brighter than the one before."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        PillowImage.new("RGB", (SIDE, SIDE), (STEP * number,) * 3).save(folder / f"shot_{first + number:04d}.png")
    return folder


def write_movie(folder: Path, count: int = 80, fps: int = 30) -> Path:
    """A movie of them."""
    target = folder / "clip.mp4"
    write_mp4(sorted(write_frames(folder / "frames", count).iterdir()), target, SIDE, fps)
    return target


def place_clip(asset: AssetFile, path: Path, wishes: clips.Wishes | None = None, start: float = 0.0, name: str = "doe") -> Creature:
    """The clip's creature, as the operator places it."""
    moving = clips.Moving(asset, clips.Clip(path, start), clips.Wishes() if wishes is None else wishes)
    still = replace(asset, motions=())
    return place_asset(bpy.context, still, None, name, finish=lambda creature: moving.on_new(bpy.context, creature, []))


def pose_at(rig: bpy.types.Object, frame: float, names: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
    """(b, 4) rotations that Blender shows at a frame, and the root's place in armature space."""
    bpy.context.scene.frame_set(int(frame), subframe=frame % 1)
    shown = rig.evaluated_get(bpy.context.evaluated_depsgraph_get())
    turns = np.array([shown.pose.bones[name].matrix_basis.to_quaternion() for name in names])
    root = shown.pose.bones[names[0]]
    return turns, np.array(root.matrix.translation) - np.array(rig.data.bones[names[0]].head_local)
