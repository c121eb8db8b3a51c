"""Scores of the `paper` preset on pictures it has not learnt from: the one place that reads three-dimensional truth.

Nothing tells an animal's front from its back but that all animals agree: one flip (half a turn about y) is resolved for the whole set, by
the held-out pictures of the trained species. Size and place of a shape are not known from pictures either: a shape is brought onto the
truth by scale and translation, the ellipsoid that training starts from likewise.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from torch import Tensor

from backend.errors import MenagerieError
from backend.methods.fauna.losses import true_view
from backend.methods.fauna.paper.config import Open
from backend.methods.fauna.paper.draw import glance
from backend.methods.fauna.paper.model import PaperFauna, Seen, skeleton_of
from backend.methods.fauna.paper.pictures import Batch, Pictures
from backend.methods.fauna.paper.surface import Grid, Mesh, march
from backend.methods.fauna.paper.viewpoint import Views
from backend.shape.sampling import sample_surface

SAMPLES = 4000
"""Points on a surface that distances are measured between."""
FITS = 8
"""Rounds of the fit of scale and translation."""
BODIES = 6
"""Held-out individuals a species whose shapes are compared."""
Points = NDArray[np.float64]


class Truth:
    """Cameras and rest shapes of the pictures in a folder. Raises `bad_request` for one that an earlier version prepared."""

    def __init__(self, folder: Path) -> None:
        with np.load(folder / "truth.npz") as truth:
            self.shape = truth["shape"].astype(np.int64)
            camera = truth["object_to_camera"].astype(np.float32)
        self.rotation = torch.from_numpy(np.diag(np.array([1, -1, -1], np.float32)) @ camera[:, :3, :3])  # OpenGL
        with np.load(folder / "shapes.npz") as shapes:
            if "surface" not in shapes:
                raise MenagerieError("bad_request", f"{folder} holds no surfaces of the shapes.", "Prepare the pictures anew.")
            self.surfaces = shapes["surface"].astype(np.float64)  # (S, n, 3)

    def surface(self, picture: int) -> Points:
        """(n, 3) points of the picture's rest shape."""
        return np.asarray(self.surfaces[self.shape[picture]])


def sample(mesh: Mesh) -> Points:
    """(SAMPLES, 3) points of a mesh, the same every time."""
    return sample_surface(mesh.vertices.numpy(), mesh.faces.numpy(), np.random.default_rng(0), SAMPLES)


def chamfer(points: Points, truth: Points) -> float:
    """Mean nearest distance both ways over the truth's diagonal, after the best scale and translation. (n, 3), (m, 3)."""
    tree = cKDTree(truth)
    spread = np.sqrt((truth - truth.mean(0)).var(0).sum() / max((points - points.mean(0)).var(0).sum(), 1e-12))
    moved = (points - points.mean(0)) * spread + truth.mean(0)
    for _ in range(FITS):
        forth, back = truth[tree.query(moved)[1]], cKDTree(moved).query(truth)[1]
        source, goal = np.concatenate([moved, moved[back]]), np.concatenate([forth, truth])
        a, b = source - source.mean(0), goal - goal.mean(0)
        moved = (moved - source.mean(0)) * ((a * b).sum() / (a * a).sum()) + goal.mean(0)
    distance = (tree.query(moved)[0].mean() + cKDTree(moved).query(truth)[0].mean()) / 2
    return float(distance / np.linalg.norm(np.ptp(truth, axis=0)))


def overlap(mask: Tensor, truth: Tensor) -> float:
    """Intersection over union of two masks (s, s)."""
    a, b = mask > 0.5, truth > 0.5
    return float((a & b).sum() / (a | b).sum().clamp_min(1))


def turn_points(points: Points, flip: bool) -> Points:
    return points * np.array([-1.0, 1.0, -1.0]) if flip else points


@dataclass(frozen=True)
class Judged:
    """Of n pictures: predicted and true level forward directions (n, 2) as (x, z); mask IoU of the posed instance, of its base shape at
    rest and of the mean of all species' codes, all under the predicted view; surfaces of the first BODIES."""

    forward: NDArray[np.float64]
    truth: NDArray[np.float64]
    posed: list[float]
    rest: list[float]
    mean: list[float]
    surfaces: list[Points]


def _one(batch: Batch, seen: Seen, i: int) -> tuple[Batch, Seen]:
    part = slice(i, i + 1)
    views = Views(seen.views.rotation[part], seen.views.translation[part], seen.views.logits[part])
    return (
        Batch(*(getattr(batch, name)[part] for name in Batch.__dataclass_fields__)),
        Seen(seen.codes[part], seen.feature[part], seen.key_map[part], views),
    )


