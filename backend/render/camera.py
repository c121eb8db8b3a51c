"""From OpenCV camera coordinates to the clip coordinates that `rasterize` draws.

Conventions: camera frame +X right, +Y down, +Z forward; clip y points DOWN in the picture, so ndc y = -1 is row 0, the top
row, and ndc (x, y) can be fed to `torch.nn.functional.grid_sample` (align_corners=False) as they are. Pixel centres lie
at +0.5; z/w runs from -1 at `near` to +1 at `far`; w is the depth along the optical axis.
"""

from __future__ import annotations

import torch
from torch import Tensor

from backend.types import Camera


def projection(focal_px: float, width: int, height: int, near: float, far: float) -> Tensor:
    """(4, 4) float32 matrix from homogeneous OpenCV camera points to clip coordinates.

    focal_px: focal length in pixels of a width x height picture with square pixels and its principal point in the
    middle; near, far: depths in object units, 0 < near < far. Raises ValueError outside of that.
    """
    if not (0.0 < near < far and focal_px > 0.0 and width > 0 and height > 0):
        raise ValueError(f"no projection with focal {focal_px}, size {width}x{height}, near {near}, far {far}")
    return torch.tensor(
        [
            [2.0 * focal_px / width, 0.0, 0.0, 0.0],
            [0.0, 2.0 * focal_px / height, 0.0, 0.0],
            [0.0, 0.0, (far + near) / (far - near), -2.0 * far * near / (far - near)],
            [0.0, 0.0, 1.0, 0.0],
        ],
        dtype=torch.float32,
    )


def transform_points(points: Tensor, matrix: Tensor) -> Tensor:
    """points (..., V, 3), matrix (..., 4, 4) or (4, 4) -> homogeneous (..., V, 4); differentiable in both."""
    # four products by hand: a matrix product this thin wakes every thread, which on a busy machine costs more than all the rest
    columns = matrix[..., None, :, :].unbind(-1)  # 4 of (..., 1, 4)
    return points[..., 0:1] * columns[0] + points[..., 1:2] * columns[1] + points[..., 2:3] * columns[2] + columns[3]


def camera_projection(camera: Camera, near: float, far: float, size: tuple[int, int] | None = None) -> Tensor:
    """(4, 4) float32 matrix from object-frame points to clip coordinates of a photo's camera.

    size: (h, w) of the picture to draw when it is the photo scaled (same view, other pixel count); clip coordinates do
    not depend on the pixel count, so it only checks that the aspect is the photo's (ValueError when 2 % off).
    """
    if size is not None:
        stretch = size[1] * camera.height / (size[0] * camera.width)
        if abs(stretch - 1.0) > 0.02:
            raise ValueError(f"a {size[1]}x{size[0]} picture is no scaled {camera.width}x{camera.height} photo")
    matrix = projection(camera.focal_px, camera.width, camera.height, near, far)
    return matrix @ torch.as_tensor(camera.object_to_camera, dtype=torch.float32)
