"""Clips with truth, each made into one moving creature and scored: a row a clip.

Enters a folder of clips that `backend.data.clips` wrote and the road to go (`clip_road`). The asset is scored as its file holds it:
its motion, skeleton, skin and camera, nothing of what the method knew. Columns of a row (formulas in `motion_scores`):

  iou            mean over frames of the overlap of the creature, drawn through its camera, with the animal's mask; iou_worst: the least
  joints         joint_error after one similarity for the clip, over the body's length
  pose           pose_error: the same without the animal's way and turns, which pan and cut-out leave to the feet to tell
  mean_pose      mean_pose_error: what a stiff creature could score at best; of_mean_pose = joints / mean_pose
  bones          bone_angle_error, degrees
  jitter         acceleration_error; jitter_pose: of the joints about the pelvis, which a trembling distance from the camera leaves out;
                 with --per-frame, of_each_frame and pose_of_each_frame: over those of frames reconstructed each on its own
  slide ...      foot_slide: slide, slide_most, slide_ends
  swapped        frames in which front or hind legs are taken for each other (find_swaps)
  range ...      swing_scores: range, range_within
  contacts       contact_f1 of find_contacts with the true contacts; contacts_best: of find_contacts on the true motion
  seconds        a frame; memory_mib: the highest

A creature with fewer frames than the clip is scored on those that it has; `covered` says what share of the clip's that is.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.data.clip_truth import ClipTruth, leg_length, read_truth
from backend.errors import MenagerieError
from backend.evaluate.clip_creature import as_file, at_frame, frame_count, make_asset, moving_points, silhouette
from backend.evaluate.clip_road import Found, Road, true_mask
from backend.evaluate.creature_scores import Row
from backend.evaluate.frame_by_frame import each_frame, in_the_world
from backend.evaluate.metrics import mask_iou
from backend.evaluate.motion_scores import (
    about_pelvis,
    acceleration_error,
    align,
    bone_angle_error,
    contact_f1,
    find_contacts,
    find_swaps,
    foot_slide,
    joint_error,
    mean_pose_error,
    pose_error,
    swing_scores,
)  # fmt: skip
from backend.rig.skeleton import skeleton_points
from backend.rig.template import load_quadruped
from backend.types import Asset

Array = NDArray[np.float64]

SAME_RATE = 0.01
"""Frames a second."""


@dataclass(frozen=True)
class ScoredClip:
    """asset: as its file holds it; points (t, 42, 3): its own, in its world; aligned: in the truth's world; frames: those of the clip that
    it was scored on; t is their number."""

    folder: Path
    truth: ClipTruth
    asset: Asset
    points: Array
    aligned: Array
    frames: slice
    row: Row


def find_clips(folder: Path, limit: int = 0) -> list[Path]:
    """Folders of clips, in the order of their names. Raises bad_request where there is none."""
    found = sorted(path.parent for path in folder.glob("*/truth.json"))
    if not found:
        raise MenagerieError("bad_request", f"There are no clips with truth in {folder}; --source makes them.")
    return found[: limit or None]


def evaluate_clips(clips: list[Path], road: Road | None, out: Path, seed: int = 0, per_frame: bool = False) -> Iterator[ScoredClip]:
    """One scored clip after another. road: None scores the truth's own asset (`clip_creature.make_asset`). out: what methods and
    `each_frame` keep lies there. Raises as the road does."""
    for folder in clips:
        truth = read_truth(folder)
        found = Found(make_asset(truth), 0.0, 0.0) if road is None else road(folder, truth, out / "creatures" / folder.name, seed)
        asset = found.asset if road is None else as_file(found.asset)
        beside = each_frame(folder, truth, out / "frame-by-frame") if per_frame else None
        yield score_clip(folder, truth, asset, found, beside)


def score_clip(folder: Path, truth: ClipTruth, asset: Asset, found: Found, beside: Array | None = None) -> ScoredClip:
    """Score a creature. beside: (t, 42, 3) joints of the frames' own reconstructions, camera axes, NaN where one failed.

    Raises internal where the motion is not at the clip's rate.
    """
    rate = asset.motions[0].fps
    if abs(rate - truth.fps) > SAME_RATE:
        raise MenagerieError("internal", f"The creature moves at {rate:.2f} frames a second, its clip at {truth.fps:.2f}.")
    count = min(frame_count(asset), len(truth.points) - found.start)
    points, frames = moving_points(asset)[:count], slice(found.start, found.start + count)
    cover = [mask_iou(silhouette(at_frame(asset, k)), true_mask(folder, found.start + k) > 0.5) for k in range(count)]
    motion, aligned = score_motion(points, rest_lengths(asset), truth, frames)
    row: Row = {
        "clip": truth.facts["name"], "species": truth.facts["species"], "kind": truth.facts["kind"], "camera": truth.facts["camera"],
        "covered": count / len(truth.points), "iou": float(np.mean(cover)), "iou_worst": float(np.min(cover)), **motion,
    }  # fmt: skip
    if beside is not None:
        placed = in_the_world(beside[frames], truth.cameras[frames], truth.points[frames])
        alone = acceleration_error(placed, truth.points[frames], truth.fps, truth.body)
        pose_alone = acceleration_error(about_pelvis(placed), about_pelvis(truth.points[frames]), truth.fps, truth.body)
        row |= {"jitter_each_frame": alone, "of_each_frame": motion["jitter"] / alone}
        row |= {"jitter_pose_each_frame": pose_alone, "pose_of_each_frame": motion["jitter_pose"] / pose_alone}
    row |= {"seconds": round(found.seconds / len(truth.points), 3), "memory_mib": round(found.memory_mib), **_own(found.scores, row)}
    return ScoredClip(folder, truth, asset, points, aligned, frames, row)


def _own(scores: dict[str, float], row: Row) -> dict[str, float]:
    """The method's own scores, but for those that are measured here."""
    return {f"own_{name}" if name in row else name: value for name, value in scores.items()}


