"""The settled creature follows the clip: its silhouettes are compared with the masks, its joints with those seen, its skin's steps with
the optical flow, while the curves stay smooth and feet that stand stay where they are.

Enters: a settled `Creature`, `Looks`, a `Track`, and what is known of the feet. Leaves: a `Track` of that creature. Each step compares the
silhouettes of some frames, in turn, and everything else of all.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from backend.methods.descent import Adam
from backend.methods.fauna.clip.drift import SkinDrift
from backend.methods.fauna.clip.looks import Looks
from backend.methods.fauna.clip.posed import Posed
from backend.methods.fauna.clip.track import Curves, Ground, Kept, Told, Track, in_crops, pace_of, pose_terms, unsteadiness
from backend.methods.fauna.clip.views import evidence_of
from backend.methods.fauna.fitting.evidence import inscribed_balls, joint_residual, legs_inside, lifted_residual, project
from backend.methods.fauna.fitting.fit import INSIDE
from backend.methods.fauna.fitting.silhouette import RENDER_SIZE, MaskTarget, picture, preview

JOINTS, LIFTED = 1.0, 0.1
"""Weights of the points seen and of those lifted against the overlap."""
BELIEFS = 0.4
"""Weight of what is believed of poses and of smoothness, as `track` has them, against the overlap."""
SKIN = 2.0
"""Weight of the skin's steps off the flow, likewise."""
MISSED, STRAY, UNCOVERED = 8.0, 20.0, 80.0
AT_ONCE = 4
"""Every how-manieth frame's silhouette a step compares."""
RATES = 0.006, 0.015
"""Of the view's knots, and of the angles."""
FADE = 0.9
"""Share of them that is lost by the last step."""


def follow(
    posed: Posed, looks: Looks, track: Track, times: NDArray[np.float64], steps: int, seed: int, told: Told, ground: Ground | None = None,
    kept: Kept | None = None,
) -> Track:  # fmt: skip
    """`track`, from any creature alike, as this one's; times (t,) seconds. told: called with the share done and a
    preview; kept: see `Kept`."""
    creature = posed.creature
    template, count = creature.model.template, len(looks)
    evidence = evidence_of(creature.model, looks)
    curves = Curves(times, track.rotation, track.translation)
    bend = track.angles.clone().requires_grad_(True)
    optimizer = Adam([{"params": [*curves.knots.values()], "rate": RATES[0]}, {"params": [bend], "rate": RATES[1]}])
    pace = pace_of(track.angles, template)
    trunk = inscribed_balls(creature.vertices, creature.rest, template)
    limb = creature.dense.argmax(1)
    with torch.no_grad():
        points = posed.points(posed.transforms(bend))
        places = project(points, *in_crops(looks, *curves()), evidence.focal)
    targets = [MaskTarget(looks.mask[k].float() / 255, seed, template, limb, places[k]) for k in range(count)]
    drift = SkinDrift(posed, looks, track, seed)
    order = torch.randperm(count, generator=torch.Generator().manual_seed(seed))
    each = max(1, count // AT_ONCE)
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = group["rate"] * (1 - FADE * step / steps)
        transforms = posed.transforms(bend)
        points = posed.points(transforms)
        view, place = curves()
        rotation, translation = in_crops(looks, view, place)
        seen = (
            JOINTS * joint_residual(project(points, rotation, translation, evidence.focal), evidence)
            + LIFTED * lifted_residual(points, rotation, evidence)
            + BELIEFS * pose_terms(points, bend, evidence, template)
            + INSIDE * legs_inside(points, trunk, template)
        )
        energy = seen.sum() + BELIEFS * unsteadiness(bend, template, pace) + SKIN * drift(transforms, view, place)
        if ground is not None:
            energy = energy + ground(points, view, place)
        if kept is not None:
            energy = energy + kept(bend, view, place)
        some = order[torch.arange(step * each, (step + 1) * each) % count]
        outline = torch.zeros(())
        for k in some.tolist():
            vertices = posed.vertices(transforms[k : k + 1])[0]
            camera = vertices @ rotation[k].T + translation[k]
            focal = float(looks.focal[k])
            coverage = picture(camera, creature.faces, focal, RENDER_SIZE)[1]
            missed, stray, uncovered = targets[k].energy(project(vertices, rotation[k], translation[k], focal), coverage)
            outline = outline + MISSED * missed + STRAY * stray + UNCOVERED * uncovered
        energy = energy + outline * (count / len(some))
        optimizer.zero_grad()
        energy.backward()
        optimizer.step()
        told((step + 1) / steps, preview(coverage, targets[k].mask) if step % 10 == 0 else None)
    with torch.no_grad():
        return Track(*curves(), bend.detach(), creature.rest)
