"""Draws a remeshed half onto the surface it was made from, both ways, so that ears and toes that the remesher cut short grow back.

Enters: the half's vertices and quads, the vertices on its open edge, the surface. Leaves: the vertices moved. x = 0 is the mirror
plane and +X the side that is kept; what lies on the open edge stays on the plane. numpy only.

Each round spreads the vertices evenly within the surface, then moves every quad towards the samples of the surface that are nearest
to it: those reach into a tip, so the quads about it follow.
"""

from __future__ import annotations

import numpy as np

from .surface import Array, Surface, vertex_normals

ROUNDS = 12
LAST_ROUNDS = 4
"""Rounds at the end that only draw: without spreading the samples decide how full the mesh is, not the vertices alone."""
SPREAD = 0.35
"""How far a vertex goes to the middle of its neighbours in a round, along the surface."""
DRAW = 0.7
"""How much of what is missing a round makes up for."""
OFF = 0.25
"""How far off the surface a vertex may end, of an edge's median length: what makes a chord as full as its arc, and no spikes."""
OFF_PLANE = 1e-4
"""Of the surface's size: the least that a vertex beside the open edge is off the plane, on which it would be where its twin is."""
SAMPLES = 6000
"""Points of the surface, beside its vertices, that the quads are drawn to."""


def fit_half(vertices: Array, quads: Array, open_edge: Array, surface: Surface) -> Array:
    """vertices (v, 3), quads (q, 4), open_edge: indices of vertices on x = 0, surface: with x >= 0 alone. -> (v, 3)."""
    samples, facing = sample_surface(surface)
    vertices = np.array(vertices, np.float64)
    vertices[open_edge, 0] = 0.0
    least = OFF_PLANE * float(np.ptp(surface.vertices, axis=0).max())
    pairs = edges_of(quads)
    for number in range(ROUNDS + LAST_ROUNDS):
        if number < ROUNDS:
            folded = np.unique(quads[is_folded(vertices, quads)])
            vertices = spread(vertices, quads, pairs, open_edge, folded)
            keep_right(vertices, open_edge, least)
            laid = np.setdiff1d(np.arange(len(vertices)), folded)  # the surface is what those have to leave first
            vertices[laid] = surface.nearest(vertices[laid], vertex_normals(vertices, quads)[laid]).places
            keep_right(vertices, open_edge, least)
        vertices = vertices + DRAW * draw(vertices, quads, samples, facing)
        keep_right(vertices, open_edge, least)
    near = surface.nearest(vertices, vertex_normals(vertices, quads)).places
    off = np.linalg.norm(vertices - near, axis=1, keepdims=True)
    most = OFF * np.median(np.linalg.norm(vertices[pairs[:, 0]] - vertices[pairs[:, 1]], axis=1))
    vertices = near + (vertices - near) * np.minimum(1.0, most / np.maximum(off, 1e-12))
    keep_right(vertices, open_edge, least)
    return vertices


def keep_right(vertices: Array, open_edge: Array, least: float) -> None:
    """In place: the open edge on the plane, all else on its own side, by `least` at least."""
    np.maximum(vertices[:, 0], least, out=vertices[:, 0])
    vertices[open_edge, 0] = 0.0


def edges_of(quads: Array) -> Array:
    """(e, 2) each edge once, the lower index first."""
    return np.unique(np.sort(np.stack([quads, np.roll(quads, -1, axis=1)], axis=2).reshape(-1, 2), axis=1), axis=0)


def is_folded(vertices: Array, quads: Array) -> Array:
    """(q,) bool: quads that face away from where their corners' surroundings do."""
    corners = vertices[quads]
    facing = np.cross(corners[:, 2] - corners[:, 0], corners[:, 3] - corners[:, 1])
    return (vertex_normals(vertices, quads)[quads].sum(axis=1) * facing).sum(axis=1) <= 0


def spread(vertices: Array, quads: Array, pairs: Array, open_edge: Array, folded: Array) -> Array:
    """Each vertex a step towards the middle of its neighbours, not along its normal; the open edge only along itself. Those of folded
    quads all the way, wherever it leads: so they unfold."""
    total, count = np.zeros_like(vertices), np.zeros(len(vertices))
    on_edge = np.zeros(len(vertices), bool)
    on_edge[open_edge] = True
    # A vertex of the open edge heeds its two neighbours there alone.
    for one, other in ((0, 1), (1, 0)):
        heeded = ~on_edge[pairs[:, one]] | on_edge[pairs[:, other]]
        np.add.at(total, pairs[heeded, one], vertices[pairs[heeded, other]])
        np.add.at(count, pairs[heeded, one], 1)
    step = total / np.maximum(count, 1)[:, None] - vertices
    normals = vertex_normals(vertices, quads)
    along = SPREAD * (step - (step * normals).sum(axis=1, keepdims=True) * normals)
    along[folded] = step[folded]
    return vertices + along


def sample_surface(surface: Surface) -> tuple[Array, Array]:
    """`SAMPLES` points spread by area and as many among the vertices' triangles, always the same ones: (s, 3), and normals (s, 3)."""
    random = np.random.default_rng(0)
    corners = surface.vertices[surface.triangles]
    normals = surface.normals()
    areas = np.linalg.norm(normals, axis=1)
    chosen = random.choice(len(corners), SAMPLES, p=areas / areas.sum())
    shares = random.dirichlet([1.0, 1.0, 1.0], SAMPLES)
    # All corners too: tips are where most is missing.
    points = np.concatenate([corners.reshape(-1, 3), (corners[chosen] * shares[:, :, None]).sum(axis=1)])
    facing = np.concatenate([np.repeat(normals, 3, axis=0), normals[chosen]])
    return points, facing / np.maximum(np.linalg.norm(facing, axis=1, keepdims=True), 1e-12)


def draw(vertices: Array, quads: Array, samples: Array, facing: Array) -> Array:
    """(v, 3) the step that takes each vertex's surroundings to the samples nearest to them that face the same way, (s, 3) each."""
    mesh = Surface(vertices, quads)
    near = mesh.nearest(samples, facing)
    agree = (mesh.normals()[near.triangles] * facing).sum(axis=1) > 0
    near, samples = near.only(agree), samples[agree]
    missing = samples - near.places
    corners = mesh.triangles[near.triangles]
    total, weight = np.zeros_like(vertices), np.zeros(len(vertices))
    for corner in range(3):
        share = near.weights[:, corner]
        np.add.at(total, corners[:, corner], missing * share[:, None])
        np.add.at(weight, corners[:, corner], share)
    return total / np.maximum(weight, 1.0)[:, None]
