"""Topology of a sampled half grid: one body, no cavity, no handle, changed where it costs least.

Enters: samples (N/2+1, N+1, N+1) of a field, positive inside, the half x >= 0 of a mirrored grid (`tetrahedra`),
negative on the box's faces. Leaves: samples whose marched surface is one closed piece of genus 0.

Marching tetrahedra gives the surface the topology of the set of inside points with the grid's own edges between them.
So handles are mended on points: a set that grows from one point, each new one *simple* (its inside neighbours
form one piece, and its outside ones too), stays a ball (Bertrand 1994; ordered by the field as in
Han, Xu and Prince 2003). A point of Kuhn's grid has 14 neighbours, so that a table of 2^14 answers which are simple.
Points come in mirrored pairs; the two of a pair are never neighbours, and a point on the plane x = 0 sees its
neighbours twice, so that adding both keeps the mirrored whole a ball as well.
"""

from __future__ import annotations

from heapq import heappop, heappush

import numpy as np
from numba import njit
from numpy.typing import NDArray

from backend.types import FloatArray

_POSITIVE = [(c & 1, c >> 1 & 1, c >> 2 & 1) for c in range(1, 8)]
_NEIGHBOURS = [tuple(sign * d for d in offset) for offset in _POSITIVE for sign in (1, -1)]


def _adjacent(a: tuple[int, ...], b: tuple[int, ...]) -> bool:
    """True if a grid edge joins two offsets."""
    return tuple(p - q for p, q in zip(a, b, strict=True)) in set(_NEIGHBOURS)


def _links() -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(2, 14, 3) offsets of a point's neighbours and (2, 14) bit masks of which of them are neighbours of each other;
    row 0 for points off the plane, row 1 on it, where the last four stand for the mirror images of the four before."""
    level = [n for n in _NEIGHBOURS if n[0] == 0]
    front = [n for n in _NEIGHBOURS if n[0] == 1]
    on_plane = level + front + front
    masks = np.zeros((2, 14), dtype=np.int64)
    for row, link in enumerate((_NEIGHBOURS, on_plane)):
        for a in range(14):
            for b in range(14):
                across = row == 1 and (6 <= a < 10 <= b or 6 <= b < 10 <= a)
                if a != b and not across and _adjacent(link[a], link[b]):
                    masks[row, a] |= 1 << b
    return np.array([_NEIGHBOURS, on_plane], dtype=np.int64), masks


LINK_OFFSETS, LINK_MASKS = _links()


def make_ball(values: FloatArray) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Samples of one body without cavity or handle, as near to `values` as can be had cheaply.

    Keeps the largest piece that meets the plane x = 0 and fills its cavities; of cutting all handles at their thinnest
    and filling all of them, does what changes less of the field in sum.
    Returns new values and the mask (same shape) of points that changed sign on the kept piece. Raises
    ValueError if no inside point lies on the plane.
    """
    inside = values > 0
    pieces, count = _label(inside)
    on_plane = np.unique(pieces[0][inside[0]])
    if not len(on_plane):
        raise ValueError("the field holds no shape on its plane of symmetry")
    sizes = np.bincount(pieces.ravel(), minlength=count + 1)
    body = pieces == on_plane[np.argmax(sizes[on_plane])]
    outside, _ = _label(~body)
    body = outside != outside[-1, 0, 0]

    # Only a box around the body matters, with a layer of outside points for the filling to start from.
    index = np.argwhere(body)
    low, high = index.min(0), index.max(0)
    box = (slice(0, high[0] + 2), slice(low[1] - 1, high[1] + 2), slice(low[2] - 1, high[2] + 2))
    field, ball = np.ascontiguousarray(values[box]), np.ascontiguousarray(body[box])
    table = _simple_sets(LINK_MASKS)
    depth = np.abs(field).astype(np.float64)

    seed = np.where(ball[0], field[0], -np.inf)
    started = np.zeros_like(ball)
    started[0].ravel()[int(np.argmax(seed))] = True
    cut = _grow(started, ball, depth, LINK_OFFSETS, table)

    chosen = cut
    if not np.array_equal(cut, ball):
        shell = np.ones_like(ball)
        shell[:-1, 1:-1, 1:-1] = False
        filled = ~_grow(shell, ~ball, depth, LINK_OFFSETS, table)
        if np.abs(field[filled != ball]).sum() < np.abs(field[cut != ball]).sum():
            chosen = filled
    result = np.where(body, np.abs(values), -np.abs(values))
    mended = np.zeros_like(body)
    mended[box] = chosen != ball
    # As far from zero as the points along the surface are: the new faces then lie well away from grid points.
    typical = np.float32(np.median(np.abs(field[ball & ~_eroded(ball)])))
    result[mended] = np.where(body[mended], -typical, typical)
    result[(values <= 0) & body & ~mended] = typical
    return np.ascontiguousarray(result, dtype=np.float32), mended


