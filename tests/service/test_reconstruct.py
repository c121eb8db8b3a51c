"""The one job function: masks of the person's own, and results that are whole or absent."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pillow_heif
import pytest
from PIL import Image as Picture

from backend.asset.read import read_asset
from backend.errors import Cancelled, MenagerieError
from backend.service import reconstruct as service
from backend.service.reconstruct import read_mask, reconstruct
from backend.service.result_folder import whole_folder
from backend.types import Image
from tests.service import made_up

ORIENTATION = 0x0112
COPY_TOLERANCE = 8  # of 255: two lossy formats one after the other, four flat colours

METHODS = {"fauna": "tests.service.made_up"}
ROOT = Path(__file__).parents[2]
WRITER = """
import sys, time
from pathlib import Path
from backend.service.result_folder import whole_folder
with whole_folder(Path(sys.argv[1])) as folder:
    (folder / "asset").write_text("half")
    print("writing", flush=True)
    time.sleep(600)
"""
"""A process that is in the middle of writing its result into the folder it is given."""


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    picture = Picture.new("RGBA", (96, 64), (120, 80, 40, 0))
    picture.paste((120, 80, 40, 255), (24, 16, 72, 48))
    path = tmp_path / "photo.png"
    picture.save(path)
    return path


def snapshot(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_the_same_seed_gives_the_same_asset_bit_for_bit(photo: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        reconstruct(photo, tmp_path / name, methods=METHODS)
    for file in ("asset.safetensors", "asset.glb", "mask.png", "overlay.png"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_a_failure_leaves_the_earlier_result_whole(photo: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    reconstruct(photo, out, methods=METHODS)
    before = snapshot(out)
    with pytest.raises(OSError, match="No space"):
        reconstruct(photo, out, methods=METHODS, name="disk full")
    assert snapshot(out) == before


@pytest.mark.parametrize("at", range(1, 7))
def test_a_move_that_fails_puts_everything_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int) -> None:
    names = (service.ASSET, service.MASK, service.REPORT)
    out = tmp_path / "out"
    out.mkdir()
    for name in (*names, "notes.txt"):
        (out / name).write_text("old")
    before = snapshot(out)
    real, count = os.replace, 0

    def failing(source: Any, target: Any) -> None:
        nonlocal count
        count += 1
        if count == at:
            raise OSError(errno.EIO, "Input/output error")
        real(source, target)

    monkeypatch.setattr("os.replace", failing)
    with pytest.raises(OSError, match="Input/output"), whole_folder(out) as folder:
        for name in names:
            (folder / name).write_text("new")
    assert snapshot(out) == before


@pytest.mark.parametrize("name", ["photo.heic", "photo.avif", "photo.gif", "turned.png", "plain.png", "turned.jpg"])
def test_photos_that_blender_would_show_otherwise_get_an_upright_copy(tmp_path: Path, name: str) -> None:
    pillow_heif.register_heif_opener()
    pixels = np.zeros((64, 96, 3), np.uint8)
    pixels[:32, :48, 0], pixels[:32, 48:, 1], pixels[32:, :48, 2] = 255, 255, 255
    exif = Picture.Exif()
    stored = pixels
    if name.startswith("turned"):
        exif[ORIENTATION] = 6
        stored = np.ascontiguousarray(np.rot90(pixels))
    Picture.fromarray(stored).save(tmp_path / name, exif=exif)
    Picture.new("L", (96, 64), 255).save(tmp_path / "mask.png")
    out = tmp_path / "out"
    report = reconstruct(tmp_path / name, out, mask=tmp_path / "mask.png", methods=METHODS)
    if name in ("plain.png", "turned.jpg"):
        assert not (out / "photo.jpg").exists()
    else:
        assert "photo.jpg" in report["files"]
        assert np.abs(np.asarray(Picture.open(out / "photo.jpg")).astype(int) - pixels).mean() < COPY_TOLERANCE


def test_a_cancelled_job_leaves_no_folder(photo: Path, tmp_path: Path) -> None:
    def stop(stage: str, fraction: float, preview: object = None) -> None:
        if fraction > 0.95:
            raise Cancelled

    with pytest.raises(Cancelled):
        reconstruct(photo, tmp_path / "out", methods=METHODS, progress=stop)
    assert not (tmp_path / "out").exists()


def test_a_job_takes_away_what_a_killed_process_left_and_nothing_that_is_in_use(photo: Path, tmp_path: Path) -> None:
    results = tmp_path / "jobs"
    mine = results / "mine" / ".unfinished-business"
    mine.mkdir(parents=True)
    start = [sys.executable, "-B", "-c", WRITER]
    writers = [subprocess.Popen([*start, str(results / name)], cwd=ROOT, stdout=subprocess.PIPE) for name in "ab"]
    try:
        for writer in writers:
            assert writer.stdout is not None and writer.stdout.readline().strip() == b"writing"
        writers[0].kill()
        writers[0].wait()
        assert [len(list(results.glob(f"{name}/.unfinished-*/asset"))) for name in "ab"] == [1, 1]
        reconstruct(photo, results / "c", methods=METHODS)
        assert not list((results / "a").iterdir()) and len(list(results.glob("b/.unfinished-*/asset"))) == 1 and mine.is_dir()
    finally:
        for writer in writers:
            writer.kill()
            writer.communicate()


def test_too_little_memory_is_told_before_any_work(photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "find_mask", lambda image, progress: pytest.fail("the mask was looked for"))
    monkeypatch.setattr(service, "available_memory_mib", lambda: made_up.MEMORY_MIB - 0.1)
    with pytest.raises(MenagerieError) as refusal:
        reconstruct(photo, tmp_path / "out", methods=METHODS)
    assert refusal.value.code == "no_memory" and "GiB" in refusal.value.sentence and refusal.value.remedy
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("available", [None, 2 * made_up.MEMORY_MIB])
def test_enough_memory_or_an_unknown_amount_is_no_obstacle(
    photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, available: float | None
) -> None:
    monkeypatch.setattr(service, "available_memory_mib", lambda: available)
    assert reconstruct(photo, tmp_path / "out", methods=METHODS)["files"]


def test_the_estimate_is_told_before_the_mask_is_looked_for(photo: Path, tmp_path: Path) -> None:
    told: list[object] = []
    reconstruct(
        photo, tmp_path / "out", methods=METHODS, expect=told.append, progress=lambda stage, fraction, preview=None: told.append(stage)
    )
    assert told[:3] == ["photo", made_up.SECONDS, "mask"]


@pytest.mark.parametrize(("given", "kept"), [("ä" * 60, "ä" * 31), (" Lö\nwe\u200b ", "Löwe"), ("\n", "creature"), (None, "photo")])
def test_any_name_becomes_one_that_the_asset_can_bear(photo: Path, tmp_path: Path, given: str | None, kept: str) -> None:
    reconstruct(photo, tmp_path / "out", methods=METHODS, name=given)
    assert read_asset(tmp_path / "out" / service.ASSET).name == kept


def test_an_unknown_method_is_refused_before_any_work(photo: Path, tmp_path: Path) -> None:
    with pytest.raises(MenagerieError) as refusal:
        reconstruct(photo, tmp_path / "out", method="magic", methods=METHODS)
    assert refusal.value.code == "bad_request" and not (tmp_path / "out").exists()


def test_a_mask_is_alpha_or_brightness_at_any_size(tmp_path: Path) -> None:
    image = Image(np.zeros((64, 96, 3), np.uint8))
    for mode, colour in (("L", 255), ("RGBA", (9, 9, 9, 255))):
        picture = Picture.new(mode, (48, 32), 0 if mode == "L" else (9, 9, 9, 0))
        picture.paste(colour, (12, 8, 36, 24))
        picture.save(tmp_path / "mask.png")
        mask = read_mask(tmp_path / "mask.png", image)
        assert mask.shape == (64, 96) and mask.dtype == np.float32
        assert mask[32, 48] == 1 and mask[2, 2] == 0


@pytest.mark.parametrize("mode", ["L", "RGBA"])
def test_a_stray_speck_of_a_painted_mask_is_left_out_and_the_written_mask_shows_it(photo: Path, tmp_path: Path, mode: str) -> None:
    picture = Picture.new(mode, (96, 64), 0 if mode == "L" else (255, 255, 255, 0))
    for box in ((24, 16, 72, 48), (80, 4, 88, 8), (2, 60, 4, 62)):  # the animal, a tail's tip of 2 %, a speck
        picture.paste(255 if mode == "L" else (255, 255, 255, 255), box)
    picture.save(tmp_path / "mask.png")
    reconstruct(photo, tmp_path / "out", mask=tmp_path / "mask.png", methods=METHODS)
    written = np.asarray(Picture.open(tmp_path / "out" / service.MASK))
    assert written[32, 48] == 255 and written[6, 84] == 255 and written[61, 3] == 0


@pytest.mark.parametrize(("size", "colour", "code"), [((64, 64), 255, "mask_unreadable"), ((96, 64), 0, "no_animal")])
def test_a_mask_that_does_not_fit_is_refused(tmp_path: Path, size: tuple[int, int], colour: int, code: str) -> None:
    Picture.new("L", size, colour).save(tmp_path / "mask.png")
    with pytest.raises(MenagerieError) as refusal:
        read_mask(tmp_path / "mask.png", Image(np.zeros((64, 96, 3), np.uint8)))
    assert refusal.value.code == code


def test_a_file_in_place_of_the_folder_is_a_coded_failure(photo: Path, tmp_path: Path) -> None:
    from backend.service.failures import as_error

    with pytest.raises(OSError) as escaped:
        reconstruct(photo, photo / "out", methods=METHODS)
    assert as_error(escaped.value).code == "not_writable"


def test_nothing_but_the_result_stays_in_the_folder(tmp_path: Path) -> None:
    with pytest.raises(KeyError), whole_folder(tmp_path / "out") as folder:
        (folder / "x").write_text("y")
        raise KeyError
    assert not (tmp_path / "out").exists()
