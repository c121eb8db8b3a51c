"""The instance's mesh on the canonical skeleton: bank code -> base surface -> clean mesh -> deformation -> bones inside it.

Object frame, object units; everything mirrored across x = 0.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import identity
from scipy.sparse.linalg import splu
from torch import Tensor

from backend.methods.fauna.fields import displace
from backend.methods.fauna.model import Fauna
from backend.rig.apart import lower_shins
from backend.rig.embed import bones_outside, embed_points
from backend.rig.proportions import carry_bones
from backend.rig.skeleton import build_skeleton
from backend.rig.weights import fitted_weights
from backend.shape.checks import intersecting_faces
from backend.shape.cleanup import clean
from backend.shape.extract import SignedDistance, extract
from backend.shape.laplacian import adjacency, laplacian
from backend.shape.untangle import untangle
from backend.types import FloatArray, Mesh, Skeleton, Skin

CELLS = 128
"""Cells an axis of the +-3.5 box."""
LIPSCHITZ = 3.5
"""Bound on the trained field's slope that rules cells out; measured on the bundled codes, with a margin."""
TRIANGLES = {"fast": 5500, "fine": 8000}
"""Of the mesh, by the quality asked for: what is made of it, weights and texture most, takes time by their number."""

SMOOTHNESS = 5.0
"""Laplacian weight of the instance deformation."""

CRACK_CELLS = 3
"""Half the width of gaps that are closed, in cells: legs stand further apart."""

CORE_RADIUS = {"torso": 0.1, "neck and head": 0.07, "tail": 0.035, "leg": 0.05, "jaw": 0.05, "ear": 0.05}
"""Radius of the core about each canonical bone, object units; a grid cell is 0.055."""
HANGING_EAR = 0.2
"""Object units of an ear that are drawn whichever way it points; what stands up is drawn in full. A core as long as a bear's ear or a
zebu's, which lie against the head, would stand off it."""
CORE_BLEND = 0.02

CROSSING_SHARE = 0.003
"""Of a finished mesh's faces, that may cross others."""


TAIL_END = ((2.5, 0.5), (3.0, 0.13), (4.0, 0.06))
"""How thick the last of the tail may be: joint of the tail, radius about it, object units. Tails lay in all ways while shapes were learnt;
mapped onto one, some flesh of theirs still hangs from its end and would be drawn out into a second tip."""
TAIL_FLESH = 0.26
"""How far from the tail's end that flesh reaches; what lies farther off is something else."""


class BoneCore:
    """Thin capsules about the canonical bones: every limb stays whole where the learnt field is thinner than the grid.

    Signed distance, positive inside, of points with x >= 0 (centre and left bones). ear: (2, 3) base and end of this animal's, as
    `canonical_ear` finds them; None: no core for ears, whose mean points nowhere.
    """

    def __init__(self, model: Fauna, ear: Tensor | None = None) -> None:
        assert isinstance(model.canonical, Tensor)
        template, points = model.template, model.canonical
        parts: list[tuple[Tensor, Tensor, str]] = []
        for bone in template.bones:
            if bone.deform and not bone.name.startswith("ear") and not bone.name.endswith(".R"):
                part = "jaw" if bone.name == "jaw" else "leg" if "leg" in bone.group else bone.group
                parts.append((points[template.point_index[bone.head]], points[template.point_index[str(bone.tail)]], part))
        # No bone joins tail and trunk: behind a rump that ends before the tail's base, all of the tail would hang in the air and be lost.
        parts.append((points[template.point_index["pelvis"]], points[template.point_index["tail0"]], "tail"))
        if ear is not None:
            parts += [(points[template.point_index["poll"]], ear[0], "ear"), (ear[0], ear[1], "ear")]
        heads, tails = (torch.stack(ends) for ends in (tuple(part[0] for part in parts), tuple(part[1] for part in parts)))
        self.head, self.along = heads, tails - heads  # (n, 3)
        self.radius = torch.tensor([CORE_RADIUS[part[2]] for part in parts])

    def distance(self, x: Tensor) -> Tensor:
        """(N, 3) -> (N,)."""
        offset = x[:, None] - self.head  # (N, n, 3)
        t = ((offset * self.along).sum(-1) / self.along.square().sum(-1).clamp_min(1e-9)).clamp(0, 1)
        return (self.radius - (offset - t[..., None] * self.along).norm(dim=-1)).amax(-1)


def canonical_ear(model: Fauna, rest: Tensor, girth: Tensor) -> Tensor:
    """Where the left ear of an animal with rest points (P, 3) and log girths (n, 2) begins and ends on the canonical skeleton: (2, 3).

    Proportions carry an ear as it is (`carry_bones`), so it has to point its own way there already.
    """
    template = model.template
    assert isinstance(model.canonical, Tensor)
    base, tip = (template.point_index[name] for name in ("ear_base.L", "ear_tip.L"))
    ear = rest[tip] - rest[base]
    whole = float(ear.norm())
    drawn = min(whole, HANGING_EAR + max(0.0, float(ear[1])))
    carried = carry_bones(model.canonical, rest, torch.cat([torch.zeros(1, 2), girth]))[template.bone_index["ear.L"], :3, :3]
    return model.canonical[base] + torch.stack([torch.zeros(3), torch.linalg.solve(carried, ear * drawn / max(whole, 1e-6))])


