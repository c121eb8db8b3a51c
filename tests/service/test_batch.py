"""A folder of photos: one failure stops nothing, a second run goes on, a lost worker's item is done again, no result arrives twice."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL import Image as Picture

from backend.errors import MenagerieError
from backend.service.batch import command, run
from backend.service.batch.items import ERROR, SHEET, SUMMARY, Item, Settings, asked_of, deliver, find_items, finished_report, unique
from backend.service.batch.local import Local
from backend.service.batch.run import TRIES, Outcome, Standing, run_batch
from backend.service.batch.summary import write_sheet
from backend.service.batch.work import Task, make
from backend.service.result_folder import REPORT

METHODS = {"fauna": "tests.service.made_up"}
ROOT = Path(__file__).parents[2]
PATIENCE = 60.0


def take_photos(folder: Path, *names: str) -> Path:
    """Photos with alpha, each of its own bytes; the made-up method behaves by their names."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(names):
        picture = Picture.new("RGBA", (96, 64), (120, 80, number, 0))
        picture.paste((120, 80, number, 255), (24, 16, 72, 48))
        picture.save(folder / (name if "." in name else f"{name}.png"))
    return folder


class Here:
    """An `Executor` in this process, which loses what it is told to. lose: item and how often it was begun -> whether it is lost."""

    def __init__(self, lose: Callable[[str, int], bool] = lambda name, time: False, room: int = 2) -> None:
        self._lose, self._room = lose, room
        self._queue: deque[tuple[Task, Path]] = deque()
        self.begun: list[str] = []
        self.closed = False

    def room(self) -> int:
        return self._room

    def submit(self, task: Task, folder: Path) -> None:
        assert len(self._queue) < self._room and not folder.exists()
        self._queue.append((task, folder))
        self.begun.append(task.item.name)

    def next(self) -> tuple[Task, Outcome]:
        task, folder = self._queue.popleft()
        if self._lose(task.item.name, self.begun.count(task.item.name)):
            return task, None
        error = make(task, folder)
        return task, folder if error is None else MenagerieError(**error)

    def close(self) -> None:
        self.closed = True


def do(photos: Path, out: Path, executor: run.Executor, **words: Any) -> dict[str, Standing]:
    """Run the folder's batch -> standings by name."""
    settings = Settings(seed=words.pop("seed", 0))
    standings = run_batch(find_items(photos), out, settings, lambda: executor, METHODS, **words)
    return {standing.item.name: standing for standing in standings}


def states(standings: dict[str, Standing]) -> dict[str, str]:
    return {name: standing.state for name, standing in standings.items()}


def refuse() -> run.Executor:
    pytest.fail("there was nothing to do")


def test_one_failure_stops_nothing_and_is_kept_with_its_reason(tmp_path: Path) -> None:
    photos, out = take_photos(tmp_path / "Fotos 动物", "a", "no animal", "b"), tmp_path / "Ergebnis"
    (photos / "c.jpg").write_bytes(b"no picture")
    executor = Here()
    standings = do(photos, out, executor)
    assert states(standings) == {"a": "done", "b": "done", "c": "failed", "no animal": "failed"} and executor.closed
    kept = json.loads((out / "no animal" / ERROR).read_text(encoding="utf-8"))
    assert kept["code"] == "no_animal" and kept["sentence"] and kept["remedy"] and kept["photo"].endswith("no animal.png")
    assert sorted(path.name for path in out.iterdir()) == ["a", "b", SUMMARY, "c", "no animal"], "nothing hidden stays"
    report = json.loads((out / "a" / REPORT).read_text(encoding="utf-8"))
    assert (report["photo"], report["out"]) == (str(photos / "a.png"), str(out / "a"))
    assert all((out / "a" / file).is_file() for file in report["files"])
    told = json.loads((out / SUMMARY).read_text(encoding="utf-8"))
    assert (told["photos"], told["done"], told["failed"], told["waiting"]) == (4, 2, 2, 0)
    assert {row["name"]: row.get("error", {}).get("code") for row in told["items"]}["c"] in ("photo_unsupported", "photo_unreadable")


