"""The built zip, installed as an artist would: it registers, works, writes only where it may, and leaves when disabled."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image as Picture

pytestmark = pytest.mark.blender5

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".venv" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
CHILD = (
    f"import sys; sys.path.append({str(ROOT)!r})\n"
    "from backend.service.serve import main\n"
    "main(methods={'fauna': 'tests.service.made_up'})\n"
)
"""The zip's own backend (the working folder stands first on the path) with the made-up method of the tests."""
LIMIT_SECONDS = 480


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the run in a Blender of its own saw."""
    folder = tmp_path_factory.mktemp("mit Leerzeichen 空")
    spec = importlib.util.spec_from_file_location("menagerie_build", ROOT / "build.py")
    assert spec is not None and spec.loader is not None
    build = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(build)
    file = build.write_extension(folder)
    picture = Picture.new("RGBA", (96, 64), (120, 80, 40, 0))
    picture.paste((120, 80, 40, 255), (24, 16, 72, 48))
    picture.save(folder / "ram.png")
    resources = folder / "resources"
    resources.mkdir()
    done = subprocess.run(
        [sys.executable, Path(__file__).with_name("installed.py"), file, PYTHON, CHILD, folder / "ram.png"],
        env={**os.environ, "BLENDER_USER_RESOURCES": str(resources), "NUMBA_CACHE_DIR": str(folder / "kernels")},
        capture_output=True, text=True, timeout=LIMIT_SECONDS,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    answer: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    answer["resources"] = resources
    return answer


def test_the_zip_installs_and_shows_its_panels(found: dict[str, Any]) -> None:
    assert found["enabled"] and "MENAGERIE_PT_main" in found["panels"] and found["rows"] > 0


def test_the_zip_carries_the_backend(found: dict[str, Any]) -> None:
    assert found["carried"]


def test_the_installed_add_on_reconstructs(found: dict[str, Any]) -> None:
    assert {"ARMATURE", "MESH", "CAMERA"} <= set(found["objects"])


def test_promise_6_reconstructing_opens_no_socket(found: dict[str, Any]) -> None:
    assert found["talked"] == []


def test_disabling_leaves_nothing_and_enabling_brings_it_back(found: dict[str, Any]) -> None:
    assert found["gone"] and found["scene_property_gone"] and found["again"]


def test_nothing_is_written_beside_the_code(found: dict[str, Any]) -> None:
    code = found["resources"] / "extensions" / "user_default" / "menagerie"
    assert Path(found["user_folder"]).is_relative_to(found["resources"]) and code not in Path(found["user_folder"]).parents
    ours = {path.relative_to(code).parts[0] for path in code.rglob("*") if path.is_file() and path.suffix != ".pyc"}
    assert not ours & {"jobs", "logs", "environment"}
    assert not list((code / "backend").rglob("*.pyc")), "the backend writes no byte code"
