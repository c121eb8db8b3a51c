"""A job of three minutes: Blender saves by itself meanwhile, and its window turns as often as it does without one."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import bpy

from tests.gui import artist, seconds
from tests.gui.artist import call, check, names, picture, press, until, wait_up_to

JOB_SECONDS = 180.0
"""Of the made-up method's "patient"."""
LOOKED_SECONDS = 20.0
"""Of each part of the measurement: the view at rest and turned, with a job and without."""
BLOCKED_SECONDS = 0.050
"""By so much a job may lengthen the gap that is felt between two turns of the window."""


def wait_three_minutes(link: Any, took: list[seconds.Took]) -> Iterator[float]:
    """Promise: no modal operator lives as long as a job, so autosave fires; and a job takes no time of the main thread."""
    before = names()
    folder = artist.setting.out / "autosave"
    folder.mkdir(exist_ok=True)
    files = bpy.context.preferences.filepaths
    files.temporary_directory, files.use_auto_save_temporary_files, files.auto_save_time = str(folder), True, 1
    bpy.ops.wm.save_as_mainfile(filepath=str(artist.setting.out / "scene.blend"))
    gaps = seconds.Gaps(took)
    drawn = partial(draw_as_often, link)
    bpy.app.timers.register(drawn)
    yield from watched(gaps, "without a job")
    bpy.app.timers.unregister(drawn)
    patient = artist.setting.out / "patient.png"
    patient.write_bytes(artist.setting.photo.read_bytes())
    bpy.context.scene.menagerie.photo = str(patient)
    bpy.ops.ed.undo_push(message="Photo chosen")  # there is something to save
    saved = autosaves(folder)
    call(bpy.ops.menagerie.reconstruct, "INVOKE_DEFAULT", True)
    yield from until(lambda: link.state.job is not None and link.state.job.stage == "patient")
    yield from watched(gaps, "with a job")
    yield from picture("three-minutes")
    new: set[str] = set()
    end = JOB_SECONDS
    while link.state.job is not None and end > 0:
        new |= autosaves(folder) - saved
        end -= 1.0
        yield 1.0
    yield from until(lambda: link.state.job is None)
    check("autosave fires during a job of three minutes", bool(new), sorted(new))
    for part in ("at rest", "turned"):
        gaps.check(f"{part} with a job")
        check(f"gaps between turns of the window, {part}", fits(gaps, part), described(gaps, part))
    yield from wait_up_to(lambda: names() != before)
    yield from press("Z", ctrl=True)
    yield from wait_up_to(lambda: names() == before)


def draw_as_often(link: Any) -> float:
    """A timer that draws the sidebar as often as a job does: what is compared is what a job takes beside its being shown."""
    link.redraw()
    return float(link.TICK_SECONDS)


def watched(gaps: seconds.Gaps, name: str) -> Iterator[float]:
    """Keep the gaps of a view at rest, then of one that is turned."""
    gaps.during(f"at rest {name}")
    yield LOOKED_SECONDS
    gaps.during(f"turned {name}")
    yield from seconds.orbit(LOOKED_SECONDS)
    gaps.during("")
    yield 0.1


def fits(gaps: seconds.Gaps, part: str) -> bool:
    """Whether a job lengthens the gaps of this part by no more than is promised."""
    return gaps.felt(f"{part} with a job") - gaps.felt(f"{part} without a job") <= BLOCKED_SECONDS


def described(gaps: seconds.Gaps, part: str) -> str:
    """Both distributions."""
    return "; ".join(f"{name}: {gaps.describe(f'{part} {name}')}" for name in ("without a job", "with a job"))


def autosaves(folder: Path) -> set[str]:
    """Name and time of the files that Blender saved by itself."""
    return {f"{path.name} {path.stat().st_mtime:.0f}" for path in folder.rglob("*.blend")}
