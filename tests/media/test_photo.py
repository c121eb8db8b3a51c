"""Photos as they come: every way a camera or a program may have written the same picture gives the same `Image`."""

import hashlib
import math
import struct
import zlib
from pathlib import Path

import numpy as np
import PIL.Image
import pillow_heif
import pytest
from PIL import ImageCms

from backend.media.photo import read_photo

LOSSLESS = 1
"""Levels by which colour conversion may round."""
LOSSY = 12
SIZE = (48, 32)


def picture() -> np.ndarray:
    """(32, 48, 3): smooth, with red at the top left, green at the top right, blue at the lower left."""
    y, x = np.mgrid[0:32, 0:48]
    red, green, blue = (1 - x / 48) * (1 - y / 32), x / 48 * (1 - y / 32), (1 - x / 48) * (y / 32)
    return (np.stack([red, green, blue], -1) * 255).astype(np.uint8)


def save(path: Path, image: PIL.Image.Image, **options: object) -> Path:
    image.save(path, **options)
    return path


def exif(**tags: object) -> PIL.Image.Exif:
    block = PIL.Image.Exif()
    names = {"orientation": 0x0112}
    inner = {"focal": 0x920A, "focal_35": 0xA405, "wide": 0xA002, "resolution": 0xA20E, "unit": 0xA210}
    ifd = block.get_ifd(0x8769)
    for name, value in tags.items():
        if name in names:
            block[names[name]] = value
        else:
            ifd[inner[name]] = value
    return block


def png(rows: bytes, width: int, height: int, depth: int, kind: int, *chunks: tuple[bytes, bytes]) -> bytes:
    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(chunk(*c) for c in chunks) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.tif", "a.webp", "ü ñ 写真.png"])
def test_lossless_formats_give_the_same_pixels(tmp_path, name):
    options = {"lossless": True} if name.endswith("webp") else {}
    image = read_photo(save(tmp_path / name, PIL.Image.fromarray(picture()), **options))
    assert np.array_equal(image.rgb, picture())
    assert image.alpha is None and image.focal_px is None and image.warnings == ()
    assert image.rgb.flags.c_contiguous and image.rgb.flags.writeable


@pytest.mark.parametrize("name", ["a.jpg", "a.webp", "a.avif", "a.heic"])
def test_lossy_formats_give_nearly_the_same_pixels(tmp_path, name):
    if name.endswith("heic"):
        pillow_heif.register_heif_opener()
    image = read_photo(save(tmp_path / name, PIL.Image.fromarray(picture()), quality=95))
    assert np.abs(image.rgb.astype(int) - picture()).mean() < LOSSY


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_undone(tmp_path, orientation):
    upright = picture()
    turned = {
        1: upright, 2: upright[:, ::-1], 3: upright[::-1, ::-1], 4: upright[::-1], 5: upright.swapaxes(0, 1),
        6: np.rot90(upright, 1), 7: upright[::-1, ::-1].swapaxes(0, 1), 8: np.rot90(upright, -1),
    }[orientation]  # fmt: skip
    path = save(tmp_path / "a.png", PIL.Image.fromarray(np.ascontiguousarray(turned)), exif=exif(orientation=orientation))
    image = read_photo(path)
    assert np.array_equal(image.rgb, upright)


def test_orientation_turns_alpha_too(tmp_path):
    rgba = np.dstack([picture(), picture()[..., 0]])
    path = save(tmp_path / "a.png", PIL.Image.fromarray(np.ascontiguousarray(np.rot90(rgba, 1))), exif=exif(orientation=6))
    image = read_photo(path)
    assert image.alpha is not None
    assert np.array_equal(image.alpha, rgba[..., 3])


def test_focal_length_from_its_35_mm_equivalent_compares_diagonals(tmp_path):
    image = read_photo(save(tmp_path / "a.jpg", PIL.Image.fromarray(picture()), exif=exif(focal_35=50)))
    assert image.focal_px == pytest.approx(50 * math.hypot(*SIZE) / math.hypot(36, 24), rel=1e-6)


def test_focal_length_from_the_sensor_is_scaled_to_the_picture(tmp_path):
    block = exif(focal=10.0, resolution=2540.0, unit=2, wide=96)  # 100 px a mm of a picture twice as wide
    image = read_photo(save(tmp_path / "a.jpg", PIL.Image.fromarray(picture()), exif=block))
    assert image.focal_px == pytest.approx(10 * 100 * 48 / 96, rel=1e-4)


@pytest.mark.parametrize("tags", [{"focal_35": 0}, {"focal": 10.0}, {"focal_35": 65535}, {"focal": 0.0, "resolution": 0.0}])
def test_impossible_focal_lengths_are_unknown(tmp_path, tags):
    assert read_photo(save(tmp_path / "a.jpg", PIL.Image.fromarray(picture()), exif=exif(**tags))).focal_px is None


