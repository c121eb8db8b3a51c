"""Many photos, one after another: works through the list of `batch_list` and places what is finished.

The backend gets one photo at a time, as an errand beside the panel's own job: whoever presses Reconstruct meanwhile is next. A failure
stays with its entry and stops nothing, unless it would be every other photo's too. Finished creatures go to their spots in the row as
soon as the artist is free; each does so by itself once, so that one whose placing was undone stays undone. The list outlives Blender
(`batch_list`); whether a creature is placed is read from the open file, where undo and loading can't make it untrue.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import bpy
from bpy.app.handlers import persistent

from .. import paths, settings
from . import batch_list, batch_rows, session
from .batch_list import BatchList, Entry
from .errors import LinkError
from .process import Job

TICK_SECONDS = 0.25
PITCH = 1.25
"""Between two neighbours in the row, along X, in Blender's units: an animal's body is 1 long and faces -Y."""
ENTRY = "menagerie_entry"
"""Custom property of a placed armature: the folder of the entry's result."""
TRIES = 2
"""How often a photo is begun whose job ends the backend."""
EVERY_PHOTOS = ("backend_missing", "backend_mismatch", "weights_missing", "weights_damaged", "disk_full", "not_writable", "protocol")
"""Failures that the next photo would meet as well: the batch stops, and nothing in it counts as failed."""


@dataclass
class Batch:
    """list: None before the first use; entry, job: at work; going: whether the next one follows; file, scene: where creatures are placed
    by themselves, in the sense of `session.Plan`; offered: folders of results that were placed by themselves, or tried to be."""

    list: BatchList | None = None
    entry: Entry | None = None
    job: Job | None = None
    going: bool = False
    file: int = -1
    scene: str = ""
    offered: set[str] = field(default_factory=set)


state = Batch()


def entries() -> Sequence[Entry]:
    """The list's entries, in order."""
    return state.list.entries if state.list is not None else ()


def entry_at(index: int) -> Entry | None:
    """The entry of a row, None where there is none."""
    return entries()[index] if 0 <= index < len(entries()) else None


def open_list() -> None:
    """Take over the list that an earlier Blender left, if any. Called when the add-on is enabled."""
    with suppress(OSError):  # adding the first photo will say so
        state.list = batch_list.take_over(paths.user_folder("batch"))
    bpy.app.handlers.load_post.append(file_opened)
    batch_rows.show(entries())


def close() -> None:
    """End: the list stays for the next Blender."""
    if bpy.app.timers.is_registered(tick):
        bpy.app.timers.unregister(tick)
    if file_opened in bpy.app.handlers.load_post:
        bpy.app.handlers.load_post.remove(file_opened)
    if state.list is not None:
        with suppress(OSError):
            state.list.save()
        state.list.close()
    state.__init__()  # type: ignore[misc]


@persistent
def file_opened(*ignored: object) -> None:
    """Blender's handler: the interface's list is the window manager's, and that may be another now."""
    batch_rows.show(entries())


def changed() -> None:
    """Keep the list and show it."""
    if state.list is not None:
        try:
            state.list.save()
        except OSError as error:
            session.state.error = LinkError("not_writable", f"The list of photos can't be kept ({error.strerror}).").to_wire()
    batch_rows.show(entries())
    session.redraw()


def add(context: bpy.types.Context, photos: Iterable[Path]) -> int:
    """Append photos with the scene's quality and seed; those that are in the list stay once. -> how many came. Raises `LinkError`."""
    if state.list is None:
        try:
            state.list = batch_list.take_over(paths.user_folder("batch"))
        except OSError as error:
            raise LinkError("not_writable", f"The list of photos can't be kept ({error.strerror}).") from error
    chosen = settings.of(context)
    known = {
        (photo["photo"], entry.settings.get("quality"), entry.settings.get("seed")) for entry in entries() for photo in entry.sources
    }
    fresh = [photo for photo in photos if (str(photo), chosen.quality, chosen.seed) not in known]
    if fresh and not entries():
        state.list.title = fresh[0].parent.name or "Batch"
    for photo in fresh:
        state.list.add(photo, {"quality": chosen.quality, "seed": chosen.seed}, next_spot(context))
    changed()
    return len(fresh)


def next_spot(context: bpy.types.Context) -> tuple[float, float, float]:
    """Beside the row's last creature; the row begins at the 3D cursor."""
    if not entries():
        x, y, z = context.scene.cursor.location
        return x, y, z
    x, y, z = entries()[-1].spot
    return x + PITCH, y, z


def start(context: bpy.types.Context) -> None:
    """Work through what waits, and place in this file and scene; returns at once."""
    state.going = True
    state.file, state.scene = session.state.files, context.scene.name
    step(context)
    watch()


def stop() -> None:
    """Stop the photo at work, it waits again; nothing follows until `start`."""
    state.going = False
    cancel_running()
    session.redraw()


def cancel_running() -> None:
    """Ask the job at work to stop; `ended` hears of it."""
    if state.job is not None and session.state.backend is not None:
        session.state.backend.cancel(state.job)


