"""Joints in the photo, both ways: where a result's joints are seen, and where a person has put them (pins).

Joints are the template's points by name; places are the photo's pixels (x, y), (0, 0) its upper left corner.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from backend.errors import MenagerieError
from backend.rig.posing import posed_points
from backend.rig.template import load_quadruped
from backend.types import Asset

BEYOND = 0.5
"""How far outside the photo a joint may be put, over the photo's side: a foot that the frame cuts off stands there."""
UNSURE = 0.3
"""Confidence below which a joint counts as guessed."""
FILE_LIMIT = 1 << 16
"""Bytes of a file of pins."""

Places = dict[str, tuple[float, float]]


def joints_in_photo(asset: Asset) -> dict[str, list[float]]:
    """Where the photo shows each of the asset's joints: [x, y], to a hundredth of a pixel. Those behind the camera are left out."""
    camera = asset.camera
    view = camera.object_to_camera.astype(np.float64)
    found: dict[str, list[float]] = {}
    for name, point in posed_points(asset.skeleton, asset.photo_pose).items():
        x, y, depth = view[:3, :3] @ point + view[:3, 3]
        if depth > 0:
            at = camera.focal_px * x / depth + camera.width / 2, camera.focal_px * y / depth + camera.height / 2
            found[name] = [round(float(value), 2) for value in at]
    return found


def check_pins(pins: Mapping[str, Any], size: tuple[int, int]) -> Places:
    """Pins as they came -> the same as floats, for a photo of size (width, height). Raises `bad_request` with the joint's name."""
    known, checked = load_quadruped().point_index, {}
    for name, place in pins.items():
        if name not in known:
            raise MenagerieError("bad_request", f"There is no joint called {name[:40]!r}.")
        if not (isinstance(place, (list, tuple)) and len(place) == 2 and all(type(value) in (int, float) for value in place)):
            raise MenagerieError("bad_request", f"The place of {name} is not two numbers.")
        # Not a number is in no range either.
        if not all(-BEYOND * side <= value <= (1 + BEYOND) * side for value, side in zip(place, size, strict=True)):
            raise MenagerieError("bad_request", f"{name} is pinned far outside the photo.", "Drag it onto the photo, or unpin it.")
        checked[name] = (float(place[0]), float(place[1]))
    return checked


def read_pins(path: Path) -> dict[str, Any]:
    """A JSON file {joint: [x, y]} -> its object, its members not yet checked. Raises `bad_request`."""
    try:
        with path.open("rb") as file:
            text = file.read(FILE_LIMIT + 1)
        pins = json.loads(text.decode("utf-8")) if len(text) <= FILE_LIMIT else None
    except OSError as error:
        raise MenagerieError("bad_request", f"{path.name} cannot be read: {error.strerror or error}.") from error
    except (ValueError, RecursionError) as error:
        raise MenagerieError("bad_request", f"{path.name} is not JSON.") from error
    if not isinstance(pins, dict):
        raise MenagerieError("bad_request", f'{path.name} does not hold one object of pins, like {{"hock.L": [120, 80]}}.')
    return pins
