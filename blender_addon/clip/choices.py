"""What the artist asks of a clip; kept with the scene, beside the photo's settings."""

from __future__ import annotations

import math
from pathlib import Path

import bpy

from . import source

CAMERAS = (
    ("auto", "Auto", "Find out whether the camera moves"),
    ("still", "Still", "The camera stood on a tripod"),
    ("moving", "Moving", "The camera panned, tilted or went along"),
)
MASKS = (
    ("AUTO", "Automatic", "The animal is found where the motion begins, and followed from there"),
    ("PAINTED", "Painted", "The mask that you picked or painted says which animal it is; it is followed from there"),
)
KEYS = (
    ("REDUCED", "Few Keys", "As few keys as hold the motion within the tolerance, with smooth curves between them"),
    ("ALL", "Every Frame", "A key for every bone at every frame of the scene"),
)


def clip_chosen(chosen: MenagerieClip, context: bpy.types.Context) -> None:
    """Another clip is shown from its beginning to its end; and the backend may get ready."""
    path = path_of(chosen)
    if chosen.of_path == chosen.path:
        return
    chosen.of_path = chosen.path
    chosen.start = chosen.end = chosen.at = 0.0
    new_frame(chosen, "", "")
    if path is None:
        source.forget()
        return
    source.look(path)
    from ..link import session

    session.warm_up(context)


def stretch_changed(chosen: MenagerieClip, context: bpy.types.Context) -> None:
    """The stretch stays inside the clip, and its end behind its start."""
    length = length_of(chosen)
    if length:
        start, end = min(chosen.start, length), min(chosen.end, length)
        if end and end <= start:
            end = 0.0
        if (start, end) != (chosen.start, chosen.end):
            chosen["start"], chosen["end"] = start, end


class MenagerieClip(bpy.types.PropertyGroup):
    """Of a scene. of_path: which clip the stretch was chosen for; photo: a picture of the frame with which the motion begins, once it
    was looked at; photo_of: which frame that is (`frame_key`); mask_photo: of which picture the painted mask is."""

    path: bpy.props.StringProperty(
        name="Clip", description="A clip of one animal: a movie, GIF or animated WebP, or a folder of frames (choose one of them)",
        subtype="FILE_PATH", update=clip_chosen,
    )  # type: ignore[valid-type]  # fmt: skip
    of_path: bpy.props.StringProperty(options={"HIDDEN"})  # type: ignore[valid-type]
    start: bpy.props.FloatProperty(
        name="Start (s)", description="Where the motion begins, in seconds of the clip. Drag it, and the picture follows",
        default=0.0, min=0.0, step=4, precision=2, update=stretch_changed,
    )  # type: ignore[valid-type]  # fmt: skip
    end: bpy.props.FloatProperty(
        name="End (s)", description="Where the motion ends, in seconds of the clip; 0 for the clip's own end",
        default=0.0, min=0.0, step=4, precision=2, update=stretch_changed,
    )  # type: ignore[valid-type]  # fmt: skip
    at: bpy.props.FloatProperty(
        name="After Start (s)", description="The moment at which Show Animal looks, in seconds after the start", default=0.0, min=0.0,
        step=4, precision=2,
    )  # type: ignore[valid-type]  # fmt: skip
    photo: bpy.props.StringProperty(options={"HIDDEN"})  # type: ignore[valid-type]
    photo_of: bpy.props.StringProperty(options={"HIDDEN"})  # type: ignore[valid-type]
    mask_kind: bpy.props.EnumProperty(name="First Mask", items=MASKS, default="AUTO")  # type: ignore[valid-type]
    mask_photo: bpy.props.StringProperty(options={"HIDDEN"})  # type: ignore[valid-type]
    mask_image: bpy.props.PointerProperty(name="Painted Mask", type=bpy.types.Image)  # type: ignore[valid-type]
    stride: bpy.props.IntProperty(
        name="Frame Step", description="Look at every so-many-th frame: 2 takes half the time, enough for clips of 50 frames a second",
        default=1, min=1, soft_max=8,
    )  # type: ignore[valid-type]  # fmt: skip
    rate: bpy.props.FloatProperty(
        name="Frame Rate", description="Frames a second of a folder of frames, which say nothing of it", default=24.0, min=1.0, max=240.0,
    )  # type: ignore[valid-type]  # fmt: skip
    camera: bpy.props.EnumProperty(name="Camera", items=CAMERAS, default="auto")  # type: ignore[valid-type]
    masks: bpy.props.StringProperty(
        name="Masks", description="A folder with a mask for every frame, where you have them; else the animal is found and followed",
        subtype="DIR_PATH",
    )  # type: ignore[valid-type]  # fmt: skip
    loop: bpy.props.BoolProperty(
        name="Make Cycle", description="Find the step that repeats and close it, as a second action. It can be made later, too",
        default=False,
    )  # type: ignore[valid-type]  # fmt: skip
    keys: bpy.props.EnumProperty(name="Keys", items=KEYS, default="REDUCED")  # type: ignore[valid-type]
    angle: bpy.props.FloatProperty(
        name="Bones Within", description="No bone is turned farther away from the motion than this by leaving keys out",
        default=math.radians(1.0), min=math.radians(0.05), soft_max=math.radians(5.0), max=math.radians(45.0), subtype="ANGLE",
    )  # type: ignore[valid-type]  # fmt: skip
    place: bpy.props.FloatProperty(
        name="Feet Within",
        description="No foot leaves its place in the motion by more than this by leaving keys out, in hundredths of the body's length "
        "(shoulder to tail): 0.5 % of a horse is about 6 mm, of a cat 2 mm. Feet that stand are held twice as well",
        default=0.5, min=0.02, soft_max=3.0, max=20.0, precision=2, subtype="PERCENTAGE",
    )  # type: ignore[valid-type]  # fmt: skip


