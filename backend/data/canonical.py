"""Every rest shape brought onto one mean skeleton: what the base SDF learns.

Enters a figure, its log girths over the mean's (see `girths`) and the mean's points; leaves the figure's rest skin there. A shape's
bones are carried onto the mean's, stretched along themselves to the mean's length and across to the mean's girth, and its skin follows
by the template weights. Legs and necks then lie in one place in all species, equally thick, so that a blend of shape codes keeps them;
proportions and girths are the rest-shape head's business.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from backend.data import variety
from backend.data.stage import Figure
from backend.rig.kinematics import rest_frames
from backend.rig.proportions import carry_bones
from backend.rig.template import load_quadruped
from backend.types import FloatArray


def stretch_onto(mean: FloatArray, points: FloatArray, girths: FloatArray) -> NDArray[np.float64]:
    """Rest points (42, 3) of the mean and of a shape, its log girths (b, 2) over the mean's -> (b, 4, 4) affine matrices that carry
    the shape's bones onto the mean's."""
    template = load_quadruped()
    both = torch.from_numpy(np.stack([mean, points]).astype(np.float64))
    frames = rest_frames(both)  # (2, b, 4, 4)
    length = (both[:, template.tail_points] - both[:, template.head_points]).norm(dim=2).numpy()  # (2, b)
    ratio = length[0] / np.maximum(length[1], 1e-6)
    ratio[template.parents < 0] = 1
    return carry_bones(frames[1], frames[0], torch.from_numpy(ratio), torch.from_numpy(-girths.astype(np.float64))).numpy()


def canonical_vertices(mean: FloatArray, figure: Figure, girths: FloatArray) -> FloatArray:
    """The figure's rest vertices (v, 3) on the mean skeleton, with the mean's girths; girths (b, 2): the figure's own over those."""
    return variety.stretch_vertices(stretch_onto(mean, figure.points, girths), figure.stage.influence, figure.vertices)