def test_a_second_run_does_only_what_failed_or_changed(tmp_path: Path) -> None:
    photos, out = take_photos(tmp_path / "in", "a", "b", "no animal"), tmp_path / "out"
    do(photos, out, Here())
    before = (out / "a" / REPORT).stat().st_mtime_ns
    (out / "b" / "mine.txt").write_text("notes")
    take_photos(photos, "x", "y", "b")  # the picture called b is another one now
    for name in "xy":
        (photos / f"{name}.png").unlink()
    os.replace(photos / "no animal.png", photos / "some animal.png")
    executor = Here()
    standings = do(photos, out, executor)
    assert sorted(executor.begun) == ["b", "some animal"] and set(states(standings).values()) == {"done"}
    assert (out / "a" / REPORT).stat().st_mtime_ns == before and (out / "b" / "mine.txt").read_text() == "notes"
    assert set(states(run_all(photos, out)).values()) == {"done"}
    assert sorted(run_all(photos, out, seed=4)) and (out / "b" / "mine.txt").exists()


def run_all(photos: Path, out: Path, seed: int = 0) -> dict[str, Standing]:
    """A run that may do nothing, unless it is of another seed."""
    executor = Here()
    standings = do(photos, out, executor, seed=seed)
    assert bool(executor.begun) == bool(seed)
    return standings


def test_a_result_without_one_of_its_files_is_done_again_and_a_failure_gives_way(tmp_path: Path) -> None:
    photos, out = take_photos(tmp_path / "in", "a"), tmp_path / "out"
    do(photos, out, Here())
    (out / "a" / "asset.glb").unlink()
    executor = Here(lose=lambda name, time: True)
    assert states(do(photos, out, executor)) == {"a": "failed"} and executor.begun == ["a"] * TRIES
    assert json.loads((out / "a" / ERROR).read_text())["code"] == "backend_killed"
    assert states(do(photos, out, Here())) == {"a": "done"}
    assert (out / "a" / "asset.glb").is_file() and not (out / "a" / ERROR).exists()


def test_again_does_finished_ones_too(tmp_path: Path) -> None:
    photos, out = take_photos(tmp_path / "in", "a"), tmp_path / "out"
    do(photos, out, Here())
    before = (out / "a" / REPORT).stat().st_mtime_ns
    executor = Here()
    assert states(do(photos, out, executor, again=True)) == {"a": "done"} and executor.begun == ["a"]
    assert (out / "a" / REPORT).stat().st_mtime_ns > before


def test_a_lost_workers_item_is_done_again_and_all_arrive_once(tmp_path: Path) -> None:
    photos, out = take_photos(tmp_path / "in", *"abcdef"), tmp_path / "out"
    told: list[str] = []
    executor = Here(lose=lambda name, time: name in "bd" and time < TRIES)
    standings = do(photos, out, executor, tell=lambda standing: told.append(standing.item.name))
    assert set(states(standings).values()) == {"done"} and sorted(told) == list("abcdef")
    assert {name: executor.begun.count(name) for name in "abd"} == {"a": 1, "b": TRIES, "d": TRIES}


def test_a_late_duplicate_is_dropped_and_the_first_result_stays(tmp_path: Path) -> None:
    photos, out = take_photos(tmp_path / "in", "a"), tmp_path / "out"
    item = Item("a", photos / "a.png")
    asked = asked_of(item, Settings())
    out.mkdir()
    for number in (1, 2):
        assert make(Task(item, Settings(), METHODS), tmp_path / f"made {number}") is None
    report = deliver(tmp_path / "made 1", item, asked, out / "a")
    first = (out / "a" / REPORT).read_bytes()
    assert report is not None and deliver(tmp_path / "made 2", item, asked, out / "a") is None
    assert (out / "a" / REPORT).read_bytes() == first and finished_report(out / "a", asked) == report


def test_a_process_that_dies_takes_its_item_with_it_and_nothing_else(tmp_path: Path) -> None:
    photos, out = take_photos(tmp_path / "in", "a", "dies", "z"), tmp_path / "out"
    standings = do(photos, out, Local())
    assert states(standings) == {"a": "done", "dies": "failed", "z": "done"}
    assert standings["dies"].tries == TRIES and json.loads((out / "dies" / ERROR).read_text())["code"] == "backend_killed"


