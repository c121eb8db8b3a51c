"""Promise 1: while a job runs our callbacks take 10 ms (99th percentile) and 50 ms at most."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import numpy as np

CALLBACK_SECONDS = 0.010
WORST_SECONDS = 0.050
ROUNDS = 3


@contextmanager
def own_garbage_only() -> Iterator[None]:
    """The collector leaves alone what earlier tests keep: an artist's Blender doesn't carry their thousands of objects."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def timed(callback: Callable[[], object]) -> tuple[float, float]:
    """Seconds that a call took: by the clock, and of the thread's own work."""
    clock, own = time.perf_counter(), time.thread_time()
    callback()
    return time.perf_counter() - clock, time.thread_time() - own


def keep(callbacks: Iterable[Callable[[], object]], times: int) -> None:
    """Asserts the promise: by the clock, the longest of all by the thread's own work, in the best of three rounds.

    Other programs slow the clock down, and a neighbour on the same core even a thread's own work; what is ours comes in every round.
    """
    rounds = []
    for _ in range(ROUNDS):
        clock, own = [], []
        with own_garbage_only():
            for _ in range(times):
                for callback in callbacks:
                    took = timed(callback)
                    clock.append(took[0])
                    own.append(took[1])
                time.sleep(0.01)
        rounds.append((float(np.percentile(clock, 99)), max(own)))
        if rounds[-1][0] < CALLBACK_SECONDS and rounds[-1][1] < WORST_SECONDS:
            return
    raise AssertionError(f"99th percentile by the clock and longest own work of each round: {rounds}")
