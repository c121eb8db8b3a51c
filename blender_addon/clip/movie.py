"""The clip behind the creature: a movie, or a folder of frames, on the plane that its camera carries, in sync at any scene's rate.

Blender shows one picture of a movie a frame of the scene, whatever the rates are. So where they differ the plane's offset into the
movie is animated: at every frame the picture that is nearest in time. As with photos it is an image Empty before the camera and not a
background image of it, because no fit of those survives another aspect of the scene; it moves with the camera.
"""

from __future__ import annotations

import re
from pathlib import Path

import bpy
import numpy as np

from .. import compat
from ..retarget.rotations import Array
from ..scene import view
from ..scene.creature import NUMBER
from . import action as actions
from .timing import movie_numbers, offsets

FRAMES = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp", ".avif", ".heic")
"""Endings of a folder's frames: the backend's own list, so that both count alike."""
SAME_SHAPE = 0.3
"""Logarithm of proportions by which a movie may differ from what the backend saw: pixels may not be square, but a phone isn't turned."""
OFFSET = "image_user.frame_offset"
LAST_NUMBER = re.compile(r"(.*?)(\d+)(\D*)$", re.DOTALL)


def load_movie(path: Path, name: str, shape: float | None = None) -> tuple[bpy.types.Image, float, Array] | None:
    """-> the image, its frames a second (0 where it doesn't say: a folder), and the numbers (n,) by which Blender calls its pictures; None
    where Blender can't show it, or not in its shape (width over height): lying on its side."""
    frames = frames_in(path) if path.is_dir() else [path]
    if not frames:
        return None
    try:
        image = bpy.data.images.load(str(frames[0]))
    except RuntimeError:
        return None
    width, height = image.size
    if not (width and height) or (shape is not None and abs(np.log(width / height / shape)) > SAME_SHAPE):
        bpy.data.images.remove(image)
        return None
    image.name = name
    if image.source == "MOVIE":
        return image, rate_of(path), np.arange(1, image.frame_duration + 1)
    numbers = numbers_of(frames)
    if len(frames) > 1 and numbers is not None:
        image.source = "SEQUENCE"
    return image, 0.0, np.array(numbers or [1])


def first_picture(image: bpy.types.Image) -> Array:
    """(h, w, 4) float32 RGBA of the clip's beginning, small, row 0 at the bottom."""
    kind = image.source
    if kind != "SEQUENCE":
        return view.photo_preview(image)
    image.source = "FILE"  # a sequence shows nothing before it is told a frame
    try:
        return view.photo_preview(image)
    finally:
        image.source = kind


def rate_of(path: Path) -> float:
    """A movie's frames a second, 0 where it doesn't say."""
    try:
        clip = bpy.data.movieclips.load(str(path))
    except RuntimeError:
        return 0.0
    try:
        return float(clip.fps)
    finally:
        bpy.data.movieclips.remove(clip)


def frames_in(folder: Path) -> list[Path]:
    """A folder's pictures in the order of the numbers in their names."""
    try:
        found = [path for path in folder.iterdir() if path.suffix.lower() in FRAMES and not path.name.startswith(".")]
    except OSError:
        return []
    return sorted(found, key=in_order)


def in_order(path: Path) -> list[tuple[bool, int, str]]:
    """Sorts frame2 before frame10."""
    return [(part.isdecimal(), int(part) if part.isdecimal() else 0, part) for part in re.split(r"(\d+)", path.name.lower())]


def numbers_of(frames: list[Path]) -> list[int] | None:
    """The number in each name, as Blender counts a sequence; None where the names differ in more than that."""
    parts = [LAST_NUMBER.match(path.stem) for path in frames]
    if not all(parts) or len({(part[1], part[3], path.suffix) for part, path in zip(parts, frames, strict=True) if part}) != 1:
        return None
    return [int(part[2]) for part in parts if part]


def show_in_sync(
    plane: bpy.types.Object, frames: Array, start: float, movie_fps: float, scene_fps: float, numbers: Array
) -> bpy.types.Action | None:
    """Let the plane show its movie along the scene's frames (n,), from the clip's second `start` on -> the action that keeps it in sync,
    None where the rates are one and nothing needs to move."""
    wanted = numbers[movie_numbers(frames, start, movie_fps, scene_fps, len(numbers))]
    at, shift = offsets(frames, wanted)
    user = plane.image_user
    user.frame_start, user.frame_duration, user.use_cyclic, user.use_auto_refresh = int(frames[0]), len(frames), False, True
    user.frame_offset = int(shift[0])
    old = plane.animation_data.action if plane.animation_data is not None else None
    ours = old is not None and old.get(actions.ROLE) == actions.MOVIE
    if ours:
        plane.animation_data.action = None
        if old.users <= old.use_fake_user:
            bpy.data.actions.remove(old)
    if len(at) == 1 or (old is not None and not ours):
        return None
    action = actions.new_action(f"{plane.name} in sync", actions.MOVIE, plane.get(NUMBER))
    curve = compat.new_curve(compat.curve_home(action, plane), OFFSET, 0, "Image User")
    actions.write_keys(curve, at, shift, None, actions.CONSTANT)
    compat.assign_action(plane, action)
    return action


def show_now(context: bpy.types.Context, plane: bpy.types.Object) -> None:
    """Let a plane whose movie has just been set show the picture of the present frame: which one that is, Blender works out when it
    evaluates a plane that it knows already, and what it has once drawn stays until the frame changes (seen in 5.2)."""
    context.view_layer.update()
    plane.update_tag()
    context.view_layer.update()