@torch.no_grad()
def judge(
    model: PaperFauna, pictures: Pictures, truth: Truth, index: NDArray[np.int64], mean_code: Tensor, grid: Grid, gates: Open
) -> Judged:
    """Each picture by itself, as a user's photo is."""
    result = Judged(np.zeros((len(index), 2)), np.zeros((len(index), 2)), [], [], [], [])
    whole = pictures.load(index)
    everything = model.perceive(whole, gates)
    average = model.surface(mean_code, grid)
    for i, picture in enumerate(index):
        batch, seen = _one(whole, everything, i)
        best = int(seen.views.logits.argmin())
        rotation = seen.views.rotation[:, best]
        mesh = model.surface(seen.codes[0], grid)
        displaced = mesh.vertices[None] + model.deform(mesh.vertices, seen) if gates.deformation else None
        posed, _ = model.posed(mesh, displaced, skeleton_of(mesh, gates), seen, rotation, seen.views.translation, gates)
        resting = [m.vertices @ rotation.transpose(1, 2) + seen.views.translation[:, None] for m in (mesh, average)]
        drawings = (posed, mesh), (resting[0], mesh), (resting[1], average)
        for (points, drawn), into in zip(drawings, (result.posed, result.rest, result.mean), strict=True):
            into.append(overlap(glance(points, drawn.faces, None, model.focal, pictures.side)[0][0], batch.mask[0]))
        forward = true_view(rotation)[0][0].numpy()
        result.forward[i] = forward[[0, 2]] / np.linalg.norm(forward[[0, 2]])
        known = true_view(truth.rotation[int(picture)][None])[0][0].numpy()
        result.truth[i] = known[[0, 2]] / np.linalg.norm(known[[0, 2]])
        if i < BODIES:
            rest = mesh.vertices if displaced is None else displaced[0]
            result.surfaces.append(sample(replace(mesh, vertices=rest)))
    return result


def headings(forward: NDArray[np.float64], truth: NDArray[np.float64], flip: bool) -> dict[str, float]:
    """(n, 2) unit directions (x, z) -> shares and median degrees."""
    forward = -forward if flip else forward
    same = np.sign(forward) == np.sign(truth)
    degrees = np.degrees(np.arccos(np.clip((forward * truth).sum(1), -1, 1)))
    return {
        "quadrant": float(same.all(1).mean()),
        "left_right": float(same[:, 0].mean()),
        "heading_median": float(np.median(degrees)),
        "within_45": float((degrees < 45).mean()),
    }


@torch.no_grad()
def score(model: PaperFauna, pictures: Pictures, truth: Truth, grid: Grid, gates: Open, each: int) -> dict[str, object]:
    """Scores on `each` held-out pictures a trained species and on as many of each species that was never shown.

    quadrant (chance 0.25), left_right, heading_median (degrees); chamfer over the ellipsoid's (`chamfer_ratio`); iou, iou_rest,
    iou_mean_shape.
    """
    model.eval()
    codes = [model.base(pictures.taps_of(own[:64])[2] - pictures.query_mean).mean(0) for own in pictures.train.values()]
    mean_code = torch.stack(codes).mean(0)
    start = model.base.netShape.radius
    blob = march(lambda x: start - (x * x.new_tensor([1.0, 1.0, 0.5])).norm(dim=-1), grid)
    ellipsoid = sample(blob)
    rng = np.random.default_rng(0)
    sets = {name: rng.permutation(own)[:each] for name, own in pictures.held.items()}
    judged = {name: judge(model, pictures, truth, own, mean_code, grid, gates) for name, own in sets.items()}
    forward, known = (np.concatenate([getattr(j, name) for j in judged.values()]) for name in ("forward", "truth"))
    flip = headings(forward, known, True)["quadrant"] > headings(forward, known, False)["quadrant"]
    rows: dict[str, dict[str, float]] = {}
    for name, own in sets.items():
        rows[name] = _row(judged[name], truth, own, ellipsoid, flip)
    rest = rng.permutation(pictures.others)[: 2 * each]
    found: dict[str, object] = dict(headings(forward, known, flip))
    keys = ("chamfer", "chamfer_ellipsoid", "iou", "iou_rest", "iou_mean_shape")
    found |= {key: float(np.mean([row[key] for row in rows.values()])) for key in keys}
    own_mean, ellipsoid_mean = (float(np.mean([row[key] for row in rows.values()])) for key in keys[:2])
    found["chamfer_ratio"] = own_mean / ellipsoid_mean
    found |= {"flip": bool(flip), "pictures": len(forward), "species": rows}
    if len(rest):
        other = judge(model, pictures, truth, rest, mean_code, grid, gates)
        found["other_species"] = _row(other, truth, rest, ellipsoid, flip)
    model.train()
    return found


def _row(judged: Judged, truth: Truth, index: NDArray[np.int64], ellipsoid: Points, flip: bool) -> dict[str, float]:
    surfaces = [truth.surface(int(i)) for i in index[: len(judged.surfaces)]]
    own = float(np.mean([chamfer(turn_points(p, flip), t) for p, t in zip(judged.surfaces, surfaces, strict=True)]))
    first = float(np.mean([chamfer(ellipsoid, t) for t in surfaces]))
    return headings(judged.forward, judged.truth, flip) | {
        "chamfer": own, "chamfer_ellipsoid": first, "chamfer_ratio": own / first,
        "iou": float(np.mean(judged.posed)), "iou_rest": float(np.mean(judged.rest)), "iou_mean_shape": float(np.mean(judged.mean)),
    }  # fmt: skip
