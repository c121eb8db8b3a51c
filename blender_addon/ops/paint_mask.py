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
from . import fit

LONGEST = 1024
MASK_FILE = "painted-mask.png"


class MENAGERIE_OT_paint_mask(bpy.types.Operator):
    """Paint what is animal: a copy of the photo opens in an Image Editor; brushes erase and add its transparency"""

    bl_idname = "menagerie.paint_mask"
    bl_label = "Paint Mask"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if not settings.of(context).photo:
            cls.poll_message_set("Choose a photo first")
            return False
        return True

    def execute(self, context: bpy.types.Context) -> set[str]:
        chosen = settings.of(context)
        if chosen.mask_image is None:
            try:
                chosen.mask_image = copy_photo(Path(bpy.path.abspath(chosen.photo)), found_mask(context))
            except RuntimeError:
                error = LinkError("photo_unreadable", "Blender can't open this photo.", "Save it as PNG or JPEG and choose it again.")
                return fit.refuse(self, error)
        chosen.mask_kind, chosen.mask_photo = "PAINTED", chosen.photo
        if not bpy.app.background:
            show(context, chosen.mask_image)
        return {"FINISHED"}


def copy_photo(path: Path, mask: Path | None) -> bpy.types.Image:
    """A copy of the photo as an image of this file, packed; its alpha is the mask, or full. RuntimeError if unreadable."""
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
    if mask is not None:
        pixels[3::4] = alpha_of(mask, size)
    copy = bpy.data.images.new(f"{path.stem} mask", *size, alpha=True)
    copy.alpha_mode = "STRAIGHT"
    copy.pixels.foreach_set(pixels)
    copy.update()
    copy.pack()
    return copy


def alpha_of(mask: Path, size: tuple[int, int]) -> np.ndarray:
    """A grey mask picture -> flat float32 in Blender's pixel order."""
    picture = bpy.data.images.load(str(mask))
    try:
        picture.colorspace_settings.name = "Non-Color"
        picture.scale(*size)
        pixels = np.empty(size[0] * size[1] * 4, np.float32)
        picture.pixels.foreach_get(pixels)
    finally:
        bpy.data.images.remove(picture)
    return pixels[0::4]


def found_mask(context: bpy.types.Context) -> Path | None:
    """The mask of the active creature's last fit, if it is of the same photo: painting starts from there."""
    record = session.read_record(session.creature_of(context))
    path = Path(record["out"]) / "mask.png" if record else None
    same = record and record["photo"] == bpy.path.abspath(settings.of(context).photo)
    return path if path is not None and same and path.is_file() else None


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
