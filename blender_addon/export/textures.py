"""Pictures as files, for exporters that can't take them from inside a .blend: materials enter, copies of them leave that show files.

The copies go with the export (`copies.KINDS`); the files stay only where they are to lie beside what was exported.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import bpy


def show_files(bodies: Sequence[bpy.types.Object], folder: Path, stem: str) -> list[Path]:
    """Lets the copies' materials show PNG files in `folder`, made of the pictures that are packed or painted -> those files."""
    materials: dict[bpy.types.Material, bpy.types.Material] = {}
    images: dict[bpy.types.Image, bpy.types.Image] = {}
    files = []
    for body in bodies:
        for slot, material in enumerate(body.data.materials):
            if material is None or material.node_tree is None:
                continue
            if material not in materials:
                materials[material] = material.copy()
            body.data.materials[slot] = materials[material]
    for material in materials.values():
        for node in material.node_tree.nodes:
            if node.type != "TEX_IMAGE" or node.image is None or not is_inside(node.image):
                continue
            if node.image not in images:
                path = folder / f"{stem}_{re.sub(r'[^0-9A-Za-z_-]+', '_', node.image.name)}.png"
                write_picture(node.image, path)
                images[node.image] = bpy.data.images.load(str(path))
                files.append(path)
            node.image = images[node.image]
    return files


def is_inside(image: bpy.types.Image) -> bool:
    """Whether the picture is in the .blend, not (only) a file on disk."""
    return image.packed_file is not None or image.source == "GENERATED" or image.is_dirty


def write_picture(image: bpy.types.Image, path: Path) -> None:
    """The picture as a PNG; the bytes themselves where they are one."""
    packed = image.packed_file
    if packed is not None and not image.is_dirty and packed.data[:4] == b"\x89PNG":
        path.write_bytes(packed.data)
        return
    copy = image.copy()
    copy.file_format = "PNG"
    copy.save(filepath=str(path))
    bpy.data.images.remove(copy)
