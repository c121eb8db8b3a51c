"""The house's rules, kept by machines: arrows between rooms, types, style, sizes and names."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
MODULES = sorted([*ROOT.glob("backend/**/*.py"), *ROOT.glob("blender_addon/**/*.py"), ROOT / "build.py"])
LINES = 400
ONE_ALGORITHM = {"backend/shape/remesh.py"}
"""Modules that may be longer, each a single algorithm."""

VAGUE = {"utils", "helpers", "common", "manager", "misc"}


def run(*command: object) -> None:
    """Run a checker from the project's folder; its findings are the failure's message."""
    done = subprocess.run([str(word) for word in command], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]


def test_arrows_between_rooms_run_downward() -> None:
    run(Path(sys.executable).with_name("lint-imports"), "--no-cache")


def test_style() -> None:
    run(sys.executable, "-m", "ruff", "check", "--output-format", "concise", ".")


def test_types() -> None:
    run(sys.executable, "-m", "mypy")


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_each_module_is_short_named_for_what_it_holds_and_says_what_that_is(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= LINES or path.relative_to(ROOT).as_posix() in ONE_ALGORITHM
    assert path.stem not in VAGUE
    if text.strip():
        assert ast.get_docstring(ast.parse(text)), "no module docstring"


def test_nothing_tracked_names_a_machine_or_a_registry() -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout.decode().split("\0")
    here = "|".join(re.escape(f"{folder}/") for folder in (ROOT, Path.home()))
    suspect = re.compile(here + r"|(index-url|find-links|registry)[ =]+.?https?://")
    texts = [name for name in listed if name.endswith((".py", ".txt", ".in", ".toml", ".json", ".md")) and (ROOT / name).is_file()]
    this = Path(__file__).relative_to(ROOT).as_posix()
    assert [name for name in texts if name != this and suspect.search((ROOT / name).read_text(encoding="utf-8"))] == []


def test_torchs_address_stands_once() -> None:
    holders = [path for path in [*MODULES, *ROOT.glob("blender_addon/**/*.json"), *ROOT.glob("backend/**/*.json")]
               if "download.pytorch.org" in path.read_text(encoding="utf-8")]  # fmt: skip
    assert [path.relative_to(ROOT).as_posix() for path in holders] == ["blender_addon/link/torch_index.json"]
