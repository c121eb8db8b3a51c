"""How long Blender's main thread is kept: the seconds of the add-on's own callbacks, and the gaps between two turns of the window.

A window drawn by the processor takes long to draw whatever runs. So of each gap it is noted how much of it our callbacks took (what is left
is Blender's own: drawing, mostly), and the gaps with a job are compared with those without one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import bpy

from tests.gui.artist import PACKAGE, check, module, press
from tests.promise import CALLBACK_SECONDS, WORST_SECONDS, Took, now, since, slow_and_worst


def time_callbacks(link: Any) -> list[Took]:
    """-> a list that fills with the seconds of each tick, each drawing of a panel or of joints, each look at what has changed. Ticks that
    place a result don't count."""
    took: list[Took] = []
    placed: list[bool] = []
    tick, place = link.tick, link.place_if_free

    def timed_tick() -> float | None:
        placed.clear()
        start = now()
        pause: float | None = tick()
        if not placed:
            took.append(since(start))
        return pause

    def noted_place() -> None:
        placed.append(True)
        place()

    def timed(plain: Callable[..., None]) -> Callable[..., None]:
        def call(*words: Any) -> None:
            start = now()
            plain(*words)
            took.append(since(start))

        return call

    def timed_draw(plain: Callable[..., None]) -> Callable[[Any, Any], None]:
        counted = timed(plain)

        def draw(self: Any, context: Any) -> None:  # Blender counts a panel's arguments
            counted(self, context)

        return draw

    link.tick, link.place_if_free = timed_tick, noted_place
    for panel in bpy.types.Panel.__subclasses__():
        if panel.__module__.startswith(PACKAGE) and "draw" in vars(panel):
            panel.draw = timed_draw(panel.draw)
    marks, watch, handlers = module(".panels.joint_marks"), module(".scene.watch"), bpy.app.handlers.depsgraph_update_post
    marks.end()
    marks.draw = timed(marks.draw)
    marks.begin()
    watch.end()
    watch.changed = bpy.app.handlers.persistent(timed(watch.changed))
    handlers.append(watch.changed)
    return took


def check_callbacks(took: list[Took], name: str) -> None:
    """Promise 1 over what `time_callbacks` noted."""
    slow, worst = slow_and_worst(took)
    longest = max(clock for clock, _ in took)
    note = f"p99 {slow * 1e3:.1f} ms of {len(took)}, worst {worst * 1e3:.1f} ms of work, {longest * 1e3:.1f} ms by the clock"
    check(f"promise 1: callbacks are short {name}", slow <= CALLBACK_SECONDS and worst <= WORST_SECONDS, note)


class Gaps:
    """Seconds between two turns of Blender's main loop, kept under what goes on meanwhile, and how many of each our callbacks took.

    took: the list of `time_callbacks`. No modal operator: a timer that comes back after a millisecond.
    """

    def __init__(self, took: list[Took] | None = None) -> None:
        self.took = [] if took is None else took
        self.noted = 0
        self.kept: dict[str, list[float]] = {}
        self.ours: dict[str, list[float]] = {}
        self.now = ""
        self.last = 0.0

    def during(self, name: str) -> None:
        """From now on the gaps belong to this; "" stops."""
        was, self.now, self.last = self.now, name, time.perf_counter()
        self.noted = len(self.took)
        if name and not was:
            bpy.app.timers.register(self.turn)

    def turn(self) -> float | None:
        """The timer."""
        if not self.now:
            return None
        here = time.perf_counter()
        self.kept.setdefault(self.now, []).append(here - self.last)
        self.ours.setdefault(self.now, []).append(sum(work for _, work in self.took[self.noted :]))
        self.last, self.noted = here, len(self.took)
        return 0.001

    def share(self, name: str, share: float) -> float:
        """The gap, in seconds, that this share of them doesn't pass."""
        gaps = sorted(self.kept.get(name, [0.0]))
        return gaps[int(share * (len(gaps) - 1))]

    def felt(self, name: str) -> float:
        """How long, in seconds, the gap is into which a moment falls, on the average: what a hand on the mouse waits for. Of all gaps
        most are a millisecond and some a drawing of the window, so that their plain median is now the one and now the other."""
        gaps = self.kept.get(name, [])
        return sum(gap * gap for gap in gaps) / sum(gaps) if gaps else 0.0

    def check(self, name: str) -> None:
        """Promise 1: in no gap did our callbacks hold Blender's main thread for longer than is promised."""
        gaps, ours = self.kept.get(name, [0.0]), self.ours.get(name, [0.0])
        longest = max(range(len(gaps)), key=gaps.__getitem__)
        note = f"ours at most {max(ours) * 1e3:.1f} ms in one of {len(gaps)} gaps, {sum(ours):.2f} s of {sum(gaps):.0f} s in all"
        note += f"; the longest gap, {gaps[longest] * 1e3:.0f} ms, had {ours[longest] * 1e3:.1f} ms of ours; all: {self.describe(name)}"
        check(f"promise 1: we never hold the main thread, {name}", max(ours) <= WORST_SECONDS and len(gaps) > 1, note)

    def describe(self, name: str) -> str:
        """What is felt, the median, 90th and 99th percentile and the longest, milliseconds."""
        marks = [self.felt(name) * 1e3] + [self.share(name, share) * 1e3 for share in (0.5, 0.9, 0.99, 1.0)]
        text = "felt {:.0f}, median {:.0f}, p90 {:.0f}, p99 {:.0f}, longest {:.0f} ms".format(*marks)
        return text + f" of {len(self.kept.get(name, []))}"


def orbit(seconds: float) -> Iterator[float]:
    """Turn the view with the keyboard for so long."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        yield from press("NUMPAD_4")
