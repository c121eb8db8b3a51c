"""One texture from several frames: each frame's colours, freed of its own light, by how well it shows the surface.

Enters: the settled creature in its pose of some frames. Leaves: the unwrapped mesh and its texture.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from backend.media.crop import crop_camera
from backend.methods.fauna.clip.looks import CROP_FILL, Looks
from backend.methods.fauna.clip.track import Track, in_crops
from backend.methods.fauna.config import BUNDLED
from backend.methods.fauna.fitting.coat import Coat
from backend.methods.fauna.fitting.creature import Creature
from backend.methods.fauna.fitting.silhouette import RENDER_SIZE, clip_of
from backend.methods.fauna.glances import composed
from backend.methods.fauna.surface import SHADING_FLOOR, STEPS
from backend.methods.request import ClipRequest
from backend.render.cpu import rasterize
from backend.texture import bake, fill, unwrap
from backend.texture.bake import Baked
from backend.texture.texels import Texels
from backend.types import Camera, FloatArray, Image, Mask, Mesh, Progress, Texture

SHARPNESS = 3.0
"""Power of the confidence by which frames are weighed: means of many frames blur what one shows well."""


def paint_from(
    creature: Creature, mesh: Mesh, looks: Looks, track: Track, posed: Tensor, rows: list[int], request: ClipRequest, focal: float,
    progress: Progress, span: tuple[float, float],
) -> tuple[Mesh, Texture]:  # fmt: skip
    """rows: of the looks that are baked; posed (len(rows), V, 3): vertices there, object frame; focal: the clip's, pixels."""
    mesh = unwrap(mesh)
    paint: Paint | None = None
    best, coats = [], []
    for number, row in enumerate(rows):
        progress("texture", span[0] + (span[1] - span[0]) * number / (len(rows) + 1))
        frame = int(looks.numbers[row])
        image, mask = request.clip.read(frame), request.mask(frame)
        crop = crop_camera(mask, (request.clip.width, request.clip.height), focal, CROP_FILL)
        coat = Coat(creature.model, looks.light[[row]], *composed(image, mask, crop, BUNDLED.image_size), RENDER_SIZE)
        rotation, translation = in_crops(looks[[row]], track.rotation[[row]], track.translation[[row]])
        view = np.eye(4, dtype=np.float32)
        view[:3, :3], view[:3, 3] = track.rotation[row].numpy(), track.translation[row].numpy()
        camera = Camera(request.clip.width, request.clip.height, focal, view)
        shot = Shot(image, mask, coat, posed[number], rotation[0], translation[0], float(looks.focal[row]), camera)
        found, light = bake_shot(creature, mesh, shot)
        paint = Paint.none(found.texels) if paint is None else paint
        paint.add(found)
        best.append(float(found.confidence.sum()))
        coats.append((coat, light))
        del found  # it is large, and the next one is made before this name is given to it
    assert paint is not None  # a clip has a key frame
    coat, light = coats[int(np.argmax(best))]
    return mesh, fill(mesh, paint.mixed(), lambda points: coat.albedo(points, light))


@dataclass(frozen=True)
class Shot:
    """One picture of the posed creature. coat: of its crop, fitted by `bake_shot`; posed: (V, 3) object frame; rotation (3, 3),
    translation (3,), focal (half widths): the crop's; camera: the whole picture's."""

    image: Image
    mask: Mask
    coat: Coat
    posed: Tensor
    rotation: Tensor
    translation: Tensor
    focal: float
    camera: Camera


def bake_shot(creature: Creature, mesh: Mesh, shot: Shot) -> tuple[Baked, Tensor]:
    """-> what it says of each texel of the unwrapped mesh, freed of its light, and how much light () that was on average."""
    coat = shot.coat
    with torch.no_grad():
        seen_from = shot.posed @ shot.rotation.T + shot.translation
        rast = rasterize(clip_of(seen_from, shot.focal), creature.faces, (RENDER_SIZE, RENDER_SIZE))
        seen = coat.look(creature.vertices, seen_from, creature.faces, rast)
    for _ in range(STEPS):
        coat.fit(seen)
    light = coat.mean_shading(seen)
    with torch.no_grad():
        shading = (coat.shading(coat.normals_of(seen_from, creature.faces)) / light).clamp_min(SHADING_FLOOR).numpy()
    return bake(mesh, np.ascontiguousarray(shot.posed.numpy()), shot.camera, shot.image.rgb, shot.mask, shading), light


@dataclass
class Paint:
    """What several pictures say of the same n texels, as they come: held one by one, they took more memory than all else.

    color (n, 3): weighted sum; weight (n,): the weights' sum; confidence (n,): the greatest.
    """

    texels: Texels
    color: FloatArray
    weight: FloatArray
    confidence: FloatArray

    @classmethod
    def none(cls, texels: Texels) -> Paint:
        count = len(texels.rows)
        return cls(texels, np.zeros((count, 3), np.float32), np.zeros(count, np.float32), np.zeros(count, np.float32))

    def add(self, one: Baked) -> None:
        """One picture more."""
        weight = one.confidence**SHARPNESS
        self.color += weight[:, None] * one.color
        self.weight += weight
        np.maximum(self.confidence, one.confidence, out=self.confidence)

    def mixed(self) -> Baked:
        """The mean of them all."""
        color = self.color / np.maximum(self.weight, np.float32(1e-9))[:, None]
        return Baked(self.texels, np.asarray(color, np.float32), self.confidence)