def of(context: bpy.types.Context) -> MenagerieClip:
    """The choices of the context's scene."""
    return context.scene.menagerie_clip


def path_of(chosen: MenagerieClip) -> Path | None:
    """The movie or the folder of frames that is chosen, None for none. A still picture stands for its folder."""
    if not chosen.path:
        return None
    path = Path(bpy.path.abspath(chosen.path))
    return path.parent if source.is_frame(path) else path


def length_of(chosen: MenagerieClip) -> float:
    """Seconds of the clip, 0 where they aren't known."""
    seen = source.seen(path_of(chosen))
    if seen is None:
        return 0.0
    return seen.frames / (seen.fps or chosen.rate)


def stretch_of(chosen: MenagerieClip) -> tuple[float, float]:
    """Seconds from and to; to is 0 where the clip's end isn't known."""
    return chosen.start, chosen.end or length_of(chosen)


def moment_of(chosen: MenagerieClip) -> float:
    """Seconds of the clip at which Show Animal looks, within the stretch."""
    start, end = stretch_of(chosen)
    return min(start + chosen.at, end) if end else start + chosen.at


def frame_key(chosen: MenagerieClip, at: float) -> str:
    """Which frame of which clip stands at a second of it."""
    return f"{chosen.path}|{chosen.rate:.3f}|{at:.3f}"


def new_frame(chosen: MenagerieClip, photo: str, key: str) -> None:
    """From now on the motion begins with another frame, "" for one that nobody has looked at yet: the last one's mask isn't of this."""
    if key and key == chosen.photo_of:
        if chosen.mask_photo == chosen.photo:
            chosen.mask_photo = photo
        chosen.photo = photo
        return
    chosen.photo, chosen.photo_of, chosen.mask_kind, chosen.mask_photo, chosen.mask_image = photo, key, "AUTO", "", None


def first_frame_known(chosen: MenagerieClip) -> bool:
    """Whether there is a picture of the frame with which the motion begins."""
    return chosen.photo_of == frame_key(chosen, chosen.start) and Path(chosen.photo).is_file()


def own_mask(chosen: MenagerieClip) -> bpy.types.Image | None:
    """The image whose transparency is the mask of the first frame, where it is of that frame and is to be used."""
    if chosen.mask_kind != "PAINTED" or chosen.photo_of != frame_key(chosen, chosen.start):
        return None
    return chosen.mask_image


def masks_of(chosen: MenagerieClip) -> Path | None:
    """The folder of masks that is chosen, None for none."""
    return Path(bpy.path.abspath(chosen.masks)) if chosen.masks else None


def wire_settings(chosen: MenagerieClip, seed: int) -> dict[str, object]:
    """The choices in the wire's names; what has its default is left out."""
    path = path_of(chosen)
    return {
        "start": float(chosen.start), "end": float(chosen.end) or None, "stride": chosen.stride, "camera": chosen.camera, "seed": seed,
        "fps": float(chosen.rate) if path is not None and path.is_dir() else None,
        "mask_dir": str(masks_of(chosen) or "") or None,
    }  # fmt: skip


def placing(chosen: MenagerieClip) -> dict[str, object]:
    """What the choices say of keys and cycle, as `place.Wishes` has it."""
    return {"every": chosen.keys == "ALL", "angle": float(chosen.angle), "place": float(chosen.place) / 100, "loop": chosen.loop}


def register() -> None:
    bpy.utils.register_class(MenagerieClip)
    bpy.types.Scene.menagerie_clip = bpy.props.PointerProperty(type=MenagerieClip)


def unregister() -> None:
    source.forget()
    del bpy.types.Scene.menagerie_clip
    bpy.utils.unregister_class(MenagerieClip)
