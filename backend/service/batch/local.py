"""Workers on this machine: processes that are kept from item to item. One that dies takes its item with it and nothing else.

They share nothing but a pipe with the one that hands the work out, and end when it ends, however it ends.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path

from backend.errors import MenagerieError
from backend.service.batch.run import Outcome
from backend.service.batch.work import Task, make
from backend.service.machine import take_stdout


@dataclass
class Child:
    """One worker. task: what it works on, and the folder it makes."""

    process: BaseProcess
    pipe: Connection
    task: tuple[Task, Path] | None = None


class Local:
    """An `Executor` of `workers` processes, each started when it is first needed."""

    def __init__(self, workers: int = 1) -> None:
        self._workers = workers
        self._children: list[Child] = []

    def room(self) -> int:
        return self._workers

    def submit(self, task: Task, folder: Path) -> None:
        child = next((child for child in self._children if child.task is None), None)
        if child is None:
            child = start_child()
            self._children.append(child)
        child.task = task, folder
        try:
            child.pipe.send(child.task)
        except OSError:
            return  # it has died meanwhile: its pipe's end tells `next`

    def next(self) -> tuple[Task, Outcome]:
        busy = {child.pipe: child for child in self._children if child.task is not None}
        child = next(busy[pipe] for pipe in wait(list(busy)) if isinstance(pipe, Connection))
        assert child.task is not None
        task, folder = child.task
        child.task = None
        try:
            error = child.pipe.recv()
        except (EOFError, OSError):
            self._children.remove(child)
            end_child(child)
            return task, None
        return task, folder if error is None else MenagerieError(**error)

    def close(self) -> None:
        for child in self._children:
            end_child(child)
        self._children.clear()


def start_child() -> Child:
    """A fresh interpreter: torch's threads do not outlive a fork."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=serve, args=(theirs,), daemon=True)
    process.start()
    theirs.close()  # or the end of the child would not be the end of the pipe
    return Child(process, ours)


def end_child(child: Child) -> None:
    """At once: what it was making is in a hidden folder."""
    child.pipe.close()
    child.process.kill()
    child.process.join()


def serve(pipe: Connection) -> None:
    """The worker's life: tasks come through the pipe, their errors or None go back."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl C is the parent's, who ends us
    threading.Thread(target=end_with_parent, name="parent", daemon=True).start()
    take_stdout()  # it is the parent's, for results
    while True:
        try:
            task, folder = pipe.recv()
        except EOFError:
            return
        pipe.send(make(task, folder))


def end_with_parent() -> None:
    """Wait for the parent's end, and end whatever native code runs."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
    os._exit(1)
