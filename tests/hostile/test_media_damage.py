"""Cut, altered and disguised photos give `photo_unreadable` or `photo_unsupported`, or a picture: nothing else."""

import errno
import io
import os
import pathlib

import numpy as np
import PIL.Image
import pillow_heif
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backend.errors import MenagerieError
from backend.media.photo import read_photo

CODES = {"photo_unreadable", "photo_unsupported", "photo_too_large"}
KINDS = ("PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF", "AVIF", "HEIF")


def encode(kind: str) -> bytes:
    pillow_heif.register_heif_opener()
    y, x = np.mgrid[0:40, 0:56]
    pixels = np.stack([x * 4, y * 6, (x * y) % 256], -1).astype(np.uint8)
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    exif.get_ifd(0x8769)[0xA405] = 35
    buffer = io.BytesIO()
    PIL.Image.fromarray(pixels).save(buffer, kind, **({} if kind in ("BMP", "GIF") else {"exif": exif}))
    return buffer.getvalue()


FILES = {kind: encode(kind) for kind in KINDS}


def outcome(path) -> str:
    """The error's code, or "" for a picture; anything else escapes."""
    try:
        image = read_photo(path)
    except MenagerieError as error:
        return error.code
    assert image.rgb.dtype == np.uint8 and image.rgb.ndim == 3
    return ""


@pytest.mark.parametrize("kind", KINDS)
def test_cut_files_are_refused(tmp_path, kind):
    data = FILES[kind]
    for share in (0.02, 0.1, 0.3, 0.5, 0.7, 0.9):
        path = tmp_path / f"{share}.bin"
        path.write_bytes(data[: int(len(data) * share)])
        # Formats that keep a table behind the pixels, or EXIF there, may still hold the whole picture.
        assert outcome(path) in CODES | ({""} if share >= 0.5 else set())


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True)
@given(changes=st.lists(st.tuples(st.integers(0, 1 << 20), st.integers(0, 255)), min_size=1, max_size=12))
def test_altered_files_never_raise_anything_else(tmp_path, kind, changes):
    data = bytearray(FILES[kind])
    for place, value in changes:
        # Half of the changes fall on the first bytes, where headers are.
        data[place % (64 if place % 2 else len(data))] = value
    path = tmp_path / "a.bin"
    path.write_bytes(data)
    assert outcome(path) in CODES | {""}


@pytest.mark.parametrize(
    "content",
    [
        b"", b"\0" * 100, b"#EXTM3U\nhttp://example.org/a.png\n", b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"%!PS-Adobe-3.0 EPSF-3.0\n", b"%PDF-1.4\n", b"\xd7\xcd\xc6\x9a" + b"\0" * 100, b"PK\x03\x04" + b"\0" * 100,
        b"8BPS" + b"\0" * 100, b"P6 32 32 255\n" + bytes(3072),
    ],
)  # fmt: skip
def test_what_is_no_photo_is_unsupported(tmp_path, content):
    path = tmp_path / "a.png"
    path.write_bytes(content)
    assert outcome(path) == "photo_unsupported"


@pytest.mark.parametrize("call", ["stat", "open"])  # a folder that may not be entered, a file that may not be read
def test_a_photo_that_may_not_be_read_is_not_called_damaged(tmp_path, monkeypatch, call):
    def refuse(*ignored, **also_ignored):
        raise PermissionError(errno.EACCES, "Permission denied")

    path = tmp_path / "a.png"
    PIL.Image.new("RGB", (32, 32)).save(path)
    monkeypatch.setattr(pathlib.Path, call, refuse)  # not by chmod: root may read everything
    with pytest.raises(MenagerieError) as refusal:
        read_photo(path)
    error = refusal.value
    assert error.code == "photo_unreadable" and "may not be read" in error.sentence and "Allow" in error.remedy


def test_folders_pipes_and_absent_files_are_unreadable(tmp_path):
    assert outcome(tmp_path) == "photo_unreadable"
    assert outcome(tmp_path / "absent.png") == "photo_unreadable"
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.png")
        assert outcome(tmp_path / "pipe.png") == "photo_unreadable"


def test_a_very_large_file_is_refused_unread(tmp_path):
    with (tmp_path / "a.png").open("wb") as stream:
        stream.truncate(1 << 40)
    assert outcome(tmp_path / "a.png") == "photo_too_large"


def test_floating_point_pictures_are_unsupported(tmp_path):
    PIL.Image.fromarray(np.zeros((32, 32), np.float32)).save(tmp_path / "a.tif")
    assert outcome(tmp_path / "a.tif") == "photo_unsupported"


def test_heic_without_a_decoder_names_the_format(tmp_path, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    (tmp_path / "a.heic").write_bytes(FILES["HEIF"])
    with pytest.raises(MenagerieError, match="HEIC") as caught:
        read_photo(tmp_path / "a.heic")
    assert caught.value.code == "photo_unsupported"
