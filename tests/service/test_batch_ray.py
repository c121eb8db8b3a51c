"""The batch on a real Ray cluster of two nodes here, with the made-up method."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from backend.errors import MenagerieError
from backend.service.batch import cluster
from backend.service.batch.items import Item, Settings
from backend.service.batch.work import Task
from tests.service.ray_loss import faults, lose_a_node
from tests.service.test_batch import METHODS, take_photos


def test_a_node_that_is_killed_half_way_costs_no_result_and_none_comes_twice(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    photos = take_photos(tmp_path / "in", *(f"steady {number}" for number in range(8)))
    outcome = lose_a_node(photos, tmp_path / "out", METHODS)
    assert faults(outcome, tmp_path / "out") == [] and len(outcome.arrived) == 8 and outcome.killed_after == 4
    assert len(outcome.begun_again) == 1, "the node was at work"
    assert "dashboard" not in capfd.readouterr().out.lower() and os.environ["RAY_USAGE_STATS_ENABLED"] == "0"


def test_a_photo_travels_as_bytes_and_comes_back_as_files(tmp_path: Path) -> None:
    photos = take_photos(tmp_path / "in", "a")
    parcel = cluster.pack(Task(Item("a", photos / "a.png", photos / "a.png"), Settings(), METHODS))
    (photos / "a.png").unlink()
    error, files = cluster.make_far(parcel)
    assert error is None and {"asset.safetensors", "report.json", "overlay.png"} <= set(files)


def test_a_node_of_another_version_is_told(tmp_path: Path) -> None:
    photos = take_photos(tmp_path / "in", "a")
    task = Task(Item("a", photos / "a.png"), Settings(), METHODS)
    error, files = cluster.make_far(cluster.Parcel(task, (), "0.0.1"))
    assert error is not None and error["code"] == "backend_mismatch" and not files


class OtherRay:
    """A Ray that can't be reached."""

    exceptions = SimpleNamespace(RayError=type("RayError", (Exception,), {}))

    def init(self, **words: Any) -> None:
        raise ConnectionError(f"ray.init({words['address']})\nno such cluster")


def test_a_cluster_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", OtherRay())
    with pytest.raises(MenagerieError) as refusal:
        cluster.Cluster(address="127.0.0.1:1")
    assert refusal.value.code == "bad_request" and "127.0.0.1:1" in refusal.value.sentence
