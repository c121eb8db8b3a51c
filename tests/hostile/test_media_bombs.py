"""Hostile photos give a coded error, or a picture, in little memory: never a crash, never a decoder's own exception.

Each file is decoded in a child process whose peak memory over idle is read afterwards.
"""

import json
import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

ROOT = Path(__file__).parents[2]
MEMORY_LIMIT = 1536 << 20
"""Bytes over idle: the promise is 1.5 GiB."""
SMALL_MEMORY = 128 << 20
"""Bytes over idle for what should be refused before it is decoded."""
CHILD = """
import json, sys, time
from pathlib import Path
import PIL.Image; PIL.Image.init()
import pillow_heif
from backend.errors import MenagerieError
from backend.media.photo import read_photo
def memory(key):
    return int(next(line for line in open("/proc/self/status") if line.startswith(key)).split()[1]) * 1024
idle, start = memory("VmRSS"), time.monotonic()
try:
    image = read_photo(Path(sys.argv[1])); code, shape = "", image.rgb.shape
except MenagerieError as error:
    code, shape = error.code, ()
print(json.dumps({"code": code, "shape": shape, "memory": memory("VmHWM") - idle, "seconds": time.monotonic() - start}))
"""

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="peak memory is read from /proc")


def decode(path: Path) -> dict:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", CHILD, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(width: int, height: int, data: bytes, *chunks: bytes, kind: int = 2, depth: int = 8) -> bytes:
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(chunks) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def zeros(count: int) -> bytes:
    """zlib of `count` zero bytes, without holding them."""
    deflate, parts = zlib.compressobj(9), []
    for _ in range(count >> 20):
        parts.append(deflate.compress(bytes(1 << 20)))
    return b"".join([*parts, deflate.compress(bytes(count & 0xFFFFF)), deflate.flush()])


def tiff(width: int, height: int, *more: tuple[int, int]) -> bytes:
    tags = sorted([(256, width), (257, height), (258, 8), (259, 1), (262, 1), (273, 200), (277, 1), (278, height), (279, 1024), *more])
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    return struct.pack("<2sHIH", b"II", 42, 8, len(tags)) + entries + struct.pack("<I", 0) + bytes(4096)


def webp(width: int, height: int) -> bytes:
    canvas = bytes([0x10, 0, 0, 0]) + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    body = b"WEBP" + b"VP8X" + struct.pack("<I", len(canvas)) + canvas
    return b"RIFF" + struct.pack("<I", len(body)) + body


def gif(width: int, height: int) -> bytes:
    screen = b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80, 0, 0) + bytes(6)
    return screen + b"," + struct.pack("<HHHHB", 0, 0, 16, 16, 0) + b"\x02\x00;"


def jpeg(width: int, height: int) -> bytes:
    frame = struct.pack(">BHHB", 8, height, width, 3) + bytes([1, 0x11, 0, 2, 0x11, 0, 3, 0x11, 0])
    return b"\xff\xd8\xff\xc2" + struct.pack(">H", len(frame) + 2) + frame + bytes(2000)


def bmp(width: int, height: int) -> bytes:
    return b"BM" + struct.pack("<IHHI", 1000, 0, 0, 54) + struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)


HUGE = {
    "png": (png(60_000, 60_000, zeros(1 << 24)), "photo_too_large"),
    "png_beyond": (png(0x7FFFFFFF, 0x7FFFFFFF, b""), "photo_too_large"),
    "png_long": (png(1_000_000, 20, zeros(1 << 22)), "photo_too_large"),
    "tif": (tiff(100_000, 100_000), "photo_too_large"),
    "tif_tiles": (tiff(64, 64, (322, 200_000), (323, 200_000), (324, 200), (325, 100)), "photo_too_large"),
    "webp": (webp(16_384, 16_384), "photo_too_large"),
    "gif": (gif(65_535, 65_535), "photo_too_large"),
    "jpg": (jpeg(65_500, 65_500), "photo_too_large"),
    "bmp": (bmp(50_000, 50_000), "photo_too_large"),
    "bmp_negative": (bmp(50_000, -50_000), "photo_too_large"),
}


@pytest.mark.parametrize("name", sorted(HUGE))
def test_huge_headers_are_refused_before_decoding(tmp_path, name):
    data, code = HUGE[name]
    (tmp_path / name).write_bytes(data)
    result = decode(tmp_path / name)
    assert result["code"] == code
    assert result["memory"] < SMALL_MEMORY


BOMBS = {
    "text_chunk": lambda: png(64, 64, zeros(64 * 193), chunk(b"zTXt", b"a\0\0" + zeros(1 << 28))),
    "many_text_chunks": lambda: png(64, 64, zeros(64 * 193), *[chunk(b"zTXt", b"a%d\0\0" % i + zeros(1 << 20)) for i in range(100)]),
    "international_text": lambda: png(64, 64, zeros(64 * 193), chunk(b"iTXt", b"a\0\1\0\0\0" + zeros(1 << 28))),
    "profile": lambda: png(64, 64, zeros(64 * 193), chunk(b"iCCP", b"a\0\0" + zeros(1 << 28))),
    "pixels": lambda: png(64, 64, zeros(1 << 28)),
}


@pytest.mark.parametrize("name", sorted(BOMBS))
def test_bombs_inside_png_chunks_stay_small(tmp_path, name):
    (tmp_path / "a.png").write_bytes(BOMBS[name]())
    result = decode(tmp_path / "a.png")
    assert result["code"] in ("", "photo_unreadable")
    assert result["memory"] < SMALL_MEMORY


def test_the_largest_photo_that_is_accepted_stays_within_the_promise(tmp_path):
    # 64 megapixels with alpha, turned by EXIF: the dearest ordinary path.
    PIL.Image.fromarray(np.zeros((8000, 8000, 4), np.uint8)).save(tmp_path / "a.png", compress_level=1, exif=_turned())
    result = decode(tmp_path / "a.png")
    assert result["code"] == "" and result["shape"] == [8000, 8000, 3]
    assert result["memory"] < MEMORY_LIMIT


def test_a_large_progressive_photo_stays_within_the_promise(tmp_path):
    # Progressive decoding keeps every coefficient.
    PIL.Image.fromarray(np.zeros((6000, 8000, 3), np.uint8)).save(tmp_path / "a.jpg", progressive=True, subsampling=0)
    result = decode(tmp_path / "a.jpg")
    assert result["code"] == ""
    assert result["memory"] < MEMORY_LIMIT


def test_a_twelve_megapixel_photo_is_modest(tmp_path):
    PIL.Image.fromarray(np.zeros((3000, 4000, 3), np.uint8)).save(tmp_path / "a.jpg", progressive=True, exif=_turned())
    result = decode(tmp_path / "a.jpg")
    assert result["code"] == "" and result["shape"] == [4000, 3000, 3]
    assert result["memory"] < 256 << 20


def _turned() -> PIL.Image.Exif:
    block = PIL.Image.Exif()
    block[0x0112] = 6
    return block
