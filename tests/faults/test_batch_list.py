"""The batch's list on disk: after a crash it is there, two Blenders never share one, and what it says of itself is checked."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.faults.link import ROOT, link_module

batch_list = link_module("batch_list")

SETTINGS = {"quality": "fast", "seed": 0}


def finish(entry: Any) -> None:
    """As the backend leaves a result."""
    Path(entry.out).mkdir(parents=True)
    for file in batch_list.RESULT:
        (Path(entry.out) / file).write_text("{}")


def filled(folder: Path, *names: str) -> Any:
    """A list with these photos."""
    made = batch_list.take_over(folder)
    for number, name in enumerate(names):
        made.add(Path("/photos") / f"{name}.jpg", dict(SETTINGS), (1.25 * number, 0.0, 0.0))
    made.save()
    return made


def test_the_next_blender_finds_each_entry_as_its_folder_shows_it(tmp_path: Path) -> None:
    first = filled(tmp_path, "done", "crashed while it ran", "ended with blender", "gone", "failed")
    done, running, ended, gone, failed = first.entries
    for entry in (done, ended):
        finish(entry)
    done.state, running.state, ended.state, gone.state, failed.state = "finished", "running", "running", "finished", "failed"
    failed.error = {"code": "no_animal", "sentence": "None.", "remedy": "Paint."}
    first.save()
    first.stream.close()  # as the system does when a process ends
    second = batch_list.take_over(tmp_path)
    assert [entry.state for entry in second.entries] == ["finished", "waiting", "finished", "waiting", "failed"]
    assert second.folder == first.folder and second.entries[4].error == failed.error and second.entries[2].spot == (2.5, 0.0, 0.0)
    assert second.add(Path("/photos/new.jpg"), {}, (0, 0, 0)).out not in [entry.out for entry in first.entries]


def test_a_second_blender_gets_a_list_of_its_own(tmp_path: Path) -> None:
    mine = filled(tmp_path, "a")
    script = "import sys; from pathlib import Path; from tests.faults.link import link_module as m\n"
    script += "print(len(m('batch_list').take_over(Path(sys.argv[1])).entries))"
    other = [sys.executable, "-c", script, str(tmp_path)]
    assert subprocess.run(other, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split() == ["0"]
    mine.stream.close()
    assert subprocess.run(other, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split() == ["1"]


def test_a_removed_entry_takes_its_result_with_it_and_an_empty_list_leaves_nothing(tmp_path: Path) -> None:
    made = filled(tmp_path, "a", "b")
    out = Path(made.entries[0].out)
    finish(made.entries[0])
    made.remove(made.entries[0])
    assert not out.exists() and [entry.name for entry in made.entries] == ["b"]
    made.remove(made.entries[0])
    made.close()
    assert not list(tmp_path.iterdir())


def test_a_damaged_lists_results_stay(tmp_path: Path) -> None:
    made = filled(tmp_path, "a")
    finish(made.entries[0])
    (made.folder / batch_list.LIST).write_text("{")
    made.stream.close()
    assert batch_list.take_over(tmp_path).entries == [] and (made.folder / "0001" / batch_list.RESULT[0]).is_file()


ENTRY = {"photo": "/a.jpg", "name": "a", "out": "/x", "settings": {}, "spot": [0, 0, 0], "state": "waiting", "error": None, "tries": 0}


@pytest.mark.parametrize(
    "text",
    [
        "", "[]", "{", "null", json.dumps({"title": "x", "added": 1, "entries": 5}), json.dumps({"title": "x", "added": 1, "entries": [5]}),
        json.dumps({"title": "x", "added": 1, "entries": [{**ENTRY, "state": "strange"}]}),
        json.dumps({"title": "x", "added": 1, "entries": [{**ENTRY, "more": 1}]}),
        json.dumps({"title": "x", "added": 1, "entries": [{**ENTRY, "spot": "here"}]}),
        json.dumps({"title": "x", "added": 1, "entries": [{**ENTRY, "settings": []}]}),
    ],
)  # fmt: skip
def test_a_damaged_list_is_an_empty_one(tmp_path: Path, text: str) -> None:
    made = filled(tmp_path, "a")
    (made.folder / batch_list.LIST).write_text(text, encoding="utf-8")
    made.stream.close()
    assert batch_list.take_over(tmp_path).entries == []


def test_a_list_of_photos_with_other_letters_is_kept(tmp_path: Path) -> None:
    made = filled(tmp_path, "Löwe 动物")
    made.stream.close()
    assert batch_list.take_over(tmp_path).entries[0].name == "Löwe 动物"
