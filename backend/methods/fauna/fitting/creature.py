"""The creature while it is being fitted: a rest mesh, its skin, and the few numbers that shape and pose it.

The rest mesh is changed in three ways, each symmetric: the bank code moves the level set (one Newton step of the
base SDF along its normal), proportions stretch and thicken it bone by bone (rest points and girths), and a smooth
free deformation is added. It is then skinned and seen through the crop's camera. Object frame, object units; camera
frame OpenCV.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from scipy.sparse import identity
from scipy.sparse.linalg import splu
from torch import Tensor

from backend.methods.fauna.fitting.tail import TailFlesh
from backend.methods.fauna.model import Fauna
from backend.rig.kinematics import blend, dense_weights, invert_frames, pose_matrices, rest_frames
from backend.rig.proportions import carry_bones, template_weights
from backend.rig.rotations import euler_to_matrix
from backend.shape.laplacian import adjacency, laplacian
from backend.types import Mesh, Skin

SMOOTHNESS = 40.0
"""Laplacian weight of the free deformation (Nicolet et al. 2021): larger is smoother."""

MARGIN = 0.02
"""Object units: how close to x = 0 a vertex of one side comes before it is slowed."""


def rotation_vector_matrix(vector: Tensor) -> Tensor:
    """(..., 3) axis times angle -> (..., 3, 3), Rodrigues' formula, differentiable at zero."""
    x, y, z = vector.unbind(-1)
    zero = torch.zeros_like(x)
    skew = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).unflatten(-1, (3, 3))
    return torch.linalg.matrix_exp(skew)


def move_camera(rotation: Tensor, translation: Tensor, turn: Tensor, shift: Tensor) -> tuple[Tensor, Tensor]:
    """Object-to-camera pose (..., 3, 3), (..., 3) turned by `turn` (..., 3), an object-frame rotation vector, and moved by `shift`
    (..., 3), as in `Parameters`."""
    depth = translation[..., 2:] * torch.exp(shift[..., 2:])
    plane = translation[..., :2] / translation[..., 2:] + shift[..., :2]
    return rotation @ rotation_vector_matrix(turn), torch.cat([plane * depth, depth], -1)


class SmoothSolve(torch.autograd.Function):
    """(I + s L)^-1 u with a prefactorised symmetric matrix: the same solve backwards."""

    @staticmethod
    def forward(ctx, u: Tensor, solver) -> Tensor:  # type: ignore[no-untyped-def]
        ctx.solver = solver
        return torch.from_numpy(solver.solve(u.detach().numpy().astype(np.float64)).astype(np.float32))

    @staticmethod
    def backward(ctx, grad: Tensor):  # type: ignore[no-untyped-def]
        return torch.from_numpy(ctx.solver.solve(grad.numpy().astype(np.float64)).astype(np.float32)), None


@dataclass
class Parameters:
    """What a fit may move; all start at zero but the first two, `angles`, `points` and `girth`.

    rotation (3, 3), translation (3,): the start's object-to-camera (OpenCV), turned by `turn` (3,) and moved by
    `shift` (3,): x and y in units of depth, z as log depth. angles (n, 3) rad of the deforming bones.
    points (H,): change of the canonical points in half form; girth (n, 2): log thickness along local X and Z; code (C,): change of phi in
    standard deviations of the bank; free (V, 3): source of the smooth free deformation.
    """

    rotation: Tensor
    translation: Tensor
    turn: Tensor
    shift: Tensor
    angles: Tensor
    points: Tensor
    girth: Tensor
    code: Tensor
    free: Tensor


