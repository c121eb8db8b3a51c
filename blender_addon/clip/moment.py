"""What is taken for the animal at one moment of the clip: asked of the backend, shown in the panel.

The answer's pictures stand in a folder of the jobs'. Where the motion begins, the frame is also what Pick Animal and Paint Mask work on.
Which moment was asked for stands at module level, outside the file's data, which undo and loading would change.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import bpy

from ..link import session
from ..link.process import Job
from . import choices

FRAME, SHOWN = "frame.png", "shown.png"


@dataclass
class Look:
    """key: which frame (`choices.frame_key`); out: where its pictures stand; job: None once it has ended; answer: the backend's, {} before
    that."""

    key: str
    out: Path
    job: Job | None = None
    answer: dict[str, Any] = field(default_factory=dict)


current: Look | None = None


def ask(context: bpy.types.Context, path: Path) -> None:
    """Look at the clip's chosen moment; returns at once. Raises `LinkError`."""
    global current
    chosen = choices.of(context)
    at, first = choices.moment_of(chosen), chosen.at == 0
    look = Look(choices.frame_key(chosen, at), session.new_folder())
    session.state.error = None
    forget()
    look.job = session.send(
        context, "moment", partial(answered, look, context.scene.name, first), clip=path.absolute(), out=look.out, at=at,
        fps=float(chosen.rate) if path.is_dir() else None,
    )  # fmt: skip
    current = look


def answered(look: Look, scene: str, first: bool, job: Job) -> None:
    """The errand has ended: keep what it found. first: the moment is where the motion begins."""
    global current
    look.job = None
    if job.error is not None:
        if job.error["code"] != "cancelled":
            session.state.error = job.error
        current = None if current is look else current
    else:
        look.answer = job.result or {}
        home = bpy.data.scenes.get(scene)
        if first and home is not None and choices.frame_key(home.menagerie_clip, home.menagerie_clip.start) == look.key:
            choices.new_frame(home.menagerie_clip, str(look.out / FRAME), look.key)
    session.redraw()


def of(chosen: choices.MenagerieClip) -> Look | None:
    """The look at the moment that is chosen, None where nobody looked there."""
    return current if current is not None and current.key == choices.frame_key(chosen, choices.moment_of(chosen)) else None


def forget() -> None:
    """Wait for no answer any more."""
    global current
    if current is not None and current.job is not None:
        session.forget(current.job)
    current = None
