"""The `fauna` method: one photo of a quadruped -> a rigged, textured, posed asset.

Reads top to bottom: crop, perceive, choose a viewpoint, put the joints where they were seen (`fast` ends there),
explain silhouette and colours (`fine`), rig, texture, place. Object frame and units until `asset.place`.
"""

from __future__ import annotations

import hashlib
import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from backend import VERSION
from backend.asset.place import place
from backend.media.crop import CropCamera, crop_camera, default_focal, to_photo_camera, warp
from backend.methods.fauna.clip.animate import animate, estimate_clip
from backend.methods.fauna.config import BUNDLED
from backend.methods.fauna.fitting import fit as fitting
from backend.methods.fauna.fitting.bare_tail import cover_tail
from backend.methods.fauna.fitting.coat import Coat, vertex_normals
from backend.methods.fauna.fitting.creature import Creature, Parameters
from backend.methods.fauna.fitting.evidence import Evidence, bone_limits, sideways_stiffness
from backend.methods.fauna.fitting.feet import cover_feet
from backend.methods.fauna.fitting.pins import hold_pins, pin
from backend.methods.fauna.fitting.readings import Standing
from backend.methods.fauna.fitting.silhouette import RENDER_SIZE, clip_of, overlap
from backend.methods.fauna.fitting.viewpoint import FLIP, Choice, Solution, choose_view, swap_legs, twin_legs
from backend.methods.fauna.mirror import perceive_twice
from backend.methods.fauna.model import Fauna, Perception
from backend.methods.fauna.networks import WEIGHTS, Networks, load_networks
from backend.methods.fauna.settle import settle
from backend.methods.fauna.shape import TRIANGLES, instance_mesh
from backend.methods.fauna.surface import colour, paint
from backend.methods.request import Request, Result, Viewpoint
from backend.render.cpu import interpolate, rasterize
from backend.rig.rotations import euler_to_matrix, matrix_to_quaternion
from backend.rig.skeleton import build_skeleton, skeleton_points, uncurl_tail
from backend.rig.weights import skin_weights
from backend.types import Asset, Camera, Cost, Image, Pose, Progress
from backend.weights import manifest_hash

__all__ = ["INPUTS", "NAME", "animate", "estimate", "estimate_clip", "run"]

NAME = "fauna"
ABLATIONS = ("", "bank", "articulation", "deformation", "joints", "lifting", "fit")
"""Parts that `run(..., ablate=...)` can switch off: the bank's answer becomes its mean; angles stay at rest; no instance or
free deformation; nothing seen by the joint head; nothing lifted into space; no fit at all, the network's answer as it stands."""
INPUTS = ("photo", "clip")
CROP_FILL = 0.83
"""Share of the square crop that the animal's box fills: the middle of what training saw."""
BACKGROUND = 0.5
"""Grey behind the animal; training uses plain backgrounds of any colour."""
SECONDS = {"fast": 7.0, "fine": 19.0}
"""Of a small photo with alpha."""
SECONDS_PER_MEGAPIXEL, MATTING_SECONDS = 0.165, 2.0
MEMORY_MIB, MEMORY_MIB_PER_MEGAPIXEL = 470.0, 13.0
"""Measured above an idle process: 425 MiB at 0.1 megapixels, 620 at 12, 1041 at 48."""
LARGE_MEGAPIXELS, ENOUGH_MEGAPIXELS = 24, 12
"""What is worth a warning, and a size that the texture can't tell from a larger one."""


def estimate(request: Request) -> Cost:
    """Seconds and memory, as `python -m backend benchmark` finds them on two cores; most of a megapixel's share goes to the mask's
    edges and the overlay."""
    megapixels = request.image.rgb.shape[0] * request.image.rgb.shape[1] / 1e6
    seconds = SECONDS[request.quality] + SECONDS_PER_MEGAPIXEL * megapixels
    if request.image.alpha is None:
        seconds += MATTING_SECONDS
    warnings: tuple[str, ...] = ()
    if megapixels > LARGE_MEGAPIXELS:
        sooner = SECONDS_PER_MEGAPIXEL * (megapixels - ENOUGH_MEGAPIXELS)
        warnings = (f"The photo has {megapixels:.0f} megapixels: a copy of {ENOUGH_MEGAPIXELS} would be done about {sooner:.0f} s sooner.",)
    return Cost(seconds, MEMORY_MIB + MEMORY_MIB_PER_MEGAPIXEL * megapixels, warnings)


