"""Every rest shape brought onto one mean skeleton: what the base SDF learns.

Enters a figure, its log girths over the mean's (see `girths`) and the mean's points; leaves the figure's rest skin there. Legs and
necks then lie in one place in all species, equally long and thick, so that a blend of shape codes keeps them; proportions and girths are
the rest-shape head's business. What counts is the way back: the method stretches and thickens a canonical shape bone by bone, by weights
that it finds on that shape (`rig.proportions`), and has to arrive at the animal. So the canonical skin is solved for.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from backend.data import variety
from backend.data.stage import Figure
from backend.rig.proportions import carry_bones, template_weights
from backend.types import FloatArray

ROUNDS, STEP, LONGEST_STEP = 16, 0.5, 0.08
"""Of the search for the canonical skin: a vertex moves this share of the way to where its present weights would have it, and no farther
than LONGEST_STEP: where neighbouring bones turn against each other (a curled tail), their blend is nearly singular."""


def carrying_weights(figure: Figure) -> FloatArray:
    """(v, b) the weights that bring the figure's rest skin onto other proportions."""
    return template_weights(figure.vertices, figure.stage.animal.faces, figure.points, figure.stage.index)


def proportion_maps(before: FloatArray, after: FloatArray, girths: FloatArray) -> NDArray[np.float64]:
    """Rest points (42, 3) of two shapes, log girths (b, 2) of the second over the first -> (b, 4, 4) from one onto the other."""
    return carry_bones(*(torch.from_numpy(array.astype(np.float64)) for array in (before, after, girths))).numpy()


def canonical_vertices(mean: FloatArray, figure: Figure, girths: FloatArray) -> FloatArray:
    """The skin (v, 3) on the mean skeleton that the way back brings to the figure's; girths (b, 2): the figure's own over the mean's.

    A fixed point: weights are found on the present skin, and their blended map is inverted at each vertex; of all rounds, each vertex
    keeps the place whose way back came nearest.
    """
    goal = figure.vertices.astype(np.float64)
    skin = variety.stretch_vertices(proportion_maps(figure.points, mean, -girths), carrying_weights(figure), figure.vertices)
    back = proportion_maps(mean, figure.points, girths)
    best, least = skin.copy(), np.full(len(skin), np.inf)
    for _ in range(ROUNDS):
        weights = template_weights(skin, figure.stage.animal.faces, mean, figure.stage.index)
        maps = np.einsum("vb,bij->vij", weights.astype(np.float64), back)
        meant = np.linalg.solve(maps[:, :3, :3], (goal - maps[:, :3, 3])[..., None])[..., 0]
        step = STEP * (meant - skin)
        step *= np.minimum(1, LONGEST_STEP / np.maximum(np.linalg.norm(step, axis=1, keepdims=True), 1e-9))
        missed = np.linalg.norm(np.einsum("vij,vj->vi", maps[:, :3, :3], skin) + maps[:, :3, 3] - goal, axis=1)
        nearer = missed < least
        best[nearer], least[nearer] = skin[nearer], missed[nearer]
        skin = (skin + step).astype(np.float32)
    return best
