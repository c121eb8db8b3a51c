"""The true posed meshes of the validation pictures: made once from 0 A.D.'s archive, kept beside the pictures.

Enters the archive and a folder that `backend.data.prepare` wrote; leaves its `posed.npz`:
  picture (n,) which pictures; vertices (sum v, 3) float32 posed, object frame, one picture after another; vertex_ends (n,);
  faces (sum f, 3) int32, counted within the picture; face_ends (n,).
Each mesh is posed again by its picture's shape and pose, and the pose's 42 points must come out where truth.npz has them.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from backend.data.stage import build_figure, build_stage, pose_figure
from backend.data.variety import Variation
from backend.data.zero_ad import Archive
from backend.errors import MenagerieError
from backend.evaluate.surfaces import Surface

NAME = "posed.npz"
SAME = 1e-3
"""Object units within which a pose's points are the picture's."""


def write_posed_truth(source: Path, folder: Path) -> None:
    """Write `posed.npz` for every validation picture of the folder. Raises UnreadableArchive; bad_request where the archive isn't the one
    that the pictures were made from."""
    truth, shapes = np.load(folder / "truth.npz"), np.load(folder / "shapes.npz")
    numbers, points, labels = truth["shape"], truth["points"], truth["pose"]
    pictures = np.flatnonzero(truth["split"] != "train")
    archive = Archive(source)
    meshes: dict[int, Surface] = {}
    for shape in np.unique(numbers[pictures]):
        stage = build_stage(archive, str(shapes["names"][shape]).split("+")[0])
        figure = build_figure(stage, Variation(shapes["scales"][shape]))
        for picture in pictures[numbers[pictures] == shape]:
            frames = [frame for frame, label in enumerate(stage.names) if label == labels[picture]]
            posed = next((p for p in (pose_figure(figure, f) for f in frames) if np.abs(p[1] - points[picture]).max() < SAME), None)
            if posed is None:
                raise MenagerieError("bad_request", f"{source.name} doesn't hold the pose of picture {picture}: {labels[picture]}.")
            meshes[int(picture)] = Surface(posed[0], stage.animal.faces)
    order = sorted(meshes)
    np.savez(
        folder / NAME,
        picture=np.array(order, np.int32),
        vertices=np.concatenate([meshes[i].vertices for i in order]),
        vertex_ends=np.cumsum([len(meshes[i].vertices) for i in order]),
        faces=np.concatenate([meshes[i].faces for i in order]),
        face_ends=np.cumsum([len(meshes[i].faces) for i in order]),
    )


def read_posed_truth(folder: Path) -> dict[int, Surface]:
    """Picture -> its true posed mesh, object frame; empty where the folder has no `posed.npz`."""
    if not (folder / NAME).exists():
        return {}
    held = np.load(folder / NAME)
    vertices, faces = _split(held["vertices"], held["vertex_ends"]), _split(held["faces"], held["face_ends"])
    return {int(i): Surface(v, f) for i, v, f in zip(held["picture"], vertices, faces, strict=True)}


def _split(rows: NDArray[np.generic], ends: NDArray[np.integer]) -> list[NDArray]:
    return np.split(rows, ends[:-1])