def _eroded(ball: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Points of a set all of whose six axis neighbours are in it (off the array's far faces)."""
    inner = ball.copy()
    for axis in range(3):
        for step in (1, -1):
            inner &= np.roll(ball, step, axis)
    return inner


@njit(cache=True, nogil=True)
def _label(inside):  # type: ignore[no-untyped-def]
    """Pieces of the points where `inside` holds: (labels from 1, 0 elsewhere; how many). Kuhn's 14 neighbours."""
    ni, nj, nk = inside.shape
    labels = np.zeros((ni, nj, nk), np.int32)
    stack = np.empty((inside.size, 3), np.int32)
    count = 0
    for i in range(ni):
        for j in range(nj):
            for k in range(nk):
                if not inside[i, j, k] or labels[i, j, k]:
                    continue
                count += 1
                labels[i, j, k] = count
                stack[0, 0], stack[0, 1], stack[0, 2] = i, j, k
                top = 1
                while top:
                    top -= 1
                    a, b, c = stack[top, 0], stack[top, 1], stack[top, 2]
                    for corner in range(1, 8):
                        for sign in (-1, 1):
                            p = a + sign * (corner & 1)
                            q = b + sign * (corner >> 1 & 1)
                            r = c + sign * (corner >> 2 & 1)
                            if p < 0 or q < 0 or r < 0 or p >= ni or q >= nj or r >= nk:
                                continue
                            if inside[p, q, r] and not labels[p, q, r]:
                                labels[p, q, r] = count
                                stack[top, 0], stack[top, 1], stack[top, 2] = p, q, r
                                top += 1
    return labels, count


@njit(cache=True, nogil=True)
def _one_piece(chosen, masks):  # type: ignore[no-untyped-def]
    """True if a set of link points, as bits, is not empty and connected."""
    if chosen == 0:
        return False
    reached = chosen & -chosen
    before = 0
    while reached != before:
        before = reached
        for a in range(14):
            if reached >> a & 1:
                reached |= masks[a] & chosen
    return reached == chosen


@njit(cache=True, nogil=True)
def _simple_sets(masks):  # type: ignore[no-untyped-def]
    """(2, 2^14) bool: for each set of inside neighbours, whether the point may change sides."""
    table = np.zeros((2, 1 << 14), np.bool_)
    for row in range(2):
        for chosen in range(1 << 14):
            table[row, chosen] = _one_piece(chosen, masks[row]) and _one_piece(((1 << 14) - 1) ^ chosen, masks[row])
    return table


@njit(cache=True, nogil=True)
def _grow(started, allowed, priority, offsets, table):  # type: ignore[no-untyped-def]
    """Adds simple points of `allowed` to `started`, the highest priority first, until none is left to add."""
    ni, nj, nk = started.shape
    grown = started.copy()
    waiting = started.copy()  # whether a point stands in the queue
    queue = [(0.0, 0)]
    queue.pop()
    for i in range(ni):
        for j in range(nj):
            for k in range(nk):
                if started[i, j, k]:
                    _push_neighbours(queue, i, j, k, waiting, allowed, priority, offsets)
    while len(queue):
        _, at = heappop(queue)
        i, j, k = at // (nj * nk), at // nk % nj, at % nk
        waiting[i, j, k] = False
        row = 1 if i == 0 else 0
        chosen = 0
        for n in range(14):
            p, q, r = i + offsets[row, n, 0], j + offsets[row, n, 1], k + offsets[row, n, 2]
            if grown[p, q, r]:  # never beyond the array: its far faces are either all in from the start or never allowed
                chosen |= 1 << n
        if table[row, chosen]:
            grown[i, j, k] = True
            waiting[i, j, k] = True
            _push_neighbours(queue, i, j, k, waiting, allowed, priority, offsets)
    return grown


@njit(cache=True, nogil=True)
def _push_neighbours(queue, i, j, k, waiting, allowed, priority, offsets):  # type: ignore[no-untyped-def]
    """Queues the points next to a new one that may still be added."""
    ni, nj, nk = waiting.shape
    for n in range(14):
        p, q, r = i + offsets[0, n, 0], j + offsets[0, n, 1], k + offsets[0, n, 2]
        if 0 <= p < ni and 0 <= q < nj and 0 <= r < nk and allowed[p, q, r] and not waiting[p, q, r]:
            waiting[p, q, r] = True
            heappush(queue, (-priority[p, q, r], (p * nj + q) * nk + r))
