"""A scene of the turntable's own: what is shown, a camera that circles it, its lights, a plain world.

Nothing of the artist's is changed or even linked here: the stage shows copies of the meshes as they stand (`shown`), in the dress of
the pass that is rendered (`passes`). Every datablock made here is removed by `Stage.remove`. The camera and its lights turn together,
which looks as if the creature turned.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import bpy
import numpy as np
from mathutils import Matrix, Vector

from .. import compat

ENGINES = ("WORKBENCH", "EEVEE", "CYCLES")
PASSES = ("TEXTURE", "CLAY", "WIREFRAME", "NORMALS", "SKELETON")
"""The creature as it is, and what may be rendered beside it."""
DRAWN = ("NORMALS", "SKELETON")
"""Passes that Workbench draws whatever the engine is: they show no light."""
MOTIONS = ("HOLD", "LOOP", "ONCE")
"""Hold the pose; play the action in whole rounds, so that the end meets the beginning; play it once and hold its end."""
FIELD_OF_VIEW = math.radians(35)
MARGIN = 1.06
"""The creature's farthest reach over the turn, against the picture's edge."""

FRAMING_ANGLES = 72
CENTRING_ROUNDS = 6
BACKGROUND = (0.78, 0.79, 0.81)
"""Linear grey behind the creature."""

WORLD_LIGHT = 0.5
"""How strongly the background lights the creature."""
CLAY_LIGHT = 0.25
"""And its clay: what has no colours needs shade to show its shape."""

LIGHTS = (("key", 1.7, (0.9, -0.6)), ("fill", 0.7, (0.4, 0.8)), ("rim", 0.9, (0.7, 2.7)))
"""Suns: name, strength, (downward, sideways) angle in radians as seen from the camera."""

CYCLES_SAMPLES = 16
EEVEE_SAMPLES = 16
NAME = "Menagerie Turntable"


@dataclass(frozen=True)
class Look:
    """frames: pictures of one whole turn; size: pixels a side; engine: one of `ENGINES`; elevation: of the camera
    above the horizon, radians; fps: of the movie; motion: one of `MOTIONS`; passes: of `PASSES`; ground: a soft shadow below; angle: from
    where the first picture looks, 0 from the front, radians towards the animal's left."""

    frames: int = 48
    size: int = 512
    engine: str = "WORKBENCH"
    elevation: float = math.radians(12)
    fps: int = 24
    motion: str = "HOLD"
    passes: tuple[str, ...] = ("TEXTURE",)
    ground: bool = True
    angle: float = 0.0

    def __post_init__(self) -> None:
        if self.engine not in ENGINES:
            raise ValueError(f"engine {self.engine!r} is not one of {ENGINES}")
        if self.motion not in MOTIONS:
            raise ValueError(f"motion {self.motion!r} is not one of {MOTIONS}")
        if not self.passes or not set(self.passes) <= set(PASSES) or len(set(self.passes)) < len(self.passes):
            raise ValueError(f"passes {self.passes!r} are not some of {PASSES}")
        if self.frames < 1 or self.size < 16 or abs(self.elevation) >= math.pi / 2:
            raise ValueError("a turntable needs a frame, 16 pixels and an elevation short of straight up or down")

    def engine_of(self, name: str) -> str:
        """Which engine renders the pass."""
        return "WORKBENCH" if name in DRAWN else self.engine

    def angle_at(self, frame: int) -> float:
        """Where picture `frame` looks from; the turn ends one step short of its start."""
        return self.angle + 2 * math.pi * frame / self.frames


def orbit(angle: float, elevation: float) -> np.ndarray:
    """(3, 3) camera axes (columns right, up, back) after `angle` radians; 0 looks from the front, along +Y."""
    right = np.array([math.cos(angle), math.sin(angle), 0.0])
    outward = np.array([math.sin(angle), -math.cos(angle), 0.0])
    back = outward * math.cos(elevation) + np.array([0.0, 0.0, math.sin(elevation)])
    return np.stack([right, np.cross(back, right), back], axis=1)


