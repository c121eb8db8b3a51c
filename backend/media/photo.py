"""Photos as they come, decoded without trust: upright 8-bit sRGB with alpha and focal length.

Enters a file of any origin; leaves a `types.Image`, or a coded error. Only still-picture formats are opened, by name, so
that no interpreter (PostScript, metafiles) is ever started. Size is limited before a pixel is decoded, and the decoded
picture is converted in strips: peak memory is the decoder's picture plus the result. Warnings, not errors, for what can
be left aside: a colour profile or EXIF block that is damaged, further frames of an animation.
"""

from __future__ import annotations

import hashlib
import stat
import struct
import warnings
import zlib
from pathlib import Path
from typing import BinaryIO

import numpy as np
import PIL.Image
from PIL import ImageCms

from backend import types
from backend.errors import MenagerieError
from backend.media.colour import STRIP_ROWS, ColourTransform, has_alpha, split_strip
from backend.media.exif import FocalHint, read_exif

LARGEST_FILE = 256 << 20
LARGEST_PICTURE = 64_000_000
LARGEST_SIDE = 32_768
SMALLEST_SIDE = 16
FORMATS = ("PNG", "JPEG", "MPO", "WEBP", "TIFF", "BMP", "GIF", "AVIF", "HEIF")
PLAIN_FORMATS = ("PNG", "JPEG", "MPO", "WEBP", "TIFF", "BMP")
"""What Blender opens as well."""
_HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
_KNOWN_STARTS = (b"\x89PNG", b"\xff\xd8", b"RIFF", b"II*\0", b"MM\0*", b"BM", b"GIF8")
DECODE_FAILURES = (
    OSError, SyntaxError, ValueError, EOFError, TypeError, KeyError, IndexError, AttributeError, OverflowError, AssertionError,
    NotImplementedError, RuntimeError, struct.error, zlib.error,
)  # fmt: skip
"""What decoders raise for files that are cut, damaged or crafted."""


def _refuse(code: str, path: Path, reason: str, remedy: str | None = None) -> MenagerieError:
    return MenagerieError(code, f"The photo {path.name} {reason}.", remedy)


def _check_size(path: Path, width: int, height: int) -> None:
    if width * height > LARGEST_PICTURE or max(width, height) > LARGEST_SIDE:
        raise _refuse("photo_too_large", path, f"has {width} x {height} pixels; the limit is {LARGEST_PICTURE // 1_000_000} megapixels")
    if min(width, height) < SMALLEST_SIDE:
        raise _refuse("photo_unsupported", path, f"has only {width} x {height} pixels")


