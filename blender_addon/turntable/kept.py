"""Pictures of a turntable that isn't finished, kept so that it goes on where it was cancelled.

They stand in the add-on's own folder under a hash of everything that decides how they look: settings, shapes over the whole motion,
UVs, materials with their images, versions. A creature or a setting that has changed gives another hash, hence pictures anew.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import bpy
import numpy as np

from .. import paths
from .shown import Moment
from .stage import Framing, Look

KEPT = 4
"""Unfinished turntables whose pictures stay; the oldest go."""
SIMPLE = ("BOOLEAN", "INT", "FLOAT", "ENUM", "STRING")
COSMETIC = {"name", "label", "select", "location", "location_absolute", "width", "height", "width_hidden", "hide", "show_options", "color"}
"""Properties of a node that no picture shows."""


def folder_of(mark: str) -> Path:
    """The folder for the pictures of this hash, made if absent."""
    root = paths.user_folder("turntables")
    folder = root / mark
    folder.mkdir(exist_ok=True)
    others = sorted((path for path in root.iterdir() if path.is_dir() and path != folder), key=lambda path: path.stat().st_mtime)
    for path in others[: max(0, len(others) + 1 - KEPT)]:
        shutil.rmtree(path, ignore_errors=True)
    return folder


def fingerprint(
    look: Look, framing: Framing, times: Sequence[float], moments: Iterable[Moment], meshes: Sequence[bpy.types.Object]
) -> str:
    """A hash over what the pictures show. times: the frame of each picture; moments: those that framed them. Which passes are asked
    for and the movie's rate don't count."""
    total = hashlib.sha256()
    total.update(words(bpy.app.version, paths.version(), look.frames, look.size, look.engine, look.elevation, look.angle, look.ground))
    total.update(words(framing.centre.tolist(), framing.distance))
    if look.motion != "HOLD":  # a held pose is the same at any time
        total.update(words(list(times)))
    for moment in moments:
        for places in moment.places:
            total.update(np.round(places, 6).tobytes())
        for bone in moment.bones:
            total.update(words(bone.group, bone.head.round(6).tolist(), bone.tail.round(6).tolist()))
    for thing in meshes:
        for part in parts_of_mesh(thing.data):
            total.update(part)
        for slot in thing.material_slots:
            for part in parts_of_material(slot.material):
                total.update(part)
    return total.hexdigest()[:24]


def words(*values: object) -> bytes:
    """Plain values as bytes."""
    return repr(values).encode()


def parts_of_mesh(mesh: bpy.types.Mesh) -> Iterator[bytes]:
    """Faces, UVs, materials and shading; places are the moments'."""
    corners, indices = np.empty(len(mesh.loops), np.int32), np.empty(len(mesh.polygons), np.int32)
    smooth = np.empty(len(mesh.polygons), np.bool_)
    mesh.loops.foreach_get("vertex_index", corners)
    mesh.polygons.foreach_get("material_index", indices)
    mesh.polygons.foreach_get("use_smooth", smooth)
    yield from (corners.tobytes(), indices.tobytes(), smooth.tobytes())
    for layer in mesh.uv_layers:
        uvs = np.empty(len(mesh.loops) * 2, np.float32)
        layer.uv.foreach_get("vector", uvs)
        yield uvs.tobytes()


def parts_of_material(material: bpy.types.Material | None) -> Iterator[bytes]:
    """Its nodes, and the colour that plain views show."""
    yield words(None if material is None else tuple(material.diffuse_color))
    if material is not None and material.node_tree is not None:
        yield from parts_of_nodes(material.node_tree)


def parts_of_nodes(tree: bpy.types.NodeTree) -> Iterator[bytes]:
    """The tree's nodes, their values, images and links; of groups what they hold."""
    for node in tree.nodes:
        yield words(node.name, node.bl_idname, simple_values(node))
        for socket in node.inputs:
            value = getattr(socket, "default_value", None)
            yield words(tuple(value) if hasattr(value, "__len__") and not isinstance(value, str) else value)
        image, inner = getattr(node, "image", None), getattr(node, "node_tree", None)
        if isinstance(image, bpy.types.Image):
            yield pixels_of(image)
        if isinstance(inner, bpy.types.NodeTree):
            yield from parts_of_nodes(inner)
    for link in tree.links:
        yield words(link.from_node.name, link.from_socket.identifier, link.to_node.name, link.to_socket.identifier)


def simple_values(node: bpy.types.Node) -> list[tuple[str, object]]:
    """Names and values of what can be set on a node itself."""
    found = []
    for kind in node.bl_rna.properties:
        if kind.type in SIMPLE and not kind.is_readonly and kind.identifier not in COSMETIC:
            value = getattr(node, kind.identifier)
            found.append((kind.identifier, tuple(value) if getattr(kind, "is_array", False) else value))
    return found


def pixels_of(image: bpy.types.Image) -> bytes:
    """What it shows: the packed file, unless it was painted on since."""
    if image.packed_file is not None and not image.is_dirty:
        return bytes(image.packed_file.data)
    pixels = np.empty(len(image.pixels), np.float32)
    image.pixels.foreach_get(pixels)
    return pixels.tobytes()
