"""How long Blender's main thread is kept: the seconds of the add-on's own callbacks, and the gaps between two turns of the window.

A window drawn by the processor takes long to draw whatever runs, so the gaps with a job are compared with those without one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import bpy

from tests.gui.artist import PACKAGE, check, press

CALLBACK_SECONDS = 0.010
CALLBACK_WORST_SECONDS = 0.050
"""Promise 1: the 99th percentile, and the longest."""


def time_callbacks(link: Any) -> list[float]:
    """-> a list that fills with the seconds of each tick and each drawing of a panel. Ticks that place a result don't count."""
    took: list[float] = []
    placed: list[bool] = []
    tick, place = link.tick, link.place_if_free

    def timed_tick() -> float | None:
        placed.clear()
        start = time.perf_counter()
        pause: float | None = tick()
        if not placed:
            took.append(time.perf_counter() - start)
        return pause

    def noted_place() -> None:
        placed.append(True)
        place()

    def timed_draw(plain: Callable[..., None]) -> Callable[[Any, Any], None]:
        def draw(self: Any, context: Any) -> None:
            start = time.perf_counter()
            plain(self, context)
            took.append(time.perf_counter() - start)

        return draw

    link.tick, link.place_if_free = timed_tick, noted_place
    for panel in bpy.types.Panel.__subclasses__():
        if panel.__module__.startswith(PACKAGE) and "draw" in vars(panel):
            panel.draw = timed_draw(panel.draw)
    return took


def check_callbacks(took: list[float], name: str) -> None:
    """Promise 1 over what `time_callbacks` noted."""
    slow = sorted(took)[int(0.99 * (len(took) - 1))]
    short = slow <= CALLBACK_SECONDS and max(took) <= CALLBACK_WORST_SECONDS
    check(f"promise 1: callbacks are short {name}", short, f"p99 {slow * 1e3:.1f} ms of {len(took)}, worst {max(took) * 1e3:.1f} ms")


class Gaps:
    """Seconds between two turns of Blender's main loop, kept under what goes on meanwhile."""

    def __init__(self) -> None:
        self.kept: dict[str, list[float]] = {}
        self.now = ""
        self.last = 0.0

    def during(self, name: str) -> None:
        """From now on the gaps belong to this; "" stops."""
        was, self.now, self.last = self.now, name, time.perf_counter()
        if name and not was:
            bpy.app.timers.register(self.turn)

    def turn(self) -> float | None:
        """The timer."""
        if not self.now:
            return None
        here = time.perf_counter()
        self.kept.setdefault(self.now, []).append(here - self.last)
        self.last = here
        return 0.001

    def share(self, name: str, share: float) -> float:
        """The gap, in seconds, that this share of them doesn't pass."""
        gaps = sorted(self.kept.get(name, [0.0]))
        return gaps[int(share * (len(gaps) - 1))]

    def describe(self, name: str) -> str:
        """Median, 90th and 99th percentile and the longest, milliseconds."""
        marks = [self.share(name, share) * 1e3 for share in (0.5, 0.9, 0.99, 1.0)]
        return "median {:.0f}, p90 {:.0f}, p99 {:.0f}, longest {:.0f} ms".format(*marks) + f" of {len(self.kept.get(name, []))}"


def orbit(seconds: float) -> Iterator[float]:
    """Turn the view with the keyboard for so long."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        yield from press("NUMPAD_4")
