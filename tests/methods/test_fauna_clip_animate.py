"""The whole road with the bundled weights on a photo that moves sideways: whole assets, the same bits again, nothing lost by stopping.

Fits take few steps here: how well they fit is the evaluation's to say.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from backend.asset.schema import check_asset
from backend.errors import Cancelled
from backend.media.photo import read_photo
from backend.methods.fauna.clip import animate as road
from backend.methods.fauna.clip import character, plant
from backend.methods.request import ClipRequest, Result
from backend.types import Asset, ByteArray, Clip, Image, Mask, Progress, no_progress

PHOTO = read_photo(Path(__file__).resolve().parents[1] / "photos" / "horse.png")
FPS, STEP, ROOM = 8.0, 3, 40
"""Frames a second; pixels a frame; pixels that the frames are wider than the photo."""
FRAMES, UNSEEN = 6, 3


@pytest.fixture(autouse=True, scope="module")
def few_steps() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(road, "STEPS", 6)
        patch.setattr(road, "SOLVED_AGAIN", 1)
        patch.setattr(plant, "STEPS", 10)
        patch.setattr(character, "TRIANGLES", 3000)
        patch.setattr(character, "FITTED", tuple(replace(stage, steps=6) for stage in character.FITTED))
        yield


@dataclass
class Filmed:
    """The photo that many frames long; frames without the animal; which frames were read."""

    frames: int
    unseen: tuple[int, ...] = ()
    read: list[int] = field(default_factory=list)

    def frame(self, k: int) -> Image:
        self.read.append(k)
        return self.made(k)

    def made(self, k: int) -> Image:
        assert PHOTO.alpha is not None
        height, width = PHOTO.alpha.shape
        rgb: ByteArray = np.zeros((height, width + ROOM, 3), np.uint8)
        alpha: ByteArray = np.zeros((height, width + ROOM), np.uint8)
        if k not in self.unseen:
            place = slice(5 + STEP * k, 5 + STEP * k + width)
            rgb[:, place], alpha[:, place] = PHOTO.rgb, PHOTO.alpha
        return Image(rgb, alpha)

    def mask(self, k: int) -> Mask:
        alpha = self.made(k).alpha
        assert alpha is not None
        return alpha.astype(np.float32) / 255

    def request(self, folder: Path) -> ClipRequest:
        folder.mkdir(exist_ok=True)
        height, width = self.mask(0).shape
        numbers = np.arange(self.frames, dtype=np.int32)
        clip = Clip(width, height, FPS, numbers / FPS, numbers, self.frame, True, PHOTO.sha256)
        return ClipRequest(clip, self.mask, ~np.isin(numbers, self.unseen), folder, name="horse")


def stop_at(stage: str) -> Progress:
    """A progress that asks to stop once a stage has begun."""

    def progress(now: str, fraction: float, preview: ByteArray | None = None) -> None:
        assert 0 <= fraction <= 1
        if now == stage:
            raise Cancelled()

    return progress


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> tuple[Filmed, Result]:
    """A clip that was stopped when its frames had been seen, and again later, then gone on with; what that read, and its result."""
    film, folder = Filmed(FRAMES, (UNSEEN,)), tmp_path_factory.mktemp("stopped")
    for stage in ("views", "shape"):
        with pytest.raises(Cancelled):
            road.animate(film.request(folder), stop_at(stage))
        assert all(file.suffix == ".npz" for file in folder.iterdir())
    film.read.clear()
    kept = {file: file.stat().st_mtime_ns for file in folder.glob("looks-*.npz")}
    assert kept
    result = road.animate(film.request(folder), no_progress)
    assert {file: file.stat().st_mtime_ns for file in kept} == kept
    return film, result


def check(asset: Asset, frames: int) -> None:
    check_asset(asset)
    [motion] = asset.motions
    assert motion.fps == FPS and len(motion.rotations) == frames
    assert np.array_equal(motion.rotations[0], asset.photo_pose.rotations)
    assert np.array_equal(motion.root_translations[0], asset.photo_pose.root_translation)
    if motion.cameras is not None:
        assert np.array_equal(motion.cameras[0], asset.camera.object_to_camera)


def test_a_clip_gives_a_whole_asset_with_a_motion_of_all_its_frames(stopped: tuple[Filmed, Result]) -> None:
    result = stopped[1]
    check(result.asset, FRAMES)
    assert result.asset.name == "horse" and 0 <= result.scores["iou"] <= 1
    names = set(result.asset.provenance)
    assert {"method", "weights", "seed", "versions"} <= names


def test_frames_seen_before_it_was_stopped_are_not_looked_at_again(stopped: tuple[Filmed, Result]) -> None:
    film = stopped[0]
    assert film.read.count(1) < 4  # for the shape, the lens and the texture at most


def test_the_same_clip_gives_the_same_bits(stopped: tuple[Filmed, Result], tmp_path: Path) -> None:
    first, again = stopped[1].asset, road.animate(Filmed(FRAMES, (UNSEEN,)).request(tmp_path), no_progress).asset
    assert np.array_equal(first.mesh.vertices, again.mesh.vertices)
    assert np.array_equal(first.texture.base_color, again.texture.base_color)
    assert np.array_equal(first.skin.weights, again.skin.weights)
    assert np.array_equal(first.motions[0].rotations, again.motions[0].rotations)
    assert np.array_equal(first.motions[0].root_translations, again.motions[0].root_translations)
    assert first.provenance == again.provenance


@pytest.mark.parametrize("frames", [1, 2])
def test_clips_of_one_and_two_frames_are_animated(frames: int, tmp_path: Path) -> None:
    check(road.animate(Filmed(frames).request(tmp_path), no_progress).asset, frames)


def test_it_keeps_to_one_thread_and_gives_the_others_back(tmp_path: Path) -> None:
    before, within = torch.get_num_threads(), []
    stop = stop_at("views")

    def progress(now: str, fraction: float, preview: ByteArray | None = None) -> None:
        within.append(torch.get_num_threads())
        stop(now, fraction, preview)

    torch.set_num_threads(3)
    try:
        with pytest.raises(Cancelled):
            road.animate(Filmed(2).request(tmp_path), progress)
        assert set(within) == {1} and torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)
