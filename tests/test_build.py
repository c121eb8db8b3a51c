"""build.py: an extension that is the same bytes everywhere, locked requirements, steps that are done once."""

from __future__ import annotations

import ast
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from types import ModuleType

import pytest

from backend import VERSION
from tests import everything

ROOT = Path(__file__).resolve().parents[1]
LOCKS = sorted((ROOT / "backend" / "requirements").glob("*.txt"))


def load_build(folder: Path) -> ModuleType:
    """The build.py of a checkout, imported from its file."""
    spec = importlib.util.spec_from_file_location("build_of_" + folder.name.replace("-", "_"), folder / "build.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The extension's zip, built from this checkout."""
    built: Path = load_build(ROOT).write_extension(tmp_path_factory.mktemp("extension"))
    return built


def test_two_builds_in_two_folders_are_equal_byte_for_byte(archive: Path, tmp_path: Path) -> None:
    copy = tmp_path / "another place"
    for name in ("backend", "blender_addon"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("build.py", "weights_manifest.json", "LICENSE"):
        shutil.copyfile(ROOT / name, copy / name)
    for path in copy.rglob("*"):
        os.utime(path, (1_000_000_000, 1_000_000_000))
        path.chmod(0o700)
    assert load_build(copy).write_extension(tmp_path).read_bytes() == archive.read_bytes()


def test_the_zip_carries_addon_backend_and_bundled_weights_and_no_byte_code(archive: Path) -> None:
    with zipfile.ZipFile(archive) as opened:
        names = opened.namelist()
        assert opened.testzip() is None
    assert names == sorted(names)
    assert {"blender_manifest.toml", "__init__.py", "backend/__main__.py", "backend/requirements/runtime.txt", "LICENSE"} <= set(names)
    assert not [name for name in names if name.endswith(".pyc") or "__pycache__" in name or name.startswith("tests")]
    listed = json.loads((ROOT / "weights_manifest.json").read_text())["weights"]
    assert {entry["file"] for entry in listed if entry["bundled"]} <= set(names)


def test_versions_of_addon_backend_and_project_agree() -> None:
    manifest = tomllib.loads((ROOT / "blender_addon" / "blender_manifest.toml").read_text())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert manifest["version"] == VERSION == project["project"]["version"]


def test_blenders_own_tool_accepts_the_zip(archive: Path) -> None:
    build = load_build(ROOT)
    python = build.python_of(build.BLENDER["4.5"])
    assert python.exists(), "python3 build.py setup makes the environment"
    build.validate_extension(archive, python)


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.stem)
def test_every_locked_package_has_one_version_and_hashes_and_no_host_is_named(lock: Path) -> None:
    text = lock.read_text()
    assert "://" not in text and "--index" not in text
    entries = re.split(r"\n(?=[a-z])", text)
    assert len(entries) > 5
    for entry in entries:
        assert re.match(r"[a-z0-9._-]+==[^ ]+ (; [^\\]+)?\\\n", entry), entry[:80]
        assert "--hash=sha256:" in entry


def test_pins_are_what_the_lock_holds() -> None:
    for source in (ROOT / "backend" / "requirements").glob("*.in"):
        locked = source.with_suffix(".txt").read_text()
        for pin in re.findall(r"^([a-z0-9-]+==[^; \n]+)", source.read_text(), re.MULTILINE):
            assert f"{pin} " in locked, pin


@pytest.mark.parametrize("name", ["build.py", "tests/everything.py"])
def test_build_runs_on_python_3_9(name: str) -> None:
    ast.parse((ROOT / name).read_text(), feature_version=(3, 9))


def test_build_needs_nothing_but_the_standard_library() -> None:
    done = subprocess.run([sys.executable, "-I", "-S", "build.py", "--help"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0 and "demo" in done.stdout, done.stderr


def test_a_step_is_done_once_for_each_key(tmp_path: Path) -> None:
    build, done = load_build(ROOT), []
    for key in ("a", "a", "b"):
        build.step(tmp_path, "thing", key, lambda: done.append(1))
    assert len(done) == 2


def test_a_step_that_fails_is_done_again(tmp_path: Path) -> None:
    build = load_build(ROOT)

    def fail() -> None:
        raise build.Stop("no network")

    with pytest.raises(build.Stop):
        build.step(tmp_path, "thing", "a", fail)
    done: list[int] = []
    build.step(tmp_path, "thing", "a", lambda: done.append(1))
    assert done


def test_who_is_not_root_gets_the_line_to_run(monkeypatch: pytest.MonkeyPatch) -> None:
    build = load_build(ROOT)
    monkeypatch.setattr(build, "is_root", lambda: False)
    with pytest.raises(build.Stop, match="sudo apt-get install -y --no-install-recommends libegl1"):
        build.install_system(["libegl1"])


@pytest.mark.parametrize(
    ("known", "platform", "line"),
    [
        (True, "linux", "sudo apt-get install -y --no-install-recommends python3.11 python3.11-venv"),
        (False, "linux", "uv python install 3.11"),
        (False, "darwin", "brew install python@3.11"),
        (False, "win32", "winget install --id Python.Python.3.11"),
    ],
)
def test_who_is_not_root_and_has_no_python_gets_the_line_to_run(
    monkeypatch: pytest.MonkeyPatch, known: bool, platform: str, line: str
) -> None:
    build = load_build(ROOT)
    monkeypatch.setattr(build, "is_root", lambda: False)
    monkeypatch.setattr(build, "succeeds", lambda command: command[0] == "apt-cache" and known)
    monkeypatch.setattr(build.sys, "platform", platform)
    with pytest.raises(build.Stop, match=re.escape(line) + "$"):
        build.find_python("3.11")


def test_root_without_a_package_of_python_gets_another_line(monkeypatch: pytest.MonkeyPatch) -> None:
    build = load_build(ROOT)
    monkeypatch.setattr(build, "is_root", lambda: True)
    monkeypatch.setattr(build, "succeeds", lambda command: False)
    monkeypatch.setattr(build, "run", lambda command, env: build.succeeds(command))
    with pytest.raises(build.Stop, match="uv python install 3.11$"):
        build.find_python("3.11")


def test_a_python_of_uvs_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    build = load_build(ROOT)
    python = tmp_path / ".local/share/uv/python/cpython-3.11.9-linux-x86_64-gnu/bin/python3.11"
    python.parent.mkdir(parents=True)
    python.touch()
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    monkeypatch.setattr(build, "succeeds", lambda command: command[0] == str(python))
    assert build.find_python("3.11") == str(python)


def test_a_failing_command_is_named(tmp_path: Path) -> None:
    build = load_build(ROOT)
    with pytest.raises(build.Stop, match="failed with status 3"):
        build.run([sys.executable, "-c", "raise SystemExit(3)"])
    with pytest.raises(build.Stop, match="is not installed"):
        build.run(["no-such-program-anywhere"])


def test_every_blender_is_tested_and_one_of_them_with_all_tests() -> None:
    build = load_build(ROOT)
    assert set(everything.CHOICE) == set(build.BLENDER) == set(build.BLENDER_PYTHON)
    assert [version for version, words in everything.CHOICE.items() if not words] == [everything.WHOLE]
    assert all("blender5" in words for version, words in everything.CHOICE.items() if version != everything.WHOLE)


def test_a_run_that_fails_or_hangs_is_told_with_its_text(monkeypatch: pytest.MonkeyPatch) -> None:
    ending = everything.follow(everything.Run("bad", [sys.executable, "-c", "print('why'); raise SystemExit(3)"]), quiet=True)
    assert not ending.good and "why" in ending.text and "status 3" in ending.text
    monkeypatch.setattr(everything, "LIMIT_SECONDS", 1)
    ending = everything.follow(everything.Run("hangs", [sys.executable, "-c", "import time; time.sleep(60)"]), quiet=True)
    assert not ending.good and "ended" in ending.text
