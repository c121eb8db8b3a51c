"""What is known of a made clip, as it lies beside its frames.

  truth.npz   cameras (t, 4, 4) world to OpenCV camera; points (t, 42, 3) of the template, world; contacts (t, 4) of the feet, in the
              template's order of legs (front.L, front.R, hind.L, hind.R); rotations (t, b, 4) wxyz and placements (t, 4, 4) by
              `rig.solve` from rest_points (42, 3); rest_vertices (v, 3), faces (f, 3), influence and influence_bones (v, 4): the skin
              at rest, on the template's bones; background (t, 3, 3), where there is one: homographies that take the first frame's
              background to frame k's, pixels
  truth.json  name, species, kind, fps, width, height, focal_px, how it was filmed; lengths of body and leg, speed, slide (the farthest
              that a standing toe's tip is from its stance's mean place, in leg lengths)
World: right-handed, +Y up, ground y = 0, body length 1 (withers to tail base at rest), the animal heads for +Z.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from backend.data.clip_motion import ClipMotion
from backend.errors import MenagerieError
from backend.rig.skeleton import body_length
from backend.rig.solve import solve_pose
from backend.rig.template import load_quadruped
from backend.types import FloatArray, IntArray

CREDIT, LICENCE = "0 A.D. © Wildfire Games", "CC-BY-SA-3.0"
ARRAYS, FACTS = "truth.npz", "truth.json"


@dataclass(frozen=True)
class ClipTruth:
    """What `truth.npz` holds, under the same names, and the facts of `truth.json`."""

    facts: dict[str, Any]
    cameras: FloatArray
    points: FloatArray
    contacts: NDArray[np.bool_]
    rotations: FloatArray
    placements: FloatArray
    rest_points: FloatArray
    rest_vertices: FloatArray
    faces: IntArray
    influence: FloatArray
    influence_bones: IntArray
    background: FloatArray | None = None

    @property
    def fps(self) -> float:
        """Frames a second."""
        return float(self.facts["fps"])

    @property
    def body(self) -> float:
        """Withers to tail base at rest."""
        return float(body_length(torch.from_numpy(self.rest_points.astype(np.float64))))

    @property
    def leg(self) -> float:
        """`leg_length` of it."""
        return leg_length(self.rest_points)


def leg_length(points: NDArray[np.floating]) -> float:
    """Rest points (42, 3) -> the four legs' mean length, from hip or shoulder joint to the toe's tip, along the bones."""
    joints = np.stack([points[list(leg.points)] for leg in load_quadruped().legs])  # (4, 5, 3)
    return float(np.linalg.norm(np.diff(joints, axis=1), axis=-1).sum(1).mean())


def feet(points: NDArray[np.floating]) -> NDArray[np.floating]:
    """Points (t, 42, 3) -> toes' tips (t, 4, 3), in the template's order of legs."""
    return points[:, [leg.points[4] for leg in load_quadruped().legs]]


def stances(contacts: NDArray[np.bool_]) -> list[tuple[int, int, int]]:
    """Contacts (t, k) -> (foot, first frame, frame after the last) of every unbroken stance."""
    found = []
    for foot, column in enumerate(contacts.T):
        edges = np.flatnonzero(np.diff(np.concatenate([[0], column.astype(np.int8), [0]])))
        found += [(foot, int(start), int(end)) for start, end in edges.reshape(-1, 2)]
    return found


def strays(tips: NDArray[np.floating], contacts: NDArray[np.bool_]) -> NDArray[np.float64]:
    """tips (t, k, 3), +Y up, contacts (t, k) -> of every stance of two frames or more, the farthest on the ground that the tip is from
    its mean place there, (n,)."""
    spots = [tips[start:end, foot][:, [0, 2]] for foot, start, end in stances(contacts) if end - start > 1]
    return np.array([np.linalg.norm(spot - spot.mean(0), axis=1).max() for spot in spots], np.float64)


def write_truth(
    folder: Path, facts: dict[str, Any], motion: ClipMotion, faces: IntArray, cameras: FloatArray, background: FloatArray | None
) -> None:
    """Write both files. facts: what the shot is; what is measured is added."""
    rotations, placements = solve_pose(motion.rest_points, motion.points)
    bones = np.argsort(-motion.influence, axis=1, kind="stable")[:, :4]
    four = np.take_along_axis(motion.influence, bones, 1)
    arrays: dict[str, Any] = {
        "cameras": cameras, "points": motion.points, "contacts": motion.contacts, "rotations": rotations.astype(np.float32),
        "placements": placements.astype(np.float32), "rest_points": motion.rest_points, "rest_vertices": motion.rest_vertices,
        "faces": faces, "influence": (four / four.sum(1, keepdims=True)).astype(np.float32), "influence_bones": bones.astype(np.int32),
    }  # fmt: skip
    if background is not None:
        arrays["background"] = background
    np.savez_compressed(folder / ARRAYS, **arrays)
    leg = leg_length(motion.rest_points)
    measured = {
        "frames": len(cameras), "moving": bool(np.ptp(cameras, axis=0).max() > 1e-6), "leg_length": round(leg, 6),
        "speed": round(motion.speed, 6), "slide": round(float(strays(feet(motion.points), motion.contacts).max(initial=0)) / leg, 6),
        "legs": [each.name for each in load_quadruped().legs], "points": list(load_quadruped().points), "credit": CREDIT,
        "licence": LICENCE,
    }  # fmt: skip
    (folder / FACTS).write_text(json.dumps({**facts, **measured}, indent=1, ensure_ascii=False) + "\n", "utf-8")


def read_truth(folder: Path) -> ClipTruth:
    """What lies in a clip's folder. Raises bad_request where it holds no clip."""
    if not ((folder / ARRAYS).is_file() and (folder / FACTS).is_file()):
        raise MenagerieError("bad_request", f"{folder.name} holds no clip with truth: {ARRAYS} or {FACTS} is missing.")
    held = np.load(folder / ARRAYS)
    return ClipTruth(json.loads((folder / FACTS).read_text("utf-8")), **{name: held[name] for name in held.files})
