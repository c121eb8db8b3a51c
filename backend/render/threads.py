"""Spread kernels that release the interpreter lock over as many threads as torch uses.

A plain pool and not numba's `prange`: numba's default threading layer ends the process when two Python threads
enter it at once, and its OpenMP layer does not survive a fork. Work is split by row and picture only, and no two
parts write the same number, so results do not depend on the number of threads.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import torch

SMALLEST_SPLIT = 2**18
"""Pixels below which one picture stays on the calling thread: its two milliseconds are not worth waking another one,
which on a busy machine costs many more."""

_pool: ThreadPoolExecutor | None = None
_pool_size = 0


def _forget_pool() -> None:
    """In a forked child the pool's threads do not exist: make a new one when needed."""
    global _pool, _pool_size
    _pool, _pool_size = None, 0


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_pool)


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Within it torch, and with it `run_parts`, uses so many. One: where tensors are small, waking another for each costs more than it
    does."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def run_parts(function: Callable[..., Any], parts: Sequence[tuple[Any, ...]]) -> None:
    """Call function(*part) for every part, the first on the calling thread; returns when all are done. Exceptions are raised."""
    global _pool, _pool_size
    threads = torch.get_num_threads()
    if threads < 2 or len(parts) < 2:
        for part in parts:
            function(*part)
        return
    if _pool is None or _pool_size != threads - 1:
        _pool = ThreadPoolExecutor(threads - 1, thread_name_prefix="render")
        _pool_size = threads - 1
    futures = [_pool.submit(function, *part) for part in parts[1:]]
    try:
        function(*parts[0])
    finally:
        for future in futures:
            future.result()


def row_bands(pictures: int, height: int, width: int) -> list[tuple[int, int, int]]:
    """(picture, first row, end row) of each part: whole pictures when they are many or small, else bands of rows."""
    threads = torch.get_num_threads()
    bands = 1 if pictures >= threads or height * width < SMALLEST_SPLIT else -(-threads // max(pictures, 1))
    edges = [round(height * k / bands) for k in range(bands + 1)]
    return [(b, edges[k], edges[k + 1]) for b in range(pictures) for k in range(bands)]
