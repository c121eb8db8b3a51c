"""Masks of the artist's own, painted or loaded, reach the backend the right way up."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import bpy
import numpy as np
import pytest
from PIL import Image as Picture

from blender_addon.link import session
from blender_addon.ops.paint_mask import save_mask
from blender_addon.panels import main as panel
from blender_addon.panels import pictures
from tests.blender.button import PATIENCE, PYTHON, choose_photo, drawn
from tests.blender.creatures import empty_blender

pytestmark = [pytest.mark.blender5, pytest.mark.usefixtures("add_on")]

ORIENTATION = 0x0112
TURNED_RIGHT = 6
WRITE_HEIC = """
import sys
import pillow_heif
from PIL import Image
pillow_heif.register_heif_opener()
Image.open(sys.argv[1]).save(sys.argv[2], quality=95)
"""
"""What a phone writes and no Blender opens; AVIF opens from 5.2 on. Only the backend's Python can write it."""


def found_mask(name: str | None = None) -> np.ndarray:
    """(h, w) of the mask that the backend used for the last creature."""
    record = session.read_record(bpy.data.objects[name or session.state.last_creature])
    return np.asarray(Picture.open(Path(record["out"]) / "mask.png"))


def paint(rows: slice, columns: slice) -> None:
    """Leave only these pixels of the painted mask; rows count from the top."""
    image = bpy.context.scene.menagerie.mask_image
    width, height = image.size
    pixels = np.array(image.pixels[:], np.float32).reshape(height, width, 4)
    pixels[..., 3] = 0
    pixels[::-1][rows, columns, 3] = 1
    image.pixels.foreach_set(pixels.ravel())


def test_a_painted_mask_goes_to_the_backend(tmp_path: Path) -> None:
    choose_photo(tmp_path)
    settings = bpy.context.scene.menagerie
    assert bpy.ops.menagerie.paint_mask() == {"FINISHED"}
    image = settings.mask_image
    assert settings.mask_kind == "PAINTED" and tuple(image.size) == (96, 64)
    pixels = np.zeros((64, 96, 4), np.float32)
    pixels[16:32, 24:48] = 1  # rows from the bottom
    image.pixels.foreach_set(pixels.ravel())
    assert bpy.ops.menagerie.reconstruct() == {"FINISHED"}
    record = session.read_record(bpy.data.objects[session.state.last_creature])
    seen = np.asarray(Picture.open(Path(record["out"]) / "mask.png"))
    assert (seen[64 - 32 + 1 : 64 - 16 - 1, 25:47] > 250).all() and seen[:30].max() < 5


@pytest.mark.parametrize("name", ["no animal", "several"])
@pytest.mark.parametrize("clear", [False, True])
def test_where_no_animal_was_found_painting_starts_from_the_whole_photo(tmp_path: Path, name: str, clear: bool) -> None:
    path = tmp_path / f"{name}.png"
    Picture.new("RGBA" if clear else "RGB", (96, 64), (120, 80, 40, 0) if clear else (120, 80, 40)).save(path)
    settings = bpy.context.scene.menagerie
    settings.photo = str(path)
    with pytest.raises(RuntimeError):
        bpy.ops.menagerie.reconstruct()
    shown = drawn(panel.MENAGERIE_PT_main)
    assert "menagerie.paint_mask" in shown and "menagerie.load_mask" in shown
    assert bpy.ops.menagerie.paint_mask() == {"FINISHED"}
    assert tuple(settings.mask_image.size) == (96, 64) and min(settings.mask_image.pixels[:][3::4]) == 1.0


def test_a_photo_that_is_gone_is_not_painted_on(tmp_path: Path) -> None:
    bpy.context.scene.menagerie.photo = str(tmp_path / "gone.png")
    with pytest.raises(RuntimeError, match="not there"):
        bpy.ops.menagerie.paint_mask()


def test_the_artists_brush_stays_as_it_is(tmp_path: Path) -> None:
    words = [sys.executable, str(Path(__file__).with_name("brushes.py")), str(choose_photo(tmp_path))]
    done = subprocess.run(words, capture_output=True, text=True, timeout=PATIENCE)
    assert done.stdout, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["painted"] and found["waits"]
    assert found["theirs"] == found["theirs_after"] and found["theirs"][1] != "ERASE_ALPHA"
    assert found["theirs"][0] != found["ours"][0] and found["ours"][1] == "ERASE_ALPHA"


def test_an_empty_painted_mask_is_refused(tmp_path: Path) -> None:
    image = bpy.data.images.new("nothing", 8, 8, alpha=True)
    image.pixels.foreach_set(np.zeros(256, np.float32))
    with pytest.raises(session.LinkError):
        save_mask(image, tmp_path)


def test_a_mask_file_is_used_and_a_missing_one_is_said(tmp_path: Path) -> None:
    choose_photo(tmp_path)
    with pytest.raises(RuntimeError, match="mask"):
        bpy.ops.menagerie.load_mask(filepath=str(tmp_path / "none.png"))
        bpy.ops.menagerie.reconstruct()
    Picture.new("L", (96, 64), 255).save(tmp_path / "mask.png")
    bpy.ops.menagerie.load_mask(filepath=str(tmp_path / "mask.png"))
    assert bpy.ops.menagerie.reconstruct() == {"FINISHED"}


