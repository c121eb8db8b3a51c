"""What a method is asked and what it answers; the whole contract between `service` and `methods/<name>`.

A method's module has `NAME`, `INPUTS`, `estimate(request) -> types.Cost`, asked before anything is looked for in the photo, and
`run(request, progress) -> Result`, where `progress(stage, fraction)` raises `Cancelled`. One that takes clips has `estimate_clip` and
`animate(request, progress) -> Result` as well: the asset's first motion is the clip's own, from its first frame on at its rate.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from backend.types import Asset, ByteArray, Camera, Clip, Cost, FloatArray, Image, Mask, Pose, Progress

Quality = Literal["fast", "fine"]


@dataclass(frozen=True)
class Photo:
    """A further photo of the animal. mask: (h, w) in its pixels."""

    image: Image
    mask: Mask


@dataclass(frozen=True)
class Request:
    """One photo to reconstruct, or several of one animal: each with a camera and a pose of its own.

    mask: (h, w) in the photo's pixels, not yet known (all 0) to `estimate`; viewpoint: which of the method's four hypotheses, None
    for its best; flip_heading: take the hypothesis that faces the other way; swap_legs: take left legs for right ones; name: of the
    asset, one that `asset.schema.check_name` accepts; pins: names of points (joints) with the photo's pixels (x, y) at which a person has
    seen them, to be kept whatever the method reads; others: further photos of the same animal, for methods with "photos" among their
    `INPUTS`: the creature has the first one's camera and pose, and all else is about the first alone.
    """

    image: Image
    mask: Mask
    quality: Quality = "fast"
    seed: int = 0
    viewpoint: int | None = None
    flip_heading: bool = False
    swap_legs: bool = False
    name: str = "creature"
    pins: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    others: tuple[Photo, ...] = ()


CameraKind = Literal["auto", "still", "moving"]


@dataclass(frozen=True)
class ClipRequest:
    """One clip to reconstruct: one creature, one motion.

    mask: k -> (h, w) of frame k, in the frame's pixels, all 0 where the animal isn't seen; visible: (t,) whether it is; background:
    (t, 3, 3) homographies that take the first frame's background to frame k's, pixels, None where no background is known (alpha given,
    nothing behind the animal); camera: whether the camera stood still, "auto" to find out; folder: where the method keeps what it
    resumes from; name: see `Request`.
    """

    clip: Clip
    mask: Callable[[int], Mask]
    visible: NDArray[np.bool_]
    folder: Path
    background: FloatArray | None = None
    camera: CameraKind = "auto"
    seed: int = 0
    name: str = "creature"


@dataclass(frozen=True)
class Viewpoint:
    """One hypothesis of how the animal is seen. probability: 0..1; thumbnail: (h, w, 3) uint8 sRGB."""

    probability: float
    thumbnail: ByteArray


@dataclass(frozen=True)
class Sighting:
    """The creature as a further photo shows it: its camera, its pose there, and the silhouettes' overlap."""

    camera: Camera
    pose: Pose
    iou: float


@dataclass(frozen=True)
class Result:
    """What a method found. scores: JSON-able measures of the fit; viewpoints: the hypotheses, `chosen` among them; confidence: 0..1,
    how sure it is of where points are seen, by name; others: one for each of the request's."""

    asset: Asset
    scores: dict[str, float] = field(default_factory=dict)
    viewpoints: tuple[Viewpoint, ...] = ()
    chosen: int | None = None
    confidence: dict[str, float] = field(default_factory=dict)
    others: tuple[Sighting, ...] = ()


class Method(Protocol):
    """The module of a method."""

    def estimate(self, request: Request) -> Cost: ...

    def run(self, request: Request, progress: Progress) -> Result: ...


class ClipMethod(Protocol):
    """The module of a method that takes clips."""

    def estimate_clip(self, request: ClipRequest) -> Cost: ...

    def animate(self, request: ClipRequest, progress: Progress) -> Result: ...
