"""Promise 1: while a job runs our callbacks take 10 ms (99th percentile by the clock), and 50 ms of the thread's own work at most.

On a busy machine the clock also counts other programs, so the longest is of own work.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

CALLBACK_SECONDS = 0.010
WORST_SECONDS = 0.050

Took = tuple[float, float]
"""Seconds of a callback: by the clock, and of the thread's own work."""
Result = TypeVar("Result")


def now() -> Took:
    """Both clocks."""
    return time.perf_counter(), time.thread_time()


def since(start: Took) -> Took:
    """What has passed on both."""
    clock, work = now()
    return clock - start[0], work - start[1]


@contextmanager
def own_garbage_only() -> Iterator[None]:
    """The collector leaves alone what earlier tests keep: to look through their hundred thousand objects takes it 60 to 80 ms, which no
    artist's Blender would see."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def timed(took: list[Took], callback: Callable[[], Result]) -> Result:
    """Its answer; what it took is put with the others."""
    start = now()
    answer = callback()
    took.append(since(start))
    return answer


def slow_and_worst(took: list[Took]) -> Took:
    """The 99th percentile by the clock, and the longest of own work: what promise 1 bounds."""
    clock, work = (sorted(each) for each in zip(*took, strict=True))
    return clock[int(0.99 * len(clock))], work[-1]
