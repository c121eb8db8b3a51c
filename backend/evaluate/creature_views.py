"""Pictures of a finished asset: over its photo, from the side, back and front, and its bones; and its posed surface and points.

Everything is made from the asset alone (its own skeleton, skin, pose and camera), as another program would; `exported` gives the asset
as its file holds it.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image as PillowImage
from PIL import ImageDraw

from backend.asset.read import decode_asset
from backend.asset.write import encode_asset
from backend.evaluate.joint_groups import COLOURS, groups_by_point
from backend.evaluate.surfaces import Surface, view_turn
from backend.render.cpu import interpolate, rasterize
from backend.rig import posing
from backend.rig.posing import pose_mesh, skin_transforms
from backend.rig.template import load_quadruped
from backend.types import Asset, ByteArray, Camera

VIEW_SIZE = 224
VIEWS = ((90.0, 12.0), (180.0, 12.0), (35.0, 12.0))
"""Azimuth and elevation, degrees, of the side, back and three-quarter views."""
BONES_VIEW = (65.0, 12.0)
HEADINGS = ("photo", "overlay", "side", "back", "three-quarter", "bones")
"""The pictures of a creature, in their order."""
GREY, FLESH = 90, 185
RIGHT_SHADE = 0.6
"""Brightness of the right side's bones: they lie behind the left's in `BONES_VIEW`."""
SMOOTHING = 4
"""The bones are drawn so many times larger, and reduced."""


def exported(asset: Asset) -> Asset:
    """The asset as a program finds it that reads its file."""
    return decode_asset(encode_asset(asset))


def posed_surface(asset: Asset) -> Surface:
    """The mesh in the photo pose, object frame."""
    return Surface(pose_mesh(asset.mesh, asset.skeleton, asset.skin, asset.photo_pose), asset.mesh.faces)


def posed_points(asset: Asset) -> dict[str, NDArray[np.float64]]:
    """The template's points by name, in the photo pose, object frame."""
    return posing.posed_points(asset.skeleton, asset.photo_pose)


def _draw(
    vertices: NDArray[np.float32], asset: Asset, camera: Camera, background: NDArray[np.uint8], plain: int | None = None
) -> tuple[NDArray[np.bool_], NDArray[np.uint8]]:
    """Softly lit mesh, textured or of one grey, over a background of the camera's size -> coverage, picture."""
    seen = torch.from_numpy(vertices @ camera.object_to_camera[:3, :3].T + camera.object_to_camera[:3, 3])
    z = seen[:, 2:]
    f = 2 * camera.focal_px / torch.tensor([camera.width, camera.height])
    near = float(z.min().clamp_min(1e-2)) * 0.5
    clip = torch.cat([seen[:, :2] * f, (z - 2 * near) * 1.0001, z], -1)[None].contiguous()
    faces = torch.from_numpy(asset.mesh.faces)
    rast = rasterize(clip, faces, (camera.height, camera.width))
    assert asset.mesh.uvs is not None
    corners = torch.from_numpy(asset.mesh.uvs.reshape(-1, 2))  # a corner is a vertex of its own here
    corner_faces = torch.arange(len(corners), dtype=torch.int32).reshape(-1, 3)
    a, b, c = (vertices[asset.mesh.faces[:, i]] for i in range(3))
    normal = np.cross(b - a, c - a)
    smooth = np.zeros_like(vertices)
    for i in range(3):
        np.add.at(smooth, asset.mesh.faces[:, i], normal)
    smooth /= np.maximum(np.linalg.norm(smooth, axis=1, keepdims=True), 1e-12)
    toward = -(smooth @ camera.object_to_camera[:3, :3].T)[:, 2]
    light = (0.55 + 0.45 * np.clip(toward, 0, 1)).astype(np.float32)
    attributes = torch.cat([corners, torch.from_numpy(light[asset.mesh.faces.reshape(-1)])[:, None]], -1)[None].contiguous()
    values = interpolate(attributes, rast, corner_faces)[0].numpy()
    cover = rast[0, ..., 3].numpy() > 0
    size = asset.texture.base_color.shape[0]
    x = np.clip((values[..., 0] * size).astype(int), 0, size - 1)
    y = np.clip(((1 - values[..., 1]) * size).astype(int), 0, size - 1)
    base = asset.texture.base_color[y, x] if plain is None else np.full((*x.shape, 3), plain, np.uint8)
    colour = base * values[..., 2:]
    return cover, np.where(cover[..., None], colour, background).astype(np.uint8)


