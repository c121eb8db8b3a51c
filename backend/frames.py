"""The only place where axes change.

Four right-handed frames:

- object (used inside the backend, and glTF's own): +Y up, the animal faces +Z, +X is its left;
- Blender (the asset file, the add-on): +Z up, the animal faces -Y, +X is its left;
- OpenCV camera (`types.Camera`): +X right, +Y down, +Z forward;
- OpenGL camera (Blender's, glTF's, and the paper's): +X right, +Y up, looks along -Z.

All functions take and return float32 numpy arrays.
"""

from __future__ import annotations

import numpy as np

from backend.types import FloatArray

OBJECT_TO_BLENDER: FloatArray = np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0]], np.float32)
"""(3, 3): (x, y, z) -> (x, -z, y), a quarter turn about +X."""

OPENCV_TO_OPENGL: FloatArray = np.diag(np.array([1, -1, -1], np.float32))
"""(3, 3): half a turn about +X; its own inverse."""


def object_to_blender(points: FloatArray) -> FloatArray:
    """(..., 3) object-frame vectors or points -> Blender frame."""
    return np.ascontiguousarray(points @ OBJECT_TO_BLENDER.T, np.float32)


def blender_to_object(points: FloatArray) -> FloatArray:
    """(..., 3) Blender-frame vectors or points -> object frame."""
    return np.ascontiguousarray(points @ OBJECT_TO_BLENDER, np.float32)


def camera_opencv_to_opengl(object_to_camera: FloatArray) -> FloatArray:
    """(4, 4) object-to-OpenCV-camera -> object-to-OpenGL-camera, and back (it is its own inverse)."""
    turned = np.array(object_to_camera, np.float32)
    turned[:3] = OPENCV_TO_OPENGL @ turned[:3]
    return turned


def camera_to_object_opengl(object_to_camera: FloatArray) -> FloatArray:
    """(4, 4) object-to-OpenCV-camera -> the OpenGL camera's node transform (camera to object), as glTF wants it."""
    inverse = np.linalg.inv(camera_opencv_to_opengl(object_to_camera).astype(np.float64))
    return inverse.astype(np.float32)


def camera_to_blender(object_to_camera: FloatArray) -> FloatArray:
    """(4, 4) object-to-OpenCV-camera -> matrix_world of a Blender camera that sees the object alike."""
    world = camera_to_object_opengl(object_to_camera)
    world[:3] = OBJECT_TO_BLENDER @ world[:3]
    return world
