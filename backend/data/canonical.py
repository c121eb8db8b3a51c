"""Every rest shape brought onto one mean skeleton: what the base SDF learns.

Enters a folder that holds shapes.npz; leaves beside it canonical_sdf.npy (S, 31, 121, 121) float16, positive inside, and
canonical_points.npy (42, 3), the mean rest points. A shape's bones are carried onto the mean's, stretched along themselves
to the mean's length, and its skin follows by the template weights. Legs and necks then lie in one place in all species, so
that a blend of shape codes keeps them; proportions are the rest joints' business.
"""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from backend.data import variety
from backend.data.distances import SHAPE, signed_distance_grid
from backend.data.stage import Figure
from backend.rig.kinematics import rest_frames
from backend.rig.template import load_quadruped
from backend.types import FloatArray

LONGEST, SHORTEST = 2.5, 0.4
"""Bounds of a bone's stretch: a missing tail or ear isn't drawn out into one."""


def stretch_onto(mean: FloatArray, points: FloatArray) -> NDArray[np.float64]:
    """Rest points (42, 3) of the mean and of a shape -> (b, 4, 4) affine matrices that carry the shape's bones onto the mean's."""
    template = load_quadruped()
    both = torch.from_numpy(np.stack([mean, points]).astype(np.float64))
    frames = rest_frames(both).numpy()  # (2, b, 4, 4)
    length = np.linalg.norm(both[:, template.tail_points] - both[:, template.head_points], axis=2)  # (2, b)
    ratio = np.clip(length[0] / np.maximum(length[1], 1e-6), SHORTEST, LONGEST)
    ratio[template.parents < 0] = 1
    scale = np.tile(np.eye(4), (len(ratio), 1, 1))
    scale[:, 1, 1] = ratio
    return np.asarray(frames[0] @ scale @ np.linalg.inv(frames[1]))


def canonical_vertices(mean: FloatArray, figure: Figure) -> FloatArray:
    """The figure's rest vertices (v, 3) on the mean skeleton."""
    return variety.stretch_vertices(stretch_onto(mean, figure.points), figure.stage.influence, figure.vertices)


def _make(number: int, mean: FloatArray) -> None:
    from backend.data import prepare

    figure = prepare.figure_of(number)
    grids = np.lib.format.open_memmap(prepare.out_folder() / "canonical_sdf.npy", "r+")
    grids[number] = signed_distance_grid(canonical_vertices(mean, figure), figure.stage.animal.faces)
    grids.flush()


def write_canonical(source: Path, out: Path, variants: int, seed: int, held_out: tuple[str, ...] | None = None, workers: int = 2) -> None:
    """Add canonical_sdf.npy and canonical_points.npy to a prepared folder; the arguments are those `prepare` had."""
    from backend.data import prepare

    job = prepare.plan_job(source, out, 0, 0, variants, seed, 256, held_out)
    shapes = np.load(out / "shapes.npz")
    mean = shapes["points"][shapes["split"] == "train"].mean(0).astype(np.float32)
    np.save(out / "canonical_points.npy", mean)
    np.lib.format.open_memmap(out / "canonical_sdf.npy", "w+", np.float16, (len(job.plans), *SHAPE)).flush()
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context, initializer=prepare.start_worker, initargs=(job,)) as pool:
        for _ in pool.map(_make, range(len(job.plans)), [mean] * len(job.plans), chunksize=4):
            pass
