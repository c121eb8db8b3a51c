"""Pictures of a turntable that isn't finished, kept so that it goes on where it was cancelled.

They stand in the add-on's own folder under a hash of everything that decides how they look: settings, shapes over the whole motion,
UVs, materials with their images, versions. A creature or a setting that has changed gives another hash, hence pictures anew.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterable, Sequence
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

    def add(*words: object) -> None:
        total.update(repr(words).encode())

    add(bpy.app.version, paths.version(), look.frames, look.size, look.engine, look.elevation, look.angle, look.ground)
    add(framing.centre.tolist(), framing.distance)
    if look.motion != "HOLD":  # a held pose is the same at any time
        add(list(times))
    for moment in moments:
        for places in moment.places:
            total.update(np.round(places, 6).tobytes())
        for bone in moment.bones:
            add(bone.group, bone.head.round(6).tolist(), bone.tail.round(6).tolist())
    for thing in meshes:
        mesh = thing.data
        corners = np.empty(len(mesh.loops), np.int32)
        mesh.loops.foreach_get("vertex_index", corners)
        total.update(corners.tobytes())
        for layer in mesh.uv_layers:
            uvs = np.empty(len(mesh.loops) * 2, np.float32)
            layer.uv.foreach_get("vector", uvs)
            total.update(uvs.tobytes())
        indices, smooth = np.empty(len(mesh.polygons), np.int32), np.empty(len(mesh.polygons), np.bool_)
        mesh.polygons.foreach_get("material_index", indices)
        mesh.polygons.foreach_get("use_smooth", smooth)
        total.update(indices.tobytes() + smooth.tobytes())
        for slot in thing.material_slots:
            add(None if slot.material is None else tuple(slot.material.diffuse_color))
            if slot.material is not None and slot.material.node_tree is not None:
                add_nodes(total, slot.material.node_tree)
    return total.hexdigest()[:24]


def add_nodes(total: "hashlib._Hash", tree: bpy.types.NodeTree) -> None:  # noqa: UP037
    """The tree's nodes, their values, images and links; of groups what they hold."""
    for node in tree.nodes:
        total.update(repr((node.name, node.bl_idname, simple_values(node))).encode())
        for socket in node.inputs:
            value = getattr(socket, "default_value", None)
            total.update(repr(tuple(value) if hasattr(value, "__len__") and not isinstance(value, str) else value).encode())
        image = getattr(node, "image", None)
        if isinstance(image, bpy.types.Image):
            add_image(total, image)
        inner = getattr(node, "node_tree", None)
        if isinstance(inner, bpy.types.NodeTree):
            add_nodes(total, inner)
    for link in tree.links:
        total.update(repr((link.from_node.name, link.from_socket.identifier, link.to_node.name, link.to_socket.identifier)).encode())


def simple_values(node: bpy.types.Node) -> list[tuple[str, object]]:
    """Names and values of what can be set on a node itself."""
    found = []
    for kind in node.bl_rna.properties:
        if kind.type in SIMPLE and not kind.is_readonly and kind.identifier not in COSMETIC:
            value = getattr(node, kind.identifier)
            found.append((kind.identifier, tuple(value) if getattr(kind, "is_array", False) else value))
    return found


def add_image(total: "hashlib._Hash", image: bpy.types.Image) -> None:  # noqa: UP037
    """What it shows: the packed file, unless it was painted on since."""
    if image.packed_file is not None and not image.is_dirty:
        total.update(image.packed_file.data)
        return
    pixels = np.empty(len(image.pixels), np.float32)
    image.pixels.foreach_get(pixels)
    total.update(pixels.tobytes())
