"""Small clips for tests, written with PyAV and Pillow: each frame is of one colour that tells its number.

The upper left quarter is white, the lower right one black, so that turns and mirrors show. With alpha the left half is transparent.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from PIL import Image as Picture

from backend.media.decode import decode
from backend.media.frame_store import LISTING, open_frames, write_json
from backend.types import Clip

SIZE = (96, 64)
STEP = 12
"""Of 255: what a frame's red is over that of the frame before."""


def draw(number: int, size: tuple[int, int] = SIZE, alpha: bool = False) -> np.ndarray:
    """(h, w, 3 or 4) uint8: frame `number`."""
    width, height = size
    pixels = np.empty((height, width, 4), np.uint8)
    pixels[:] = (30 + STEP * (number % 18), 120, 60, 255)
    pixels[: height // 4, : width // 4, :3] = 255
    pixels[-height // 4 :, -width // 4 :, :3] = 0
    if alpha:
        pixels[:, : width // 2, 3] = 0
    return pixels if alpha else np.ascontiguousarray(pixels[..., :3])


def number_of(rgb: np.ndarray) -> int:
    """Which frame a picture shows, modulo 18, from the red of its middle."""
    height, width = rgb.shape[:2]
    return round((float(rgb[height // 2 - 2 : height // 2 + 2, width // 2 + 4 : width // 2 + 8, 0].mean()) - 30) / STEP)


def write_movie(
    path: Path, codec: str = "libx264", pixel_format: str = "yuv420p", frames: int = 12, *, fps: float | Fraction = 24,
    size: tuple[int, int] = SIZE, alpha: bool = False, times: Sequence[float] | None = None, options: dict[str, str] | None = None,
    container: dict[str, str] | None = None, matrix: int | None = None, full: bool | None = None, pixel: Fraction | None = None,
    grey: Sequence[int] | None = None, transfer: int | None = None,
) -> Path:  # fmt: skip
    """times: seconds of the frames, otherwise at `fps`; matrix: AVColorSpace; full: range; pixel: width over height; grey: of each frame,
    in place of what is drawn; transfer: AVColorTransferCharacteristic, in BT.2020."""
    if codec.startswith("libvpx") and alpha:
        options = {"auto-alt-ref": "0", **(options or {})}
    if codec == "libx265":
        options = {"x265-params": "log-level=none", **(options or {})}
    rate = Fraction(fps).limit_denominator(1001)
    with av.open(str(path), "w", options=container or {}) as output:
        stream = output.add_stream(codec, rate=rate, options=options or {})
        stream.width, stream.height, stream.pix_fmt = *size, pixel_format
        context = stream.codec_context
        if times is not None:
            context.time_base = Fraction(1, 1000)
        if pixel is not None:
            context.sample_aspect_ratio = pixel
        if matrix is not None:
            context.colorspace = matrix
        if transfer is not None:
            context.color_trc, context.color_primaries, context.colorspace = transfer, 9, 9
        if full is not None:
            context.color_range = 2 if full else 1
        for number in range(frames):
            picture = draw(number, size, alpha) if grey is None else np.full((size[1], size[0], 3), grey[number], np.uint8)
            frame = av.VideoFrame.from_ndarray(picture, "rgba" if alpha else "rgb24")
            frame = frame.reformat(
                format=pixel_format, dst_colorspace={None: None, 1: "itu709", 5: "itu601", 6: "itu601"}[matrix],
                dst_color_range={None: None, True: 2, False: 1}[full],
            )  # fmt: skip
            frame.pts = number if times is None else round(times[number] * 1000)
            frame.time_base = 1 / rate if times is None else Fraction(1, 1000)
            output.mux(stream.encode(frame))
        output.mux(stream.encode())
    return path


def write_pictures(path: Path, frames: int = 12, durations: int | Sequence[int] = 50, alpha: bool = False, **options: Any) -> Path:
    """An animated GIF, WebP or PNG by the name's ending; durations: milliseconds."""
    pictures = [Picture.fromarray(draw(number, alpha=alpha)) for number in range(frames)]
    shown = durations if isinstance(durations, int) else list(durations)
    more: dict[str, Any] = {".webp": {"lossless": True}, ".gif": {"disposal": 2}}.get(path.suffix, {})
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=shown, loop=0, **more, **options)
    return path


def write_folder(folder: Path, frames: int = 12, name: str = "frame {}.png", alpha: bool = False) -> Path:
    """A folder of frames."""
    folder.mkdir()
    for number in range(frames):
        Picture.fromarray(draw(number, alpha=alpha)).save(folder / name.format(number))
    return folder


def lay(path: Path, matrix: tuple[int, int, int, int]) -> Path:
    """Write the display matrix (a, b, c, d) of whole numbers into an MP4's track header."""
    data = bytearray(path.read_bytes())
    place = data.index(b"tkhd") + 4 + 40
    struct.pack_into(">9i", data, place, matrix[0] << 16, matrix[1] << 16, 0, matrix[2] << 16, matrix[3] << 16, 0, 0, 0, 1 << 30)
    path.write_bytes(data)
    return path


def decode_here(path: Path, folder: Path, **settings: Any) -> Clip:
    """What `read_clip` gives, without a process of its own: for what the tests themselves have written."""
    folder.mkdir(exist_ok=True)
    asked = {"start": 0.0, "end": None, "fps": None, "stride": 1, **settings}
    request = {"sha256": "", **asked}
    write_json(folder / LISTING, {**decode(path, folder, asked), "request": request})
    clip = open_frames(folder, request)
    assert clip is not None
    return clip
