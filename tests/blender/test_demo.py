"""The demo's walk inside Blender, with the real process and the made-up method: every file it promises."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import bpy
import pytest

from blender_addon import demo
from blender_addon.link.process import Backend

ROOT = Path(__file__).resolve().parents[2]
PYTHON = ROOT / ".venv" / ("Scripts/python.exe" if (ROOT / ".venv" / "Scripts").exists() else "bin/python")
CHILD = str(ROOT / "tests" / "service" / "child.py")


def test_the_demo_writes_blend_glb_overlay_and_turntable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BLENDER_USER_RESOURCES", str(tmp_path / "user"))
    monkeypatch.setattr(demo, "Backend", partial(Backend, entry=(CHILD,)))
    monkeypatch.setattr(demo.turntable, "render", partial(demo.turntable.render, frames=3, size=64))
    out = tmp_path / "a folder with ümlauts"
    seconds = demo.run(ROOT / "tests" / "photos" / "horse.png", out, PYTHON, "fast")
    for name in ("creature.blend", "creature.glb", "overlay.png", "turntable.mp4", "report.json"):
        assert (out / name).stat().st_size > 500, name
    assert {"reconstruct and place", "save", "turntable", "backend: mask"} <= set(seconds)
    assert json.loads((out / "report.json").read_text())["method"] == "fauna"
    bpy.ops.wm.open_mainfile(filepath=str(out / "creature.blend"))
    kinds = {thing.type for thing in bpy.context.scene.objects}
    assert {"MESH", "ARMATURE", "CAMERA"} <= kinds
    camera = bpy.context.scene.camera
    assert camera is not None and any(image.packed_file for image in bpy.data.images)


def test_a_failure_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(demo, "Backend", partial(Backend, entry=(CHILD,)))
    photo = tmp_path / "photo.png"
    photo.write_bytes(b"no picture")
    assert demo.main([str(photo), "--out", str(tmp_path / "out"), "--python", str(PYTHON)]) == 1
    assert "photo" in capsys.readouterr().err.lower()
