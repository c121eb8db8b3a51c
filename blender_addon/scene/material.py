"""The creature's material: the asset's PNG enters, a packed image on a Principled BSDF leaves."""

from __future__ import annotations

import bpy

from .. import compat
from .asset_file import AssetFile

ROUGHNESS = 0.8


def build_image(asset: AssetFile, name: str) -> bpy.types.Image:
    """The base colour, packed into the .blend as the PNG it is; Blender decodes it when it is first shown."""
    image = bpy.data.images.new(name, *asset.png_size)
    pack_png(image, asset.png)
    return image


def pack_png(image: bpy.types.Image, png: bytes) -> None:
    """Replaces what the image shows by a PNG's bytes."""
    image.source = "FILE"
    image.filepath_raw = ""
    image.pack(data=png, data_len=len(png))
    if image.has_data:
        image.reload()


def build_material(name: str, image: bpy.types.Image) -> bpy.types.Material:
    """A material whose base colour is the image."""
    material = bpy.data.materials.new(name)
    compat.use_material_nodes(material)
    tree = material.node_tree
    shader = next(node for node in tree.nodes if node.type == "BSDF_PRINCIPLED")
    shader.inputs["Roughness"].default_value = ROUGHNESS
    texture = tree.nodes.new("ShaderNodeTexImage")
    texture.name = texture.label = "Base Color"
    texture.location = (shader.location.x - 320, shader.location.y)
    texture.extension = "EXTEND"
    texture.image = image
    tree.links.new(texture.outputs["Color"], shader.inputs["Base Color"])
    return material