def tail_sheath(model: Fauna, x: Tensor) -> Tensor:
    """(N, 3) -> (N,) signed distance, positive inside, of where flesh may be about the tail's end (`TAIL_END`): everywhere else it may."""
    assert isinstance(model.canonical, Tensor)
    chain = model.canonical[[model.template.point_index[f"tail{number}"] for number in range(5)]]  # (5, 3)
    along = chain[1:] - chain[:-1]
    offset = x[:, None] - chain[:-1]  # (N, 4, 3)
    t = ((offset * along).sum(-1) / along.square().sum(-1)).clamp(0, 1)
    nearest, bone = (offset - t[..., None] * along).norm(dim=-1).min(1)
    place = bone + t.gather(1, bone[:, None])[:, 0]
    (first, wide), (second, narrow), (last, tip) = TAIL_END
    early, late = (second - place) / (second - first), (place - second) / (last - second)
    radius = torch.where(early > 0, narrow + (wide - narrow) * early, narrow + (tip - narrow) * late)
    return torch.maximum(radius - nearest, nearest - TAIL_FLESH)


def category_field(model: Fauna, code: Tensor, ear: Tensor | None = None) -> SignedDistance:
    """The base SDF of a code (code_dim,), united with the bones' core (smoothly: polynomial maximum), its tail ended.

    ear: see `BoneCore`.
    """
    core = BoneCore(model, ear)

    def distance(points: Tensor) -> Tensor:
        with torch.inference_mode():
            learnt, least = model.netBase.netShape(points[None], code[None])[0], core.distance(points)
            h = (CORE_BLEND - (learnt - least).abs()).clamp_min(0)
            return torch.minimum(torch.maximum(learnt, least) + h * h / (4 * CORE_BLEND), tail_sheath(model, points))

    return distance


def category_mesh(model: Fauna, code: Tensor, ear: Tensor, triangles: int) -> Mesh:
    """The base surface of a code (code_dim,) with ears (2, 3), cleaned, of about so many triangles."""
    distance = category_field(model, code, ear)
    surface = extract(distance, CELLS, LIPSCHITZ, model.config.half_extent)
    return clean(surface, distance, triangles, CRACK_CELLS)


def instance_mesh(
    model: Fauna, code: Tensor, feature: Tensor | None, rest: Tensor, girth: Tensor, triangles: int
) -> tuple[Mesh, FloatArray]:
    """-> the instance's mesh on the canonical skeleton and that skeleton's points (P, 3), pulled inside it.

    No feature: no instance deformation. rest (P, 3), girth (n, 2): the regressed ones, which tell which way its ears point.
    """
    with torch.no_grad():
        mesh = category_mesh(model, code, canonical_ear(model, rest, girth), triangles)
    if feature is not None:
        with torch.no_grad():
            x = torch.from_numpy(mesh.vertices)[None]
            offset = displace(model.netInstance.netDeform, x, feature[None], model.config.deformation_scale)[0].numpy()
        # Moved each by itself, vertices would fold thin parts, and cross the plane of symmetry, where the x offset jumps.
        mesh = replace(mesh, vertices=mesh.vertices + smoothed(mesh, offset.astype(np.float64)).astype(np.float32))
    mesh = untangle(mesh)
    assert isinstance(model.canonical, Tensor)
    return mesh, embed_points(mesh, model.canonical.numpy())


def smoothed(mesh: Mesh, offset: NDArray[np.float64]) -> NDArray[np.float64]:
    """Offsets (v, 3), mirrored in x, smoothed over the mesh: (I + s L)^-1 offset (Nicolet et al. 2021)."""
    assert mesh.mirror is not None
    result = splu((identity(len(offset)) + SMOOTHNESS * laplacian(adjacency(mesh))).tocsc()).solve(offset)
    return np.asarray((result + result[mesh.mirror] * np.array([-1.0, 1.0, 1.0])) / 2)


def crosses(mesh: Mesh) -> bool:
    """Whether more of its faces cross others than a finished mesh may have."""
    return bool(intersecting_faces(mesh.vertices, mesh.faces).mean() >= CROSSING_SHARE)


def rigged(mesh: Mesh, points: FloatArray) -> tuple[Skeleton, Skin, bool]:
    """Skeleton and weights for this very mesh, of rest points (P, 3) that go inside it, shins below the trunk; and whether all bones lie
    inside and bend as a rig must."""
    skeleton = build_skeleton(lower_shins(mesh, embed_points(mesh, points)))
    skin, report = fitted_weights(mesh, skeleton)
    return skeleton, skin, report.passes() and not bones_outside(mesh, skeleton)
