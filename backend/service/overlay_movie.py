"""The creature drawn over every frame of its clip: the movie that shows whether a motion is right.

Enters a clip and an asset whose first motion is the clip's; leaves `overlay.mp4`, at the clip's rate, and pictures for a preview.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image as Picture

from backend.media.movie_writer import write_movie
from backend.service.overlay import draw_overlay
from backend.types import Asset, ByteArray, Clip, Image, Pose, Progress

LONGEST_SIDE = 960
"""Pixels: a film to judge by, not to keep."""
PREVIEW_FRAMES = 12
"""Frames from one preview to the next."""


def write_overlay_movie(path: Path, clip: Clip, asset: Asset, progress: Progress, share: tuple[float, float] = (0.0, 1.0)) -> None:
    """Write the movie. share: of the progress that it takes. Raises OSError, and what `progress` raises."""
    first, last = share

    def told() -> Iterator[ByteArray]:
        for k, picture in enumerate(draw_frames(clip, asset)):
            progress("overlay", first + (last - first) * k / len(clip.times), picture if k % PREVIEW_FRAMES == 0 else None)
            yield picture

    write_movie(path, told(), clip.fps)


def draw_frames(clip: Clip, asset: Asset, longest: int = LONGEST_SIDE) -> Iterator[ByteArray]:
    """(h, w, 3) uint8 of each frame with the asset in its first motion's pose, through the camera of that moment."""
    for k in range(min(len(clip.times), len(asset.motions[0].rotations))):
        yield draw_overlay(smaller(clip.read(k), longest), at_frame(asset, k))


def at_frame(asset: Asset, k: int) -> Asset:
    """The asset with frame k of its first motion for its photo pose, seen through that frame's camera."""
    motion = asset.motions[0]
    view = asset.camera.object_to_camera if motion.cameras is None else motion.cameras[k]
    pose = Pose(motion.rotations[k], motion.root_translations[k])
    return replace(asset, photo_pose=pose, camera=replace(asset.camera, object_to_camera=view))


def smaller(image: Image, longest: int) -> Image:
    """The picture, at most `longest` pixels long."""
    height, width = image.rgb.shape[:2]
    if max(width, height) <= longest:
        return image
    size = max(2, round(width * longest / max(width, height))), max(2, round(height * longest / max(width, height)))
    rgb, alpha = (None if plane is None else np.asarray(Picture.fromarray(plane).resize(size)) for plane in (image.rgb, image.alpha))
    assert rgb is not None
    return replace(image, rgb=rgb, alpha=alpha)
