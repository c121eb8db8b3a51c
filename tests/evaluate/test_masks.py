"""The composites' table: what is scored is the mask that a job would go on with."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from backend.data.composites import SHARES, Cutout
from backend.errors import MenagerieError
from backend.evaluate import masks
from backend.evaluate.command import PHOTOS, main
from backend.evaluate.masks import draw_outlines, evaluate_masks, make_composite, photo_cutouts, render_cutouts, summarise_masks

SCENES = {f"scene{i}": np.full((100, 150, 3), 40 * i, np.uint8) for i in range(1, 4)}


@pytest.fixture
def renders(tmp_path: Path) -> Path:
    """Six pictures of two animals set aside, and one of a training animal."""
    rgb = np.full((7, 32, 32, 3), 200, np.uint8)
    mask = np.zeros((7, 32, 32), np.uint8)
    mask[:, 8:24, 4:28] = 255
    np.save(tmp_path / "images_rgb.npy", rgb)
    np.save(tmp_path / "images_mask.npy", mask)
    np.savez(tmp_path / "truth.npz", split=np.array(["train", *["val"] * 3, *["family"] * 3]), shape=np.array([0, 1, 1, 1, 2, 2, 2]))
    np.savez(tmp_path / "shapes.npz", species=np.array(["dog", "wolf", "camel"]))
    return tmp_path


def test_cut_outs_are_the_photos_with_alpha_and_the_animals_set_aside_in_turn(renders: Path) -> None:
    photos = photo_cutouts(PHOTOS)
    truth = json.loads((PHOTOS / "truth.json").read_text("utf-8"))["photos"]
    assert [c.name for c in photos] == sorted(truth)
    assert [c.name for c in render_cutouts(renders)] == ["wolf 1", "camel 4", "wolf 2", "camel 5", "wolf 3", "camel 6"]


def test_kinds_sizes_animals_and_scenes_take_turns(renders: Path) -> None:
    kinds = {"photo": photo_cutouts(PHOTOS)[:2], "render": render_cutouts(renders)}
    rows = [make_composite(number, 0, kinds, SCENES)[0] for number in range(60)]
    for column, values in (("kind", 2), ("share", len(SHARES)), ("scene", len(SCENES)), ("animal", 8)):
        counts = np.unique([str(row[column]) for row in rows], return_counts=True)[1]
        assert len(counts) == values, column
        if column in ("kind", "share", "scene"):
            assert counts.max() == counts.min(), column
    pairs = {(row["kind"], row["scene"], row["share"]) for row in rows}
    assert len(pairs) == 30  # each size with each scene, of both kinds


def test_a_composite_does_not_change_with_the_number_of_others(renders: Path) -> None:
    kinds = {"render": render_cutouts(renders)}
    first, again = (make_composite(3, 5, kinds, SCENES)[1] for _ in range(2))
    assert np.array_equal(first.rgb, again.rgb)
    assert not np.array_equal(first.rgb, make_composite(3, 6, kinds, SCENES)[1].rgb)


def test_scores_are_those_of_the_found_mask_and_a_refusal_scores_nothing(renders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(masks, "read_scenes", lambda source, part: SCENES if part == "evaluation" else {})
    kinds = {"photo": photo_cutouts(PHOTOS), "render": render_cutouts(renders)}
    true = iter([make_composite(number, 0, kinds, SCENES)[1].mask for number in range(4)])

    def search(image: object) -> np.ndarray:
        mask = next(true)
        answers.append(len(answers))
        if len(answers) == 2:
            raise MenagerieError("several_animals", "Two.")
        if len(answers) == 3:
            mask = np.where(np.arange(mask.shape[1]) < np.flatnonzero((mask > 0.5).any(0)).mean(), mask, 0)  # its left half
        return mask

    answers: list[int] = []
    monkeypatch.setattr(masks, "find_mask", search)
    rows, sheet = evaluate_masks(PHOTOS, renders, Path("none"), 0, 4)
    assert [row["iou"] for row in rows] == [1, 0, pytest.approx(0.5, abs=0.2), 1] and len(sheet) == 4
    assert [row["refused"] for row in rows] == ["no", "several_animals", "no", "no"]
    summary = summarise_masks(rows)
    assert summary["worst"] == 0 and summary["refused"] == 0.25 and summary["count"] == 4
    assert summary["iou"] == pytest.approx(np.mean([row["iou"] for row in rows]))
    assert summary["iou kind render"] == 0.5 and summary["iou share 0.25"] == 1


def test_a_failure_that_is_no_answer_is_not_scored(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(image: object) -> np.ndarray:
        raise MenagerieError("weights_missing", "The weights are not there.")

    monkeypatch.setattr(masks, "find_mask", fail)
    with pytest.raises(MenagerieError):
        masks.find(np.zeros((8, 8, 3), np.uint8))


def test_outlines_are_drawn_in_their_colours() -> None:
    found, true = np.zeros((40, 60), bool), np.zeros((40, 60), bool)
    found[5:20, 5:20], true[15:35, 30:55] = True, True
    picture = draw_outlines(np.zeros((40, 60, 3), np.uint8), found, true)
    assert tuple(picture[5, 10]) == masks.FOUND and tuple(picture[15, 40]) == masks.TRUE and not picture[12, 12].any()


def test_without_scenes_it_is_a_coded_error_and_a_whole_run_is_written(
    renders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(MenagerieError) as refusal:
        main(["fauna", "--set", "composites"])
    assert refusal.value.code == "bad_request"
    monkeypatch.setattr(masks, "read_scenes", lambda source, part: SCENES)
    monkeypatch.setattr(masks, "find_mask", lambda image: (image.rgb[..., 0] > 130).astype(np.float32))
    out = tmp_path / "out"
    assert main(["fauna", "--set", "composites", "--data", str(renders), "--scenes", "x", "--limit", "4", "--out", str(out)]) == 0
    report = json.loads((out / "composites.json").read_text())
    assert len(report["rows"]) == 4 and report["mean"]["count"] == 4 and (out / "composites.png").exists()
    assert "mean  iou " in capsys.readouterr().out


def test_a_folder_without_cut_outs_is_a_coded_error(tmp_path: Path) -> None:
    with pytest.raises(MenagerieError, match="no cut-outs"):
        evaluate_masks(tmp_path, None, tmp_path, 0, 2)
    assert isinstance(photo_cutouts(PHOTOS)[0], Cutout)
