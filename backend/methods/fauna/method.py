"""The `fauna` method: one photo of a quadruped -> a rigged, textured, posed asset.

Reads top to bottom: crop, perceive, choose a viewpoint, put the joints where they were seen (`fast` ends there),
explain silhouette and colours (`fine`), rig, texture, place. Object frame and units until `asset.place`.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch

from backend.asset.place import place
from backend.methods.fauna.answer import deformation_scores, heading, photo_camera, provenance, rotations, silhouette_iou, thumbnail
from backend.methods.fauna.clip.animate import animate, estimate_clip
from backend.methods.fauna.explain import explain
from backend.methods.fauna.fitting import fit as fitting
from backend.methods.fauna.fitting.creature import Creature
from backend.methods.fauna.fitting.pins import hold_pins
from backend.methods.fauna.fitting.viewpoint import choose_view
from backend.methods.fauna.networks import load_networks
from backend.methods.fauna.settle import settle
from backend.methods.fauna.several import run_several
from backend.methods.fauna.shape import TRIANGLES, instance_mesh
from backend.methods.fauna.sight import look_at
from backend.methods.fauna.surface import colour, paint
from backend.methods.request import Request, Result, Viewpoint
from backend.rig.skeleton import build_skeleton, skeleton_points
from backend.rig.weights import skin_weights
from backend.types import Asset, Cost, Pose, Progress

__all__ = ["INPUTS", "NAME", "animate", "estimate", "estimate_clip", "run"]

NAME = "fauna"
ABLATIONS = ("", "bank", "articulation", "deformation", "joints", "lifting", "fit")
"""Parts that `run(..., ablate=...)` can switch off: the bank's answer becomes its mean; angles stay at rest; no instance or
free deformation; nothing seen by the joint head; nothing lifted into space; no fit at all, the network's answer as it stands."""
INPUTS = ("photo", "photos", "clip")
SECONDS = {"fast": 7.0, "fine": 19.0}
"""Of a small photo with alpha."""
SECONDS_MORE = {"fast": 5.0, "fine": 14.0}
"""For each further photo of the animal."""
SECONDS_PER_MEGAPIXEL, MATTING_SECONDS = 0.165, 2.0
MEMORY_MIB, MEMORY_MIB_PER_MEGAPIXEL = 470.0, 13.0
"""Measured above an idle process: 425 MiB at 0.1 megapixels, 620 at 12, 1041 at 48."""
LARGE_MEGAPIXELS, ENOUGH_MEGAPIXELS = 24, 12
"""What is worth a warning, and a size that the texture can't tell from a larger one."""


def estimate(request: Request) -> Cost:
    """Seconds and memory, as `python -m backend benchmark` finds them on two cores; most of a megapixel's share goes to the mask's
    edges and the overlay."""
    images = [request.image, *(other.image for other in request.others)]
    sizes = [image.rgb.shape[0] * image.rgb.shape[1] / 1e6 for image in images]
    seconds = SECONDS[request.quality] + SECONDS_PER_MEGAPIXEL * sum(sizes) + SECONDS_MORE[request.quality] * len(request.others)
    seconds += MATTING_SECONDS * sum(image.alpha is None for image in images)
    warnings = []
    for megapixels in sizes:
        if megapixels > LARGE_MEGAPIXELS:
            less, sooner = ENOUGH_MEGAPIXELS, SECONDS_PER_MEGAPIXEL * (megapixels - ENOUGH_MEGAPIXELS)
            warnings.append(f"The photo has {megapixels:.0f} megapixels: a copy of {less} would be done about {sooner:.0f} s sooner.")
    return Cost(seconds, MEMORY_MIB + MEMORY_MIB_PER_MEGAPIXEL * sum(sizes), tuple(warnings))


def run(request: Request, progress: Progress, ablate: str = "") -> Result:
    """One photo -> asset, scores and the four viewpoints. Raises `MenagerieError` and `Cancelled`.

    With others of the same animal: see `several`. ablate: one of `ABLATIONS`, for the evaluation only.
    """
    if request.others:
        return run_several(request, progress)
    torch.manual_seed(request.seed)
    progress("networks", 0.02)
    networks = load_networks()
    model = networks.model
    progress("see", 0.1)
    sight = look_at(networks, request, ablate)
    seen, crop_focal = sight.seen, sight.focal
    progress("viewpoint", 0.15)
    with ThreadPoolExecutor(1) as beside:  # neither needs the other's answer, and most of both runs without Python's lock
        feature = None if ablate == "deformation" else seen.feat_key[0]
        shape = beside.submit(instance_mesh, model, seen.code[0], feature, seen.rest[0], seen.girth[0], TRIANGLES[request.quality])
        choice = choose_view(model, seen, sight.evidence, request, crop_focal / model.focal, ablate)
        progress("shape", 0.2)
        mesh, canonical = shape.result()
    skeleton = build_skeleton(canonical)
    progress("skin", 0.35)
    skin = skin_weights(mesh, skeleton, fitted=False)
    # the skeleton bends straight joints a little: what is fitted is what is shipped
    creature = Creature(model, mesh, skin, torch.from_numpy(skeleton_points(skeleton)), seen.code[0])
    coat = sight.coat(networks)
    fine = request.quality == "fine" and ablate != "fit"
    p, best, evidence = explain(creature, choice, sight, coat, request, progress, ablate)
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
    camera = photo_camera(sight, request.mask, rotation, translation)
    progress("texture", 0.82)
    mesh, texture = paint(creature, p, coat, shown, mesh, camera, request, progress)
    asset = place(Asset(request.name, mesh, skeleton, skin, texture, camera, pose, provenance=provenance(request)))
    progress("done", 0.97)
    probability = seen.viewpoints.probability()[0]
    views = tuple(Viewpoint(float(share), picture.result()) for share, picture in zip(probability, thumbnails, strict=True))
    scores |= {"iou": silhouette_iou(creature, p, evidence, False, False), "heading_degrees": heading(rotation)}
    confidence = dict(zip(model.template.points, seen.confidence[0].tolist(), strict=True))
    return Result(asset, scores, views, best, confidence)
