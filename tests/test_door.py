"""`python -m backend`: every command answers, failures are sentences, nothing heavy is loaded for nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from backend.__main__ import COMMANDS, main
from backend.methods.index import METHODS
from backend.service.doctor import decode_clip

ROOT = Path(__file__).resolve().parents[1]


def call(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "backend", *arguments], cwd=ROOT, capture_output=True, text=True)


def test_help_lists_every_command_and_loads_no_torch() -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "backend", "--help"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert all(name in done.stdout for name in COMMANDS)
    assert "torch" not in done.stderr and "numba" not in done.stderr


def test_a_batch_hands_out_its_work_without_torch() -> None:
    program = "import sys; from backend.service.batch import command, local, cluster; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize("command", ["reconstruct", "animate", "batch", "serve", "doctor", "benchmark"])
def test_each_command_has_help(command: str) -> None:
    done = call(command, "--help")
    assert done.returncode == 0 and "usage" in done.stdout


def test_an_unreadable_photo_is_a_coded_sentence_and_leaves_no_folder(tmp_path: Path) -> None:
    photo = tmp_path / "photo.png"
    photo.write_bytes((ROOT / "tests/photos/cow.png").read_bytes()[:500])
    done = call("reconstruct", str(photo), "--out", str(tmp_path / "out"))
    assert done.returncode == 1
    assert "error [photo_unreadable]" in done.stderr and "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()


def test_an_unreadable_clip_is_a_coded_sentence_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(METHODS, "fauna", "tests.service.made_up")
    clip = tmp_path / "clip.mp4"
    clip.write_bytes(b"#EXTM3U\n")
    assert main(["animate", str(clip), "--out", str(tmp_path / "out")]) == 1
    told = capsys.readouterr().err
    assert "error [clip_unsupported]" in told and "Traceback" not in told
    assert list(tmp_path.iterdir()) == [clip]


def test_an_unknown_method_names_the_known_ones(tmp_path: Path) -> None:
    done = call("reconstruct", str(ROOT / "tests/photos/cow.png"), "--out", str(tmp_path / "out"), "--method", "magic")
    assert done.returncode == 1 and "error [bad_request]" in done.stderr and "fauna" in done.stderr


def test_weights_lists_licences() -> None:
    done = call("weights")
    assert done.returncode == 0
    for entry in json.loads((ROOT / "weights_manifest.json").read_text())["weights"]:
        assert entry["id"] in done.stdout and entry["licence"] in done.stdout


def test_doctor_finds_this_environment_good() -> None:
    done = call("doctor", "--quick")
    found = json.loads(done.stdout)
    assert done.returncode == 0 and found["good"] and not found["problems"]
    assert {"av", "opencv-python-headless"} <= found["packages"].keys()
    assert found["packages"]["torch"].startswith("2.13.0") and set(found["weights"].values()) <= {"good", "absent"}


def test_doctor_writes_and_decodes_a_clip() -> None:
    assert decode_clip() == {"frames": 3, "size": [64, 48]}


def test_threads_sleep_while_they_wait_unless_the_person_says_otherwise() -> None:
    program = "import os; from backend.__main__ import main; main(['weights']); print('policy', os.environ['OMP_WAIT_POLICY'])"
    for given, kept in ((None, "PASSIVE"), ("ACTIVE", "ACTIVE")):
        variables = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
        variables |= {} if given is None else {"OMP_WAIT_POLICY": given}
        done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, env=variables, capture_output=True, text=True)
        assert done.returncode == 0 and f"policy {kept}" in done.stdout
