"""Write the creature to a file for another program."""

from __future__ import annotations

from pathlib import Path

import bpy

from ..export import export, names
from ..link import session
from ..link.errors import LinkError
from . import fit

ENDINGS = (".glb", ".gltf", ".fbx", ".usd", ".usdc", ".usda", ".usdz")


class MENAGERIE_OT_export_creature(bpy.types.Operator):
    """Write the creature for a game engine or another program: its mesh, one skeleton of deforming bones, its texture"""

    bl_idname = "menagerie.export_creature"
    bl_label = "Export Creature"

    filepath: bpy.props.StringProperty(subtype="FILE_PATH", options={"SKIP_SAVE"})  # type: ignore[valid-type]
    filter_glob: bpy.props.StringProperty(default="*.glb;*.gltf;*.fbx;*.usd*", options={"HIDDEN"})  # type: ignore[valid-type]
    form: bpy.props.EnumProperty(
        name="Format",
        items=(
            ("GLTF", "glTF", "For Godot, Unreal, the web and most others"),
            ("FBX", "FBX", "For Unity, Unreal and older programs"),
            ("USD", "USD", "For film; one motion at most"),
        ),
    )  # type: ignore[valid-type]
    style: bpy.props.EnumProperty(name="Bone Names", items=names.STYLES)  # type: ignore[valid-type]
    motion: bpy.props.EnumProperty(
        name="Pose",
        items=(
            ("POSE", "As It Stands", "The pose that you see now"),
            ("PHOTO", "Photo Pose", "The pose of its photo, whatever it does now"),
            ("REST", "Rest Pose", "Standing straight"),
            ("ACTIONS", "Actions", "The creature's actions, a key a frame"),
        ),
    )  # type: ignore[valid-type]
    embed: bpy.props.BoolProperty(
        name="Textures Inside", description="In the file itself; else in files beside it (USD has them beside)", default=True
    )  # type: ignore[valid-type]

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if context.mode not in ("OBJECT", "POSE"):
            cls.poll_message_set("Go to Object Mode or Pose Mode first")
            return False
        return session.creature_of(context) is not None

    @property
    def choices(self) -> export.Choices:
        return export.Choices(self.form, self.style, self.motion, self.embed)

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        folder = Path(bpy.data.filepath).parent if bpy.data.filepath else Path.home()
        self.filepath = str(folder / session.creature_of(context).name)
        self.check(context)
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def check(self, context: bpy.types.Context) -> bool:
        """Keep the file's ending in step with the format."""
        path = Path(self.filepath)
        bare = path.with_suffix("") if path.suffix.lower() in ENDINGS else path
        fits = path.suffix.lower().startswith(".usd") if self.form == "USD" else path.suffix == self.choices.ending
        if fits:
            return False
        self.filepath = str(bare) + self.choices.ending
        return True

    def draw(self, context: bpy.types.Context) -> None:
        column = self.layout.column()
        column.use_property_split = True
        for name in ("form", "style", "motion"):
            column.prop(self, name)
        row = column.row()
        row.enabled = self.form != "USD"
        row.prop(self, "embed")

    def execute(self, context: bpy.types.Context) -> set[str]:
        self.check(context)
        path = Path(bpy.path.abspath(self.filepath))
        try:
            moves = export.export_creature(context, session.creature_of(context), path, self.choices)
        except LinkError as error:
            return fit.refuse(self, error)
        self.report({"INFO"}, f"Wrote {path.name}" + (f" with {', '.join(moves)}" if moves else ""))
        return {"FINISHED"}
