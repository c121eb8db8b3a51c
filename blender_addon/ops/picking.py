"""What the operators that pick an animal share: the one picking of this Blender, from its first click to its acceptance or end.

A click becomes an errand of the backend, whose answer is shown as the transparency of the mask's image, as where it is painted; what
is not the animal stays faintly in view, so that it can be clicked on. No operator lives while the backend works: each ends with its
click, and `arm` calls the next one when the answer is there. Everything stands at module level, outside the file's data, which undo
and loading would change; images are held by name.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import bpy
import numpy as np

from .. import settings
from ..link import session
from ..link.errors import LinkError
from ..link.process import Job
from ..scene.creature import find_creature
from ..scene.view import upright_size
from .mask_editor import DRAWN_SECONDS, find_editor, open_editor
from .paint_mask import PHOTO_SIZE, alpha_of, ensure_mask_image, last_fit, open_photo, save_mask, unreadable

MASK = "mask.png"
FAINT = 0.3
"""Least alpha while picking; below `paint_mask.COVERED`."""


@dataclass(frozen=True)
class Before:
    """What Esc brings back. tab: of the panel's, whose mask it is; image: the mask image's name, "" if there was none; alpha: its pixels'
    transparency; shown: what the editor that was there showed, as (name, mode), None where there is none and a window opens."""

    tab: str
    image: str
    kind: str
    photo: str
    alpha: np.ndarray | None
    shown: tuple[str, str] | None


@dataclass
class Picking:
    """photo: its path; image: the mask image's name; size: of the photo, pixels; out: the errands' folder; earlier: the mask
    picture that is corrected, None if there is nothing to correct; clicks: [x, y, positive] in the photo's pixels, from its upper
    left corner; answered: how many of them the image shows; alpha: the mask then; jobs: the errands; window: the one that was opened
    for it, None if it is not; file: which of the files that were opened it belongs to."""

    photo: Path
    image: str
    size: tuple[int, int]
    out: Path
    earlier: str | None
    before: Before
    clicks: list[list[Any]] = field(default_factory=list)
    answered: int = 0
    alpha: np.ndarray | None = None
    window: int | None = None
    jobs: list[Job] = field(default_factory=list)
    file: int = field(default_factory=lambda: session.state.files)

    def forget(self) -> None:
        """Nobody waits for the answers any more."""
        for job in self.jobs:
            if not job.done:
                session.forget(job)


current: Picking | None = None


def running(context: bpy.types.Context) -> Picking | None:
    """The picking that is under way; one whose file, photo or image is gone is forgotten."""
    global current
    if current is None:
        return None
    chosen = settings.masked(context.scene, current.before.tab)
    image = chosen.mask_image
    if current.file != session.state.files or image is None or image.name != current.image or chosen.mask_photo != chosen.photo:
        current.forget()
        current = None
    return current


def begin(context: bpy.types.Context) -> Picking:
    """Start picking on the chosen photo, and let the backend look at it already. Raises `LinkError`."""
    global current
    tab = settings.of(context).kind
    chosen = settings.masked(context.scene, tab)
    photo = Path(bpy.path.abspath(chosen.photo))
    if not photo.is_file():
        raise unreadable(photo)
    old = chosen.mask_image
    before = Before(
        tab, old.name if old is not None else "", chosen.mask_kind, chosen.mask_photo, None if old is None else read_alpha(old),
        shown_before(context),
    )  # fmt: skip
    image = ensure_mask_image(context)
    try:
        out = session.new_folder()
        earlier: str | None = None
        with suppress(LinkError):  # a mask that covers nothing corrects nothing
            earlier = str(save_mask(image, out))
        current = Picking(photo, image.name, size_of(context, image, photo), out, earlier, before)
        ask()
        write_alpha(image, np.maximum(read_alpha(image), FAINT))
    except LinkError:
        restore(context, before, image.name)
        current = None
        raise
    return current


def shown_before(context: bpy.types.Context) -> tuple[str, str] | None:
    """Name of the picture and mode of the Image Editor that will show the photo."""
    area = find_editor(context)
    if area is None:
        return None
    space = area.spaces.active
    return space.image.name if space.image is not None else "", space.ui_mode


def size_of(context: bpy.types.Context, image: bpy.types.Image, photo: Path) -> tuple[int, int]:
    """Width and height of the upright photo; images of earlier versions don't say. Raises `LinkError`."""
    if PHOTO_SIZE in image:
        width, height = image[PHOTO_SIZE]
        return int(width), int(height)
    rig = last_fit(context)
    try:
        with open_photo(photo, find_creature(rig) if rig is not None else None) as shown:
            return upright_size(shown)
    except RuntimeError as error:
        raise unreadable(photo) from error


def add(context: bpy.types.Context, x: float, y: float, positive: bool) -> None:
    """One more click, at pixels of the photo. Raises `LinkError`."""
    picking = running(context)
    if picking is None:
        raise LinkError("protocol", "No animal is being picked.", "Press Pick Animal first.")
    if not (0 <= x <= picking.size[0] and 0 <= y <= picking.size[1]):
        raise LinkError("bad_request", "The click is not on the photo.", "Click on the photo.")
    picking.clicks.append([x, y, positive])
    try:
        ask()
    except LinkError:
        picking.clicks.pop()
        raise


def ask() -> None:
    """Send all the clicks to the backend; with none it only looks at the photo. Raises `LinkError`."""
    picking = current
    if picking is None:
        return
    # A list of its own: the next click must not change what was sent.
    clicks, count = [list(click) for click in picking.clicks], len(picking.clicks)
    job = session.send(
        bpy.context, "mask", lambda job: answered(picking, count, job), photo=picking.photo, out=picking.out, clicks=clicks,
        mask=picking.earlier,
    )  # fmt: skip
    picking.jobs.append(job)


