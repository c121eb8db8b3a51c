"""A scene of the turntable's own: the objects, a camera that circles them, its lights, a plain world.

Nothing of the artist's is changed: the objects are linked, not moved, and every datablock made here is removed
by `Stage.remove`. The camera and its lights turn together, which looks as if the creature turned.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import bpy
import numpy as np
from mathutils import Matrix, Vector

from .. import compat

ENGINES = ("WORKBENCH", "EEVEE", "CYCLES")
FIELD_OF_VIEW = math.radians(35)
MARGIN = 1.06
"""The creature's farthest reach over the turn, against the picture's edge."""

FRAMING_ANGLES = 72
BACKGROUND = (0.78, 0.79, 0.81)
"""Linear grey behind the creature."""

WORLD_LIGHT = 0.5
"""How strongly the background lights the creature."""

LIGHTS = (("key", 1.7, (0.9, -0.6)), ("fill", 0.7, (0.4, 0.8)), ("rim", 0.9, (0.7, 2.7)))
"""Suns: name, strength, (downward, sideways) angle in radians as seen from the camera."""

CYCLES_SAMPLES = 16
EEVEE_SAMPLES = 16
NAME = "Menagerie Turntable"


@dataclass(frozen=True)
class Look:
    """frames: pictures of one whole turn; size: pixels a side; engine: one of `ENGINES`; elevation: of the camera
    above the horizon, radians; fps: of the movie."""

    frames: int = 48
    size: int = 512
    engine: str = "WORKBENCH"
    elevation: float = math.radians(12)
    fps: int = 24

    def __post_init__(self) -> None:
        if self.engine not in ENGINES:
            raise ValueError(f"engine {self.engine!r} is not one of {ENGINES}")
        if self.frames < 1 or self.size < 16 or abs(self.elevation) >= math.pi / 2:
            raise ValueError("a turntable needs a frame, 16 pixels and an elevation short of straight up or down")


def shown_points(objects: Iterable[bpy.types.Object], depsgraph: bpy.types.Depsgraph) -> np.ndarray:
    """(n, 3) float64 world positions of every evaluated vertex, as posed. Raises ValueError where there is none."""
    parts = []
    for thing in objects:
        if thing.type != "MESH":
            continue
        posed = thing.evaluated_get(depsgraph)
        mesh = posed.to_mesh()
        flat = np.empty(len(mesh.vertices) * 3, np.float32)
        mesh.vertices.foreach_get("co", flat)
        posed.to_mesh_clear()
        world = np.array(posed.matrix_world, np.float64)
        parts.append(flat.reshape(-1, 3) @ world[:3, :3].T + world[:3, 3])
    points = np.concatenate(parts) if parts else np.empty((0, 3))
    if not len(points):
        raise ValueError("there is no mesh to show")
    return points


def orbit(angle: float, elevation: float) -> np.ndarray:
    """(3, 3) camera axes (columns right, up, back) after `angle` radians; 0 looks from the front, along +Y."""
    right = np.array([math.cos(angle), math.sin(angle), 0.0])
    outward = np.array([math.sin(angle), -math.cos(angle), 0.0])
    back = outward * math.cos(elevation) + np.array([0.0, 0.0, math.sin(elevation)])
    return np.stack([right, np.cross(back, right), back], axis=1)


def frame_points(points: np.ndarray, elevation: float) -> tuple[np.ndarray, float]:
    """(n, 3) -> centre (3,) and the least distance from which the whole turn stays inside a square picture."""
    centre = (points.min(axis=0) + points.max(axis=0)) / 2
    slope = math.tan(FIELD_OF_VIEW / 2) / MARGIN
    distance = 1e-3
    for angle in np.linspace(0, 2 * math.pi, FRAMING_ANGLES, endpoint=False):
        seen = (points - centre) @ orbit(angle, elevation)  # (n, 3) right, up, towards the camera
        distance = max(distance, float((np.abs(seen[:, :2]).max(axis=1) / slope + seen[:, 2]).max()))
    return centre, distance


@dataclass(frozen=True)
class Framing:
    """What stays the same over the turn. centre: (3,) world; distance: of the camera; frame: the scene's time."""

    centre: np.ndarray
    distance: float
    frame: float


def find_framing(context: bpy.types.Context, objects: Iterable[bpy.types.Object], look: Look) -> Framing:
    """Frame the objects as they are posed now. Raises ValueError where there is no mesh among them."""
    centre, distance = frame_points(shown_points(objects, context.evaluated_depsgraph_get()), look.elevation)
    return Framing(centre, distance, context.scene.frame_current_final)


