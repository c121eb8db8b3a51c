"""The demo's walk inside Blender, with the real process and the made-up method: every file it promises."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import bpy
import numpy as np
import pytest
from PIL import Image as Picture

from blender_addon import demo
from blender_addon.link.process import Backend

DARK = 50  # of 255: a render through the photo's camera is lit

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
    scene = bpy.context.scene
    scene.render.engine, scene.cycles.samples, scene.render.resolution_percentage = "CYCLES", 4, 25
    scene.render.image_settings.file_format, scene.render.filepath = "PNG", str(tmp_path / "seen.png")
    bpy.ops.render.render(write_still=True)
    seen = np.asarray(Picture.open(tmp_path / "seen.png").convert("RGB")).astype(float)
    creature = np.abs(seen - seen[0, 0]).max(axis=2) > 20
    assert 0.01 < creature.mean() < 0.9 and seen[creature].mean() > DARK


def test_a_failure_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(demo, "Backend", partial(Backend, entry=(CHILD,)))
    photo = tmp_path / "photo.png"
    photo.write_bytes(b"no picture")
    assert demo.main([str(photo), "--out", str(tmp_path / "out"), "--python", str(PYTHON)]) == 1
    assert "photo" in capsys.readouterr().err.lower()