def frame_points(points: np.ndarray, elevation: float, only: float | None = None) -> tuple[np.ndarray, float]:
    """(n, 3) -> centre (3,) and the least distance from which all stays inside a square picture: over the whole turn, or from the
    one angle `only`, where the centre is the picture's."""
    centre = (points.min(axis=0) + points.max(axis=0)) / 2
    slope = math.tan(FIELD_OF_VIEW / 2) / MARGIN
    angles = np.linspace(0, 2 * math.pi, FRAMING_ANGLES, endpoint=False) if only is None else [only]
    distance = 1e-3
    for _ in range(1 if only is None else CENTRING_ROUNDS):
        distance = 1e-3
        for angle in angles:
            seen = (points - centre) @ orbit(angle, elevation)  # (n, 3) right, up, towards the camera
            distance = max(distance, float((np.abs(seen[:, :2]).max(axis=1) / slope + seen[:, 2]).max()))
        if only is not None:
            shown = seen[:, :2] / (distance - seen[:, 2:])
            middle = (shown.min(axis=0) + shown.max(axis=0)) / 2 * distance
            centre = centre + orbit(only, elevation)[:, :2] @ middle
    return centre, distance


@dataclass(frozen=True)
class Framing:
    """What stays the same over the turn. centre: (3,) world; distance: of the camera; floor: lowest height of the whole motion;
    height: from there to the highest."""

    centre: np.ndarray
    distance: float
    floor: float
    height: float

    @classmethod
    def of(cls, points: np.ndarray, look: Look) -> Framing:
        """(n, 3) all places that are reached."""
        centre, distance = frame_points(points, look.elevation, look.angle if look.frames == 1 else None)
        return cls(centre, distance, float(points[:, 2].min()), float(np.ptp(points[:, 2])))

    def camera(self, angle: float, elevation: float) -> np.ndarray:
        """(4, 4) camera to world, seen from `angle`."""
        matrix = np.eye(4)
        matrix[:3, :3] = orbit(angle, elevation)
        matrix[:3, 3] = self.centre + matrix[:3, 2] * self.distance
        return matrix