class Stage:
    """The temporary scene. objects: meshes and armatures, linked as they are."""

    def __init__(self, objects: Sequence[bpy.types.Object], look: Look, framing: Framing) -> None:
        self.look, self._framing = look, framing
        self._made: list[bpy.types.ID] = []
        self.scene = self._keep(bpy.data.scenes.new(NAME))
        # Actions are evaluated at this scene's own time.
        self.scene.frame_set(math.floor(framing.frame), subframe=framing.frame % 1)
        for thing in objects:
            self.scene.collection.objects.link(thing)
        self._rig = self._place(NAME, None)
        self._rig.location = Vector(framing.centre)
        self._add_camera()
        self._add_lights()
        self._set_look()

    def turn(self, frame: int) -> None:
        """Turn the camera to picture `frame` of `look.frames`; the turn ends one step short of its start."""
        self._rig.rotation_euler[2] = 2 * math.pi * frame / self.look.frames

    def remove(self) -> None:
        """Remove everything that was made; safe to call twice."""
        while self._made:
            bpy.data.batch_remove([self._made.pop()])

    def _keep(self, made):  # type: ignore[no-untyped-def]
        self._made.append(made)
        return made

    def _place(self, name: str, data: bpy.types.ID | None) -> bpy.types.Object:
        thing = self._keep(bpy.data.objects.new(name, data))
        self.scene.collection.objects.link(thing)
        return thing

    def _add_camera(self) -> None:
        lens = self._keep(bpy.data.cameras.new(NAME))
        lens.angle = FIELD_OF_VIEW
        lens.clip_start, lens.clip_end = self._framing.distance / 1000, self._framing.distance * 10
        camera = self._place(NAME + " Camera", lens)
        axes = orbit(0.0, self.look.elevation)
        matrix = np.eye(4)
        matrix[:3, :3], matrix[:3, 3] = axes, axes[:, 2] * self._framing.distance
        camera.parent = self._rig
        camera.matrix_local = Matrix(matrix.tolist())
        self.scene.camera = camera

    def _add_lights(self) -> None:
        if self.look.engine == "WORKBENCH":
            return
        for name, strength, (down, side) in LIGHTS:
            sun = self._keep(bpy.data.lights.new(f"{NAME} {name}", "SUN"))
            sun.energy, sun.angle = strength, 0.1
            thing = self._place(f"{NAME} {name}", sun)
            thing.parent = self._rig
            thing.rotation_euler = (math.pi / 2 - down, 0.0, side)

    def _set_look(self) -> None:
        scene, look = self.scene, self.look
        world = self._keep(bpy.data.worlds.new(NAME))
        world.color = BACKGROUND
        compat.use_world_nodes(world)
        set_world(world)
        scene.world = world
        scene.render.engine = {"WORKBENCH": "BLENDER_WORKBENCH", "EEVEE": compat.eevee_engine(), "CYCLES": "CYCLES"}[look.engine]
        scene.render.resolution_x = scene.render.resolution_y = look.size
        scene.render.resolution_percentage = 100
        scene.render.use_file_extension = False
        compat.set_file_format(scene.render.image_settings, "PNG")
        scene.render.image_settings.color_mode = "RGB"
        use_standard_view(scene)
        if look.engine == "WORKBENCH":
            shading = scene.display.shading
            shading.light, shading.color_type = "STUDIO", "TEXTURE"
            # Of Blender's studio lights this one leaves a photo's colours nearest to what they are.
            shading.studio_light, shading.show_specular_highlight = "paint.sl", False
            shading.show_cavity = shading.show_shadows = False
            scene.display.render_aa = "8"
        elif look.engine == "CYCLES":
            scene.cycles.samples, scene.cycles.use_denoising, scene.cycles.seed = CYCLES_SAMPLES, False, 0
        else:
            scene.eevee.taa_render_samples = EEVEE_SAMPLES


def set_world(world: bpy.types.World) -> None:
    """`BACKGROUND` as the camera sees it, and a share of it as light, which is the suns' otherwise."""
    tree = world.node_tree
    background = next(node for node in tree.nodes if node.type == "BACKGROUND")
    background.inputs["Color"].default_value = (*BACKGROUND, 1.0)
    path, strength = tree.nodes.new("ShaderNodeLightPath"), tree.nodes.new("ShaderNodeMath")
    strength.operation = "MULTIPLY_ADD"
    strength.inputs[1].default_value, strength.inputs[2].default_value = 1 - WORLD_LIGHT, WORLD_LIGHT
    tree.links.new(path.outputs["Is Camera Ray"], strength.inputs[0])
    tree.links.new(strength.outputs[0], background.inputs["Strength"])


def use_standard_view(scene: bpy.types.Scene) -> None:
    """Show sRGB textures as they are: AgX, the default, washes photographs out."""
    scene.display_settings.display_device = "sRGB"
    view = scene.view_settings
    view.view_transform, view.look, view.exposure, view.gamma = "Standard", "None", 0.0, 1.0
    view.use_curve_mapping = False
