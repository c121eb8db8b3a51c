"""The creature's texture: its coat fitted to the photo, then a baked texture freed of the shading.

The photo is baked, divided by the coat's shading, at full resolution; the coat's albedo stands in where neither the photo nor its
mirror image shows the surface.
"""

from __future__ import annotations

import numpy as np
import torch

from backend.methods.fauna.fitting.coat import Coat, Seen
from backend.methods.fauna.fitting.creature import Creature, Parameters
from backend.methods.fauna.fitting.evidence import Evidence
from backend.methods.fauna.fitting.silhouette import RENDER_SIZE, clip_of
from backend.methods.request import Request
from backend.render.cpu import rasterize
from backend.texture import bake, fill, unwrap
from backend.types import Camera, Mesh, Progress, Texture

STEPS = 25
"""Of the coat's fit, once the shape stands."""
SHADING_FLOOR = 0.35
"""Photos hold shadows that one lamp cannot explain: shading is never divided by less than this."""


def colour(creature: Creature, p: Parameters, evidence: Evidence, coat: Coat, use_code: bool, use_free: bool) -> Seen:
    """Fit the coat to what the picture shows of the posed creature -> what that is."""
    with torch.no_grad():
        rest = creature.rest_vertices(p, use_code, use_free)
        posed, _ = creature.posed(p, rest)
        rotation, translation = creature.camera(p)
        seen_from = posed @ rotation.T + translation
        rast = rasterize(clip_of(seen_from, evidence.focal), creature.faces, (RENDER_SIZE, RENDER_SIZE))
        seen = coat.look(rest, seen_from, creature.faces, rast)
    for _ in range(STEPS):
        coat.fit(seen)
    return seen


def paint(
    creature: Creature, p: Parameters, coat: Coat, seen: Seen, mesh: Mesh, camera: Camera, request: Request, progress: Progress
) -> tuple[Mesh, Texture]:
    """Unwrap, bake the photo at full resolution and fill what it does not show.

    seen: what the coat was fitted to; mesh: the final rest mesh; camera: of the whole photo. -> the mesh with UVs, its texture.
    """
    light = coat.mean_shading(seen)
    with torch.no_grad():
        posed, _ = creature.posed(p, torch.from_numpy(mesh.vertices))
        rotation, translation = creature.camera(p)
        normals = coat.normals_of(posed @ rotation.T + translation, creature.faces)
        shading = (coat.shading(normals) / light).clamp_min(SHADING_FLOOR).numpy()
    mesh = unwrap(mesh)
    progress("texture", 0.9)
    baked = bake(mesh, np.ascontiguousarray(posed.numpy()), camera, request.image.rgb, request.mask, shading)
    progress("texture", 0.93)
    return mesh, fill(mesh, baked, lambda points: coat.albedo(points, light))