def rest_lengths(asset: Asset) -> tuple[float, float]:
    """Body and leg of the creature at rest, in its own units."""
    points, index = skeleton_points(asset.skeleton).astype(np.float64), load_quadruped().point_index
    tail = points[index["tail0"]] if np.isfinite(points[index["tail0"]]).all() else points[index["pelvis"]]
    return float(np.linalg.norm(points[index["withers"]] - tail)), leg_length(points)


def score_motion(points: Array, lengths: tuple[float, float], truth: ClipTruth, frames: slice) -> tuple[dict[str, float], Array]:
    """Points (t, 42, 3) in the creature's world, its body's and leg's length -> scores against the truth's frames, points in its world."""
    body, leg = lengths
    true, contacts = truth.points[frames], truth.contacts[frames]
    aligned = align(points, true)
    stiff = mean_pose_error(true, truth.body)
    joints = joint_error(aligned, true, truth.body)
    scores: dict[str, Any] = {
        "joints": joints, "pose": pose_error(points, true, truth.body), "mean_pose": stiff,
        "of_mean_pose": joints / stiff if stiff > 0 else float("nan"),
        "bones": bone_angle_error(aligned, true), "jitter": acceleration_error(aligned, true, truth.fps, truth.body),
        "jitter_pose": acceleration_error(about_pelvis(aligned), about_pelvis(true), truth.fps, truth.body),
        **foot_slide(points, contacts, leg), "swapped": float(find_swaps(aligned, true, truth.leg).any(1).sum()),
        **swing_scores(points, true), "contacts": contact_f1(find_contacts(points, truth.fps, body), contacts),
        "contacts_best": contact_f1(find_contacts(true, truth.fps, truth.body), contacts),
    }  # fmt: skip
    return scores, aligned


def mean_row(rows: list[Row]) -> dict[str, float]:
    """Means of the numbers over the clips that have them; pooled_of_mean_pose: mean joints over mean mean_pose, since a clip that hardly
    moves has next to none; unswapped: share of clips without a swapped frame; count."""
    columns = dict.fromkeys(name for row in rows for name, value in row.items() if isinstance(value, int | float))
    means = {name: float(np.nanmean([_number(row.get(name)) for row in rows])) for name in columns
             if any(np.isfinite(_number(row.get(name))) for row in rows)}  # fmt: skip
    if "mean_pose" in means:
        means["pooled_of_mean_pose"] = means["joints"] / means["mean_pose"]
    return {**means, "unswapped": float(np.mean([row["swapped"] == 0 for row in rows])), "count": float(len(rows))}


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else float("nan")