class Stage:
    """The temporary scene of one pass."""

    def __init__(self, look: Look, name: str, framing: Framing) -> None:
        self.look, self.name, self.engine, self._framing = look, name, look.engine_of(name), framing
        self._made: list[bpy.types.ID] = []
        self.scene = self.keep(bpy.data.scenes.new(NAME))
        self._rig = self.place(NAME, None)
        self._rig.location = Vector(framing.centre)
        self._add_camera()
        self._add_lights()
        self._set_look()
        self._own = len(self._made)

    def clear(self) -> None:
        """Remove what was kept and placed since the stage was made."""
        while len(self._made) > self._own:
            bpy.data.batch_remove([self._made.pop()])

    def render(self, frame: int, picture: Path) -> None:
        """Write what the camera sees for picture `frame`, with nothing behind it. Raises RuntimeError where Blender can't."""
        self._rig.rotation_euler[2] = self.look.angle_at(frame)
        self.scene.render.filepath = str(picture)
        run_render(self.scene, write_still=True)

    def remove(self) -> None:
        """Remove everything that was made; safe to call twice."""
        while self._made:
            bpy.data.batch_remove([self._made.pop()])

    def keep(self, made):  # type: ignore[no-untyped-def]
        """A datablock that goes with the stage."""
        self._made.append(made)
        return made

    def place(self, name: str, data: bpy.types.ID | None) -> bpy.types.Object:
        """An object of this data on the stage."""
        thing = self.keep(bpy.data.objects.new(name, data))
        self.scene.collection.objects.link(thing)
        return thing

    def _add_camera(self) -> None:
        lens = self.keep(bpy.data.cameras.new(NAME))
        lens.angle = FIELD_OF_VIEW
        lens.clip_start, lens.clip_end = self._framing.distance / 1000, self._framing.distance * 10
        camera = self.place(NAME + " Camera", lens)
        matrix = self._framing.camera(0.0, self.look.elevation)
        matrix[:3, 3] -= self._framing.centre
        camera.parent = self._rig
        camera.matrix_local = Matrix(matrix.tolist())
        self.scene.camera = camera

    def _add_lights(self) -> None:
        if self.engine == "WORKBENCH":
            return
        for name, strength, (down, side) in LIGHTS:
            sun = self.keep(bpy.data.lights.new(f"{NAME} {name}", "SUN"))
            sun.energy, sun.angle = strength, 0.1
            thing = self.place(f"{NAME} {name}", sun)
            thing.parent = self._rig
            thing.rotation_euler = (math.pi / 2 - down, 0.0, side)

    def _set_look(self) -> None:
        scene, look = self.scene, self.look
        world = self.keep(bpy.data.worlds.new(NAME))
        world.color = BACKGROUND
        compat.use_world_nodes(world)
        set_world(world, WORLD_LIGHT if self.name == "TEXTURE" else CLAY_LIGHT)
        scene.world = world
        scene.render.engine = {"WORKBENCH": "BLENDER_WORKBENCH", "EEVEE": compat.eevee_engine(), "CYCLES": "CYCLES"}[self.engine]
        scene.render.resolution_x = scene.render.resolution_y = look.size
        scene.render.resolution_percentage = 100
        scene.render.use_file_extension = False
        scene.render.film_transparent = True  # `ground` puts shadow and background behind
        compat.set_file_format(scene.render.image_settings, "PNG")
        scene.render.image_settings.color_mode = "RGBA"
        scene.render.image_settings.compression = 10
        use_standard_view(scene)
        if self.engine == "WORKBENCH":
            self._set_shading(scene.display.shading)
            scene.display.render_aa = "8"
        elif self.engine == "CYCLES":
            scene.cycles.samples, scene.cycles.use_denoising, scene.cycles.seed = CYCLES_SAMPLES, False, 0
        else:
            scene.eevee.taa_render_samples = EEVEE_SAMPLES

    def _set_shading(self, shading: bpy.types.View3DShading) -> None:
        shading.show_cavity = shading.show_shadows = False
        if self.name == "NORMALS":
            shading.light, shading.color_type = "MATCAP", "SINGLE"
            shading.studio_light, shading.single_color = NORMAL_MATCAP, (1, 1, 1)
            return
        shading.light = "STUDIO"
        # Of Blender's studio lights this one leaves a photo's colours nearest to what they are.
        shading.studio_light, shading.show_specular_highlight = "paint.sl", False
        shading.color_type = "TEXTURE" if self.name == "TEXTURE" else "OBJECT"
        if self.name != "TEXTURE":
            shading.show_cavity, shading.cavity_type = True, "WORLD"


NORMAL_MATCAP = "check_normal+y.exr"
"""Blender's own: the normal as the camera sees it, +X red, +Y green, towards the camera blue."""


def run_render(scene: bpy.types.Scene, **words: bool) -> None:
    """Blender's render operator for a scene of ours, which is the context's meanwhile: that one is evaluated anew when it is through."""
    with bpy.context.temp_override(scene=scene, view_layer=scene.view_layers[0]):
        bpy.ops.render.render(scene=scene.name, **words)


def set_world(world: bpy.types.World, light: float = WORLD_LIGHT) -> None:
    """`BACKGROUND` as the camera sees it, and a share of it as light, which is the suns' otherwise."""
    tree = world.node_tree
    background = next(node for node in tree.nodes if node.type == "BACKGROUND")
    background.inputs["Color"].default_value = (*BACKGROUND, 1.0)
    path, strength = tree.nodes.new("ShaderNodeLightPath"), tree.nodes.new("ShaderNodeMath")
    strength.operation = "MULTIPLY_ADD"
    strength.inputs[1].default_value, strength.inputs[2].default_value = 1 - light, light
    tree.links.new(path.outputs["Is Camera Ray"], strength.inputs[0])
    tree.links.new(strength.outputs[0], background.inputs["Strength"])


def use_standard_view(scene: bpy.types.Scene) -> None:
    """Show sRGB textures as they are: AgX, the default, washes photographs out."""
    scene.display_settings.display_device = "sRGB"
    view = scene.view_settings
    view.view_transform, view.look, view.exposure, view.gamma = "Standard", "None", 0.0, 1.0
    view.use_curve_mapping = False
