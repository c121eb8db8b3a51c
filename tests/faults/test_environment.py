"""Set-up of the backend's environment, from an archive of made-up wheels: whole or not at all, and the old one stays."""

from __future__ import annotations

import base64
import hashlib
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.faults.link import link_module

environment = link_module("environment")
in_use = link_module("standing")
errors = link_module("errors")

PATIENCE = 120.0
CANCEL_SECONDS = 2.0
DOCTOR = """
import json, sys, time
from pathlib import Path
with open("ran", "a", encoding="utf-8") as stream:
    print(Path.cwd(), file=stream)
if Path("slow").exists():
    time.sleep(60)
if "--warm" not in sys.argv:
    import tiny
if Path("bad").exists() and "--warm" not in sys.argv:
    print(json.dumps({"good": False, "problems": [{"code": "weights_damaged", "sentence": "A file differs.", "remedy": "Install again."}]}))
    sys.exit(1)
"""


def make_wheel(folder: Path, name: str, version: str) -> Path:
    """A pure-Python wheel with one module."""
    files = {
        f"{name}.py": "VALUE = 1\n",
        f"{name}-{version}.dist-info/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{name}-{version}.dist-info/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    rows = [
        f"{file},sha256={base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b'=').decode()},{len(text)}"
        for file, text in files.items()
    ]
    record = f"{name}-{version}.dist-info/RECORD"
    files[record] = "\n".join([*rows, f"{record},,"]) + "\n"
    path = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for file, text in files.items():
            archive.writestr(file, text)
    return path