def see(
    networks: Networks, image: Image, mask: np.ndarray, crop: CropCamera, code: Tensor | None = None
) -> tuple[Perception, Tensor, Tensor]:
    """-> what the model perceives in the crop, the crop (256, 256, 3) and its mask (256, 256). code: in place of the bank's."""
    size = BUNDLED.image_size
    rgb = warp(image.rgb, crop, size)
    cover = warp(mask, crop, size)
    composed = rgb * cover[..., None] + BACKGROUND * (1 - cover[..., None])
    batch = torch.from_numpy(np.ascontiguousarray(composed, np.float32)).permute(2, 0, 1)[None]
    seen = perceive_twice(networks.model, batch, networks.encoder, code)
    return seen, torch.from_numpy(rgb), torch.from_numpy(np.ascontiguousarray(cover, np.float32))


def run(request: Request, progress: Progress, ablate: str = "") -> Result:
    """One photo -> asset, scores and the four viewpoints. Raises `MenagerieError` and `Cancelled`.

    ablate: one of `ABLATIONS`, for the evaluation only.
    """
    torch.manual_seed(request.seed)
    progress("networks", 0.02)
    networks = load_networks()
    model = networks.model
    height, width = request.mask.shape
    focal = request.image.focal_px or default_focal(width, height, request.mask, CROP_FILL)
    crop = crop_camera(request.mask, (width, height), focal, CROP_FILL)
    progress("see", 0.1)
    code = model.netBase.memory_bank.mean(0, keepdim=True) if ablate == "bank" else None
    with torch.no_grad():
        seen, picture, cover = see(networks, request.image, request.mask, crop, code)
    if ablate == "joints":
        seen = replace(seen, confidence=torch.zeros_like(seen.confidence))
    seen = replace(seen, rest=uncurl_tail(seen.rest[0])[None])
    crop_focal = 1 / math.tan(crop.fov / 2)
    small = torch.nn.functional.adaptive_avg_pool2d(cover[None], RENDER_SIZE)[0]
    limits, sideways = bone_limits(model.template), sideways_stiffness(model.template)
    believed = torch.full_like(seen.confidence[0], 0.0 if ablate in ("joints", "lifting") else 1.0)
    lifted = seen.lifted[0] @ FLIP
    evidence = Evidence(small, seen.seen[0], seen.confidence[0], lifted, believed, crop_focal, limits, sideways)
    if request.swap_legs:
        evidence = swap_legs(model, evidence)
    evidence, heat = pin(evidence, seen.heat[0, twin_legs(model)] if request.swap_legs else seen.heat[0], request.pins, crop)
    progress("viewpoint", 0.15)
    with ThreadPoolExecutor(1) as beside:  # neither needs the other's answer, and most of both runs without Python's lock
        feature = None if ablate == "deformation" else seen.feat_key[0]
        shape = beside.submit(instance_mesh, model, seen.code[0], feature, seen.rest[0], seen.girth[0], TRIANGLES[request.quality])
        choice = choose_view(model, seen, evidence, request, crop_focal / model.focal, ablate)
        progress("shape", 0.2)
        mesh, canonical = shape.result()
    skeleton = build_skeleton(canonical)
    progress("skin", 0.35)
    skin = skin_weights(mesh, skeleton, fitted=False)
    # the skeleton bends straight joints a little: what is fitted is what is shipped
    creature = Creature(model, mesh, skin, torch.from_numpy(skeleton_points(skeleton)), seen.code[0])
    coat = Coat(model, seen.feat_out, picture, cover, RENDER_SIZE)
    fine = request.quality == "fine" and ablate != "fit"
    p, best, evidence = explain(creature, choice, seen, evidence, heat, coat, request, progress, ablate)
    scores = deformation_scores(creature, p, evidence) if fine else {}
    progress("rig", 0.74)
    start = creature
    free = fine and ablate != "deformation"
    with ThreadPoolExecutor(1) as beside:  # colours don't wait for the asset's own mesh, which is the same but for a hair
        colours = beside.submit(colour, creature, p, evidence, coat, fine, free)
        thumbnails = [beside.submit(thumbnail, start, option, seen, crop_focal) for option in choice.options]
        mesh, skeleton, skin, creature, p = settle(creature, p, free, fine)
        shown = colours.result()
    if fine:
        p = fitting.fit(creature, p, evidence, progress, (0.78, 0.82), request.seed, coat, fitting.stages_without(ablate, fitting.LAST))
    p = hold_pins(creature, p, evidence)
    rotation, translation = creature.camera(p)
    pose = Pose(rotations(model, p), np.zeros(3, np.float32))
    camera = Camera(width, height, float(focal), full_camera(crop, rotation, translation))
    progress("texture", 0.82)
    mesh, texture = paint(creature, p, coat, shown, mesh, camera, request, progress)
    asset = place(Asset(request.name, mesh, skeleton, skin, texture, camera, pose, provenance=provenance(request)))
    progress("done", 0.97)
    probability = seen.viewpoints.probability()[0]
    views = tuple(Viewpoint(float(share), picture.result()) for share, picture in zip(probability, thumbnails, strict=True))
    scores |= {"iou": silhouette_iou(creature, p, evidence, False, False), "heading_degrees": heading(rotation)}
    confidence = dict(zip(model.template.points, seen.confidence[0].tolist(), strict=True))
    return Result(asset, scores, views, best, confidence)