def test_a_turned_photo_is_painted_upright(tmp_path: Path) -> None:
    exif = Picture.Exif()
    exif[ORIENTATION] = TURNED_RIGHT
    stored = np.zeros((96, 64, 3), np.uint8)
    stored[:48] = 255, 0, 0  # upright: the right half
    path = tmp_path / "turned.jpg"
    Picture.fromarray(stored).save(path, exif=exif, quality=95)
    settings = bpy.context.scene.menagerie
    settings.photo = str(path)
    assert bpy.ops.menagerie.paint_mask() == {"FINISHED"}
    image = settings.mask_image
    assert tuple(image.size) == (96, 64)
    red = np.array(image.pixels[:]).reshape(64, 96, 4)[..., 0]
    assert red[:, 50:].min() > 0.9 and red[:, :46].max() < 0.1
    paint(slice(0, 16), slice(0, 24))
    assert bpy.ops.menagerie.reconstruct() == {"FINISHED"}
    seen = found_mask()
    assert seen.shape == (64, 96) and (seen[:15, :23] > 250).all() and seen[20:].max() < 5 and seen[:, 28:].max() < 5


def test_a_photo_that_blender_cannot_open_is_shown_and_painted_through_the_backends_copy(tmp_path: Path) -> None:
    picture = Picture.new("RGBA", (96, 64), (0, 0, 255, 0))
    picture.paste((200, 20, 20, 255), (24, 16, 72, 48))
    picture.save(tmp_path / "phone.png")
    path = tmp_path / "phone.heic"
    subprocess.run([PYTHON, "-c", WRITE_HEIC, tmp_path / "phone.png", path], check=True)
    settings = bpy.context.scene.menagerie
    settings.photo = str(path)
    with pytest.raises(RuntimeError, match="PNG or JPEG.*mask file"):
        bpy.ops.menagerie.paint_mask()
    assert bpy.ops.menagerie.reconstruct() == {"FINISHED"}
    rig = bpy.data.objects[session.state.last_creature]
    plane = next(thing for thing in rig.users_collection[0].objects if thing.type == "EMPTY")
    assert tuple(plane.data.size) == (96, 64) and plane.data.packed_file is not None
    red = np.array(plane.data.pixels[:]).reshape(64, 96, 4)[..., 0]
    assert red[20:44, 28:68].mean() > 0.6 and red[:10].mean() < 0.2
    action = next(action for action in bpy.data.actions if action.name.endswith("photo pose"))
    assert tuple(action.preview.image_size) == (96, 64)
    bpy.context.view_layer.objects.active = rig
    assert bpy.ops.menagerie.paint_mask() == {"FINISHED"}
    alpha = np.array(settings.mask_image.pixels[:]).reshape(64, 96, 4)[..., 3]
    assert alpha[20:44, 28:68].min() > 0.9 and alpha[:10].max() < 0.1, "painting starts from the mask that was found"


def test_what_a_creature_of_another_file_needs_outlives_the_clean_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    choose_photo(tmp_path)
    bpy.ops.menagerie.paint_mask()
    paint(slice(16, 32), slice(24, 48))
    assert bpy.ops.menagerie.reconstruct() == {"FINISHED"}
    name = session.state.last_creature
    folder = Path(session.read_record(bpy.data.objects[name])["out"])
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "creature.blend"))
    empty_blender()
    monkeypatch.setattr(session, "JOBS_KEPT", 0)
    choose_photo(tmp_path, "other")
    assert bpy.ops.menagerie.reconstruct() == {"FINISHED"}
    assert not folder.exists()
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "creature.blend"))
    rig = bpy.data.objects[name]
    bpy.context.view_layer.objects.active = rig
    shown: list[str] = []
    monkeypatch.setattr(pictures, "icon", lambda path: shown.append(path) or 1)
    drawn(panel.MENAGERIE_PT_viewpoints)
    assert len(shown) == 4 and all(Picture.open(path).size == (32, 32) for path in shown)
    settings = bpy.context.scene.menagerie
    settings.mask_image = None
    assert bpy.ops.menagerie.paint_mask() == {"FINISHED"}
    alpha = np.array(settings.mask_image.pixels[:][3::4]).reshape(64, 96)[::-1]
    assert alpha[17:31, 25:47].min() > 0.9 and alpha[34:].max() < 0.1, "painting goes on from the mask of the last fit"
    for _ in range(2):
        assert bpy.ops.menagerie.flip_heading() == {"FINISHED"}
        assert (found_mask(name)[17:31, 25:47] > 250).all() and found_mask(name)[34:].max() < 5


def test_a_painted_mask_outlives_the_clean_up_of_old_results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    choose_photo(tmp_path)
    bpy.ops.menagerie.paint_mask()
    paint(slice(16, 32), slice(24, 48))
    assert bpy.ops.menagerie.reconstruct() == {"FINISHED"}
    monkeypatch.setattr(session, "JOBS_KEPT", 0)
    for _ in range(3):
        assert bpy.ops.menagerie.flip_heading() == {"FINISHED"}
    assert (found_mask()[17:31, 25:47] > 250).all()


def test_another_photo_has_no_painted_mask_yet(tmp_path: Path) -> None:
    settings = bpy.context.scene.menagerie
    choose_photo(tmp_path)
    bpy.ops.menagerie.paint_mask()
    choose_photo(tmp_path, "other")
    assert settings.mask_image is None and settings.mask_kind == "AUTO"
