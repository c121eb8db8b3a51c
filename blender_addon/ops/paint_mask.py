"""Paint the mask: a copy of the photo whose transparency says what is animal.

Erasing alpha in the Image Editor shows photo and mask at once, with Blender's own brushes and undo. The copy is at
most `LONGEST` pixels long; the backend stretches the mask to the photo.
"""

from __future__ import annotations

from pathlib import Path

import bpy
import numpy as np

from .. import settings
from ..link import session
from ..link.errors import LinkError
from ..scene.orientation import jpeg_orientation, turn_pixels
from . import fit
from .place import PHOTO_COPY

LONGEST = 1024
MASK_FILE = "painted-mask.png"
MASK_FOUND = "mask.png"
"""What the backend writes beside every asset."""


class MENAGERIE_OT_paint_mask(bpy.types.Operator):
    """Paint what is animal: a copy of the photo opens in an Image Editor; brushes erase and add its transparency"""

    bl_idname = "menagerie.paint_mask"
    bl_label = "Paint Mask"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return fit.has_photo(cls, context)

    def execute(self, context: bpy.types.Context) -> set[str]:
        chosen = settings.of(context)
        if chosen.mask_image is None:
            try:
                chosen.mask_image = copy_photo(Path(bpy.path.abspath(chosen.photo)), last_fit(context))
            except RuntimeError:
                remedy = "Reconstruct it once with the automatic mask and paint then, or save it as PNG or JPEG."
                return fit.refuse(self, LinkError("photo_unreadable", "Blender can't open this photo.", remedy))
        chosen.mask_kind, chosen.mask_photo = "PAINTED", chosen.photo
        if not bpy.app.background:
            show(context, chosen.mask_image)
        return {"FINISHED"}


def copy_photo(path: Path, fit_folder: Path | None) -> bpy.types.Image:
    """An upright copy of the photo as an image of this file, packed. Its alpha is the mask that an earlier fit of the photo
    left in `fit_folder`, else full. Raises RuntimeError where Blender can open neither photo nor the fit's copy of it."""
    copied = fit_folder / PHOTO_COPY if fit_folder is not None else None
    pixels = read_pixels(copied if copied is not None and copied.is_file() else path)
    mask = fit_folder / MASK_FOUND if fit_folder is not None else None
    if mask is not None and mask.is_file():
        pixels[..., 3] = alpha_of(mask, (pixels.shape[1], pixels.shape[0]))
    copy = bpy.data.images.new(f"{path.stem} mask", pixels.shape[1], pixels.shape[0], alpha=True)
    copy.alpha_mode = "STRAIGHT"
    copy.pixels.foreach_set(pixels.ravel())
    copy.update()
    copy.pack()
    return copy


def read_pixels(path: Path) -> np.ndarray:
    """(h, w, 4) float32 of a photo, upright, at most `LONGEST` a side, row 0 at the bottom. RuntimeError if unreadable."""
    photo = bpy.data.images.load(str(path))
    try:
        width, height = photo.size
        if not width or not height:
            raise RuntimeError("no pixels")
        scale = min(1.0, LONGEST / max(width, height))
        size = max(1, round(width * scale)), max(1, round(height * scale))
        photo.scale(*size)
        pixels = np.empty(size[0] * size[1] * 4, np.float32)
        photo.pixels.foreach_get(pixels)
    finally:
        bpy.data.images.remove(photo)
    return turn_pixels(pixels.reshape(size[1], size[0], 4), jpeg_orientation(path))


def alpha_of(mask: Path, size: tuple[int, int]) -> np.ndarray:
    """A grey mask picture -> (h, w) float32, row 0 at the bottom. size: (width, height)."""
    picture = bpy.data.images.load(str(mask))
    try:
        picture.colorspace_settings.name = "Non-Color"
        picture.scale(*size)
        pixels = np.empty(size[0] * size[1] * 4, np.float32)
        picture.pixels.foreach_get(pixels)
    finally:
        bpy.data.images.remove(picture)
    return pixels[0::4].reshape(size[1], size[0])


def last_fit(context: bpy.types.Context) -> Path | None:
    """The folder of the active creature's last fit, if it is of the chosen photo: painting starts from its mask."""
    record = session.read_record(session.creature_of(context))
    same = bool(record) and record["photo"] == bpy.path.abspath(settings.of(context).photo)
    return Path(record["out"]) if same else None


def save_mask(image: bpy.types.Image, folder: Path) -> Path:
    """Write the painted picture's transparency as a grey PNG into the job's folder. Raises `LinkError`."""
    width, height = image.size
    pixels = np.empty(width * height * image.channels, np.float32)
    image.pixels.foreach_get(pixels)
    alpha = pixels[image.channels - 1 :: image.channels]
    if not (alpha > 0.5).any():
        raise LinkError("mask_unreadable", "The painted mask covers nothing.")
    grey = np.ones((width * height, 4), np.float32)
    grey[:, :3] = alpha[:, None]
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / MASK_FILE
    written = bpy.data.images.new("menagerie mask", width, height)
    try:
        written.colorspace_settings.name = "Non-Color"
        written.pixels.foreach_set(grey.ravel())
        written.filepath_raw, written.file_format = str(path), "PNG"
        written.save()
    except RuntimeError as error:
        raise LinkError("not_writable", "The mask could not be written.") from error
    finally:
        bpy.data.images.remove(written)
    return path


def show(context: bpy.types.Context, image: bpy.types.Image) -> None:
    """Open the image for painting in an Image Editor, in a window of its own if there is none."""
    area = next((area for area in context.screen.areas if area.type == "IMAGE_EDITOR"), None)
    if area is None:
        bpy.ops.wm.window_new()
        area = context.window_manager.windows[-1].screen.areas[0]
        area.type = "IMAGE_EDITOR"
    space = area.spaces.active
    space.image, space.ui_mode = image, "PAINT"
    brush = context.scene.tool_settings.image_paint.brush
    if brush is not None:
        brush.blend = "ERASE_ALPHA"
