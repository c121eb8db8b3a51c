"""What a method is asked and what it answers; the whole contract between `service` and `methods/<name>`.

A method's module has `NAME`, `INPUTS`, `estimate(request) -> types.Cost`, asked before anything is looked for in the photo, and
`run(request, progress) -> Result`, where `progress(stage, fraction)` raises `Cancelled`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

from backend.types import Asset, ByteArray, Cost, Image, Mask, Progress

Quality = Literal["fast", "fine"]


@dataclass(frozen=True)
class Request:
    """One photo to reconstruct.

    mask: (h, w) in the photo's pixels, not yet known (all 0) to `estimate`; viewpoint: which of the method's four hypotheses, None
    for its best; flip_heading: take the hypothesis that faces the other way; swap_legs: take left legs for right ones; name: of the
    asset, one that `asset.schema.check_name` accepts; pins: names of points (joints) with the photo's pixels (x, y) at which a person has
    seen them, to be kept whatever the method reads.
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


@dataclass(frozen=True)
class Viewpoint:
    """One hypothesis of how the animal is seen. probability: 0..1; thumbnail: (h, w, 3) uint8 sRGB."""

    probability: float
    thumbnail: ByteArray


@dataclass(frozen=True)
class Result:
    """What a method found. scores: JSON-able measures of the fit; viewpoints: the hypotheses, `chosen` among them; confidence: 0..1,
    how sure it is of where points are seen, by name."""

    asset: Asset
    scores: dict[str, float] = field(default_factory=dict)
    viewpoints: tuple[Viewpoint, ...] = ()
    chosen: int | None = None
    confidence: dict[str, float] = field(default_factory=dict)


class Method(Protocol):
    """The module of a method."""

    def estimate(self, request: Request) -> Cost: ...

    def run(self, request: Request, progress: Progress) -> Result: ...
