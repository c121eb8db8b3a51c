"""The instance's mesh on the canonical skeleton: bank code -> base surface -> clean mesh -> deformation -> bones inside it.

Object frame, object units; everything mirrored across x = 0.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from backend.methods.fauna.fields import displace
from backend.methods.fauna.model import Fauna
from backend.rig.embed import embed_points
from backend.shape.cleanup import clean
from backend.shape.extract import extract
from backend.types import FloatArray, Mesh

CELLS = 128
"""Cells an axis of the +-3.5 box."""
LIPSCHITZ = 2.5
"""Bound on the trained field's slope that rules cells out; measured on the bundled codes, with a margin."""
TRIANGLES = 8000


def category_mesh(model: Fauna, code: Tensor) -> Mesh:
    """The base surface of a code (code_dim,), cleaned."""

    def distance(points: Tensor) -> Tensor:
        with torch.inference_mode():
            return model.netBase.netShape(points[None], code[None])[0]

    surface = extract(distance, CELLS, LIPSCHITZ, model.config.half_extent)
    return clean(surface, distance, TRIANGLES)


def instance_mesh(model: Fauna, code: Tensor, feature: Tensor | None) -> tuple[Mesh, FloatArray]:
    """-> the instance's mesh on the canonical skeleton and that skeleton's points (P, 3), pulled inside it.

    No feature: no instance deformation.
    """
    mesh = category_mesh(model, code)
    with torch.no_grad():
        moved = x = torch.from_numpy(mesh.vertices)[None]
        if feature is not None:
            moved = x + displace(model.netInstance.netDeform, x, feature[None], model.config.deformation_scale)
    assert mesh.mirror is not None
    vertices = moved[0].numpy()
    twin = vertices[mesh.mirror] * np.array([-1, 1, 1], np.float32)
    vertices = np.ascontiguousarray((vertices + twin) / 2, np.float32)  # mirrored to the last bit
    vertices[mesh.mirror == np.arange(len(vertices)), 0] = 0
    mesh = replace(mesh, vertices=vertices)
    assert isinstance(model.canonical, Tensor)
    return mesh, embed_points(mesh, model.canonical.numpy())
