"""One photo as the model sees it: its crop, what is perceived there, and the evidence that a creature is fitted to.

Enters: a photo with its mask. Leaves: a `Sight`; positions and frames as in `fitting.evidence`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from backend.media.crop import CropCamera, crop_camera, default_focal
from backend.methods.fauna.config import BUNDLED
from backend.methods.fauna.fitting.coat import Coat
from backend.methods.fauna.fitting.evidence import Evidence, bone_limits, sideways_stiffness
from backend.methods.fauna.fitting.pins import pin
from backend.methods.fauna.fitting.silhouette import RENDER_SIZE
from backend.methods.fauna.fitting.viewpoint import FLIP, swap_legs, twin_legs
from backend.methods.fauna.glances import PHOTO, composed, perceive
from backend.methods.fauna.model import Perception
from backend.methods.fauna.networks import Networks
from backend.methods.request import Request
from backend.rig.skeleton import uncurl_tail
from backend.types import Image

CROP_FILL = 0.83
"""Share of the square crop that the animal's box fills: the middle of what training saw."""


@dataclass(frozen=True)
class Sight:
    """focal_px: the photo's focal length, known or guessed, pixels; crop: the camera turned to the animal; seen: what is perceived there
    (B = 1); evidence: what a creature is fitted to; heat: (P, g, g) logits of the joints, on the sides where they are; picture: the crop
    (256, 256, 3); cover: its mask (256, 256)."""

    focal_px: float
    crop: CropCamera
    seen: Perception
    evidence: Evidence
    heat: Tensor
    picture: Tensor
    cover: Tensor

    @property
    def focal(self) -> float:
        """The crop's focal length, half widths."""
        return 1 / math.tan(self.crop.fov / 2)

    def coat(self, networks: Networks) -> Coat:
        """Its colours, not yet fitted."""
        return Coat(networks.model, self.seen.feat_out, self.picture, self.cover, RENDER_SIZE)


def see(
    networks: Networks, image: Image, mask: np.ndarray, crop: CropCamera, code: Tensor | None = None
) -> tuple[Perception, Tensor, Tensor]:
    """-> what the model perceives in the crop, the crop (256, 256, 3) and its mask (256, 256). code: in place of the bank's."""
    rgb, cover = composed(image, mask, crop, BUNDLED.image_size)
    return perceive(networks.model, networks.encoder, rgb, cover, PHOTO, code), rgb, cover


def look_at(networks: Networks, request: Request, ablate: str = "") -> Sight:
    """What a request's photo shows. ablate: see `method.run`. Raises `no_animal` for an empty mask."""
    model = networks.model
    height, width = request.mask.shape
    focal = request.image.focal_px or default_focal(width, height, request.mask, CROP_FILL)
    crop = crop_camera(request.mask, (width, height), focal, CROP_FILL)
    code = model.netBase.memory_bank.mean(0, keepdim=True) if ablate == "bank" else None
    with torch.no_grad():
        seen, picture, cover = see(networks, request.image, request.mask, crop, code)
    if ablate == "joints":
        seen = replace(seen, confidence=torch.zeros_like(seen.confidence))
    seen = replace(seen, rest=uncurl_tail(seen.rest[0])[None])
    small = torch.nn.functional.adaptive_avg_pool2d(cover[None], RENDER_SIZE)[0]
    limits, sideways = bone_limits(model.template), sideways_stiffness(model.template)
    believed = torch.full_like(seen.confidence[0], 0.0 if ablate in ("joints", "lifting") else 1.0)
    lifted = seen.lifted[0] @ FLIP
    evidence = Evidence(small, seen.seen[0], seen.confidence[0], lifted, believed, 1 / math.tan(crop.fov / 2), limits, sideways)
    if request.swap_legs:
        evidence = swap_legs(model, evidence)
    evidence, heat = pin(evidence, seen.heat[0, twin_legs(model)] if request.swap_legs else seen.heat[0], request.pins, crop)
    return Sight(float(focal), crop, seen, evidence, heat, picture, cover)
