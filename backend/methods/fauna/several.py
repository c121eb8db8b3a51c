"""Several photos of one animal -> one creature: one mesh, one skeleton and one texture, in the first photo's pose and camera.

Each photo is seen and stood up by itself (`sight`, `explain`), with a camera, a focal length and a pose of its own; what they say of the
animal is brought together: the bank's code and the rest shape as their mean, girths and more as what all outlines ask for together, the
texture from all that they show. What no photo shows alone, a width or the far side, one of the others may.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import torch

from backend.asset.place import place
from backend.methods.fauna.answer import heading, photo_camera, provenance, rotations, silhouette_iou, thumbnail
from backend.methods.fauna.clip.character import Consensus, Key, agree, begin_alike, fit_together
from backend.methods.fauna.clip.painting import Shot, bake_shot
from backend.methods.fauna.explain import stand_up
from backend.methods.fauna.fitting import fit as fitting
from backend.methods.fauna.fitting.creature import Creature
from backend.methods.fauna.fitting.evidence import Evidence
from backend.methods.fauna.fitting.fit import SHAPE, STAGES, VIEW, Stage
from backend.methods.fauna.fitting.pins import hold_pins
from backend.methods.fauna.fitting.viewpoint import Solution, choose_view, solve_joints
from backend.methods.fauna.networks import load_networks
from backend.methods.fauna.settle import settle
from backend.methods.fauna.shape import TRIANGLES, instance_mesh
from backend.methods.fauna.sight import Sight, look_at
from backend.methods.request import Request, Result, Sighting, Viewpoint
from backend.rig.skeleton import build_skeleton, skeleton_points
from backend.rig.weights import skin_weights
from backend.texture import fill, unwrap
from backend.types import Asset, Mesh, Pose, Progress, Skeleton, Skin, Texture

SOLVED = 60
"""Steps of the joints of all photos for the proportions that they have in common."""
FAST = (Stage(20, VIEW | {"points": 0.008, "girth": 0.03}, code=False, free=False, colour=False),)
FINE = (
    Stage(80, VIEW | SHAPE, code=True, free=False, colour=False),
    Stage(40, STAGES[-1].rates, code=True, free=True),
)
"""Steps of the fit to all photos, for each of them."""


def each_alone(request: Request) -> list[Request]:
    """A request for each photo. What a person chose is about the first."""
    first = replace(request, others=())
    plain = replace(first, viewpoint=None, flip_heading=False, swap_legs=False, pins={})
    return [first, *(replace(plain, image=other.image, mask=other.mask) for other in request.others)]


def run_several(request: Request, progress: Progress) -> Result:
    """One creature from all photos. Raises `MenagerieError` and `Cancelled`."""
    torch.manual_seed(request.seed)
    progress("networks", 0.02)
    networks = load_networks()
    model = networks.model
    alone = each_alone(request)
    sights = []
    for number, one in enumerate(alone):
        progress("see", 0.05 + 0.07 * number / len(alone))
        sights.append(look_at(networks, one))
    known = agreed(sights)
    sights = [as_agreed(sight, known) for sight in sights]
    fine = request.quality == "fine"
    with ThreadPoolExecutor(1) as beside:
        shape = beside.submit(instance_mesh, model, known.code, known.feature, known.rest, known.girth, TRIANGLES[request.quality])
        choices = []
        for number, (one, sight) in enumerate(zip(alone, sights, strict=True)):
            progress("viewpoint", 0.12 + 0.13 * number / len(alone))
            choices.append(choose_view(model, sight.seen, sight.evidence, one, sight.focal / model.focal, ""))
        progress("shape", 0.25)
        mesh, canonical = shape.result()
    skeleton = build_skeleton(canonical)
    skin = skin_weights(mesh, skeleton, fitted=False)
    creature = Creature(model, mesh, skin, torch.from_numpy(skeleton_points(skeleton)), known.code)
    keys, kept = [], []
    for number, (one, sight, choice) in enumerate(zip(alone, sights, choices, strict=True)):
        progress("skin", 0.3 + 0.1 * number / len(alone))
        coat = sight.coat(networks)
        p, best, evidence = stand_up(creature, choice, sight, coat, one, held_at(progress, 0.3 + 0.1 * number / len(alone)))
        keys.append(Key(number, p, evidence, coat))
        kept.append(best)
    share_shape(creature, keys, known)
    stages = tuple(replace(stage, steps=stage.steps * len(keys)) for stage in (FINE if fine else FAST))
    fit_together(creature, keys, request.seed, progress, (0.4, 0.7), stages)
    progress("rig", 0.7)
    thumbnails = [thumbnail(creature, option, sights[0].seen, sights[0].focal) for option in choices[0].options]
    mesh, skeleton, skin, creature = settle_all(creature, keys, request, progress, (0.72, 0.82))
    mesh, texture = paint_all(creature, keys, sights, alone, mesh, progress, (0.82, 0.97))
    poses = [Pose(rotations(model, key.p), np.zeros(3, np.float32)) for key in keys]
    views = [creature.camera(key.p) for key in keys]
    cameras = [photo_camera(sight, one.mask, *view) for sight, one, view in zip(sights, alone, views, strict=True)]
    loose = Asset(request.name, mesh, skeleton, skin, texture, cameras[0], poses[0], provenance=provenance(request))
    covers = [silhouette_iou(creature, key.p, key.evidence, False, False) for key in keys]
    others = []
    for camera, pose, cover in list(zip(cameras, poses, covers, strict=True))[1:]:
        there = place(replace(loose, camera=camera, photo_pose=pose))
        others.append(Sighting(there.camera, there.photo_pose, cover))
    seen = sights[0].seen
    probability = seen.viewpoints.probability()[0]
    hypotheses = tuple(Viewpoint(float(share), picture) for share, picture in zip(probability, thumbnails, strict=True))
    scores = {"iou": covers[0], "heading_degrees": heading(views[0][0])}
    confidence = dict(zip(model.template.points, seen.confidence[0].tolist(), strict=True))
    return Result(place(loose), scores, hypotheses, kept[0], confidence, tuple(others))


def agreed(sights: list[Sight]) -> Consensus:
    """What all photos say of the animal."""
    seen = [sight.seen for sight in sights]
    columns = ("confidence", "code", "feat_key", "feat_out", "rest", "girth")
    return agree(*(torch.cat([getattr(one, column) for one in seen]) for column in columns))


def as_agreed(sight: Sight, known: Consensus) -> Sight:
    """A photo that shows the animal that all show."""
    return replace(sight, seen=replace(sight.seen, code=known.code[None], rest=known.rest[None], girth=known.girth[None]))


def together(parts: list[Evidence]) -> Evidence:
    """The joints of several photos at once, for `solve_joints`; no pins, which are one photo's."""
    stacked = {name: torch.stack([getattr(part, name) for part in parts]) for name in ("seen", "confidence", "lifted", "lifted_confidence")}
    return replace(parts[0], focal=torch.tensor([part.focal for part in parts]).view(-1, 1, 1), pins=None, **stacked)


