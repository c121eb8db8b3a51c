"""A method for tests: no network, and it misbehaves on request. The request's name says how."""

from __future__ import annotations

import dataclasses
import errno
import os
import time
from functools import cache

import numpy as np

from backend.errors import MenagerieError
from backend.methods.request import ClipRequest, Request, Result, Sighting, Viewpoint
from backend.types import Asset, Cost, Motion, Progress
from tests.asset.creature import look_at, make_creature, with_moving_camera

NAME = "made_up"
INPUTS = ("photo", "photos", "clip")
FAR_TOO_LONG = 60.0
SLOW = {"slow": FAR_TOO_LONG, "patient": 180.0}
"""Seconds of the jobs that do nothing but go on."""
STEADY = 0.5
"""Seconds of a job that works evenly."""
SECONDS, MEMORY_MIB = 1.0, 1.0
"""What a job is estimated to take."""


def estimate(request: Request) -> Cost:
    return Cost(SECONDS, MEMORY_MIB)


def run(request: Request, progress: Progress) -> Result:
    """The made-up creature of `tests/asset`, in a moment."""
    behave(request.name, progress)
    asset = dataclasses.replace(small_creature(), name=request.name)
    height, width = request.image.rgb.shape[:2]
    camera = dataclasses.replace(asset.camera, width=width, height=height, focal_px=float(max(width, height)))
    asset = dataclasses.replace(asset, camera=camera, provenance={"method": NAME, "seed": request.seed})
    progress("done", 1.0)
    thumbnail = np.full((32, 32, 3), 90, np.uint8)
    views = tuple(Viewpoint(0.25, thumbnail) for _ in range(4))
    others = []
    for other in request.others:
        rows, columns = other.mask.shape
        there = dataclasses.replace(camera, width=columns, height=rows, focal_px=float(max(rows, columns)))
        others.append(Sighting(there, asset.photo_pose, float(other.mask.mean())))
    return Result(asset, {"iou": float(request.mask.mean())}, views, 0, others=tuple(others))


def estimate_clip(request: ClipRequest) -> Cost:
    return Cost(SECONDS, MEMORY_MIB, ("A made-up warning.",) if request.name == "warns" else ())


def animate(request: ClipRequest, progress: Progress) -> Result:
    """The made-up creature, walking through the clip and turning from frame to frame, with a checkpoint a frame in the request's folder.

    Named "breaks at N" it breaks off at frame N, once; its score `made` counts the frames that were worked on this time.
    """
    behave(request.name, progress)
    asset, frames, made = small_creature(), len(request.clip.times), 0
    for k in range(frames):
        done = request.folder / f"{k}.json"
        if done.exists():
            continue
        if request.name == f"breaks at {k}" and not (request.folder / "broke").exists():
            (request.folder / "broke").touch()
            raise RuntimeError("a made-up break")
        done.write_text(str(float(request.mask(k).mean())))
        made += 1
        progress("fit", k / frames, request.clip.read(k).rgb)
    walk = asset.motions[0]
    moves = np.zeros((frames, 3), np.float32)
    moves[:, 2] = np.linspace(0, 0.5, frames)
    motion = Motion(request.name, request.clip.fps, np.resize(walk.rotations, (frames, *walk.rotations.shape[1:])), moves)
    camera = dataclasses.replace(
        asset.camera, width=request.clip.width, height=request.clip.height, focal_px=1.2 * max(request.clip.width, request.clip.height),
        object_to_camera=look_at((3.0, 1.2, 1.5), (0.0, 0.7, 0.5)),
    )  # fmt: skip
    asset = dataclasses.replace(asset, name=request.name, camera=camera, motions=(motion,), provenance={"seed": request.seed})
    if request.camera == "moving":
        asset = with_moving_camera(asset)
    progress("done", 1.0)
    masks = [float((request.folder / f"{k}.json").read_text()) for k in range(frames)]
    return Result(asset, {"made": made, "cover": float(np.mean(masks)), "unseen": int((~request.visible).sum())})


@cache
def small_creature() -> Asset:
    """Made once a process: tests start many jobs."""
    return make_creature(triangles=1000, texture_size=64)


def behave(name: str, progress: Progress) -> None:
    if name in SLOW:
        start = time.monotonic()
        while (gone := time.monotonic() - start) < SLOW[name]:
            progress(name, gone / SLOW[name], np.full((8, 8, 3), 128, np.uint8))
            time.sleep(0.01)
    elif name.startswith("steady"):
        time.sleep(STEADY)
    elif name == "stuck":
        progress("stuck", 0.5)
        time.sleep(FAR_TOO_LONG)
    elif name == "dies":
        progress("dying", 0.5)
        os._exit(9)
    elif name == "prints":
        print("Content-Length: 3\r\n\r\nhow")
        os.write(1, b"native noise\r\n\r\n")
    elif name == "disk full":
        raise OSError(errno.ENOSPC, "No space left on device")
    elif name == "no memory":
        raise MemoryError
    elif name == "no animal":
        raise MenagerieError("no_animal", "No animal was found in the photo.")
    elif name == "damaged weights":
        raise MenagerieError("weights_damaged", "The weights file fauna.safetensors has changed.")
    elif name == "several":
        raise MenagerieError("several_animals", "There are several animals in the photo.")
