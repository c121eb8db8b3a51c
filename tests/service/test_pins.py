"""Joints in the photo: a report tells where they are seen, and where a person has put them is asked for over the wire, checked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backend.__main__ import main
from backend.errors import MenagerieError
from backend.rig.template import load_quadruped
from backend.service import wire
from backend.service.joints import FILE_LIMIT, check_pins, read_pins
from backend.service.reconstruct import reconstruct
from tests.service.client import Client
from tests.service.conftest import SIZE

METHODS = {"fauna": "tests.service.made_up"}


def test_a_report_has_every_joints_pixel(photo: Path, tmp_path: Path) -> None:
    report = reconstruct(photo, tmp_path / "out", methods=METHODS, pins={"hock.L": [20, 40.5]})
    assert set(report["joints"]) == set(load_quadruped().points)
    assert all(len(place) == 2 and np.isfinite(place).all() for place in report["joints"].values())
    assert report["settings"]["pins"] == {"hock.L": [20.0, 40.5]}
    assert report["unsure"] == []
    assert json.loads((tmp_path / "out" / "report.json").read_text("utf-8"))["joints"] == report["joints"]


def test_pins_go_over_the_wire(client: Client, photo: Path, tmp_path: Path) -> None:
    ending = client.ending(client.job(photo, tmp_path / "out", pins={"muzzle": [1, 2], "front_tip.R": [30.25, 60]}))
    assert ending["method"] == "finished", ending
    assert ending["params"]["report"]["settings"]["pins"] == {"muzzle": [1.0, 2.0], "front_tip.R": [30.25, 60.0]}


@pytest.mark.parametrize(
    "pins",
    [
        "muzzle", [["muzzle", 1, 2]], {"muzzle": [1]}, {"muzzle": [1, 2, 3]}, {"muzzle": "12"}, {"muzzle": [True, 2]},
        {"muzzle": [None, 2]}, {"muzzle": {"x": 1}}, {f"joint {number}": [1, 2] for number in range(101)},
    ],
)  # fmt: skip
def test_pins_of_another_kind_are_refused_at_once(client: Client, pins: Any) -> None:
    reply = client.call("reconstruct", photo="/a.png", out="/b", pins=pins)
    assert reply["error"]["code"] == wire.INVALID_PARAMS and reply["error"]["data"]["code"] == "bad_request"


@pytest.mark.parametrize(
    "pins", [{"horn": [1, 2]}, {"": [1, 2]}, {"muzzle": [1e9, 2]}, {"muzzle": [1, -40]}, {"muzzle": [10**400, 2]}, {"x" * 5000: [1, 2]}]
)
def test_pins_that_mean_nothing_end_the_job_with_a_code(client: Client, photo: Path, tmp_path: Path, pins: dict[str, Any]) -> None:
    ending = client.ending(client.job(photo, tmp_path / "out", pins=pins))
    assert ending["params"]["error"]["code"] == "bad_request" and ending["params"]["error"]["remedy"]
    assert len(ending["params"]["error"]["sentence"]) < 200
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_numbers_that_are_none_are_no_place(value: float) -> None:
    with pytest.raises(MenagerieError) as refusal:
        check_pins({"muzzle": [value, 3.0]}, SIZE)
    assert refusal.value.code == "bad_request"


def test_a_foot_that_the_frame_cuts_off_may_be_pinned_outside() -> None:
    assert check_pins({"hind_tip.L": [-20, 90]}, SIZE) == {"hind_tip.L": (-20.0, 90.0)}


@pytest.mark.parametrize("text", ["", "[1, 2]", "{", "\udcff", "[" * 100_000, " " * (FILE_LIMIT + 1)])
def test_a_file_of_something_else_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "pins.json"
    path.write_text(text, encoding="utf-8", errors="surrogateescape")
    with pytest.raises(MenagerieError) as refusal:
        read_pins(path)
    assert refusal.value.code == "bad_request" and "pins.json" in refusal.value.sentence


def test_the_command_line_names_a_joint_that_does_not_exist(photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "pins.json").write_text('{"horn.L": [3, 4]}')
    assert main(["reconstruct", str(photo), "--out", str(tmp_path / "out"), "--pins", str(tmp_path / "pins.json")]) == 1
    assert "horn.L" in capsys.readouterr().err
    assert main(["reconstruct", str(photo), "--out", str(tmp_path / "out"), "--pins", str(tmp_path / "none.json")]) == 1
    assert "none.json" in capsys.readouterr().err
