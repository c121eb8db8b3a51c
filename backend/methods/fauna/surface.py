"""The creature's texture: its coat fitted to the photo, then a baked texture freed of the shading.

The photo is baked, divided by the coat's shading, at full resolution; the coat's albedo stands in where neither the photo nor its
mirror image shows the surface.
"""

from __future__ import annotations

import numpy as np
import torch

from backend.methods.fauna.coat import Coat
from backend.methods.fauna.creature import Creature, Parameters
from backend.methods.fauna.evidence import Evidence
from backend.methods.fauna.fit import RENDER_SIZE, clip_of
from backend.methods.request import Request
from backend.render.cpu import rasterize
from backend.texture import bake, fill, unwrap
from backend.types import Camera, Mesh, Progress, Texture

STEPS = 25
"""Of the coat's fit, once the shape stands."""
SHADING_FLOOR = 0.35
"""Photos hold shadows that one lamp cannot explain: shading is never divided by less than this."""


def paint(
    creature: Creature, p: Parameters, evidence: Evidence, coat: Coat, mesh: Mesh, camera: Camera, request: Request, progress: Progress
) -> tuple[Mesh, Texture]:
    """Unwrap, fit the colours, bake the photo at full resolution and fill what it does not show.

    mesh: the final rest mesh; camera: of the whole photo. -> the mesh with UVs, its texture.
    """
    rest = torch.from_numpy(mesh.vertices)
    with torch.no_grad():
        posed, _ = creature.posed(p, rest)
        rotation, translation = creature.camera(p)
        seen_from = posed @ rotation.T + translation
        rast = rasterize(clip_of(seen_from, evidence.focal), creature.faces, (RENDER_SIZE, RENDER_SIZE))
        seen, everywhere = coat.look(rest, seen_from, creature.faces, rast), coat.normals_of(seen_from, creature.faces)
    for step in range(STEPS):
        if step % 5 == 0:
            progress("texture", 0.82 + 0.06 * step / STEPS)
        coat.fit(seen)
    light = coat.mean_shading(seen)
    with torch.no_grad():
        shading = (coat.shading(everywhere) / light).clamp_min(SHADING_FLOOR).numpy()
    progress("texture", 0.88)
    mesh = unwrap(mesh)
    progress("texture", 0.92)
    baked = bake(mesh, np.ascontiguousarray(posed.numpy()), camera, request.image.rgb, request.mask, shading)
    progress("texture", 0.94)
    return mesh, fill(mesh, baked, lambda points: coat.albedo(points, light))
