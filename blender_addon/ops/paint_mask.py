"""Paint the mask: a copy of the photo whose transparency says what is animal.

Erasing alpha in the Image Editor shows photo and mask at once, with Blender's own brushes and undo. The copy is at
most `LONGEST` pixels long; the backend stretches the mask to the photo.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import bpy
import numpy as np

from .. import compat, settings
from ..link import session
from ..link.errors import LinkError
from ..scene import kept
from ..scene.creature import Creature, find_creature
from ..scene.view import load_photo, photo_preview, upright_size
from . import fit
from .mask_editor import DRAWN_SECONDS, open_editor

LONGEST = 1024
MASK_FILE = "painted-mask.png"
ERASER = "Menagerie Mask Eraser"
PHOTO_SIZE = "menagerie_photo_size"
"""Custom property of the copy: width and height of the upright photo, pixels."""
COVERED = 0.5
"""From this alpha on a pixel is animal."""


class MENAGERIE_OT_paint_mask(bpy.types.Operator):
    """Paint what is animal: a copy of the photo opens in an Image Editor; brushes erase and add its transparency"""

    bl_idname = "menagerie.paint_mask"
    bl_label = "Paint Mask"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return fit.has_picture(cls, context)

    def execute(self, context: bpy.types.Context) -> set[str]:
        try:
            ensure_mask_image(context)
        except LinkError as error:
            return fit.refuse(self, error)
        if not bpy.app.background:
            show(context, settings.masked(context.scene).mask_image)
        return {"FINISHED"}


def ensure_mask_image(context: bpy.types.Context) -> bpy.types.Image:
    """The scene's copy of the photo whose transparency is the mask, made if there is none; it is used from now on. Raises `LinkError`."""
    chosen = settings.masked(context.scene)
    if chosen.mask_image is None:
        photo = Path(bpy.path.abspath(chosen.photo))
        found = photo.with_name(kept.MASK) if settings.of(context).kind == "CLIP" else None
        try:
            chosen.mask_image = copy_photo(photo, last_fit(context), found)
        except RuntimeError as error:
            raise unreadable(photo) from error
    chosen.mask_kind, chosen.mask_photo = "PAINTED", chosen.photo
    return chosen.mask_image


def unreadable(photo: Path) -> LinkError:
    """Why there is nothing to paint on, and the ways on that need no automatic mask."""
    if not photo.is_file():
        return LinkError("bad_request", "The photo is not there any more.", "Choose the photo again.")
    remedy = "Save it as PNG or JPEG and choose that, or load a mask file: white where the animal is, black elsewhere."
    return LinkError("photo_unreadable", "Blender can't open this photo.", remedy)


def copy_photo(path: Path, rig: bpy.types.Object | None, found: Path | None = None) -> bpy.types.Image:
    """An upright copy of the photo as an image of this file, packed, with the photo's own size beside it. Its alpha is the mask that
    the creature of armature `rig` was made with or that was `found`, else the photo's own, and full where that covers nothing. Raises
    RuntimeError where Blender can show neither the photo nor the creature's copy of it."""
    record = session.read_record(rig)
    with open_photo(path, find_creature(rig) if rig is not None else None) as photo:
        pixels, size = photo_preview(photo, LONGEST), upright_size(photo)
    mask = kept.find(rig, Path(record["out"]), kept.MASK) if record else found
    if mask is not None and mask.is_file():
        pixels[..., 3] = alpha_of(mask, (pixels.shape[1], pixels.shape[0]))
    if not (pixels[..., 3] > COVERED).any():
        pixels[..., 3] = 1.0  # nothing would be seen of the photo, and nothing could be erased
    copy = bpy.data.images.new(f"{path.stem} mask", pixels.shape[1], pixels.shape[0], alpha=True)
    copy.alpha_mode = "STRAIGHT"
    copy.pixels.foreach_set(pixels.ravel())
    copy.update()
    copy.pack()
    copy[PHOTO_SIZE] = size
    return copy


@contextmanager
def open_photo(path: Path, creature: Creature | None) -> Iterator[bpy.types.Image]:
    """The photo as Blender shows it. The creature's packed picture of it serves where there is one: of some formats the backend has
    made it. RuntimeError if there is nothing that Blender can show."""
    if creature is not None and creature.photo is not None and creature.photo.data is not None:
        yield creature.photo.data
        return
    photo = load_photo(path, path.stem)
    if photo is None:
        raise RuntimeError("no pixels")
    try:
        yield photo
    finally:
        bpy.data.images.remove(photo)


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


def last_fit(context: bpy.types.Context) -> bpy.types.Object | None:
    """The active creature's armature, if it is of the chosen photo: painting starts from its mask."""
    rig = session.creature_of(context)
    record = session.read_record(rig)
    return rig if record and record["photo"] == bpy.path.abspath(settings.masked(context.scene).photo) else None


def save_mask(image: bpy.types.Image, folder: Path) -> Path:
    """Write the painted picture's transparency as a grey PNG into the job's folder. Raises `LinkError`."""
    width, height = image.size
    pixels = np.empty(width * height * image.channels, np.float32)
    image.pixels.foreach_get(pixels)
    alpha = pixels[image.channels - 1 :: image.channels]
    if not (alpha > COVERED).any():
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
    """Open the image for painting."""
    open_editor(context, image).spaces.active.ui_mode = "PAINT"
    own_eraser()
    forget_eraser()
    bpy.app.timers.register(take_eraser, first_interval=DRAWN_SECONDS)


def own_eraser() -> bpy.types.Brush:
    """A brush of ours that erases alpha: the artist's own brushes stay as they are."""
    brush = bpy.data.brushes.get(ERASER)
    if brush is None:
        brush = bpy.data.brushes.new(ERASER, mode="TEXTURE_PAINT")
        brush.blend, brush.strength = "ERASE_ALPHA", 1.0
    return brush


def take_eraser() -> None:
    """The timer: put our brush into the hand in the editor that shows the mask. Before that editor is drawn it holds no tools."""
    for window in bpy.context.window_manager.windows:
        mask = settings.masked(window.scene).mask_image
        for area in window.screen.areas:
            if area.type == "IMAGE_EDITOR" and area.spaces.active.ui_mode == "PAINT" and mask and area.spaces.active.image == mask:
                region = next(region for region in area.regions if region.type == "WINDOW")
                with bpy.context.temp_override(window=window, screen=window.screen, area=area, region=region):
                    compat.use_image_brush(bpy.context, own_eraser())


def forget_eraser() -> None:
    """A timer that is pending when Blender exits crashes it."""
    if bpy.app.timers.is_registered(take_eraser):
        bpy.app.timers.unregister(take_eraser)
