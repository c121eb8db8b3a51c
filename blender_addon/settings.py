"""What the artist sets for a reconstruction; kept with the scene. No job, handle or result lives here: undo would undo it."""

from __future__ import annotations

import bpy

QUALITIES = (
    ("fast", "Fast", "Shape, pose and texture in seconds"),
    ("fine", "Fine", "Fit shape, pose and texture to the photo; takes a minute"),
)


def photo_chosen(chosen: MenagerieSettings, context: bpy.types.Context) -> None:
    """Another photo has no painted mask yet; and the backend may get ready."""
    if chosen.mask_image is not None and chosen.mask_photo != chosen.photo:
        chosen.mask_image = None
        if chosen.mask_kind == "PAINTED":
            chosen.mask_kind = "AUTO"
    if chosen.photo:
        from .link import session

        session.warm_up(context)


class MenagerieSettings(bpy.types.PropertyGroup):
    """Of a scene. kind: which of the panel's tabs; mask_photo: which photo the painted mask is of."""

    kind: bpy.props.EnumProperty(
        name="From",
        items=(("PHOTO", "Photo", "One photo becomes a posed creature"), ("CLIP", "Clip", "A clip becomes a creature that moves")),
        default="PHOTO",
    )  # type: ignore[valid-type]
    photo: bpy.props.StringProperty(
        name="Photo", description="One photo with one animal clearly in view", subtype="FILE_PATH", update=photo_chosen
    )  # type: ignore[valid-type]
    quality: bpy.props.EnumProperty(name="Quality", items=QUALITIES, default="fast")  # type: ignore[valid-type]
    seed: bpy.props.IntProperty(
        name="Seed", description="The same seed gives the same creature", default=0, min=0, soft_max=1000
    )  # type: ignore[valid-type]
    mask_kind: bpy.props.EnumProperty(
        name="Mask",
        items=(
            ("AUTO", "Automatic", "The photo's transparency, or else the bundled network finds the animal"),
            ("PAINTED", "Painted", "The transparency of a copy of the photo that you paint"),
            ("FILE", "File", "A picture whose transparency or brightness covers the animal"),
        ),
        default="AUTO",
    )  # type: ignore[valid-type]
    mask_path: bpy.props.StringProperty(name="Mask File", subtype="FILE_PATH")  # type: ignore[valid-type]
    mask_photo: bpy.props.StringProperty(options={"HIDDEN"})  # type: ignore[valid-type]
    mask_image: bpy.props.PointerProperty(name="Painted Mask", type=bpy.types.Image)  # type: ignore[valid-type]


def of(context: bpy.types.Context) -> MenagerieSettings:
    """The settings of the context's scene."""
    return context.scene.menagerie


def masked(scene: bpy.types.Scene, kind: str = "") -> bpy.types.PropertyGroup:
    """What a mask is picked or painted for in one of the panel's tabs, the one that is shown by default: the settings of the photo, or of
    the clip for the frame with which it begins. Both have photo, mask_kind, mask_photo and mask_image."""
    return scene.menagerie_clip if (kind or scene.menagerie.kind) == "CLIP" else scene.menagerie


def register() -> None:
    bpy.utils.register_class(MenagerieSettings)
    bpy.types.Scene.menagerie = bpy.props.PointerProperty(type=MenagerieSettings)


def unregister() -> None:
    del bpy.types.Scene.menagerie
    bpy.utils.unregister_class(MenagerieSettings)
