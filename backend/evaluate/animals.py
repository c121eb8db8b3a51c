"""0 A.D. animals set aside for validation: their prepared pictures, reconstructed and scored against the renderer's truth.

Enters the folder that `backend.data.prepare` wrote. Its pictures of split "val" are species that training never saw but whose relatives
it did, those of split "family" whole families that it never met; both seen from evenly spread directions. One row a picture, with its
split and its octant: the direction that it was made for (`octant_of`), so that each holds equally many.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from backend.data.prepare import prepare
from backend.evaluate.creature_scores import Row, Sheet, heading, score_creature, stack_points
from backend.evaluate.creature_views import posed_surface, project
from backend.evaluate.metrics import aligned_joint_error, angle_between, match_surfaces
from backend.evaluate.posed_truth import read_posed_truth, write_posed_truth
from backend.evaluate.surfaces import Surface, compare_surfaces, into_truth
from backend.methods.fauna import method as fauna
from backend.methods.request import Photo, Quality, Request
from backend.rig import posing
from backend.rig.template import load_quadruped
from backend.shape.sampling import sample_surface
from backend.types import Asset, ByteArray, Camera, Image, Pose, no_progress

FOCAL_HALF_WIDTHS = 1 / np.tan(np.radians(12.5))
SPLITS = ("val", "family")
ROUND = 8
"""Pictures of one animal that stand together, one from each octant."""


def make_pictures(source: Path, folder: Path, count: int, seed: int) -> None:
    """Render `count` pictures of the animals set aside, eight directions each time round, from 0 A.D.'s archive; and their posed meshes."""
    prepare(source, folder, images=0, variants=0, seed=seed, validation=count)
    write_posed_truth(source, folder)


def octant_of(azimuth: float) -> int:
    """Which eighth of all directions a picture was made for: 0 faces the picture's right, 2 the viewer, 4 the left, 6 away.

    azimuth: radians, of `truth.npz` (0 sees the face, +90 degrees the animal's left). The heading as seen would not do: from
    above, or rolled, it leans toward the picture's sides.
    """
    return (2 + round(float(np.degrees(azimuth)) / 45)) % 8


