"""Colours of decoded pictures -> 8-bit sRGB: ICC profiles, CMYK, palettes, 16 bits, Lab, and alpha apart.

Enters strips of a decoded Pillow picture; leaves numpy arrays. A profile is used where its colour space is that of the
picture; where there is none, sRGB is assumed (CMYK: the plain complement).
"""

from __future__ import annotations

import io

import numpy as np
import PIL.Image
from PIL import ImageCms

from backend import types

STRIP_ROWS = 256
LARGEST_PROFILE = 16 << 20
_OWN_MODES = {
    "1": "L", "L": "L", "LA": "L", "La": "L", "P": "RGB", "PA": "RGB", "RGB": "RGB", "RGBA": "RGB", "RGBa": "RGB", "RGBX": "RGB",
    "CMYK": "CMYK", "YCbCr": "RGB", "LAB": "LAB", "I": "16", "I;16": "16", "I;16B": "16", "I;16L": "16", "I;16N": "16",
}  # fmt: skip
"""Pillow mode -> the colours it holds once alpha, palette and padding are off."""
_PROFILE_MODES = {"RGB ": "RGB", "GRAY": "L", "CMYK": "CMYK"}


class ColourTransform:
    """What turns the picture's own colours into sRGB.

    mode: the picture's own colours ("L", "RGB", "CMYK", "LAB", "16"); supported: whether they can be turned into sRGB.
    Raises `ImageCms.PyCMSError` or OSError for a damaged profile.
    """

    def __init__(self, picture: PIL.Image.Image, profile: bytes | None) -> None:
        self.mode = _OWN_MODES.get(picture.mode, "")
        self.supported = bool(self.mode)
        self.transform: ImageCms.ImageCmsTransform | None = None
        target = ImageCms.createProfile("sRGB")
        if self.mode == "LAB":
            self.transform = ImageCms.buildTransform(ImageCms.createProfile("LAB"), target, "LAB", "RGB")
        elif profile and len(profile) <= LARGEST_PROFILE:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            matches = _PROFILE_MODES.get(source.profile.xcolor_space) == self.mode
            # The commonest profile by far is sRGB itself: no work then, and exact values.
            if matches and not (ImageCms.getProfileDescription(source) or "").startswith("sRGB"):
                self.transform = ImageCms.buildTransform(source, target, self.mode, "RGB")

    def apply(self, colours: PIL.Image.Image) -> PIL.Image.Image:
        """A picture of `mode` -> "RGB" in sRGB."""
        if self.transform is None:
            return colours.convert("RGB")
        result = ImageCms.applyTransform(colours, self.transform)
        assert result is not None  # only in-place transforms give None
        return result


def has_alpha(picture: PIL.Image.Image) -> bool:
    """Whether the picture may be transparent somewhere."""
    return picture.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in picture.info


def split_strip(strip: PIL.Image.Image, transform: ColourTransform) -> tuple[types.ByteArray, types.ByteArray | None]:
    """-> (rows, w, 3) sRGB uint8, and (rows, w) alpha uint8 or None."""
    if transform.mode == "16":
        deep = np.clip(np.asarray(strip).astype(np.int64), 0, 65535)
        grey = ((deep + 128) // 257).astype(np.uint8)
        transparent = strip.info.get("transparency")
        cover = np.where(deep == transparent, 0, 255).astype(np.uint8) if isinstance(transparent, int) else None
        return np.repeat(grey[..., None], 3, 2), cover
    alpha = None
    if has_alpha(strip):
        whole = strip.convert("LA" if transform.mode == "L" else "RGBA")
        alpha = np.asarray(whole.getchannel("A"))
        strip = whole.convert(whole.mode[:-1])
        if strip.mode != transform.mode:
            strip = strip.convert(transform.mode)
    elif strip.mode != transform.mode:
        strip = strip.convert(transform.mode)
    return np.asarray(transform.apply(strip)), alpha