def answered(picking: Picking, count: int, job: Job) -> None:
    """An errand has ended: show its mask or its error, and wait for the next click."""
    if current is not picking or running(bpy.context) is None:
        return
    if job.error is not None:
        del picking.clicks[picking.answered :]
        if job.error["code"] != "cancelled":
            session.state.error = job.error
    elif count:
        session.state.error = None
        image = bpy.data.images[picking.image]
        try:
            picking.alpha, picking.answered = alpha_of(picking.out / MASK, tuple(image.size)), count
            write_alpha(image, np.maximum(picking.alpha, FAINT))
        except RuntimeError:
            session.state.error = LinkError("mask_unreadable", "The mask could not be read back.", "Click again.").to_wire()
            del picking.clicks[picking.answered :]
    redraw(picking.image)
    if not bpy.app.background and count:
        wait_for_click()


def keep(context: bpy.types.Context) -> None:
    """End picking: the mask that is shown is the photo's painted mask from now on."""
    global current
    picking = running(context)
    current = None
    if picking is None:
        return
    picking.forget()
    if picking.alpha is not None:
        image = bpy.data.images[picking.image]
        write_alpha(image, picking.alpha)
        image.pack()
    else:
        restore(context, picking.before, picking.image)
    redraw(picking.image)


def keep_of(context: bpy.types.Context, tab: str) -> None:
    """The same, if what is picked is of this tab of the panel's: what is shown is what counts when a job begins."""
    picking = running(context)
    if picking is not None and picking.before.tab == tab:
        keep(context)


def drop(context: bpy.types.Context) -> None:
    """End picking: everything is as it was before."""
    global current
    picking = running(context)
    current = None
    if picking is not None:
        picking.forget()
        restore(context, picking.before, picking.image)
        if picking.window is not None and not bpy.app.background:
            # Not at once: the operator that was told to end may stand in that window.
            bpy.app.timers.register(partial(close_window, picking.window), first_interval=DRAWN_SECONDS)


def close_window(pointer: int) -> None:
    """The timer: close the window that was opened for picking, if it still shows nothing else."""
    for window in bpy.context.window_manager.windows:
        areas = window.screen.areas
        if window.as_pointer() == pointer and len(areas) == 1 and areas[0].type == "IMAGE_EDITOR" and areas[0].spaces.active.image is None:
            with bpy.context.temp_override(window=window):
                bpy.ops.wm.window_close()
            return


def restore(context: bpy.types.Context, before: Before, name: str) -> None:
    """Bring back what `begin` found. name: of the image that was picked on."""
    chosen = settings.masked(context.scene, before.tab)
    image = bpy.data.images.get(name)
    for area in editors(name):
        if before.shown is not None:
            area.spaces.active.image = bpy.data.images.get(before.shown[0])
            area.spaces.active.ui_mode = before.shown[1]
    if before.image:
        if image is not None and before.alpha is not None:
            write_alpha(image, before.alpha)
    else:
        chosen.mask_image = None
        if image is not None:
            bpy.data.images.remove(image)
    chosen.mask_kind, chosen.mask_photo = before.kind, before.photo


def read_alpha(image: bpy.types.Image) -> np.ndarray:
    """(h, w) float32, row 0 at the bottom."""
    pixels = np.empty(image.size[0] * image.size[1] * image.channels, np.float32)
    image.pixels.foreach_get(pixels)
    return pixels[image.channels - 1 :: image.channels].reshape(image.size[1], image.size[0])


def write_alpha(image: bpy.types.Image, alpha: np.ndarray) -> None:
    """The reverse of `read_alpha`."""
    pixels = np.empty(image.size[0] * image.size[1] * image.channels, np.float32)
    image.pixels.foreach_get(pixels)
    pixels[image.channels - 1 :: image.channels] = alpha.ravel()
    image.pixels.foreach_set(pixels)
    image.update()


def editors(name: str) -> list[bpy.types.Area]:
    """The Image Editors that show the image."""
    areas = [area for window in bpy.context.window_manager.windows for area in window.screen.areas if area.type == "IMAGE_EDITOR"]
    return [area for area in areas if area.spaces.active.image is not None and area.spaces.active.image.name == name]


def redraw(name: str) -> None:
    """Show what has changed, in the editors with the image and in the sidebars."""
    for area in editors(name):
        area.tag_redraw()
    session.redraw()


def show(context: bpy.types.Context) -> None:
    """Open the image in an Image Editor and wait there for a click."""
    if current is None:
        return
    count = len(context.window_manager.windows)
    open_editor(context, bpy.data.images[current.image]).spaces.active.ui_mode = "VIEW"
    if len(context.window_manager.windows) > count:
        current.window = context.window_manager.windows[-1].as_pointer()
    wait_for_click(DRAWN_SECONDS)  # before its first drawing no operator can be called in an editor


def wait_for_click(seconds: float = 0.01) -> None:
    """Let `arm` run soon."""
    forget_timer()
    bpy.app.timers.register(arm, first_interval=seconds)


def arm() -> None:
    """The timer: call the operator that takes the next click, in the editor that shows the image."""
    if current is None:
        return
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            if area in editors(current.image):
                region = next(region for region in area.regions if region.type == "WINDOW")
                with bpy.context.temp_override(window=window, screen=window.screen, area=area, region=region):
                    if running(bpy.context) is not None:
                        bpy.ops.menagerie.pick_animal("INVOKE_DEFAULT")
                return


def forget_timer() -> None:
    """A timer that is pending when Blender exits crashes it."""
    if bpy.app.timers.is_registered(arm):
        bpy.app.timers.unregister(arm)


def close() -> None:
    """For unregistering."""
    global current
    current = None
    forget_timer()