def webp_canvas(head: bytes) -> tuple[int, int] | None:
    """Width and height from a WebP header: its decoder makes the canvas before its size could be asked."""
    if head[:4] != b"RIFF" or head[8:12] != b"WEBP" or len(head) < 30:
        return None
    if head[12:16] == b"VP8X":
        return 1 + int.from_bytes(head[24:27], "little"), 1 + int.from_bytes(head[27:30], "little")
    if head[12:16] == b"VP8L":
        bits = int.from_bytes(head[21:25], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    return int.from_bytes(head[26:28], "little") & 0x3FFF, int.from_bytes(head[28:30], "little") & 0x3FFF


def _enable_heif(path: Path) -> None:
    try:
        import pillow_heif
    except ImportError:
        raise _refuse("photo_unsupported", path, "is in HEIC format, for which this machine has no decoder") from None
    pillow_heif.options.THUMBNAILS = False
    pillow_heif.options.DEPTH_IMAGES = False
    pillow_heif.register_heif_opener()


def _open(path: Path, stream: BinaryIO, head: bytes) -> PIL.Image.Image:
    """The picture, its header read and its size checked, no pixel decoded."""
    if head[4:8] == b"ftyp" and head[8:12] in _HEIC_BRANDS:
        _enable_heif(path)
    if canvas := webp_canvas(head):
        _check_size(path, *canvas)
    PIL.Image.init()
    formats = [name for name in FORMATS if name in PIL.Image.OPEN]
    try:
        picture = PIL.Image.open(stream, formats=formats)
    except (PIL.Image.DecompressionBombError, PIL.Image.DecompressionBombWarning) as error:
        raise _refuse("photo_too_large", path, f"has too many pixels; the limit is {LARGEST_PICTURE // 1_000_000} megapixels") from error
    except PIL.UnidentifiedImageError as error:
        if head.startswith(_KNOWN_STARTS) or head[4:8] == b"ftyp":
            raise _refuse("photo_unreadable", path, "is damaged") from error
        raise _refuse("photo_unsupported", path, "is not in a format that can be read") from error
    _check_size(path, *picture.size)
    # A TIFF's tiles may be larger than the picture, and the decoder makes room for one tile.
    tags = getattr(picture, "tag_v2", {})
    if tags.get(322, 0) * tags.get(323, 0) > LARGEST_PICTURE:
        raise _refuse("photo_too_large", path, "has tiles that are too large")
    return picture


def _decode(path: Path, picture: PIL.Image.Image) -> None:
    picture.load()
    if picture.width * picture.height > LARGEST_PICTURE:
        raise _refuse("photo_too_large", path, "grew while it was decoded")


def _convert(picture: PIL.Image.Image, transform: ColourTransform) -> tuple[types.ByteArray, types.ByteArray | None]:
    """-> (h, w, 3) sRGB and (h, w) alpha or None, strip by strip."""
    width, height = picture.size
    rgb = np.empty((height, width, 3), np.uint8)
    alpha = np.empty((height, width), np.uint8) if has_alpha(picture) else None
    for top in range(0, height, STRIP_ROWS):
        strip = picture.crop((0, top, width, min(top + STRIP_ROWS, height)))
        colours, cover = split_strip(strip, transform)
        rgb[top : top + STRIP_ROWS] = colours
        if alpha is not None:
            alpha[top : top + STRIP_ROWS] = 255 if cover is None else cover
    return rgb, None if alpha is None or alpha.min() == 255 else alpha


def _turn(array: types.ByteArray, orientation: int) -> types.ByteArray:
    """Undo an EXIF orientation (1-8): what the file calls row 0 and column 0."""
    if orientation >= 5:
        array = array.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        array = array[::-1]
    if orientation in (2, 3, 6, 7):
        array = array[:, ::-1]
    return np.ascontiguousarray(array)


def _hash(stream: BinaryIO) -> str:
    digest = hashlib.sha256()
    while chunk := stream.read(1 << 20):
        digest.update(chunk)
    stream.seek(0)
    return digest.hexdigest()


def read_photo(path: Path) -> types.Image:
    """Decode a photo. -> upright 8-bit sRGB, alpha (None if opaque), focal length in pixels (None if unknown).

    Raises `photo_unreadable` (absent, not allowed to be read, cut, damaged), `photo_unsupported` (format), `photo_too_large`, `no_memory`.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise _refuse("photo_unreadable", path, "is not a file")
        if path.stat().st_size > LARGEST_FILE:
            raise _refuse("photo_too_large", path, f"is larger than {LARGEST_FILE >> 20} MiB")
        with path.open("rb") as stream, warnings.catch_warnings():
            # Decoders warn of much that the person cannot act on; of a bomb they must not only warn.
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", PIL.Image.DecompressionBombWarning)
            digest = _hash(stream)
            head = stream.read(32)
            stream.seek(0)
            with _open(path, stream, head) as picture:
                return _finish(path, picture, digest)
    except MemoryError as error:
        raise MenagerieError("no_memory", f"There is not enough memory for the photo {path.name}.") from error
    except FileNotFoundError:
        raise _refuse("photo_unreadable", path, "does not exist", "Choose the photo again.") from None
    except PermissionError as error:
        remedy = "Allow your user to read the file, or copy it into a folder of your own and choose the copy."
        raise _refuse("photo_unreadable", path, "may not be read", remedy) from error
    except DECODE_FAILURES as error:
        raise _refuse("photo_unreadable", path, "is damaged or cut short") from error


def _finish(path: Path, picture: PIL.Image.Image, digest: str) -> types.Image:
    notes: list[str] = []
    # A phone's MPO holds previews of the same photo: not worth a word.
    animated = picture.format != "MPO" and bool(getattr(picture, "is_animated", False))
    _decode(path, picture)
    # Some formats carry EXIF behind the pixels: it is read after decoding.
    exif = read_exif(picture)
    if exif.damaged:
        notes.append("The photo's EXIF data is damaged and was left aside.")
    if animated:
        notes.append("The file has several pictures; the first was used.")
    profile = picture.info.get("icc_profile")
    try:
        transform = ColourTransform(picture, profile if isinstance(profile, bytes) else None)
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        transform = ColourTransform(picture, None)
        notes.append("The photo's colour profile is damaged; sRGB was assumed.")
    if not transform.supported:
        raise _refuse("photo_unsupported", path, f"has colours of a kind that cannot be read ({picture.mode})")
    width, height = picture.size
    focal_px = _focal(exif.focal, width, height)
    plain = picture.format in PLAIN_FORMATS and (exif.orientation == 1 or picture.format in ("JPEG", "MPO"))
    plain = plain and transform.transform is None and transform.mode != "CMYK"
    rgb, alpha = _convert(picture, transform)
    picture.close()
    return types.Image(
        rgb=_turn(rgb, exif.orientation), alpha=None if alpha is None else _turn(alpha, exif.orientation), focal_px=focal_px,
        sha256=digest, warnings=tuple(notes), plain=plain,
    )  # fmt: skip


def _focal(hint: FocalHint, width: int, height: int) -> float | None:
    """Focal length in pixels; None where EXIF has none or an impossible one."""
    focal = hint.to_pixels(width, height)
    side = max(width, height)
    return focal if focal is not None and 0.25 * side < focal < 60 * side else None
