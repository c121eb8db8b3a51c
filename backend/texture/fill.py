"""Complete a baked texture: the unseen side from symmetry, then from a colour field, then by diffusion along the surface.

Enters: `bake.Baked`. Leaves: `types.Texture` with a colour in every texel, gutters included.

Sources are laid over one another from the least to the most trusted. Each is first matched to what lies over it: the difference
between the two is known where both are, is spread over the rest of the surface as a membrane (the harmonic function on
the mesh, after Perez et al., "Poisson Image Editing", 2003), and is added. So edges between sources meet in colour, and
borders of charts, which mean nothing on the surface, leave no trace. Membranes are solved on vertices: no seams, and fast.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from scipy.ndimage import distance_transform_edt
from scipy.sparse import diags
from scipy.sparse.linalg import splu

from backend.shape.laplacian import adjacency, laplacian
from backend.texture.bake import Baked
from backend.texture.texels import Texels
from backend.types import FloatArray, Mesh, Texture

ColorField = Callable[[FloatArray], FloatArray]
"""(n, 3) rest points in the object frame -> (n, 3) albedo in [0, 1]."""

FEATHER = 8.0
"""Texels over which a source fades in from the edge of what it knows."""
SURE = 0.4
"""Confidence from which on a source hides what lies under it."""
STIFFNESS = 0.02
"""Weight of an edge's difference against a datum in a membrane: data hold, single texels of noise do not."""
FADE = 2e-5
"""Pull of a correction to zero: it ends some body parts away from where it was measured."""
GREY = 0.5
"""What everything is where nothing is known at all."""


def fill(mesh: Mesh, baked: Baked, field: ColorField | None = None, others: Sequence[Baked] = ()) -> Texture:
    """The finished texture.

    mesh: at rest, as unwrapped for `bake`, with `mirror` if symmetry may be used; field: colours for what neither the photo
    nor its mirror image shows, or None: then colours of the neighbourhood are spread; others: what further photos show of the same
    texels, under the photo, each under those before it: their light and their colours are brought to the photo's.
    """
    texels = baked.texels
    membrane = Membrane(mesh, texels)
    photo, seen = baked.color, _feather(texels, baked.confidence)
    for other in others:
        below, shown = other.color, _feather(texels, other.confidence)
        below = membrane.match(below, photo, np.minimum(shown, seen))
        photo, seen = _over(photo, seen, below, shown)
    known, trust = photo, seen
    if mesh.mirror is not None:
        twin, twin_trust = _flipped(texels, photo, seen)
        twin = membrane.match(twin, photo, np.minimum(twin_trust, seen))
        known, trust = _over(photo, seen, twin, twin_trust)
    if field is None:
        under = membrane.spread(known, trust)
    else:
        under = membrane.match(_paint_field(field, mesh, texels), known, trust)
    color = known * trust[:, None] + under * (1 - trust[:, None])
    return Texture(_dilate(texels, np.clip(color, 0, 1)))


class Membrane:
    """Harmonic functions on a mesh's vertices, read from and written to its texels."""

    def __init__(self, mesh: Mesh, texels: Texels) -> None:
        self.texels, self.count = texels, len(mesh.vertices)
        self.laplacian = laplacian(adjacency(mesh))

    def spread(self, values: FloatArray, weights: FloatArray) -> FloatArray:
        """Texel values (n, c) with weights (n,) -> (n, c) smooth over the whole surface, `GREY` if all weights are 0."""
        if float(weights.max(initial=0)) < 1e-3:
            return np.full_like(values, GREY)
        at, data = self.texels.to_vertices(values, weights, self.count)
        mean = (at * data[:, None]).sum(0) / data.sum()
        return self.texels.at(self._solve(at - mean, data) + mean)

    def match(self, values: FloatArray, target: FloatArray, weights: FloatArray) -> FloatArray:
        """values (n, c) moved, smoothly, to agree with target (n, c) where weights (n,) say that both are known."""
        if float(weights.max(initial=0)) < 1e-3:
            return values
        at, data = self.texels.to_vertices(target - values, weights, self.count)
        return np.clip(values + self.texels.at(self._solve(at, data)), 0, 1)

    def _solve(self, values: FloatArray, weights: FloatArray) -> FloatArray:
        system = STIFFNESS * self.laplacian + diags(weights.astype(np.float64) + FADE)
        solved = splu(system.tocsc()).solve(weights[:, None].astype(np.float64) * values)
        return np.asarray(solved, np.float32)