def exchanged_profile() -> bytes:
    """An RGB profile whose red and blue are exchanged: easy to see, and it needs no file."""
    data = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes().replace(b"s\0R\0G\0B", b"m\0i\0n\0e"))
    for index in range(int.from_bytes(data[128:132], "big")):
        at = 132 + 12 * index
        data[at : at + 4] = {b"rXYZ": b"bXYZ", b"bXYZ": b"rXYZ"}.get(bytes(data[at : at + 4]), bytes(data[at : at + 4]))
    return bytes(data)


@pytest.mark.parametrize(("name", "tolerance"), [("a.png", 3), ("a.tif", 3), ("a.jpg", LOSSY)])
def test_an_embedded_profile_is_turned_into_srgb(tmp_path, name, tolerance):
    path = save(tmp_path / name, PIL.Image.fromarray(picture()), icc_profile=exchanged_profile())
    image = read_photo(path)
    assert not image.plain
    assert np.abs(image.rgb.astype(int) - picture()[..., ::-1]).mean() < tolerance


def test_lab_colours_are_turned_into_srgb(tmp_path):
    lab = ImageCms.createProfile("LAB")
    srgb = ImageCms.createProfile("sRGB")
    to_lab = ImageCms.buildTransform(srgb, lab, "RGB", "LAB")
    values = ImageCms.applyTransform(PIL.Image.fromarray(picture()), to_lab)
    image = read_photo(save(tmp_path / "a.tif", values))
    assert np.abs(image.rgb.astype(int) - picture()).mean() < 3


def test_an_srgb_profile_changes_nothing(tmp_path):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    image = read_photo(save(tmp_path / "a.png", PIL.Image.fromarray(picture()), icc_profile=profile))
    assert np.array_equal(image.rgb, picture())


def test_a_damaged_profile_is_left_aside_with_a_word(tmp_path):
    image = read_photo(save(tmp_path / "a.png", PIL.Image.fromarray(picture()), icc_profile=b"no profile at all" * 20))
    assert np.array_equal(image.rgb, picture())
    assert any("profile" in note for note in image.warnings)


def test_cmyk_becomes_rgb(tmp_path):
    image = read_photo(save(tmp_path / "a.jpg", PIL.Image.fromarray(picture()).convert("CMYK"), quality=98))
    assert np.abs(image.rgb.astype(int) - picture()).mean() < LOSSY


def test_palette_with_transparency(tmp_path):
    indexed = PIL.Image.fromarray(picture()).quantize(16)
    image = read_photo(save(tmp_path / "a.png", indexed, transparency=3))
    assert image.alpha is not None
    assert np.array_equal(image.alpha == 0, np.asarray(indexed) == 3)


def test_grey_with_alpha(tmp_path):
    grey, alpha = picture()[..., 0], picture()[..., 1]
    image = read_photo(save(tmp_path / "a.png", PIL.Image.merge("LA", [PIL.Image.fromarray(grey), PIL.Image.fromarray(alpha)])))
    assert image.alpha is not None
    assert np.array_equal(image.rgb, np.repeat(grey[..., None], 3, 2)) and np.array_equal(image.alpha, alpha)


def test_sixteen_bit_grey_keeps_its_range(tmp_path):
    deep = picture()[..., 0].astype(np.uint16) * 257
    for name in ("a.png", "a.tif"):
        image = read_photo(save(tmp_path / name, PIL.Image.fromarray(deep)))
        assert np.array_equal(image.rgb[..., 0], picture()[..., 0])


def test_sixteen_bit_colour_with_alpha(tmp_path):
    deep = np.dstack([picture(), picture()[..., 0]]).astype(">u2") * 257
    rows = b"".join(b"\0" + row.tobytes() for row in deep)
    path = tmp_path / "a.png"
    path.write_bytes(png(rows, 48, 32, 16, 6))
    image = read_photo(path)
    assert image.alpha is not None
    assert np.abs(image.rgb.astype(int) - picture()).max() <= LOSSLESS
    assert np.abs(image.alpha.astype(int) - picture()[..., 0]).max() <= LOSSLESS


def test_one_bit_with_a_transparent_value(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(png((b"\0" + b"\xaa" * 4) * 32, 32, 32, 1, 0, (b"tRNS", b"\0\0")))
    image = read_photo(path)
    assert image.alpha is not None
    assert set(np.unique(image.alpha)) == {0, 255}


def test_an_opaque_alpha_channel_is_none(tmp_path):
    image = read_photo(save(tmp_path / "a.png", PIL.Image.fromarray(picture()).convert("RGBA")))
    assert image.alpha is None


def test_the_first_frame_of_an_animation_is_used_with_a_word(tmp_path):
    frames = [PIL.Image.fromarray(np.full((32, 32, 3), v, np.uint8)) for v in (10, 200, 90)]
    for name in ("a.gif", "a.png", "a.webp"):
        image = read_photo(save(tmp_path / name, frames[0], save_all=True, append_images=frames[1:]))
        assert abs(int(image.rgb[16, 16, 0]) - 10) < LOSSY
        assert any("first" in note for note in image.warnings)


def test_the_hash_is_that_of_the_file(tmp_path):
    path = save(tmp_path / "a.png", PIL.Image.fromarray(picture()))
    assert read_photo(path).sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
