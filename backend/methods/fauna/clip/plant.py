"""The last of the motion: feet that stand, stand.

Enters: a track that explains the clip, and the ground's term. Leaves: the track changed as little as it takes: points stay near where they
were in the picture, while standing feet keep their places and no joint is bent past its limits.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from backend.methods.descent import Adam
from backend.methods.fauna.clip.looks import Looks
from backend.methods.fauna.clip.posed import Posed
from backend.methods.fauna.clip.track import Curves, Ground, Kept, Told, Track, in_crops, pace_of, unsteadiness
from backend.methods.fauna.clip.views import evidence_of
from backend.methods.fauna.fitting.evidence import limit_excess, project

STEPS = 300
SEEN = 60.0
"""Weight of squared half widths of a point from where it was."""
BENT = 0.1
"""Weight of squared radians from the angles that were."""
FIRM = 20.0
"""Weight of the ground's term over its own weights while silhouettes were compared."""
LIMITS = 10.0
RATES = 0.004, 0.01
"""Of the view's knots, and of the angles."""


def plant(posed: Posed, looks: Looks, track: Track, times: NDArray[np.float64], ground: Ground, kept: Kept | None = None,
          told: Told | None = None) -> Track:  # fmt: skip
    """times (t,) seconds; ground: see `world.Standing`; kept, told: see `track`."""
    evidence = evidence_of(posed.creature.model, looks)
    curves = Curves(times, track.rotation, track.translation)
    bend = track.angles.clone().requires_grad_(True)
    optimizer = Adam([{"params": [*curves.knots.values()], "rate": RATES[0]}, {"params": [bend], "rate": RATES[1]}])
    template = posed.creature.model.template
    pace = pace_of(track.angles, template)
    with torch.no_grad():
        points = posed.points(posed.transforms(track.angles))
        before = project(points, *in_crops(looks, track.rotation, track.translation), evidence.focal)
    for step in range(STEPS):
        for group in optimizer.param_groups:
            group["lr"] = group["rate"] * (1 - 0.9 * step / STEPS)
        points = posed.points(posed.transforms(bend))
        view, place = curves()
        now = project(points, *in_crops(looks, view, place), evidence.focal)
        energy = (
            SEEN * (now - before).square().sum()
            + BENT * (bend - track.angles).square().sum()
            + unsteadiness(bend, template, pace)
            + LIMITS * limit_excess(bend, evidence.limits).sum()
            + FIRM * ground(points, view, place)
        )
        if kept is not None:
            energy = energy + kept(bend, view, place)
        optimizer.zero_grad()
        energy.backward()
        optimizer.step()
        if told is not None:
            told((step + 1) / STEPS, None)
    with torch.no_grad():
        return Track(*curves(), bend.detach(), track.rest)
