"""Which of its meshes a creature wears: the triangles it came as, or the quads made of them.

Both are mesh datablocks for the same object, so modifiers, constraints, actions and materials know nothing of the change. The one
that is worn holds the other as its spare; each names the base colour image that goes with its UVs, and that image is put into our
texture node when the mesh is. Materials are shared: an edit shows on both.
"""

from __future__ import annotations

import bpy

from ..link.errors import LinkError
from ..scene.place import base_image, base_node, own_texture
from .quads import TEXTURE, make_quads

KIND = "menagerie_quads"
"""Custom property of a mesh of quads: how many faces were asked for."""
SPARE = "menagerie_spare"
"""Custom property of the worn mesh: the other one."""


def wears_quads(body: bpy.types.Object) -> bool:
    """Whether the object shows quads of ours now."""
    return body.type == "MESH" and KIND in body.data


def spare_of(body: bpy.types.Object) -> bpy.types.Mesh | None:
    """The mesh that the object could wear instead."""
    spare = body.data.get(SPARE) if body.type == "MESH" else None
    return spare if isinstance(spare, bpy.types.Mesh) else None


def wear(body: bpy.types.Object, other: bpy.types.Mesh) -> None:
    """Puts `other` on and keeps the worn mesh as its spare. Object Mode. Material slots follow, and the texture node's image."""
    if body.data.users > 1:  # a linked duplicate keeps what it wears
        body.data = body.data.copy()
    own_texture(body)
    worn, image = body.data, base_image(body)
    names = [group.name for group in body.vertex_groups]
    if image is not None:
        worn[TEXTURE] = image
    other.materials.clear()
    for material in worn.materials:
        other.materials.append(material)
    other[SPARE] = worn  # before anything lets go of it
    if SPARE in worn:
        del worn[SPARE]
    body.data = other
    if not body.vertex_groups:  # names stand with the mesh; a fresh one has none
        for name in names:
            body.vertex_groups.new(name=name)
    show_texture(other, image)


def show_texture(mesh: bpy.types.Mesh, instead_of: bpy.types.Image | None) -> None:
    """Puts the mesh's own image into every texture node of ours that shows the other mesh's."""
    image = mesh.get(TEXTURE)
    if not isinstance(image, bpy.types.Image):
        return
    for material in mesh.materials:
        node = base_node(material)
        if node is not None and node.image == instead_of:
            node.image = image


def swap(body: bpy.types.Object) -> None:
    """From triangles to quads or back. Raises ValueError where there is no other mesh."""
    spare = spare_of(body)
    if spare is None:
        raise ValueError(f"{body.name} has no other mesh")
    if spare.users > 1:  # a duplicate of the creature has the same spare, or wears it
        spare = spare.copy()
        image = spare.get(TEXTURE)
        if isinstance(image, bpy.types.Image):
            spare[TEXTURE] = image.copy()
    wear(body, spare)


def put_on_quads(context: bpy.types.Context, body: bpy.types.Object, rig: bpy.types.Object, quads: int) -> None:
    """Makes quads of the creature's triangles and puts them on; earlier ones go. Raises as `make_quads`; all is as before then."""
    worn_before = wears_quads(body)
    if worn_before:
        swap(body)
    try:
        made = make_quads(context, body, rig, quads)
    except LinkError:
        if worn_before:
            swap(body)
        raise
    made[KIND] = quads
    drop_spare(body)
    wear(body, made)


def back_to_triangles(body: bpy.types.Object) -> int | None:
    """For good: the quads are removed. -> how many were asked for where the creature wore them, None where it didn't."""
    asked = int(body.data[KIND]) if wears_quads(body) and spare_of(body) is not None else None
    if asked is not None:
        swap(body)
    drop_spare(body)
    return asked


def drop_spare(body: bpy.types.Object) -> None:
    """Forgets the mesh that isn't worn, and removes it and its image where nothing else uses them."""
    spare = spare_of(body)
    if spare is None:
        return
    image = spare.get(TEXTURE)
    del body.data[SPARE]
    if spare.users == 0:
        bpy.data.meshes.remove(spare)
    if isinstance(image, bpy.types.Image) and image.users == 0:
        bpy.data.images.remove(image)