def test_photos_are_named_for_their_files_and_no_two_alike(tmp_path: Path) -> None:
    photos = take_photos(tmp_path / "in", "a.png", "a.JPG.png", "B.png", "b.gif", ".hidden.png")
    (photos / "notes.txt").write_text("x")
    (photos / "folder.png").mkdir()
    masks = take_photos(tmp_path / "masks", "a")
    items = find_items(photos, masks)
    assert [item.name for item in items] == ["a", "a.JPG", "B.png", "b.gif"] and [item.mask for item in items].count(None) == 3
    assert unique(["a", "A", "a. ", "...", SUMMARY, SHEET.upper()]) == ["a", "A 2", "a 3", "photo", f"{SUMMARY} 2", f"{SHEET.upper()} 2"]
    empty = tmp_path / "empty"
    empty.mkdir()
    for folder in (empty, tmp_path / "nowhere"):
        with pytest.raises(MenagerieError) as refusal:
            find_items(folder)
        assert refusal.value.code == "bad_request"


def test_the_sheet_shows_overlays_and_what_failed(tmp_path: Path) -> None:
    photos, out = take_photos(tmp_path / "in", "a", "no animal", *"bcd"), tmp_path / "out"
    write_sheet(list(do(photos, out, Here()).values()), out)
    with Picture.open(out / SHEET) as sheet:
        assert sheet.width > 4 * 320 and 2 * 320 < sheet.height < 3 * 320 and len(sheet.convert("RGB").getcolors(1 << 20) or []) > 8


PROGRAM = """
import sys
from pathlib import Path
from backend.service.batch import command, run
real = run.run_batch
command.run_batch = lambda *given, **words: real(*given, methods={"fauna": "tests.service.made_up"}, **words)
if __name__ == "__main__":
    sys.exit(command.main(sys.argv[1:]))
"""


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """The command with the made-up method."""
    path = tmp_path / "program.py"
    path.write_text(PROGRAM)
    return path


def start(program: Path, *words: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-B", str(program), *map(str, words)]
    variables = {**os.environ, "PYTHONPATH": str(ROOT)}

    def as_from_a_terminal() -> None:  # a test run that a script put in the background ignores Ctrl-C, and so would its children
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    return subprocess.Popen(
        command, cwd=ROOT, env=variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=as_from_a_terminal
    )


def test_the_exit_status_says_whether_something_failed(program: Path, tmp_path: Path) -> None:
    photos, out = take_photos(tmp_path / "in", "a", "no animal"), tmp_path / "out"
    batch = start(program, photos, "--out", out)
    said, told = batch.communicate(timeout=PATIENCE)
    assert batch.returncode == 1 and said.split() == [str(out / "a")] and "no animal: failed [no_animal]" in told, told
    (photos / "no animal.png").unlink()
    batch = start(program, photos, "--out", out)
    said, told = batch.communicate(timeout=PATIENCE)
    assert batch.returncode == 0 and said.split() == [str(out / "a")] and "a: done before" in told, told
    assert (out / SHEET).is_file()


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL])
def test_a_batch_that_was_stopped_goes_on(program: Path, tmp_path: Path, end: signal.Signals) -> None:
    photos, out = take_photos(tmp_path / "in", "a", "slow"), tmp_path / "out"
    batch = start(program, photos, "--out", out)
    deadline = time.monotonic() + PATIENCE
    while not list(out.glob(".unfinished-*/2")) and not (out / "a" / REPORT).is_file():
        assert time.monotonic() < deadline and batch.poll() is None
        time.sleep(0.05)
    batch.send_signal(end)
    _, told = batch.communicate(timeout=PATIENCE)
    assert batch.returncode == (130 if end == signal.SIGINT else -end), told
    os.replace(photos / "slow.png", photos / "quick.png")
    standings = do(photos, out, executor := Here())
    assert set(states(standings).values()) == {"done"} and executor.begun == ["quick"] and standings["a"].before
    assert not list(out.glob(".*")), "what the killed one left is gone"


def test_results_among_the_photos_are_refused(tmp_path: Path) -> None:
    photos = take_photos(tmp_path / "in", "a")
    with pytest.raises(MenagerieError) as refusal:
        command.main([str(photos), "--out", str(photos)])
    assert refusal.value.code == "bad_request"


def test_without_ray_its_executor_is_refused_with_the_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photos: Sequence[str] = [str(take_photos(tmp_path / "in", "a")), "--out", str(tmp_path / "out"), "--executor", "ray"]
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MenagerieError) as refusal:
        command.main(photos)
    assert refusal.value.code == "bad_request" and "Ray" in refusal.value.sentence and "pip install ray" in refusal.value.remedy
