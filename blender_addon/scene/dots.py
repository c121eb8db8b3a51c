"""Pictures of handles: a disc in a limb's colour, of a pinned one with a white ring. Made once a file, packed into it, and freed when
no handle shows them."""

from __future__ import annotations

import bpy
import numpy as np

MARK = "menagerie_dot"
"""Custom property of such an image: what it shows."""
SIDE = 64
"""Pixels."""
COLOURS = {
    "torso": (1.0, 0.75, 0.1), "neck and head": (0.25, 0.85, 0.3), "tail": (1.0, 0.5, 0.1), "front leg.L": (0.95, 0.2, 0.2),
    "hind leg.L": (0.9, 0.25, 0.75), "front leg.R": (0.2, 0.5, 1.0), "hind leg.R": (0.1, 0.8, 0.9),
}  # fmt: skip
"""Limb -> sRGB. Left legs are warm, right ones cold."""


def image(group: str, pinned: bool) -> bpy.types.Image:
    """The picture of a handle of that limb."""
    mark = f"{group}{' pinned' if pinned else ''}"
    found = next((each for each in bpy.data.images if each.get(MARK) == mark and each.library is None), None)
    if found is not None:
        return found
    made = bpy.data.images.new(f"joint {mark}", SIDE, SIDE, alpha=True)
    made[MARK] = mark
    made.pixels.foreach_set(disc(COLOURS.get(group, (0.8, 0.8, 0.8)), pinned).ravel())
    made.pack()
    return made


def disc(colour: tuple[float, float, float], pinned: bool) -> np.ndarray:
    """(SIDE, SIDE, 4) float32 RGBA: clear outside, a dark rim; pinned: a white ring about a dark eye."""
    at = (np.arange(SIDE) + 0.5) / SIDE * 2 - 1
    radius = np.hypot(at, at[:, None])[..., None]
    rim, white = np.float32((0.05, 0.05, 0.05)), np.float32((1, 1, 1))
    flesh = np.where(radius < 0.72, np.float32(colour), rim)
    if pinned:
        flesh = np.where(radius < 0.72, white, rim)
        flesh = np.where(radius < 0.5, np.float32(colour), flesh)
        flesh = np.where(radius < 0.18, rim, flesh)
    return np.concatenate([flesh, (radius < 0.92).astype(np.float32)], -1).astype(np.float32)


def forget_unused() -> None:
    """Free the pictures that no handle shows."""
    for each in [each for each in bpy.data.images if each.get(MARK) and each.users == 0]:
        bpy.data.images.remove(each)
