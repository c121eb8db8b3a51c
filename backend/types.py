"""The nouns that every room shares: plain frozen dataclasses over numpy arrays.

Conventions: arrays are C-contiguous; float32 unless said otherwise; angles in radians, times in seconds;
quaternions wxyz. Geometry is in the *object frame* (see `frames.py`): right-handed, +Y up, the animal faces
+Z, +X is its left, which is glTF's own frame. Files and Blender get their frame from `frames.py` alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int32]
ByteArray = NDArray[np.uint8]


class Progress(Protocol):
    """Called often by long work; raises `errors.Cancelled` when the person asked to stop.

    stage: a short name shown to the person; fraction: 0..1 within the whole job;
    preview: optional (h, w, 3) uint8 sRGB picture of the state so far.
    """

    def __call__(self, stage: str, fraction: float, preview: ByteArray | None = None) -> None: ...


def no_progress(stage: str, fraction: float, preview: ByteArray | None = None) -> None:
    """A `Progress` that nobody watches."""


@dataclass(frozen=True)
class Image:
    """A decoded photo: upright, sRGB.

    rgb: (h, w, 3) uint8; alpha: (h, w) uint8 or None (absent or fully opaque);
    focal_px: focal length in pixels of the upright image from EXIF, None if unknown;
    sha256: hex digest of the file's bytes; warnings: sentences for the person;
    plain: whether a viewer that knows no colour profiles, and EXIF in JPEG only, shows the file like this.
    """

    rgb: ByteArray
    alpha: ByteArray | None = None
    focal_px: float | None = None
    sha256: str = ""
    warnings: tuple[str, ...] = ()
    plain: bool = True


@dataclass(frozen=True)
class Clip:
    """A decoded stretch of a clip: upright sRGB frames, read one at a time: a long clip takes no more memory than a short one.

    width, height: pixels of every frame; fps: frames a second of the frames kept; times: (t,) float64 seconds of each from the file's
    beginning; numbers: (t,) int32 which frames of the file they are, counted from 0; read: k in 0 .. t - 1 -> that frame, the same
    size each time; has_alpha: whether frames come with alpha; sha256: hex digest of the file's (or of all frames') bytes.
    """

    width: int
    height: int
    fps: float
    times: NDArray[np.float64]
    numbers: IntArray
    read: Callable[[int], Image]
    has_alpha: bool = False
    sha256: str = ""
    warnings: tuple[str, ...] = ()


Mask = NDArray[np.float32]
"""(h, w) float32 in [0, 1]: share of the pixel that the animal covers, in the photo's pixels."""


@dataclass(frozen=True)
class Camera:
    """A pinhole camera with square pixels and its principal point in the image's middle.

    width, height: pixels of the whole photo; focal_px: focal length in pixels;
    object_to_camera: (4, 4) float32 rigid transform to the OpenCV camera frame (+X right, +Y down, +Z forward).
    Pixel centres are at (i + 0.5); a point (X, Y, Z) projects to (f X/Z + w/2, f Y/Z + h/2).
    """

    width: int
    height: int
    focal_px: float
    object_to_camera: FloatArray


@dataclass(frozen=True)
class Mesh:
    """A welded triangle mesh.

    vertices: (v, 3) object frame; faces: (f, 3) int32, counter-clockwise seen from outside;
    uvs: (f, 3, 2) per corner in [0, 1], origin at the texture's lower left (None before unwrapping);
    mirror: (v,) int32, index of each vertex's mirror twin across x = 0 (itself on the plane), or None.
    """

    vertices: FloatArray
    faces: IntArray
    uvs: FloatArray | None = None
    mirror: IntArray | None = None


@dataclass(frozen=True)
class Skeleton:
    """Bones in parent-before-child order, at rest, in the object frame.

    names: b strings; parents: (b,) int32, -1 for a root; connected, deform: (b,) bool;
    heads, tails: (b, 3); z_axes: (b, 3) unit, each bone's local +Z (local +Y runs head to tail, X = Y x Z).
    """

    names: tuple[str, ...]
    parents: IntArray
    connected: NDArray[np.bool_]
    deform: NDArray[np.bool_]
    heads: FloatArray
    tails: FloatArray
    z_axes: FloatArray


@dataclass(frozen=True)
class Skin:
    """Skinning weights. bones: (v, 4) int32 skeleton indices; weights: (v, 4) float32, >= 0, rows sum to 1."""

    bones: IntArray
    weights: FloatArray


@dataclass(frozen=True)
class Pose:
    """rotations: (b, 4) wxyz in each bone's own rest axes, exactly Blender's pose-bone rotation;
    root_translation: (3,) of the root bone, object frame."""

    rotations: FloatArray
    root_translation: FloatArray


@dataclass(frozen=True)
class Motion:
    """A named motion. fps: frames a second; rotations: (t, b, 4) as in `Pose`; root_translations: (t, 3); loop: closes.

    cameras: (t, 4, 4) object_to_camera of a clip's camera at each frame, where it moves; its intrinsics are the asset's camera's.
    """

    name: str
    fps: float
    rotations: FloatArray
    root_translations: FloatArray
    loop: bool = False
    cameras: FloatArray | None = None


@dataclass(frozen=True)
class Texture:
    """base_color: (s, s, 3) uint8 sRGB, row 0 at the top (v = 1)."""

    base_color: ByteArray


@dataclass(frozen=True)
class Asset:
    """One reconstructed creature, complete: what the asset file holds.

    photo_pose: the pose seen in the photo (None where there was none); metres: object units in metres if known.
    provenance: JSON-able; method, weights' hashes, input's hash, settings, versions; no time, path or machine.
    """

    name: str
    mesh: Mesh
    skeleton: Skeleton
    skin: Skin
    texture: Texture
    camera: Camera
    photo_pose: Pose
    motions: tuple[Motion, ...] = ()
    metres: float | None = None
    provenance: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Cost:
    """What a job will take, before it starts.

    seconds: from the decoded photo to the files, on two free cores; memory_mib: at the highest, above a process that has only
    loaded its libraries; warnings: sentences.
    """

    seconds: float
    memory_mib: float
    warnings: tuple[str, ...] = ()


ProgressFunction = Callable[..., None]