class Creature:
    """A mesh and skin with the model that shaped them. `mirror_bone` maps each deforming bone to its twin.

    settled: the mesh is an asset's own, shaped already, whose tail is where it belongs.
    """

    def __init__(self, model: Fauna, mesh: Mesh, skin_: Skin, rest: Tensor, code: Tensor, settled: bool = False) -> None:
        assert mesh.mirror is not None
        self.model, self.mesh = model, mesh
        self.vertices = torch.from_numpy(mesh.vertices)
        self.faces = torch.from_numpy(mesh.faces)
        self.mirror = torch.from_numpy(mesh.mirror.astype(np.int64))
        count = len(model.template.bones)
        self.dense = dense_weights(torch.from_numpy(skin_.bones.astype(np.int64)), torch.from_numpy(skin_.weights), count)  # (V, b)
        self.rest, self.code = rest, code  # (P, 3), (C,)
        self.code_spread = model.netBase.memory_bank.detach().std(0)  # (C,)
        bones = [bone for bone in model.template.bones if bone.deform]
        names = [bone.name for bone in bones]
        twin = {n: (n[:-1] + ("R" if n[-1] == "L" else "L")) if n.endswith((".L", ".R")) else n for n in names}
        self.mirror_bone = torch.tensor([names.index(twin[n]) for n in names])
        # Proportions undo what brought training's shapes onto the mean skeleton, by weights found in the same way.
        self.influence = torch.from_numpy(template_weights(self.mesh.vertices, self.mesh.faces, self.rest.numpy()))
        self.tail = None if settled else TailFlesh(model.template, self.vertices, self.influence, self.rest)
        self.left = torch.nonzero(self.vertices[:, 0] >= 0)[:, 0]

    def start(self, rotation: Tensor, translation: Tensor, angles: Tensor, rest: Tensor, girth: Tensor) -> Parameters:
        """Parameters at the network's answer; rest (P, 3), girth (n, 2): the regressed rest shape, which proportions the canonical mesh.

        Joints come to lie where they were regressed, whatever brought them inside the canonical mesh: its flesh goes with them.
        """
        fold = self.model.netInstance.netRest.fold
        points = (fold(rest[None]) - fold(self.rest[None]))[0]
        zero = torch.zeros
        return Parameters(
            rotation.clone(), translation.clone(), zero(3), zero(3), angles.clone(), points, girth.clone(),
            zero(len(self.code)), zero(len(self.vertices), 3),
        )  # fmt: skip

    def take_over(self, p: Parameters) -> Parameters:
        """Parameters of this creature at another's view and angles, its shape as it is."""
        zero = torch.zeros
        rotation, translation = (x.detach() for x in self.camera(p))
        return Parameters(
            rotation, translation, zero(3), zero(3), p.angles.clone(), torch.zeros_like(p.points), torch.zeros_like(p.girth),
            zero(len(self.code)), zero(len(self.vertices), 3),
        )  # fmt: skip

    @cached_property
    def level_set(self) -> tuple[Tensor, Tensor]:
        """Base SDF's value (L,) and Newton direction (L, 3) at the vertices of the left half, for the start's code."""
        with torch.enable_grad():
            x = self.vertices[self.left].clone().requires_grad_(True)
            distance = self.model.netBase.netShape(x[None], self.code[None])[0]
            (gradient,) = torch.autograd.grad(distance.sum(), x)
        # outward = -gradient; where the gradient nearly vanishes the step would explode, so its square is bounded below
        return distance.detach(), (-gradient / gradient.square().sum(-1, keepdim=True).clamp_min(0.25)).detach()

    @cached_property
    def solver(self) -> Any:
        """Of the smoothing, as `SmoothSolve` takes it."""
        graph = laplacian(adjacency(self.mesh))
        return splu((identity(len(self.mesh.vertices)) + SMOOTHNESS * graph).tocsc())

    def symmetric(self, offset: Tensor) -> Tensor:
        """(V, 3) -> its mirror-symmetric part (x = 0 on the plane stays on it)."""
        flipped = offset[self.mirror] * offset.new_tensor([-1.0, 1.0, 1.0])
        return (offset + flipped) / 2

    def rest_points(self, p: Parameters) -> Tensor:
        """(P, 3) rest points with the proportions."""
        return self.rest + self.model.netInstance.netRest.unfold(p.points[None])[0]

    def free_offset(self, p: Parameters) -> Tensor:
        """(V, 3) the smooth, symmetric free deformation."""
        return self.symmetric(SmoothSolve.apply(p.free, self.solver))

    def rest_vertices(self, p: Parameters, use_code: bool, use_free: bool) -> Tensor:
        """(V, 3) rest vertices: level set, proportions, free deformation."""
        v = self.vertices
        if use_code:
            before, step = self.level_set
            distance = self.model.netBase.netShape(v[self.left][None], (self.code + p.code * self.code_spread)[None])[0]
            # an inside-positive distance that grew by d moves the surface outward by d
            moved = (distance - before).clamp(-0.3, 0.3)[:, None] * step
            offset = torch.zeros_like(v).index_copy(0, self.left, moved)
            flip = v.new_tensor([-1.0, 1.0, 1.0])
            right = self.mirror[self.left]
            offset = offset.index_copy(0, right, moved * flip)
            on_plane = (v[:, :1].abs() > 1e-6).to(v.dtype)
            # Smoothed: what the bank knows is large shape; a changed code's ripples would crumple the surface.
            v = v + SmoothSolve.apply(offset, self.solver) * torch.cat([on_plane, torch.ones_like(v[:, 1:])], 1)
        girth = torch.cat([torch.zeros(1, 2), (p.girth + p.girth[self.mirror_bone]) / 2])  # the root does not deform
        points = self.rest_points(p)
        shaped = blend(v[None], self.influence, carry_bones(self.rest, points, girth)[None])[0]
        if self.tail is not None:
            shaped = self.tail.follow(shaped, points)
        return self._sided(shaped + self.free_offset(p) if use_free else shaped)

    def _sided(self, vertices: Tensor) -> Tensor:
        """Keep each half on its own side of x = 0: a thigh that thickens meets its twin and does not pass through it."""
        side = torch.sign(self.vertices[:, 0])
        across = vertices[:, 0] * side
        inside = MARGIN * torch.exp((across / MARGIN - 1).clamp(max=0))
        kept = torch.where(across < MARGIN, inside, across) * side
        return torch.cat([kept[:, None], vertices[:, 1:]], 1)

    def camera(self, p: Parameters) -> tuple[Tensor, Tensor]:
        """Object-to-camera rotation (3, 3) and translation (3,), OpenCV."""
        return move_camera(p.rotation, p.translation, p.turn, p.shift)

    def posed(self, p: Parameters, vertices: Tensor) -> tuple[Tensor, Tensor]:
        """Rest vertices (V, 3) -> posed vertices (V, 3) and posed points (P, 3), object frame."""
        points = self.rest_points(p)
        frames = rest_frames(points[None])
        local = torch.cat([torch.eye(3)[None], euler_to_matrix(p.angles)])[None]  # (1, b, 3, 3)
        transforms = pose_matrices(frames, local) @ invert_frames(frames)
        moved = blend(vertices[None], self.dense, transforms)[0]
        return moved, self.pose_rest_points(points, transforms[0])

    def pose_rest_points(self, points: Tensor, transforms: Tensor) -> Tensor:
        """Each point rides on the bone that owns it (`Template.point_bones`): (P, 3) -> (P, 3)."""
        owner = torch.as_tensor(np.asarray(self.model.template.point_bones), dtype=torch.long)
        own = transforms[owner]
        return (own[:, :3, :3] @ points[:, :, None])[..., 0] + own[:, :3, 3]
