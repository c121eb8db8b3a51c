"""A batch from start to end: what isn't finished is handed out, comes back as a result or an error, and is kept.

An executor only works; here stands what must hold wherever the work is done: a finished item is not done again, an item whose worker
was lost is, up to `TRIES` times, a failure stops nothing, and no result arrives twice. The summary on disk is always up to date.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, Protocol

from backend.errors import MenagerieError
from backend.methods.index import METHODS
from backend.service.batch.items import Item, Settings, asked_of, deliver, finished_report, keep_failure
from backend.service.batch.summary import write_summary
from backend.service.batch.work import Task
from backend.service.failures import as_error
from backend.service.result_folder import hidden_folder, remove_unfinished

TRIES = 3
"""How often an item is begun whose workers are lost: a photo that ends its process each time must not do so for ever."""

Outcome = Path | MenagerieError | None
"""Of an item that was worked on: the folder made, or why there is none; None where the worker was lost."""


class Executor(Protocol):
    """Where items are worked on."""

    def room(self) -> int:
        """How many items may be with it at a time. Raises `MenagerieError` where nothing will ever be."""

    def submit(self, task: Task, folder: Path) -> None:
        """Take a task; its result goes into `folder`, which does not exist yet. Returns at once."""

    def next(self) -> tuple[Task, Outcome]:
        """Wait for one of the tasks that were taken."""

    def close(self) -> None:
        """Stop everything."""


@dataclass
class Standing:
    """How an item stands. state: waiting, done or failed; before: it was finished by an earlier run; tries: how often begun in this."""

    item: Item
    asked: dict[str, Any]
    state: str = "waiting"
    report: dict[str, Any] | None = None
    error: MenagerieError | None = None
    before: bool = False
    tries: int = 0


Tell = Callable[[Standing], None]


def run_batch(
    items: Sequence[Item],
    out: Path,
    settings: Settings,
    make_executor: Callable[[], Executor],
    methods: Mapping[str, str] = METHODS,
    again: bool = False,
    tell: Tell = lambda standing: None,
) -> list[Standing]:
    """Every item -> a folder in `out`, made if absent. -> how the items stand, in their order.

    make_executor: called if there is anything to do; again: do finished ones too; tell: called with each item that is decided. Raises
    what ends the batch as a whole: OSError where `out` can't be written to, `MenagerieError` from the executor.
    """
    standings = [look(item, out / item.name, settings, again) for item in items]
    by_name = {standing.item.name: standing for standing in standings}
    out.mkdir(parents=True, exist_ok=True)
    remove_unfinished(out)
    for standing in standings:
        if standing.state != "waiting":
            tell(standing)
    write_summary(standings, out)
    todo = deque(standing for standing in standings if standing.state == "waiting")
    if not todo:
        return standings
    executor = make_executor()
    try:
        with hidden_folder(out) as hidden:
            numbers, busy = count(1), 0
            while todo or busy:
                while todo and busy < executor.room():
                    standing = todo.popleft()
                    standing.tries += 1
                    # A folder of its own each time: a lost worker may not know yet that it is.
                    executor.submit(Task(standing.item, settings, methods), hidden / str(next(numbers)))
                    busy += 1
                task, outcome = executor.next()
                busy -= 1
                standing = by_name[task.item.name]
                if outcome is None and standing.tries < TRIES:
                    todo.append(standing)
                    continue
                settle(standing, outcome, out / task.item.name, again)
                tell(standing)
                write_summary(standings, out)
    finally:
        executor.close()
    return standings


def look(item: Item, folder: Path, settings: Settings, again: bool) -> Standing:
    """How an item stands before anything is done: finished, or failed already where its photo can't even be read."""
    try:
        asked = asked_of(item, settings)
    except OSError as escaped:
        error = MenagerieError("photo_unreadable", f"The photo {item.photo.name} can't be read ({escaped.strerror}).")
        keep_failure(error, item, {}, folder)
        return Standing(item, {}, "failed", error=error)
    report = None if again else finished_report(folder, asked)
    return Standing(item, asked) if report is None else Standing(item, asked, "done", report, before=True)


def settle(standing: Standing, outcome: Outcome, folder: Path, again: bool) -> None:
    """Keep what became of an item."""
    if outcome is None:
        remedy = "Use a smaller copy of the photo, or free memory: fewer workers at a time, other programs closed."
        outcome = MenagerieError("backend_killed", f"The process that worked on {standing.item.photo.name} ended each time.", remedy)
    if isinstance(outcome, Path):
        try:
            standing.report = deliver(outcome, standing.item, standing.asked, folder, again) or finished_report(folder, standing.asked)
        except OSError as escaped:
            outcome = as_error(escaped)
    if isinstance(outcome, MenagerieError):
        standing.state, standing.error = "failed", outcome
        keep_failure(outcome, standing.item, standing.asked, folder)
    else:
        standing.state = "done"
