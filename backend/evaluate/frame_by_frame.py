"""What a clip gives when each frame is reconstructed on its own, as a photo: the yardstick of jitter.

Enters a clip's folder; leaves the joints of every frame's creature in its camera's axes, kept in a file, since it takes seconds a frame.
A photo tells no scale, so all frames share one, the best; and it tells nothing of the camera's way, so the true cameras bring them into
the world.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from backend.data.clip_truth import ClipTruth
from backend.errors import MenagerieError
from backend.evaluate.clip_road import frame_files, true_mask
from backend.evaluate.creature_scores import stack_points
from backend.evaluate.creature_views import posed_points
from backend.evaluate.motion_scores import align, kept_points
from backend.media.photo import read_photo
from backend.methods.fauna import method as fauna
from backend.methods.fauna.networks import load_networks
from backend.methods.request import Request
from backend.rig.template import load_quadruped
from backend.types import no_progress

Array = NDArray[np.float64]


def each_frame(folder: Path, truth: ClipTruth, kept: Path) -> Array:
    """(t, 42, 3) joints in each frame's camera axes, in creatures' own units; NaN for a frame that could not be reconstructed.

    kept: folder of the results so far, one file a clip; frames that it holds are not made again, if the same weights made them.
    """
    files, names = frame_files(folder), list(load_quadruped().points)
    target = kept / f"{folder.name}.npz"
    mark = weights_mark()
    joints = np.full((len(files), len(names), 3), np.nan)
    done = np.zeros(len(files), bool)
    if target.exists():
        held = np.load(target)
        if str(held["weights"]) == mark and held["joints"].shape == joints.shape:
            joints, done = held["joints"], held["done"]
    kept.mkdir(parents=True, exist_ok=True)
    for number in np.flatnonzero(~done):
        image = read_photo(files[number])
        try:
            result = fauna.run(Request(image, true_mask(folder, int(number))), no_progress)
        except MenagerieError as fault:
            print(f"{folder.name}, frame {number}: {fault}", flush=True)
        else:
            camera = result.asset.camera.object_to_camera.astype(np.float64)
            joints[number] = stack_points(posed_points(result.asset), names) @ camera[:3, :3].T + camera[:3, 3]
        done[number] = True
        np.savez(target, joints=joints, done=done, weights=mark)
    return joints


def weights_mark() -> str:
    """What tells one set of weights from another: a sum over all of them."""
    networks = load_networks()
    tensors = [*networks.encoder.state_dict().values(), *networks.model.state_dict().values()]
    return f"{sum(float(tensor.double().abs().sum()) for tensor in tensors):.6f}"


def in_the_world(joints: Array, cameras: NDArray[np.floating], truth: NDArray[np.floating]) -> Array:
    """Joints (t, 42, 3) in camera axes, true cameras (t, 4, 4) and points (t, 42, 3) -> joints in the truth's world, after one scale for
    the clip, the true cameras, and then the one similarity that every motion is allowed. Frames of NaN stay so."""
    there = np.isfinite(joints).any((1, 2))
    turns, shifts = cameras[:, :3, :3].astype(np.float64), cameras[:, :3, 3].astype(np.float64)
    seen = truth @ turns.swapaxes(1, 2) + shifts[:, None]
    kept = kept_points(joints[there])
    own, true = joints[there][:, kept], seen[there][:, kept]
    scale = float((own * true).sum() / (own**2).sum())
    world = (scale * joints - shifts[:, None]) @ turns
    placed = np.full_like(joints, np.nan)
    placed[there] = align(world[there], truth[there])
    return placed
