"""Clips through a road and out as scores: the truth scores in full, a worse creature worse, what is asked is what a clip holds."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from backend.asset.write import write_asset
from backend.data.clip_truth import read_truth
from backend.errors import MenagerieError
from backend.evaluate import clip_command, clip_road, frame_by_frame
from backend.evaluate.clip_creature import as_file, at_frame, make_asset, moving_points
from backend.evaluate.clip_pictures import SIDE_HEIGHT, draw_gif
from backend.evaluate.clip_road import Found, by_command, by_method, open_clip
from backend.evaluate.clips import evaluate_clips, find_clips, mean_row, score_clip
from backend.evaluate.command import main
from backend.methods.request import ClipRequest, Result
from backend.types import Asset
from tests.evaluate.filmed_creature import FRAMES, HEIGHT, WIDTH, filmed_creature, write_clip

EXACT = 1e-4


@pytest.fixture(scope="module")
def creature() -> Asset:
    return filmed_creature()


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory, creature: Asset) -> Path:
    folder = tmp_path_factory.mktemp("clips")
    write_clip(folder / "walk", creature)
    return folder


def score(folder: Path, asset: Asset, seconds: float = 4.0) -> dict[str, object]:
    return score_clip(folder, read_truth(folder), asset, Found(asset, seconds, 700.0, {"iou": 0.5, "steps": 3.0})).row


def test_the_creature_itself_scores_in_full(data: Path, creature: Asset, tmp_path: Path) -> None:
    def road(folder: Path, truth: object, out: Path, seed: int) -> Found:
        return Found(creature, 4.0, 700.0, {"iou": 0.5, "steps": 3.0})

    row = next(evaluate_clips(find_clips(data), road, tmp_path)).row
    assert row["iou"] == row["iou_worst"] == 1 and row["covered"] == 1
    assert row["joints"] < EXACT and row["of_mean_pose"] < 0.01 and row["mean_pose"] > 0.01  # type: ignore[operator]
    assert row["jitter"] < 0.05 and row["bones"] < 0.05 and row["swapped"] == 0  # type: ignore[operator]
    assert row["range"] == pytest.approx(1, abs=1e-3) and row["range_within"] == 1
    assert row["contacts"] == row["contacts_best"] == 1
    assert row["seconds"] == 4.0 / FRAMES and row["memory_mib"] == 700 and row["own_iou"] == 0.5 and row["steps"] == 3


def test_a_moving_camera_is_drawn_and_aligned_frame_by_frame(tmp_path: Path) -> None:
    creature = filmed_creature(moving=True)
    folder = write_clip(tmp_path / "along", creature)
    row = score(folder, creature)
    assert row["iou"] == 1 and row["joints"] < EXACT  # type: ignore[operator]
    still = replace(creature, motions=(replace(creature.motions[0], cameras=None),))
    assert score(folder, still)["iou"] < 0.8  # type: ignore[operator]
    moved = replace(creature, motions=(replace(creature.motions[0], cameras=np.roll(creature.motions[0].cameras, 1, 0)),))  # type: ignore[type-var]
    assert score(folder, moved)["iou_worst"] < 0.8  # type: ignore[operator]


def test_worse_creatures_score_worse(data: Path, creature: Asset) -> None:
    motion, folder = creature.motions[0], data / "walk"
    stiff = replace(creature, motions=(replace(motion, rotations=motion.rotations[:1].repeat(FRAMES, 0)),))
    row = score(folder, stiff)
    assert row["of_mean_pose"] > 0.9 and row["range"] < 0.05 and row["iou"] < 0.97 and row["bones"] > 2  # type: ignore[operator]
    trembling = motion.root_translations + 0.01 * (-1.0) ** np.arange(FRAMES)[:, None] * np.float32([0, 1, 0])
    row = score(folder, replace(creature, motions=(replace(motion, root_translations=trembling.astype(np.float32)),)))
    assert row["jitter"] == pytest.approx(4 * 0.01 * 24**2, rel=0.1)
    short = replace(motion, rotations=motion.rotations[:6], root_translations=motion.root_translations[:6])
    row = score(folder, replace(creature, motions=(short,)))
    assert row["covered"] == 6 / FRAMES and row["iou"] == 1
    late = replace(motion, rotations=motion.rotations[2:], root_translations=motion.root_translations[2:])
    found = Found(replace(creature, motions=(late,)), 1.0, 0.0, start=2)  # the clip was cut before the animal came
    row = score_clip(folder, read_truth(folder), found.asset, found).row
    assert row["covered"] == 6 / FRAMES and row["iou"] == 1 and row["joints"] < EXACT  # type: ignore[operator]


def test_the_truth_makes_an_asset_of_itself(data: Path) -> None:
    truth = read_truth(data / "walk")
    made = make_asset(truth)
    assert made.motions[0].cameras is None
    assert np.abs(moving_points(made) - truth.points).max() < 5e-3
    assert np.array_equal(at_frame(made, 3).photo_pose.rotations, made.motions[0].rotations[3])
    row = next(evaluate_clips([data / "walk"], None, Path())).row
    assert row["iou"] > 0.98 and row["joints"] < 5e-3 and row["swapped"] == 0  # type: ignore[operator]


def test_a_creature_without_a_motion_or_at_another_rate_is_a_coded_error(data: Path, creature: Asset) -> None:
    with pytest.raises(MenagerieError) as refusal:
        as_file(replace(creature, motions=()))
    assert refusal.value.code == "bad_request"
    with pytest.raises(MenagerieError, match="12.00 frames a second"):
        score(data / "walk", replace(creature, motions=(replace(creature.motions[0], fps=12.0),)))


def test_the_method_is_given_frames_without_a_lens_and_the_true_masks(
    data: Path, creature: Asset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[ClipRequest] = []

    def animate(request: ClipRequest, progress: object) -> Result:
        asked.append(request)
        return Result(creature, {"steps": 2.0})

    monkeypatch.setattr(clip_road.index, "load", lambda name: SimpleNamespace(animate=animate))
    truth = read_truth(data / "walk")
    found = by_method(data / "walk", truth, tmp_path / "kept", 5)
    (request,) = asked
    assert found.asset is creature and found.scores == {"steps": 2.0} and found.seconds >= 0
    assert request.seed == 5 and request.folder.is_dir() and request.visible.tolist() == [True] * FRAMES and request.background is None
    assert request.clip.has_alpha and request.clip.fps == 24 and (request.clip.width, request.clip.height) == (WIDTH, HEIGHT)
    image = request.clip.read(3)
    assert image.focal_px is None and image.alpha is not None
    assert np.array_equal(request.mask(3) > 0.5, image.alpha > 127)
    monkeypatch.setattr(clip_road.index, "load", lambda name: SimpleNamespace())
    with pytest.raises(MenagerieError):
        by_method(data / "walk", truth, tmp_path / "kept", 5)


def test_the_command_is_asked_as_an_artist_asks_it(data: Path, creature: Asset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commands: list[list[str]] = []

    def run(command: list[str], **_: object) -> SimpleNamespace:
        commands.append(command)
        out = Path(command[command.index("--out") + 1])
        out.mkdir(parents=True)
        write_asset(creature, out / "asset.safetensors")
        (out / "report.json").write_text(json.dumps({"peak_memory_mib": 900, "scores": {"steps": 1}, "frames": {"numbers": [0, 1]}}))
        return SimpleNamespace(returncode=0, stderr="")

    monkeypatch.setattr(clip_road.subprocess, "run", run)
    truth = read_truth(data / "walk")
    found = by_command(data / "walk", truth, tmp_path / "out", 0)
    assert commands[0][1:5] == ["-m", "backend", "animate", str(data / "walk" / "frames")] and "--mask-dir" not in commands[0]
    assert found.memory_mib == 900 and len(found.asset.motions[0].rotations) == FRAMES
    assert np.abs(moving_points(found.asset) - truth.points).max() < EXACT
    monkeypatch.setattr(clip_road.subprocess, "run", lambda command, **_: SimpleNamespace(returncode=1, stderr="a\nno animal\n"))
    with pytest.raises(MenagerieError, match="no animal"):
        by_command(data / "walk", truth, tmp_path / "other", 0)


def test_over_a_place_the_masks_beside_count(data: Path, tmp_path: Path) -> None:
    (tmp_path / "frames").mkdir()
    (tmp_path / "masks").mkdir()
    Image.fromarray(np.full((HEIGHT, WIDTH, 3), 90, np.uint8)).save(tmp_path / "frames" / "0000.png")
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[10:30, 20:60] = 255
    Image.fromarray(mask).save(tmp_path / "masks" / "0000.png")
    assert np.array_equal(clip_road.true_mask(tmp_path, 0), mask.astype(np.float32) / 255)
    assert not open_clip(tmp_path, read_truth(data / "walk")).has_alpha


def test_frames_reconstructed_each_on_its_own_are_kept(
    data: Path, creature: Asset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    truth, made = read_truth(data / "walk"), []

    def run(request: object, progress: object) -> SimpleNamespace:
        made.append(request)
        if len(made) == 3:
            raise MenagerieError("no_animal", "No animal was found.")
        return SimpleNamespace(asset=at_frame(creature, (len(made) - 1) % FRAMES))

    monkeypatch.setattr(frame_by_frame.fauna, "run", run)
    monkeypatch.setattr(frame_by_frame, "weights_mark", lambda: "one")
    joints = frame_by_frame.each_frame(data / "walk", truth, tmp_path)
    assert np.isnan(joints[2]).all() and np.isfinite(np.delete(joints, 2, 0)).all()
    assert len(made) == FRAMES
    again = frame_by_frame.each_frame(data / "walk", truth, tmp_path)
    assert np.array_equal(joints, again, equal_nan=True) and len(made) == FRAMES  # nothing was made again
    found = Found(creature, 1.0, 0.0)
    row = score_clip(data / "walk", truth, creature, found, joints).row
    assert row["jitter_each_frame"] < 0.05  # type: ignore[operator]  # those frames are the truth's
    monkeypatch.setattr(frame_by_frame, "weights_mark", lambda: "other")
    frame_by_frame.each_frame(data / "walk", truth, tmp_path)
    assert len(made) == 2 * FRAMES  # other weights: all frames anew


def test_the_command_prints_rows_and_means_and_draws(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["animate", "--data", str(data), "--truth", "--gif", "--out", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert "clip walk" in said and "mean  " in said
    report = json.loads((tmp_path / "truth.json").read_text())
    assert report["mean"]["count"] == 1 and report["rows"][0]["clip"] == "walk"
    with Image.open(tmp_path / "strips" / "walk.png") as strip:
        assert strip.width > 1000 and np.asarray(strip).std() > 10
    with Image.open(tmp_path / "gifs" / "walk.gif") as movie:
        assert movie.n_frames == FRAMES and movie.height == SIDE_HEIGHT  # type: ignore[attr-defined]


def test_a_moving_picture_shows_the_creature_move(data: Path, creature: Asset, tmp_path: Path) -> None:
    scored = score_clip(data / "walk", read_truth(data / "walk"), creature, Found(creature, 1.0, 0.0))
    draw_gif(scored, tmp_path / "walk.gif")
    with Image.open(tmp_path / "walk.gif") as movie:
        pages = []
        for k in (0, FRAMES // 2):
            movie.seek(k)
            pages.append(np.asarray(movie.convert("L"), float))
    third = pages[0].shape[1] * 3 // 4
    assert np.abs(pages[0] - pages[1])[:, :third].max() > 30 and np.abs(pages[0] - pages[1])[:, third:].max() > 30


def test_wrong_requests_are_coded_errors(tmp_path: Path) -> None:
    with pytest.raises(MenagerieError) as refusal:
        main(["animate", "--data", str(tmp_path), "--truth"])
    assert refusal.value.code == "bad_request"
    with pytest.raises(MenagerieError):
        main(["animate", "--data", str(tmp_path), "--whole", "--weights", "x.safetensors"])


def test_means_leave_out_what_a_clip_has_not() -> None:
    rows: list[dict[str, object]] = [{"clip": "a", "range": 1.0, "swapped": 0.0}, {"clip": "b", "range": float("nan"), "swapped": 3.0}]
    assert mean_row(rows) == {"range": 1.0, "swapped": 1.5, "unswapped": 0.5, "count": 2.0}
    pooled = mean_row([{"joints": 0.02, "mean_pose": 0.1, "swapped": 0.0}, {"joints": 0.02, "mean_pose": 0.0001, "swapped": 0.0}])
    assert pooled["pooled_of_mean_pose"] == pytest.approx(0.04 / 0.1001)
    assert clip_command.line(rows[0]) == "clip a  range 1.000  swapped 0.000"
