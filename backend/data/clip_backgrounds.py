"""A place behind a filmed animal: one photograph, hung far behind it, seen by the moving camera.

Enters: a photograph, the shot's cameras and where the animal goes. Leaves: every frame's background, and the homographies between
them. The photograph is a plane across the view of the shot's middle, so that a pan, a shake and a walk beside the animal all move it
as a homography does; it is large enough that no frame sees its edge.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage

from backend.data.clip_cameras import Shot
from backend.types import ByteArray, FloatArray

Array = NDArray[np.float64]

BEHIND = 8.0
"""Body lengths from the farthest that the animal gets to the place."""
ROOM = 1.02
"""How much larger than what the frames see."""


@dataclass(frozen=True)
class Backdrop:
    """photograph; to_photograph (t, 3, 3): frame's pixels to the photograph's; homographies (t, 3, 3): the first frame's pixels to
    frame k's."""

    photograph: PillowImage.Image
    to_photograph: Array
    homographies: FloatArray
    size: tuple[int, int]

    def behind(self, number: int) -> ByteArray:
        """(h, w, 3) what frame `number` shows without the animal."""
        matrix = self.to_photograph[number]
        row = (matrix / matrix[2, 2]).ravel()[:8]
        picture = self.photograph.transform(self.size, PillowImage.Transform.PERSPECTIVE, row.tolist(), PillowImage.Resampling.BICUBIC)
        return np.asarray(picture)

    def paste(self, cutout: ByteArray, number: int) -> ByteArray:
        """(h, w, 4) of an animal over its frame's place -> (h, w, 3)."""
        share = cutout[..., 3:].astype(np.float32) / 255
        return np.rint(cutout[..., :3] * share + self.behind(number) * (1 - share)).astype(np.uint8)


def hang_backdrop(scene: ByteArray, cameras: FloatArray, skin: FloatArray, shot: Shot, rng: np.random.Generator) -> Backdrop:
    """scene (h, w, 3); cameras (t, 4, 4); skin (t, v, 3) -> the backdrop. rng: which part of a larger photograph is taken."""
    middle = cameras[len(cameras) // 2].astype(np.float64)
    far = float((skin.reshape(-1, 3) @ middle[2, :3] + middle[2, 3]).max()) + BEHIND
    axes, at = middle[:3, :3], -middle[:3, :3].T @ middle[:3, 3]
    # A point (u, v) of the plane is at + axes^T (u, v, far) in the world.
    plane = np.concatenate([axes.T[:, :2], (at + axes.T[:, 2] * far)[:, None]], 1)  # (3, 3)
    intrinsics = np.array([[shot.focal_px, 0, shot.width / 2], [0, shot.focal_px, shot.height / 2], [0, 0, 1]])
    seen = np.stack([intrinsics @ (c[:3, :3] @ plane + np.outer(c[:3, 3], [0, 0, 1])) for c in cameras.astype(np.float64)])
    back = np.linalg.inv(seen)  # (t, 3, 3) pixels to the plane
    corners = np.array([[0, 0, 1], [shot.width, 0, 1], [0, shot.height, 1], [shot.width, shot.height, 1.0]])
    spots = corners @ back.swapaxes(1, 2)
    spots = spots[..., :2] / spots[..., 2:]
    low, high = spots.min((0, 1)), spots.max((0, 1))
    size = np.array(scene.shape[1::-1], float)
    scale = float((size / ((high - low) * ROOM)).min())  # photograph's pixels a unit of the plane
    room = size - (high - low) * scale
    corner = room * rng.uniform(0.1, 0.9, 2)
    fit = np.array([[scale, 0, corner[0] - low[0] * scale], [0, scale, corner[1] - low[1] * scale], [0, 0, 1]])
    moves = seen @ back[0]
    return Backdrop(
        PillowImage.fromarray(scene), fit @ back, (moves / moves[:, 2:, 2:]).astype(np.float32), (shot.width, shot.height)
    )