def choose_pictures(splits: NDArray[np.str_], split: str, limit: int) -> NDArray[np.int64]:
    """Indices of at most `limit` pictures of a split: whole rounds of eight directions, one at least. One animal's round follows
    another's, so that the first hold each equally often."""
    index = np.flatnonzero(splits == split)
    return index[: min(max(1, limit // ROUND), len(index) // ROUND) * ROUND]


class Pictures:
    """The folder's pictures with their truth."""

    def __init__(self, folder: Path) -> None:
        self.truth, self.shapes = np.load(folder / "truth.npz"), np.load(folder / "shapes.npz")
        self._pictures = np.load(folder / "images_rgb.npy", mmap_mode="r")
        self._masks = np.load(folder / "images_mask.npy", mmap_mode="r")
        self._meshes = read_posed_truth(folder)
        self._training = self.shapes["points"][self.shapes["split"] == "train"]

    def photo(self, i: int) -> Photo:
        """Picture i as a method gets it: its focal length is known."""
        rgb = np.array(self._pictures[i])
        return Photo(Image(rgb, focal_px=float(FOCAL_HALF_WIDTHS * len(rgb) / 2)), self._masks[i].astype(np.float32) / 255)

    def score(
        self, i: int, quality: Quality, seed: int, ablate: str = "", others: Sequence[int] = ()
    ) -> tuple[Row, tuple[str, list[ByteArray]]]:
        """Reconstruct picture i, with others of the same animal if given -> its row of scores, and its row of the contact sheet."""
        truth, names, photo = self.truth, list(load_quadruped().points), self.photo(i)
        rgb, mask = photo.image.rgb, photo.mask
        assert photo.image.focal_px is not None
        true_camera = Camera(len(rgb), len(rgb), photo.image.focal_px, truth["object_to_camera"][i])
        request = Request(photo.image, mask, quality, seed, others=tuple(self.photo(other) for other in others))
        started = time.perf_counter()
        result = fauna.run(request, no_progress, ablate=ablate)
        seconds = time.perf_counter() - started
        true_points = dict(zip(names, truth["points"][i].astype(np.float64), strict=True))
        pixels = project(truth["points"][i], true_camera)
        scored = score_creature(result, rgb, mask > 0.5, dict(zip(names, pixels, strict=True)), seconds)
        camera, up = scored.asset.camera.object_to_camera, true_camera.object_to_camera[:3, 1]
        turned = angle_between(heading(scored.points, camera, up), heading(true_points, true_camera.object_to_camera, up))
        row: Row = {
            "species": str(self.shapes["species"][truth["shape"][i]]), "split": str(truth["split"][i]),
            "octant": octant_of(truth["azimuth"][i]), "axis_error": turned,
            "joints_3d": aligned_joint_error(stack_points(scored.points, names), truth["points"][i]),
        }  # fmt: skip
        if len(self._training):
            row["mean_skeleton"] = aligned_joint_error(self._training.mean(0), truth["points"][i])
        if i in self._meshes:
            surface = posed_surface(scored.asset)
            found = Surface(into_truth(surface.vertices, camera, true_camera.object_to_camera), surface.faces)
            rng = np.random.default_rng([seed, i])
            row |= compare_surfaces(found, self._meshes[i], float(np.degrees(truth["azimuth"][i])), rng)
        row |= self.score_shape(scored.asset, int(truth["shape"][i]), np.random.default_rng([seed, i])) | scored.row
        caption = f"{row['species']} octant {row['octant']} iou {row['iou']:.2f} pck {row['pck']:.2f} axis {turned:.0f} off"
        if "iou_sides" in row:
            caption += f" chamfer {row['chamfer']:.3f} sides {row['iou_sides']:.2f}"
        return row, (caption, scored.pictures)


    def score_shape(self, asset: Asset, shape: int, rng: np.random.Generator) -> Row:
        """The creature at rest beside that shape at rest: what is right about it whatever its pose. rest_joints: as joints_3d;
        rest_chamfer: as chamfer, where the folder holds the shape's surface."""
        names, skeleton = list(load_quadruped().points), asset.skeleton
        still = np.zeros((len(skeleton.names), 4), np.float32)
        still[:, 0] = 1
        points = posing.posed_points(skeleton, Pose(still, np.zeros(3, np.float32)))
        row: Row = {"rest_joints": aligned_joint_error(stack_points(points, names), self.shapes["points"][shape])}
        if "surface" in self.shapes:
            known = self.shapes["surface"][shape]
            own = sample_surface(asset.mesh.vertices, asset.mesh.faces, rng, len(known))
            row["rest_chamfer"] = match_surfaces(own, known)[2] / float(np.linalg.norm(np.ptp(known, axis=0)))
        return row


def evaluate_animals(
    folder: Path, quality: Quality, ablate: str, seed: int, limit: int, splits: tuple[str, ...] = SPLITS
) -> tuple[list[Row], Sheet]:
    """-> one row of scores a picture, and the contact sheet's rows. limit: pictures of each split, in eights, spread over the animals.

    Beside what every set has: joints_3d (after similarity, over the joints' diagonal), mean_skeleton (what the mean training skeleton
    would score there, posed as it rests), the columns of `Pictures.score_shape` and, where the folder holds the posed meshes, those of
    `surfaces.compare_surfaces`.
    """
    pictures = Pictures(folder)
    chosen = np.concatenate([choose_pictures(pictures.truth["split"], split, limit) for split in splits])
    scored = [pictures.score(int(i), quality, seed, ablate) for i in chosen]
    return [row for row, _ in scored], [shown for _, shown in scored]
