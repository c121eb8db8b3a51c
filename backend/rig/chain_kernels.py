"""Posing bones down their chains on the processor, with the gradient: two loops in place of hundreds of small tensor operations.

A bone's rest frame is (T, h), its rotation in its rest axes R, its parent a. With D = P_a T_a' (the parent's turn in object axes):
    P = D T R,    p = p_a + D (h - h_a);    without a parent  P = T R,  p = h.
The gradients follow from these line by line, children before parents.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numba import njit
from numpy.typing import NDArray
from torch import Tensor


@njit(cache=True, nogil=True)
def _multiply(a, b, out):  # type: ignore[no-untyped-def]
    for i in range(3):
        for j in range(3):
            out[i, j] = a[i, 0] * b[0, j] + a[i, 1] * b[1, j] + a[i, 2] * b[2, j]


@njit(cache=True, nogil=True)
def _multiply_transposed(a, b, out):  # type: ignore[no-untyped-def]
    """a b'"""
    for i in range(3):
        for j in range(3):
            out[i, j] = a[i, 0] * b[j, 0] + a[i, 1] * b[j, 1] + a[i, 2] * b[j, 2]


@njit(cache=True, nogil=True)
def _add_transposed_multiplied(a, b, out):  # type: ignore[no-untyped-def]
    """out += a' b"""
    for i in range(3):
        for j in range(3):
            out[i, j] += a[0, i] * b[0, j] + a[1, i] * b[1, j] + a[2, i] * b[2, j]


@njit(cache=True, nogil=True)
def _pose(rest, rotations, parents, order):  # type: ignore[no-untyped-def]
    """Rest frames (B, b, 3, 4), rotations (B, b, 3, 3), parents and order (b,) -> posed frames (B, b, 3, 4)."""
    posed = np.empty_like(rest)
    delta, turned = np.empty((3, 3), rest.dtype), np.empty((3, 3), rest.dtype)
    for n in range(len(rest)):
        for bone in order:
            above, own = parents[bone], rest[n, bone]
            _multiply(own[:, :3], rotations[n, bone], turned)
            if above < 0:
                posed[n, bone, :, :3] = turned
                posed[n, bone, :, 3] = own[:, 3]
                continue
            _multiply_transposed(posed[n, above][:, :3], rest[n, above][:, :3], delta)
            _multiply(delta, turned, posed[n, bone][:, :3])
            for i in range(3):
                total = posed[n, above, i, 3]
                for j in range(3):
                    total += delta[i, j] * (own[j, 3] - rest[n, above, j, 3])
                posed[n, bone, i, 3] = total
    return posed


@njit(cache=True, nogil=True)
def _pose_gradient(rest, rotations, parents, order, posed, gradient):  # type: ignore[no-untyped-def]
    """gradient (B, b, 3, 4), of the posed frames, is used up -> those of the rest frames (B, b, 3, 4) and the rotations (B, b, 3, 3)."""
    of_rest, of_rotations = np.zeros_like(rest), np.zeros_like(rotations)
    delta, turned, of_turned, of_delta, part = (
        np.empty((3, 3), rest.dtype), np.empty((3, 3), rest.dtype), np.empty((3, 3), rest.dtype), np.empty((3, 3), rest.dtype),
        np.empty((3, 3), rest.dtype),
    )  # fmt: skip
    for n in range(len(rest)):
        for k in range(len(order) - 1, -1, -1):
            bone = order[k]
            above, own, given = parents[bone], rest[n, bone], gradient[n, bone]
            if above < 0:
                of_turned[:] = given[:, :3]
                of_rest[n, bone, :, 3] += given[:, 3]
            else:
                _multiply_transposed(posed[n, above][:, :3], rest[n, above][:, :3], delta)
                _multiply(own[:, :3], rotations[n, bone], turned)
                of_turned[:] = 0
                _add_transposed_multiplied(delta, given[:, :3], of_turned)
                _multiply_transposed(given[:, :3], turned, of_delta)
                for i in range(3):
                    gradient[n, above, i, 3] += given[i, 3]
                    for j in range(3):
                        of_delta[i, j] += given[i, 3] * (own[j, 3] - rest[n, above, j, 3])
                        of_rest[n, bone, j, 3] += delta[i, j] * given[i, 3]
                        of_rest[n, above, j, 3] -= delta[i, j] * given[i, 3]
                _multiply(of_delta, rest[n, above][:, :3], part)
                gradient[n, above, :, :3] += part
                _add_transposed_multiplied(of_delta, posed[n, above][:, :3], of_rest[n, above][:, :3])
            _add_transposed_multiplied(own[:, :3], of_turned, of_rotations[n, bone])
            _multiply_transposed(of_turned, rotations[n, bone], part)
            of_rest[n, bone, :, :3] += part
    return of_rest, of_rotations


class PoseChains(torch.autograd.Function):
    """Rest frames (B, b, 3, 4), rotations (B, b, 3, 3), parents (b,) with -1 for none, an order (b,) in which parents come first
    -> posed frames (B, b, 3, 4). On the processor, contiguous, of one dtype."""

    @staticmethod
    def forward(ctx: Any, rest: Tensor, rotations: Tensor, parents: NDArray[np.int64], order: NDArray[np.int64]) -> Tensor:
        """As the class says."""
        posed = torch.from_numpy(_pose(rest.detach().numpy(), rotations.detach().numpy(), parents, order))
        ctx.save_for_backward(rest, rotations, posed)
        ctx.chains = parents, order
        return posed

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        """The gradients of rest frames and rotations."""
        rest, rotations, posed = (value.detach().numpy() for value in ctx.saved_tensors)
        given = gradients[0].contiguous().numpy().copy()
        of_rest, of_rotations = _pose_gradient(rest, rotations, *ctx.chains, posed, given)
        return torch.from_numpy(of_rest), torch.from_numpy(of_rotations), None, None