def explain(
    creature: Creature, choice: Choice, seen: Perception, evidence: Evidence, heat: Tensor, coat: Coat, request: Request,
    progress: Progress, ablate: str,
) -> tuple[Parameters, int, Evidence]:  # fmt: skip
    """-> the creature's parameters, aligned (`fast`) or fitted (`fine`), the hypothesis kept, and the joints as they were read at last.

    heat: (P, g, g) logits of the joints, on the sides where they are.
    """
    fine, best, options = request.quality == "fine" and ablate != "fit", choice.best, choice.options

    def settle_briefly(q: Parameters, evidence: Evidence) -> Parameters:
        return fitting.fit(creature, q, evidence, progress, (0.38, 0.4), request.seed, coat, fitting.BRIEF) if fine else q

    p = begin(creature, options[best], seen)
    if ablate == "fit":
        return p, best, evidence
    p = fitting.align(creature, p, evidence)
    if ablate != "joints":
        held = ablate == "articulation"
        now = cover_feet(creature, Standing(p, options[best], evidence), heat, seen.girth[0], settle_briefly, held)
        p, options[best], evidence = cover_tail(creature, now, seen.girth[0], settle_briefly, held)
    if fine and choice.rival is not None:
        other = fitting.align(creature, begin(creature, options[choice.rival], seen), evidence)
        p, other = (settle_briefly(q, evidence) for q in (p, other))
        if fitting.mismatch(creature, other, evidence) < fitting.mismatch(creature, p, evidence):
            best, p = choice.rival, other
    if fine:
        p = fitting.fit(creature, p, evidence, progress, (0.4, 0.74), request.seed, coat, fitting.stages_without(ablate))
    elif evidence.pins is not None:
        p = fitting.fit(creature, p, evidence, progress, (0.4, 0.74), request.seed, coat, fitting.ABOUT_PINS)
    return p, best, evidence


def begin(creature: Creature, option: Solution, seen: Perception) -> Parameters:
    """A hypothesis' solution as the parameters that a fit starts from."""
    return creature.start(option.rotation, option.translation, option.angles, option.rest, seen.girth[0])


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


def full_camera(crop: CropCamera, rotation: Tensor, translation: Tensor) -> np.ndarray:
    """The pose found in the crop's camera as the whole photo's camera has it: (4, 4)."""
    pose = np.eye(4)
    u, _, vt = np.linalg.svd(rotation.numpy().astype(np.float64))  # gradient steps leave rounding behind
    pose[:3, :3], pose[:3, 3] = u @ vt, translation.numpy()
    return to_photo_camera(crop, pose)


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
    return {
        "method": NAME,
        "preset": BUNDLED.preset,
        "weights": {name: manifest_hash(name) for name in WEIGHTS},
        "input_sha256": request.image.sha256,
        "mask_sha256": hashlib.sha256((request.mask * 255).astype(np.uint8).tobytes()).hexdigest(),
        "quality": request.quality,
        "seed": request.seed,
        "viewpoint": request.viewpoint,
        "flip_heading": request.flip_heading,
        "swap_legs": request.swap_legs,
        "pins": {name: [float(x) for x in place] for name, place in request.pins.items()},
        "versions": {"menagerie": VERSION, "torch": str(torch.__version__), "numpy": np.__version__},
    }