def overlay_mask(asset: Asset, photo: NDArray[np.uint8]) -> tuple[NDArray[np.bool_], NDArray[np.uint8]]:
    """-> which of the photo's pixels the posed mesh covers, and the mesh drawn half over the photo."""
    cover, drawn = _draw(posed_surface(asset).vertices, asset, asset.camera, photo)
    blend = (0.35 * photo + 0.65 * drawn).astype(np.uint8)
    return cover, np.where(cover[..., None], blend, photo)


def draw_creature(asset: Asset, camera: Camera, background: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The posed creature with its texture, seen by any camera, over a background of the camera's size."""
    return _draw(posed_surface(asset).vertices, asset, camera, background)[1]


def side_views(asset: Asset) -> list[NDArray[np.uint8]]:
    """The posed creature from its left side, from behind, and from the front on its left, on grey."""
    vertices = posed_surface(asset).vertices
    grey = np.full((VIEW_SIZE, VIEW_SIZE, 3), GREY, np.uint8)
    return [_draw(vertices, asset, view_camera(vertices, *view), grey)[1] for view in VIEWS]


def view_camera(vertices: NDArray[np.float32], azimuth: float, elevation: float) -> Camera:
    """A camera of `VIEW_SIZE` pixels that sees all of the posed vertices (v, 3) from there (`surfaces.view_turn`)."""
    middle, size = (vertices.max(0) + vertices.min(0)) / 2, float(np.linalg.norm(np.ptp(vertices, axis=0)))
    pose = np.eye(4, dtype=np.float32)
    pose[:3, :3] = view_turn(azimuth, elevation)
    pose[:3, 3] = -pose[:3, :3] @ middle + np.array([0, 0, 2.2 * size])
    return Camera(VIEW_SIZE, VIEW_SIZE, 2.0 * VIEW_SIZE, pose)


def draw_bones(asset: Asset) -> ByteArray:
    """The posed creature in plain grey with its skeleton seen through it: a line from head to tail of each deforming bone, coloured by
    the group of its tail (`joint_groups`), the right side darker, a dot at the head."""
    vertices = posed_surface(asset).vertices
    camera = view_camera(vertices, *BONES_VIEW)
    background = np.full((VIEW_SIZE, VIEW_SIZE, 3), GREY, np.uint8)
    picture = PillowImage.fromarray(_draw(vertices, asset, camera, background, FLESH)[1])
    picture = picture.resize((VIEW_SIZE * SMOOTHING,) * 2, PillowImage.Resampling.BILINEAR)
    draw = ImageDraw.Draw(picture)
    transforms = skin_transforms(asset.skeleton, asset.photo_pose)
    index = {name: i for i, name in enumerate(asset.skeleton.names)}
    bones = [bone for bone in load_quadruped().bones if bone.deform and bone.name in index]
    for bone in sorted(bones, key=lambda bone: not bone.name.endswith(".R")):  # the right side first: the left lies before it
        b = index[bone.name]
        ends = np.stack([asset.skeleton.heads[b], asset.skeleton.tails[b]])
        x, y = project(ends @ transforms[b][:3, :3].T + transforms[b][:3, 3], camera).T * SMOOTHING
        shade = RIGHT_SHADE if bone.name.endswith(".R") else 1.0
        red, green, blue = (round(c * shade) for c in COLOURS[groups_by_point()[str(bone.tail)]])
        draw.line([(x[0], y[0]), (x[1], y[1])], fill=(red, green, blue), width=2 * SMOOTHING)
        radius = 1.8 * SMOOTHING
        draw.ellipse([x[0] - radius, y[0] - radius, x[0] + radius, y[0] + radius], fill=(red, green, blue))
    return np.asarray(picture.resize((VIEW_SIZE, VIEW_SIZE), PillowImage.Resampling.BOX))


def creature_pictures(asset: Asset, photo: ByteArray, overlay: ByteArray) -> list[ByteArray]:
    """One row of a contact sheet, in the order of `HEADINGS`."""
    return [photo, overlay, *side_views(asset), draw_bones(asset)]


def project(points: NDArray[np.floating], camera: Camera) -> NDArray[np.float64]:
    """Points (n, 3), object frame -> pixels (n, 2)."""
    seen = points @ camera.object_to_camera[:3, :3].T.astype(np.float64) + camera.object_to_camera[:3, 3]
    pixels: NDArray[np.float64] = camera.focal_px * seen[:, :2] / seen[:, 2:] + np.array([camera.width, camera.height]) / 2
    return pixels
