"""The creature's colour: light and texture field fitted to the photo, then a baked texture freed of the shading.

The texture field (3D-Fauna's netTexture, albedo at a rest point) and the Lambert light explain the crop's pixels
I = albedo (ambient + diffuse max(0, n.l)); the photo itself is then baked, divided by that shading, at full resolution, and the
field stands in where neither the photo nor its mirror image shows the surface.
"""

from __future__ import annotations

import copy
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from backend.methods.descent import Adam
from backend.methods.fauna.creature import Creature, Parameters
from backend.methods.fauna.fit import clip_of
from backend.methods.fauna.model import Fauna, Perception
from backend.methods.request import Request
from backend.render.cpu import interpolate, rasterize
from backend.texture import bake, fill, unwrap
from backend.types import Camera, FloatArray, Mesh, Progress, Texture

RENDER_SIZE = 192
STEPS = {"fast": 25, "fine": 60}
"""Steps of the colour fit by quality."""
SAMPLES = 1500
"""Pixels that one step of the colour fit compares."""
SHADING_FLOOR = 0.35
"""Photos hold shadows that one lamp cannot explain: shading is never divided by less than this."""


def vertex_normals(vertices: Tensor, faces: Tensor) -> Tensor:
    """(V, 3), (F, 3) -> area-weighted unit normals (V, 3)."""
    a, b, c = (vertices[faces[:, i].long()] for i in range(3))
    face = torch.linalg.cross(b - a, c - a)
    total = torch.zeros_like(vertices)
    for i in range(3):
        total = total.index_add(0, faces[:, i].long(), face)
    return functional.normalize(total, dim=-1)


def fit_colour(
    model: Fauna, seen: Perception, creature: Creature, p: Parameters, rest: Tensor, photo: Tensor, cover: Tensor, focal: float, steps: int,
    progress: Progress,
) -> tuple[Callable[[FloatArray], FloatArray], FloatArray]:
    """Fit texture field and light to the crop.

    rest: (V, 3) rest vertices; photo: (S, S, 3) crop in [0, 1]; cover: (S, S) mask; focal in half widths.
    -> (rest points (n, 3) -> albedo (n, 3) in [0, 1]) and each vertex's shading (V,), mean 1 over the seen pixels.
    """
    with torch.no_grad():
        posed, _ = creature.posed(p, rest)
        rotation, translation = creature.camera(p)
    camera = posed @ rotation.T + translation
    rast = rasterize(clip_of(camera, focal), creature.faces, (RENDER_SIZE, RENDER_SIZE))
    normals = vertex_normals(camera, creature.faces) * torch.tensor([1.0, -1.0, -1.0])  # OpenGL camera frame
    attributes = torch.cat([rest, normals], -1)[None].contiguous()
    values = interpolate(attributes, rast, creature.faces)[0]  # (S, S, 6)
    small = functional.adaptive_avg_pool2d(photo.permute(2, 0, 1), RENDER_SIZE).permute(1, 2, 0)
    inside = functional.adaptive_avg_pool2d(cover[None], RENDER_SIZE)[0] > 0.95
    visible = (rast[0, ..., 3] > 0) & inside
    points, normal, colour = values[visible][:, :3], functional.normalize(values[visible][:, 3:], dim=-1), small[visible]

    field = copy.deepcopy(model.netInstance.netTexture).requires_grad_(True)
    feature = seen.feat_out.detach()
    direction, ambient, diffuse = (v[0].clone() for v in model.netInstance.netLight(feature))
    lamp = torch.cat([direction, torch.stack([ambient, diffuse])]).detach().requires_grad_(True)  # (5,)

    def shading(n: Tensor) -> Tensor:
        towards = functional.normalize(lamp[:3], dim=0)
        return lamp[3].clamp(0.2, 1.0) + lamp[4].clamp(0.0, 0.8) * (n @ towards).clamp_min(0)

    optimizer = Adam([{"params": field.parameters(), "lr": 1e-3}, {"params": [lamp], "lr": 2e-2}])
    generator = torch.Generator().manual_seed(0)
    if len(points) > 50:
        for step in range(steps):
            if step % 5 == 0:
                progress("texture", 0.82 + 0.06 * step / steps)
            pick = torch.randint(len(points), (SAMPLES,), generator=generator)
            albedo = field(points[pick][None], feature)[0, :, :3]
            # a coat may change along the body but hardly with the normal: the smoothed albedo carries what light cannot
            error = (albedo * shading(normal[pick])[:, None] - colour[pick]).abs().mean()
            optimizer.zero_grad()
            error.backward()
            optimizer.step()
    with torch.no_grad():
        mean = shading(normal).mean() if len(points) > 50 else torch.ones(())
        vertex_shading = (shading(normals) / mean).clamp_min(SHADING_FLOOR)

    def albedo_at(at: FloatArray) -> FloatArray:
        with torch.no_grad():
            parts = [field(part[None], feature)[0, :, :3] for part in torch.from_numpy(at).split(65536)]
            return np.asarray((torch.cat(parts) * mean).clamp(0, 1))

    return albedo_at, vertex_shading.numpy()


def paint(
    model: Fauna,
    seen: Perception,
    creature: Creature,
    p: Parameters,
    mesh: Mesh,
    camera: Camera,
    request: Request,
    crop: tuple[Tensor, Tensor, float],
    progress: Progress,
) -> tuple[Mesh, Texture]:
    """Unwrap, fit the colours, bake the photo at full resolution and fill what it does not show.

    mesh: the final rest mesh; camera: of the whole photo; crop: picture (S, S, 3), mask (S, S), focal in half widths.
    -> the mesh with UVs, its texture.
    """
    rest = torch.from_numpy(mesh.vertices)
    photo, cover, focal = crop
    albedo_at, shading = fit_colour(model, seen, creature, p, rest, photo, cover, focal, STEPS[request.quality], progress)
    with torch.no_grad():
        posed, _ = creature.posed(p, rest)
    progress("texture", 0.88)
    mesh = unwrap(mesh)
    progress("texture", 0.92)
    baked = bake(mesh, np.ascontiguousarray(posed.numpy()), camera, request.image.rgb, request.mask, shading)
    progress("texture", 0.94)
    return mesh, fill(mesh, baked, albedo_at)