class Place:
    """A user folder, a carried backend, an archive and a lock."""

    def __init__(self, folder: Path) -> None:
        self.user, self.carried = folder / "Nutzer 用户", folder / "carried"
        self.user.mkdir()
        (self.carried / "backend" / "requirements").mkdir(parents=True)
        (self.carried / "backend" / "__init__.py").touch()
        (self.carried / "backend" / "__main__.py").write_text(DOCTOR)
        (self.carried / "weights_manifest.json").write_text("{}")
        wheels = [make_wheel(folder, "tiny", "1.0"), make_wheel(folder, "torch", environment.torch_table().version)]
        self.archive = folder / "wheels.zip"
        with zipfile.ZipFile(self.archive, "w") as archive:
            for wheel in wheels:
                archive.write(wheel, f"../{wheel.name}")
        digest = hashlib.sha256(wheels[0].read_bytes()).hexdigest()
        self.lock = self.carried / "backend" / "requirements" / "runtime.txt"
        self.lock.write_text(f"tiny==1.0 --hash=sha256:{digest}\n")

    def set_up(self, version: str = "1.0", **settings: Any) -> Any:
        return environment.SetUp(self.user, self.carried, version, archive=self.archive, picked=sys.executable, **settings).start()

    def finished(self, version: str = "1.0", **settings: Any) -> Any:
        set_up = self.set_up(version, **settings)
        assert set_up.wait(PATIENCE)
        return set_up


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.fixture(scope="module")
def standing(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A place that is set up."""
    place = Place(tmp_path_factory.mktemp("standing"))
    set_up = place.finished()
    assert set_up.error is None and set_up.stage == "done" and set_up.fraction == 1.0
    return place


def test_a_set_up_stands_whole_and_leaves_nothing_beside_it(standing: Place) -> None:
    python, unit = in_use.location(standing.user, "1.0")
    assert python.exists() and (unit / "backend" / "__main__.py").is_file()
    assert [path.name for path in standing.user.iterdir()] == ["environment"]


def test_kernels_are_compiled_once_where_they_will_be_used(standing: Place) -> None:
    unit = in_use.location(standing.user, "1.0")[1]
    assert (unit / "ran").read_text(encoding="utf-8").splitlines() == [str(unit.resolve())] * 2  # the check, and the rest of the kernels


def test_an_environment_that_fails_its_check_gives_way_to_the_old_one(standing: Place) -> None:
    before, lock = in_use.read_state(standing.user), standing.lock.read_text()
    main = standing.carried / "backend" / "__main__.py"
    main.write_text(DOCTOR.replace('Path("bad").exists()', "True"))
    standing.lock.write_text(lock + "# more packages\n")
    failed = standing.finished("1.1")
    main.write_text(DOCTOR)
    standing.lock.write_text(lock)
    assert failed.error["code"] == "backend_missing" and "A file differs" in failed.error["sentence"]
    assert in_use.read_state(standing.user) == before and in_use.location(standing.user, "1.0")[1].is_dir()
    assert [path.name for path in standing.user.iterdir()] == ["environment"]


def test_another_version_of_the_add_on_asks_for_an_update(standing: Place) -> None:
    with pytest.raises(errors.LinkError) as refusal:
        in_use.location(standing.user, "2.0")
    assert refusal.value.code == "backend_mismatch"


def test_an_update_that_fails_its_check_keeps_the_old_unit_and_a_good_one_replaces_it(standing: Place) -> None:
    before = in_use.read_state(standing.user)
    (standing.carried / "backend" / "more.py").write_text("x = 1\n")
    main = standing.carried / "backend" / "__main__.py"
    main.write_text(DOCTOR.replace('Path("bad").exists()', "True"))
    failed = standing.finished("1.1")
    assert failed.error["code"] == "backend_missing" and "A file differs" in failed.error["sentence"]
    assert in_use.read_state(standing.user) == before
    assert in_use.location(standing.user, "1.0")[1].is_dir()
    main.write_text(DOCTOR)
    assert standing.finished("1.1").error is None
    unit = in_use.location(standing.user, "1.1")[1]
    assert [path.name for path in unit.parent.iterdir()] == [unit.name]
    assert standing.finished("1.0").error is None


def crash(user: Path, half: bool) -> None:
    """What a Blender leaves that ends while the new environment proves itself, or just before it is renamed into place."""
    (user / "environment").rename(user / "environment.old")
    if half:
        (user / "environment" / "python").mkdir(parents=True)
        (user / "environment" / "python" / "half").touch()


@pytest.mark.parametrize("half", [True, False])
def test_after_a_crash_the_old_environment_is_in_use_again(standing: Place, half: bool) -> None:
    before = in_use.read_state(standing.user)
    crash(standing.user, half)
    assert in_use.read_state(standing.user) == before
    assert in_use.location(standing.user, "1.0")[1].is_dir()
    until(lambda: [path.name for path in standing.user.iterdir()] == ["environment"])


def test_a_set_up_after_a_crash_starts_from_the_old_environment_and_keeps_it_where_it_fails(standing: Place) -> None:
    before, lock = in_use.read_state(standing.user), standing.lock.read_text()
    crash(standing.user, True)
    standing.lock.write_text(f"tiny==1.0 --hash=sha256:{'0' * 64}\n")
    failed = standing.finished()
    standing.lock.write_text(lock)
    assert failed.error["code"] == "backend_missing"
    assert in_use.read_state(standing.user) == before and in_use.location(standing.user, "1.0")[1].is_dir()
    until(lambda: [path.name for path in standing.user.iterdir()] == ["environment"])


def test_who_looks_while_a_set_up_is_at_work_takes_nothing_from_it(standing: Place) -> None:
    """Another Blender's look, or its own set-up, meets the lock."""
    before, lock = in_use.read_state(standing.user), standing.lock.read_text()
    main = standing.carried / "backend" / "__main__.py"
    main.write_text(DOCTOR.replace('Path("slow").exists()', "True"))
    standing.lock.write_text(lock + "# more packages\n")
    at_work = standing.set_up()
    until(lambda: at_work.stage == "doctor" and (standing.user / "environment.old").is_dir())
    assert in_use.read_state(standing.user) == {} and (standing.user / "environment.old").is_dir()
    second = standing.finished()
    assert second.error["code"] == "protocol" and "already" in second.error["sentence"] and not at_work.done
    with pytest.raises(errors.LinkError):
        in_use.remove(standing.user)
    at_work.cancel()
    assert at_work.wait(PATIENCE) and in_use.read_state(standing.user) == before
    main.write_text(DOCTOR)
    standing.lock.write_text(lock)
    assert [path.name for path in standing.user.iterdir()] == ["environment"]


def test_what_was_removed_does_not_come_back(tmp_path: Path) -> None:
    for name in ("environment", "environment.old"):
        (tmp_path / name).mkdir()
        in_use.write_state(tmp_path / name, {"version": "1", "unit": "u", "requirements": "r", "device": "cpu"})
    assert in_use.read_state(tmp_path)
    in_use.remove(tmp_path)
    assert in_use.read_state(tmp_path) == {} and not list(tmp_path.iterdir())


def test_nothing_is_set_up_at_first(place: Place) -> None:
    with pytest.raises(errors.LinkError) as refusal:
        in_use.location(place.user, "1.0")
    assert refusal.value.code == "backend_missing"


def test_a_package_with_another_hash_is_refused(place: Place) -> None:
    place.lock.write_text(f"tiny==1.0 --hash=sha256:{'0' * 64}\n")
    set_up = place.finished()
    assert set_up.error["code"] == "backend_missing" and "refused" in set_up.error["sentence"]
    assert not list(place.user.iterdir())


def test_cancel_stops_the_set_up_and_leaves_nothing(place: Place) -> None:
    set_up = place.set_up()
    deadline = time.monotonic() + PATIENCE
    while set_up.stage in ("waiting", "python") and time.monotonic() < deadline:
        time.sleep(0.01)
    start = time.monotonic()
    set_up.cancel()
    assert set_up.wait(CANCEL_SECONDS) and time.monotonic() - start < CANCEL_SECONDS
    assert set_up.error["code"] == "cancelled" and not list(place.user.iterdir())


@pytest.mark.parametrize("data", [b"", b"no zip", b"PK\x05\x06" + bytes(18)])
def test_an_archive_that_is_none_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "archive.zip").write_bytes(data)
    with pytest.raises(errors.LinkError):
        environment.unpack_wheels(tmp_path / "archive.zip", tmp_path / "wheels")


def test_wheels_are_unpacked_by_name_and_never_by_path(place: Place, tmp_path: Path) -> None:
    environment.unpack_wheels(place.archive, tmp_path / "deep" / "wheels")
    assert len(list((tmp_path / "deep" / "wheels").glob("*.whl"))) == 2
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["wheels"]


@pytest.mark.parametrize(
    ("output", "code"),
    [
        ("ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device", "disk_full"),
        ("ERROR: No matching distribution found for torch==2.13.0", "backend_missing"),
        ("PermissionError: [Errno 13] Permission denied: 'x'", "not_writable"),
        ("", "backend_missing"),
    ],
)
def test_what_pip_says_becomes_an_error_with_a_remedy(output: str, code: str) -> None:
    error = environment.meaning(output)
    assert error.code == code and error.remedy