def _paint_field(field: ColorField, mesh: Mesh, texels: Texels) -> FloatArray:
    """The field's colour at each texel (n, 3), asked at vertices and middles of edges only and quadratic between them.

    A network answers some 20,000 points in half a second on two cores, and all texels of a 1024 texture in many seconds.
    """
    sides = np.sort(np.stack([mesh.faces[:, [1, 2]], mesh.faces[:, [2, 0]], mesh.faces[:, [0, 1]]], 1), axis=2)  # (f, 3, 2)
    edges, index = np.unique(sides.reshape(-1, 2), axis=0, return_inverse=True)
    points = np.concatenate([mesh.vertices, mesh.vertices[edges].mean(1)]).astype(np.float32)
    colors = np.clip(field(points), 0, 1).astype(np.float32)
    middles = (index.reshape(-1, 3) + len(mesh.vertices))[texels.face]  # (n, 3), each opposite to its corner
    painted = np.zeros((len(texels.rows), 3), np.float32)
    for k in range(3):
        own, next_, last = (texels.weights[:, (k + j) % 3, None] for j in range(3))
        painted += own * (2 * own - 1) * colors[texels.corners[:, k]] + 4 * next_ * last * colors[middles[:, k]]
    return np.clip(painted, 0, 1)


def _over(top: FloatArray, cover: FloatArray, below: FloatArray, below_cover: FloatArray) -> tuple[FloatArray, FloatArray]:
    """One source (n, 3) with opacity (n,) over another: colours and the opacity of both."""
    rest = below_cover * (1 - cover)
    total = cover + rest
    color = (top * cover[:, None] + below * rest[:, None]) / np.maximum(total, 1e-6)[:, None]
    return color.astype(np.float32), total.astype(np.float32)


def _feather(texels: Texels, confidence: FloatArray) -> FloatArray:
    """Confidence (n,) -> opacity (n,) in [0, 1], 0 at the edge of the unknown and rising over `FEATHER` texels."""
    unknown = np.zeros((texels.size, texels.size), bool)
    unknown[texels.rows, texels.columns] = confidence <= 0
    opacity = np.clip(confidence / SURE, 0, 1)
    if not unknown.any():
        return opacity
    # only texels of the surface count as unknown: a chart's own border is no edge
    distance = distance_transform_edt(~unknown)[texels.rows, texels.columns]
    return np.asarray(opacity * np.clip(distance / FEATHER, 0, 1) ** 2, np.float32)


def _flipped(texels: Texels, color: FloatArray, opacity: FloatArray) -> tuple[FloatArray, FloatArray]:
    """What each texel's mirror twin holds: `unwrap` put it in the same row, counted from the other end."""
    columns = texels.size - 1 - texels.columns
    picture = texels.image(np.concatenate([color, opacity[:, None]], -1))[texels.rows, columns]
    return picture[:, :3], picture[:, 3]


def _dilate(texels: Texels, color: FloatArray) -> np.ndarray:
    """Texel colours (n, 3) as a uint8 picture (size, size, 3); texels of no chart take the nearest chart's colour."""
    picture = np.zeros((texels.size, texels.size, 3), np.uint8)
    picture[texels.rows, texels.columns] = np.round(color * 255)
    free = np.ones((texels.size, texels.size), bool)
    free[texels.rows, texels.columns] = False
    nearest = distance_transform_edt(free, return_distances=False, return_indices=True)
    return np.ascontiguousarray(picture[nearest[0], nearest[1]])
