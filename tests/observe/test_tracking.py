"""An animal through a clip: found, kept, found again, never mistaken for another; written as it comes and gone on from."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Picture

from backend.errors import Cancelled, MenagerieError
from backend.observe import tracking
from backend.observe.tracking import Track, track
from backend.types import ByteArray
from tests.observe.moving_clip import HEIGHT, WIDTH, Part, Truth, make_clip, overlap, turning

MEAN, WORST = 0.9, 0.85
"""IoU over a clip."""
CROSSED = 0.8
"""IoU at any frame while another animal passes before it; one that is mistaken for it brings it to 0.65."""
GROWTH = 1.1
"""Memory of a clip ten times as long, over that of the short one."""


def walk(frames: int, start: tuple[float, float] = (60, 70), step: float = 5.0) -> list[tuple[float, float] | None]:
    return [(start[0] + step * k, start[1]) for k in range(frames)]


def overlaps(found: Track, truth: Truth) -> np.ndarray:
    return np.array([overlap(found.read_mask(k), truth.masks[k]) for k in range(len(truth.masks))])


def save(mask: ByteArray, path: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    Picture.fromarray(mask).save(path)


def test_an_animal_is_followed_under_a_turning_camera_and_a_job_goes_on_with_the_same_bits(tmp_path: Path) -> None:
    truth = make_clip([Part("cow", walk(6), 1.1)], turning(6, 4.0))
    found = track(truth.clip, tmp_path / "whole")
    scores = overlaps(found, truth)
    assert scores.mean() > MEAN and scores.min() > WORST
    assert found.visible.all() and found.visible.shape == (6,) and found.warnings == ()
    mask = found.read_mask(3)
    assert mask.shape == (HEIGHT, WIDTH) and mask.dtype == np.float32 and 0 <= mask.min() and mask.max() <= 1
    assert found.background is not None and np.abs(found.background - truth.background)[:, :2, 2].max() < 1

    def stop(stage: str, fraction: float, preview: ByteArray | None = None) -> None:
        if fraction > 0.4:
            raise Cancelled

    folder = tmp_path / "ended"
    with pytest.raises(Cancelled):
        track(truth.clip, folder, stop)
    made = {path.name: path.stat().st_mtime_ns for path in folder.glob("mask_*.png")}
    assert 2 <= len(made) <= 4
    again = track(truth.clip, folder)
    assert made == {name: (folder / name).stat().st_mtime_ns for name in made}
    assert all(np.array_equal(again.read_mask(k), found.read_mask(k)) for k in range(6))
    assert again.background is not None and np.array_equal(again.background, found.background)
    assert not list(folder.glob(".*")), "no half-written file is left"


def test_another_clip_in_the_same_folder_is_not_taken_for_this_one(tmp_path: Path) -> None:
    first = make_clip([Part("cow", walk(2))], alpha=True, name="first")
    other = make_clip([Part("doe", walk(2, (150, 40)))], alpha=True, name="other")
    track(first.clip, tmp_path)
    found = track(other.clip, tmp_path)
    assert np.array_equal(np.rint(found.read_mask(1) * 255), other.masks[1])


def test_alpha_is_the_mask_and_says_nothing_of_a_background(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracking, "find_first", lambda rgb: pytest.fail("no network is asked"))
    truth = make_clip([Part("cow", [*walk(3), None, *walk(2)])], alpha=True)
    found = track(truth.clip, tmp_path)
    assert all(np.array_equal(np.rint(found.read_mask(k) * 255), truth.masks[k]) for k in range(6))
    assert found.visible.tolist() == [True] * 3 + [False] + [True] * 2
    assert found.background is None
    assert found.warnings == ("The animal is out of sight from second 0.2 to 0.3.",)


def test_memory_is_flat_with_the_length(tmp_path: Path) -> None:
    def peak(frames: int) -> int:
        truth = make_clip([Part("cow", [(60.0, 70.0)] * frames)], alpha=True, name=str(frames))
        tracemalloc.start()
        track(truth.clip, tmp_path / str(frames))
        highest = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return highest

    peak(2)
    assert peak(100) < GROWTH * peak(10)


def test_the_animal_that_left_and_came_back_is_found_again_and_the_gap_is_named(tmp_path: Path) -> None:
    places = [*walk(2), None, None, *walk(2, (170, 60))]
    truth = make_clip([Part("cow", places, 1.1)])
    found = track(truth.clip, tmp_path)
    assert found.visible.tolist() == [place is not None for place in places]
    assert overlaps(found, truth)[found.visible].min() > WORST
    assert not found.read_mask(2).any()
    assert [warning for warning in found.warnings if "from second 0.2 to 0.3" in warning]


def test_another_animal_after_the_gap_is_not_taken_and_the_clip_ends_there(tmp_path: Path) -> None:
    gone = [*walk(2), None, None, None]
    truth = make_clip([Part("cow", gone, 1.1), Part("pig", [None, None, None, *walk(2, (120, 60))], 1.0)])
    found = track(truth.clip, tmp_path)
    assert found.visible.tolist() == [True] * 2 + [False] * 3
    assert any("second 0.2" in warning and "another animal" in warning for warning in found.warnings)


def test_the_animal_stays_itself_while_another_passes_before_it(tmp_path: Path) -> None:
    stands = Part("elephant", [(130.0, 40.0)] * 11, 1.0)
    passes = Part("pig", [(-60.0 + 42 * k, 110.0) for k in range(11)], 0.7)
    truth = make_clip([stands, passes])
    found = track(truth.clip, tmp_path)
    scores = overlaps(found, truth)
    assert found.visible.all() and scores.mean() > MEAN and scores.min() > CROSSED, scores


def test_given_masks_are_used_and_their_gaps_are_found(tmp_path: Path) -> None:
    truth = make_clip([Part("cow", walk(4), 1.1)])
    painted = np.zeros((HEIGHT, WIDTH), np.uint8)
    painted[80:170, 70:200] = 255
    for name, mask in (("mask 1.png", truth.masks[0]), ("mask 10.png", painted), ("mask 4.png", painted)):
        save(mask, tmp_path / "given" / name)
    found = track(truth.clip, tmp_path / "out", mask_dir=tmp_path / "given")
    assert np.array_equal(np.rint(found.read_mask(0) * 255), truth.masks[0])
    assert np.array_equal(np.rint(found.read_mask(3) * 255), painted)
    assert overlaps(found, truth)[1:3].min() > WORST


def test_a_mask_a_frame_goes_in_natural_order_and_is_stretched(tmp_path: Path) -> None:
    truth = make_clip([Part("cow", walk(11))])
    for k in range(11):
        mask = np.zeros((HEIGHT // 2, WIDTH // 2), np.uint8)
        mask[40:90, 10 * k : 10 * k + 60] = 255
        save(mask, tmp_path / "given" / f"m{k + 5}.png")
    found = track(truth.clip, tmp_path / "out", mask_dir=tmp_path / "given")
    starts = [int(np.flatnonzero((found.read_mask(k) > 0.5).any(0))[0]) for k in range(11)]
    assert np.abs(np.diff(starts) - 20).max() <= 1 and starts[0] <= 1


@pytest.mark.parametrize(("names", "size"), [([], (WIDTH, HEIGHT)), (["a.png", "b2.png"], (WIDTH, HEIGHT)), (["m0.png"], (WIDTH, WIDTH))])
def test_masks_that_fit_nothing_are_refused(tmp_path: Path, names: list[str], size: tuple[int, int]) -> None:
    (tmp_path / "given").mkdir()
    for name in names:
        save(np.full(size[::-1], 255, np.uint8), tmp_path / "given" / name)
    with pytest.raises(MenagerieError) as refusal:
        track(make_clip([Part("cow", walk(4))]).clip, tmp_path / "out", mask_dir=tmp_path / "given")
    assert refusal.value.code == "mask_unreadable"


def test_a_clip_without_an_animal_ends_in_a_coded_error(tmp_path: Path) -> None:
    with pytest.raises(MenagerieError) as refusal:
        track(make_clip([Part("cow", [None, None])], textured=False).clip, tmp_path)
    assert refusal.value.code == "no_animal"
