"""True posed meshes: posed again by name, refused where the archive isn't the one that the pictures were made from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from backend.data.stage import Stage, build_figure, pose_figure
from backend.data.variety import Variation, identity
from backend.errors import MenagerieError
from backend.evaluate import posed_truth
from backend.evaluate.posed_truth import read_posed_truth, write_posed_truth
from tests.data.figures import made_up_stage


@pytest.fixture(scope="module")
def stage() -> Stage:
    return made_up_stage()


@pytest.fixture
def folder(tmp_path: Path, stage: Stage, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three pictures of two shapes, the second with longer legs; the first is a training picture."""
    monkeypatch.setattr(posed_truth, "Archive", lambda source: None)
    monkeypatch.setattr(posed_truth, "build_stage", lambda archive, name: stage)
    scales = np.stack([identity().scales, identity().scales])
    scales[1] *= 1.1
    figures = [build_figure(stage, Variation(s)) for s in scales]
    pictures = [(0, 0), (1, 1), (0, 1)]
    points = np.stack([pose_figure(figures[shape], frame)[1] for shape, frame in pictures])
    np.savez(tmp_path / "shapes.npz", names=np.array(["bead", "bead+1"]), scales=scales)
    np.savez(
        tmp_path / "truth.npz", shape=np.array([0, 1, 0]), pose=np.array(["rest", "off", "off"]), points=points,
        split=np.array(["train", "val", "family"]),
    )  # fmt: skip
    return tmp_path


def test_each_validation_picture_gets_its_own_posed_mesh(folder: Path, stage: Stage) -> None:
    write_posed_truth(Path("public.zip"), folder)
    meshes = read_posed_truth(folder)
    assert sorted(meshes) == [1, 2]
    for picture, shape in ((1, 1), (2, 0)):
        scales = np.load(folder / "shapes.npz")["scales"][shape]
        expected, _ = pose_figure(build_figure(stage, Variation(scales)), 1)
        assert np.array_equal(meshes[picture].vertices, expected)
        assert np.array_equal(meshes[picture].faces, stage.animal.faces)


def test_a_pose_that_comes_out_elsewhere_is_refused(folder: Path) -> None:
    truth = dict(np.load(folder / "truth.npz"))
    truth["points"][2] += 0.01
    np.savez(folder / "truth.npz", **truth)
    with pytest.raises(MenagerieError) as refusal:
        write_posed_truth(Path("public.zip"), folder)
    assert refusal.value.code == "bad_request" and "picture 2" in refusal.value.sentence
    assert not (folder / posed_truth.NAME).exists()


def test_without_the_file_there_are_no_meshes(tmp_path: Path) -> None:
    assert read_posed_truth(tmp_path) == {}