def retry(chosen: Iterable[Entry]) -> None:
    """Failed ones wait again."""
    for entry in chosen:
        if entry.state == "failed":
            entry.state, entry.error, entry.tries = "waiting", None, 0
    changed()


def join(chosen: Sequence[Entry]) -> Entry:
    """One entry of all their photos; creatures that were placed stay in the scene. None of them may be at work. Raises `LinkError`."""
    assert state.list is not None
    try:
        one = state.list.join(list(chosen))
    except OSError as error:
        raise LinkError("not_writable", f"A mask can't be kept ({error.strerror}).") from error
    batch_rows.unmark()
    changed()
    return one


def remove(chosen: Iterable[Entry]) -> None:
    """Take entries out; creatures that were placed stay in the scene. The one at work is stopped."""
    if state.list is None:
        return
    for entry in list(chosen):
        if entry is state.entry:
            cancel_running()
        state.offered.discard(entry.out)
        state.list.remove(entry)
    changed()


def step(context: bpy.types.Context) -> None:
    """Begin the next photo if none is at work."""
    if not state.going or state.entry is not None:
        return
    entry = next((entry for entry in entries() if entry.state == "waiting"), None)
    if entry is None:
        state.going = False
        return
    gone = next((photo["photo"] for photo in entry.sources if not os.path.isfile(photo["photo"])), None)  # as well where nobody may look
    if gone is not None:
        error = LinkError("photo_unreadable", f"The photo {Path(gone).name} is not there.", "Put it back and press Retry.")
        entry.state, entry.error = "failed", error.to_wire()
        changed()
        return
    entry.state, entry.tries = "running", entry.tries + 1
    state.entry = entry
    try:
        words = {"photo": Path(entry.photo), "out": Path(entry.out), "name": entry.name, **entry.settings}
        state.job = session.send(context, "reconstruct", ended, **words)
    except LinkError as refusal:
        halt(entry, refusal.to_wire())
    changed()


def halt(entry: Entry, error: dict[str, str]) -> None:
    """Stop with an error that concerns every photo."""
    entry.state = "waiting"
    state.entry = state.job = None
    state.going = False
    session.state.error = error


def ended(job: Job) -> None:
    """Told by the session's pump: the photo at work is done, or failed, or was stopped."""
    entry, state.entry, state.job = state.entry, None, None
    if entry is None:
        return
    error = job.error or {}
    code = error.get("code")
    if job.state == "finished":
        entry.state, entry.error = "finished", None
    elif code == "cancelled" or code == "backend_killed" and entry.tries < TRIES:
        entry.state = "waiting"
        entry.tries -= code == "cancelled"
    elif code in EVERY_PHOTOS:
        halt(entry, error)
    else:
        entry.state, entry.error = "failed", error
    changed()


def plan_of(entry: Entry) -> session.Plan:
    """What `ops.place` needs of an entry."""
    title = state.list.title if state.list is not None else ""
    return session.Plan(entry.photo, entry.out, entry.settings, state.scene, entry.name, file=state.file, spot=entry.spot, row=title)


def placed_folders() -> set[str]:
    """The result folders whose creatures stand in the open file, fitted again since or not."""
    return {thing.get(ENTRY, "") for thing in bpy.data.objects if thing.type == "ARMATURE"}


def unplaced() -> list[Entry]:
    """Finished entries whose creature isn't in the open file."""
    placed = placed_folders()
    return [entry for entry in entries() if entry.state == "finished" and entry.out not in placed]


def waits_for_artist() -> list[Entry]:
    """Those of them that are still to be placed by themselves."""
    if state.file != session.state.files:
        return []
    return [entry for entry in unplaced() if entry.out not in state.offered]


def place_next() -> None:
    """Place one creature, if the artist is where it belongs and free."""
    entry = next(iter(waits_for_artist()), None)
    if entry is None:
        return

    def act() -> None:
        state.offered.add(entry.out)
        with suppress(RuntimeError):  # what went wrong is the entry's by now
            bpy.ops.menagerie.batch_place("EXEC_DEFAULT", True, index=entries().index(entry))

    session.when_free(plan_of(entry), act)


def watch() -> None:
    """See to it that the timer runs, where there are timers."""
    if not bpy.app.background and not bpy.app.timers.is_registered(tick):
        bpy.app.timers.register(tick, first_interval=TICK_SECONDS, persistent=True)


def tick() -> float | None:
    """The timer: place, begin the next. None ends it."""
    place_next()
    step(bpy.context)
    return TICK_SECONDS if state.going or state.entry is not None or waits_for_artist() else None


def finish(context: bpy.types.Context, seconds: float = 86400.0) -> None:
    """Work the whole list off and place it: for background mode and scripts."""
    deadline = time.monotonic() + seconds
    while (state.going or state.entry is not None) and time.monotonic() < deadline:
        session.pump()
        step(context)
        time.sleep(0.01)
    for entry in waits_for_artist():
        state.offered.add(entry.out)
        with suppress(RuntimeError):
            bpy.ops.menagerie.batch_place(index=entries().index(entry))


def refused(entry: Entry, error: dict[str, Any]) -> None:
    """Its result could not be placed."""
    entry.state, entry.error = "failed", error
    changed()
