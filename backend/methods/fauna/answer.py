"""What a finished fit says to the outside: the photo's camera and pose as the asset has them, pictures and scores."""

from __future__ import annotations

import hashlib
import math

import numpy as np
import torch
from torch import Tensor

from backend import VERSION
from backend.media.crop import to_photo_camera
from backend.methods.fauna.config import BUNDLED
from backend.methods.fauna.explain import begin
from backend.methods.fauna.fitting import fit as fitting
from backend.methods.fauna.fitting.coat import vertex_normals
from backend.methods.fauna.fitting.creature import Creature, Parameters
from backend.methods.fauna.fitting.evidence import Evidence
from backend.methods.fauna.fitting.silhouette import clip_of, overlap
from backend.methods.fauna.fitting.viewpoint import Solution
from backend.methods.fauna.model import Fauna, Perception
from backend.methods.fauna.networks import WEIGHTS
from backend.methods.fauna.sight import Sight
from backend.methods.request import Request
from backend.render.cpu import interpolate, rasterize
from backend.rig.rotations import euler_to_matrix, matrix_to_quaternion
from backend.types import Camera, Mask
from backend.weights import manifest_hash


def thumbnail(creature: Creature, option: Solution, seen: Perception, focal: float) -> np.ndarray:
    """(96, 96, 3) uint8: the unfitted creature as one hypothesis sees it, lit from the camera."""
    with torch.no_grad():
        p = begin(creature, option, seen)
        posed, _ = creature.posed(p, creature.rest_vertices(p, use_code=False, use_free=False))
        camera = posed @ option.rotation.T + option.translation
        light = (-vertex_normals(camera, creature.faces)[:, 2:]).clamp_min(0) * 0.7 + 0.3  # (V, 1)
        rast = rasterize(clip_of(camera, focal), creature.faces, (96, 96))
        grey = interpolate(light[None].contiguous(), rast, creature.faces)[0]
        picture = torch.where(rast[0, ..., 3:] > 0, grey * 210, torch.tensor(40.0)).expand(-1, -1, 3)
    return picture.clamp(0, 255).to(torch.uint8).numpy()


def heading(rotation: Tensor) -> float:
    """Degrees of the body axis on the ground as seen: 0 faces the photo's right, 90 the viewer (OpenCV camera frame)."""
    return math.degrees(math.atan2(-float(rotation[2, 2]), float(rotation[0, 2]))) % 360


def photo_camera(sight: Sight, mask: Mask, rotation: Tensor, translation: Tensor) -> Camera:
    """The pose found in the crop's camera as the whole photo's camera has it. mask: (h, w) of the photo."""
    pose = np.eye(4)
    u, _, vt = np.linalg.svd(rotation.numpy().astype(np.float64))  # gradient steps leave rounding behind
    pose[:3, :3], pose[:3, 3] = u @ vt, translation.numpy()
    height, width = mask.shape
    return Camera(width, height, sight.focal_px, to_photo_camera(sight.crop, pose))


def rotations(model: Fauna, p: Parameters) -> np.ndarray:
    """(b, 4) wxyz of all bones in template order, the root at rest."""
    local = matrix_to_quaternion(euler_to_matrix(p.angles))
    out = torch.zeros(len(model.template.bones), 4)
    out[:, 0] = 1
    out[[i for i, bone in enumerate(model.template.bones) if bone.deform]] = local
    return out.numpy()


def silhouette_iou(creature: Creature, p: Parameters, evidence: Evidence, use_code: bool, use_free: bool) -> float:
    """Overlap of the posed creature's silhouette with the mask, in the crop."""
    with torch.no_grad():
        cover, _ = fitting.seen_as(creature, p, evidence, use_code, use_free)
        return float(overlap((cover > 0.5).float(), (evidence.mask > 0.5).float()))


def deformation_scores(creature: Creature, p: Parameters, evidence: Evidence) -> dict[str, float]:
    """What the free deformation does: the overlap it adds, and its RMS over the body length (withers to tail base)."""
    with_it, without = (silhouette_iou(creature, p, evidence, True, free) for free in (True, False))
    with torch.no_grad():
        points, names = creature.rest_points(p), creature.model.template.points
        length = (points[names.index("withers")] - points[names.index("tail0")]).norm()
        rms = creature.free_offset(p).square().sum(-1).mean().sqrt() / length
    return {"deformation_gain": with_it - without, "deformation_rms": float(rms)}


def provenance(request: Request) -> dict[str, object]:
    """What made the asset: no time, path or machine. versions: bits may differ with any of them."""
    made: dict[str, object] = {
        "method": "fauna",
        "preset": BUNDLED.preset,
        "weights": {name: manifest_hash(name) for name in WEIGHTS},
        "input_sha256": request.image.sha256,
        "mask_sha256": mask_hash(request.mask),
        "quality": request.quality,
        "seed": request.seed,
        "viewpoint": request.viewpoint,
        "flip_heading": request.flip_heading,
        "swap_legs": request.swap_legs,
        "pins": {name: [float(x) for x in place] for name, place in request.pins.items()},
        "versions": {"menagerie": VERSION, "torch": str(torch.__version__), "numpy": np.__version__},
    }
    if request.others:
        made["others"] = [{"input_sha256": other.image.sha256, "mask_sha256": mask_hash(other.mask)} for other in request.others]
    return made


def mask_hash(mask: Mask) -> str:
    """sha256 of a mask in 256 steps."""
    return hashlib.sha256((mask * 255).astype(np.uint8).tobytes()).hexdigest()
