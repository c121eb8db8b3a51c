"""What is promised of the real job, seen from outside of its process: nothing compiled, no traffic, equal bytes, quick ends."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image as Picture

from backend.asset.read import read_asset
from backend.benchmark.stages import LARGE_SIZE, make_large_photo
from backend.service.doctor import compile_kernels
from tests.service.client import Client

ROOT = Path(__file__).parents[2]
PHOTO = ROOT / "tests" / "photos" / "horse.png"
CANCEL_SECONDS = 2.0
ORPHAN_SECONDS = 2.0
NAME = "Löwe 2"
MEMORY_MIB = 2560

Run = tuple[Path, list[str], set[str]]


def kernels() -> set[str]:
    """The files of compiled kernels, where this process and a job's look for them."""
    return {str(path) for path in Path(os.environ.get("NUMBA_CACHE_DIR", str(ROOT / "backend"))).rglob("*.nb[ci]")}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Run]:
    """The same 12-megapixel photo in two processes with different orders of hashing. -> out, what was asked of the system, new kernels."""
    compile_kernels()
    photo = tmp_path_factory.mktemp("photo") / "photo.jpg"
    make_large_photo(PHOTO, photo)
    made = []
    for order in ("1", "4321"):
        folder, before = tmp_path_factory.mktemp("job"), kernels()
        command = [sys.executable, ROOT / "tests/service/watched.py", folder / "events.json"]
        command += ["reconstruct", photo, "--out", folder / "out", "--seed", "5", "--name", NAME]
        done = subprocess.run(list(map(str, command)), env={**os.environ, "PYTHONHASHSEED": order}, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        made.append((folder / "out", json.loads((folder / "events.json").read_text()), kernels() - before))
    return made


def test_a_job_compiles_nothing_once_set_up_has(runs: list[Run]) -> None:
    assert [new for _, _, new in runs] == [set(), set()]


def test_a_job_opens_no_socket_and_starts_no_program(runs: list[Run]) -> None:
    assert [events for _, events, _ in runs] == [[], []]


@pytest.mark.parametrize("file", ["asset.safetensors", "asset.glb", "mask.png", "overlay.png"])
def test_the_same_seed_gives_the_same_bytes_whatever_the_order_of_hashing(runs: list[Run], file: str) -> None:
    first, second = ((out / file).read_bytes() for out, _, _ in runs)
    assert first == second


def test_mask_and_overlay_have_the_photos_resolution(runs: list[Run]) -> None:
    for file in ("mask.png", "overlay.png"):
        with Picture.open(runs[0][0] / file) as opened:
            assert opened.size == LARGE_SIZE


def test_a_large_photos_job_stays_within_its_memory(runs: list[Run]) -> None:
    report = json.loads((runs[0][0] / "report.json").read_text())
    assert 0 < report["peak_memory_mib"] < MEMORY_MIB


def test_the_creature_bears_the_name_that_it_was_given(runs: list[Run]) -> None:
    out = runs[0][0]
    data = (out / "asset.glb").read_bytes()
    document = json.loads(data[20 : 20 + int.from_bytes(data[12:16], "little")])
    assert read_asset(out / "asset.safetensors").name == NAME
    assert NAME in [node["name"] for node in document["nodes"]] and document["meshes"][0]["name"] == NAME


def test_the_asset_holds_no_path_and_no_duration(runs: list[Run]) -> None:
    data = (runs[0][0] / "asset.safetensors").read_bytes()
    header = data[8 : 8 + int.from_bytes(data[:8], "little")].decode()
    assert "provenance" in header
    assert not [word for word in (str(ROOT), str(runs[0][0]), "photo.jpg", sys.prefix, "seconds") if word in header]


def test_a_fit_is_cancelled_in_time_and_ends_with_its_parent_and_listens_nowhere(tmp_path: Path) -> None:
    client = Client(command=[sys.executable, "-B", "-m", "backend", "serve"])
    try:
        out = tmp_path / "out"
        job = fitting(client, out)
        assert not sockets_of(client.process.pid)
        start = time.monotonic()
        client.call("cancel", job=job)
        assert client.ending(job)["params"]["error"]["code"] == "cancelled"
        assert time.monotonic() - start < CANCEL_SECONDS
        assert not out.exists() or not list(out.iterdir())
        fitting(client, out)
        start = time.monotonic()
        assert client.process.stdin is not None
        client.process.stdin.close()
        client.process.wait(timeout=ORPHAN_SECONDS)
        assert time.monotonic() - start < ORPHAN_SECONDS
        assert not out.exists() or not [path for path in out.iterdir() if not path.name.startswith("preview")]
    finally:
        client.close()


def sockets_of(pid: int) -> list[str]:
    """The sockets among a process's open files, where the system shows them as Linux does."""
    folder = Path(f"/proc/{pid}/fd")
    opened = [os.readlink(file) for file in folder.iterdir()] if folder.is_dir() else []
    assert opened or not sys.platform.startswith("linux")
    return [name for name in opened if name.startswith("socket:")]


def fitting(client: Client, out: Path) -> str:
    """Start a fine job and wait until it fits. -> its id."""
    job = client.job(PHOTO, out, quality="fine")
    client.wait(lambda m: m.get("method") == "failed" or (m.get("method") == "progress" and m["params"]["stage"] == "fit"))
    return job