def share_shape(creature: Creature, keys: list[Key], known: Consensus) -> None:
    """Proportions and girths that all photos have in common, in place, with each photo's own view and pose for them.

    Proportions are the mean of what each photo's joints ask for; one change solved for all joints at once is no nearer the truth.
    """
    model = creature.model
    weight = torch.stack([key.evidence.confidence.mean() for key in keys])
    points = (torch.stack([key.p.points for key in keys]) * (weight / weight.sum())[:, None]).sum(0)
    rest = creature.rest_points(replace(keys[0].p, points=points))
    starts = [Solution(*creature.camera(key.p), key.p.angles, rest, 0.0) for key in keys]
    solved = solve_joints(model, starts, together([key.evidence for key in keys]), SOLVED)
    if keys[0].evidence.pins is not None:
        solved[:1] = solve_joints(model, solved[:1], keys[0].evidence, SOLVED)
    for key, found in zip(keys, solved, strict=True):
        key.p = creature.start(found.rotation, found.translation, found.angles, found.rest, known.girth)
    begin_alike(creature, keys)


def settle_all(
    creature: Creature, keys: list[Key], request: Request, progress: Progress, span: tuple[float, float]
) -> tuple[Mesh, Skeleton, Skin, Creature]:
    """The asset's own mesh and rig, with every photo's pose in it, in place (`settle`)."""
    fine = request.quality == "fine"
    with torch.no_grad():
        posed = [creature.posed(key.p, creature.rest_vertices(key.p, fine, fine))[0] for key in keys]
    mesh, skeleton, skin, settled, first = settle(creature, keys[0].p, fine, fine)
    low, step = span[0], (span[1] - span[0]) / len(keys)
    for number, (key, target) in enumerate(zip(keys, posed, strict=True)):
        progress("rig", low + step * number)
        key.p = fitting.repose(settled, settled.take_over(key.p), target) if number else first
        if fine:
            part = (low + step * number, low + step * (number + 1))
            key.p = fitting.fit(settled, key.p, key.evidence, progress, part, request.seed, key.coat, fitting.LAST)
    keys[0].p = hold_pins(settled, keys[0].p, keys[0].evidence)
    return mesh, skeleton, skin, settled


def paint_all(
    creature: Creature, keys: list[Key], sights: list[Sight], alone: list[Request], mesh: Mesh, progress: Progress,
    span: tuple[float, float],
) -> tuple[Mesh, Texture]:  # fmt: skip
    """The first photo's colours, below them those of the others, the one that shows most first; -> the mesh with UVs, its texture."""
    mesh = unwrap(mesh)
    baked, light = [], torch.ones(())
    for number, (key, sight, one) in enumerate(zip(keys, sights, alone, strict=True)):
        progress("texture", span[0] + (span[1] - span[0]) * number / (len(keys) + 1))
        rotation, translation = creature.camera(key.p)
        with torch.no_grad():
            posed, _ = creature.posed(key.p, torch.from_numpy(mesh.vertices))
        camera = photo_camera(sight, one.mask, rotation, translation)
        found, own = bake_shot(creature, mesh, Shot(one.image, one.mask, key.coat, posed, rotation, translation, sight.focal, camera))
        baked.append(found)
        light = own if number == 0 else light
    below = sorted(baked[1:], key=lambda found: -float(found.confidence.sum()))
    return mesh, fill(mesh, baked[0], lambda points: keys[0].coat.albedo(points, light), below)


def held_at(progress: Progress, place_: float) -> Progress:
    """For parts that know one photo's bar alone: a bar that stands still and can be stopped."""
    return lambda stage, fraction, preview=None: progress(stage, place_, preview)
