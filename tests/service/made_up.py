"""A method for tests: no network, and it misbehaves on request. The request's name says how."""

from __future__ import annotations

import dataclasses
import errno
import os
import time
from functools import cache

import numpy as np

from backend.errors import MenagerieError
from backend.methods.request import Request, Result, Viewpoint
from backend.types import Asset, Cost, Progress
from tests.asset.creature import make_creature

NAME = "made_up"
INPUTS = ("photo",)
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
    return Result(asset, {"iou": float(request.mask.mean())}, tuple(Viewpoint(0.25, thumbnail) for _ in range(4)), 0)


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
