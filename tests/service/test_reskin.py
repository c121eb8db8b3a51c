"""Weights for moved bones: of each half its own, written whole, and hostile files are refused with a code."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backend.asset.container import pack, unpack
from backend.errors import MenagerieError
from backend.frames import object_to_blender
from backend.rig.checks import dense_weights
from backend.rig.reskin import across, mirror_of, mirrored, weights_anew
from backend.service.reskin import SKIN, reskin
from backend.types import Asset, Skeleton, Skin
from tests.asset.creature import make_creature
from tests.service.client import Client

ALIKE = 1e-4


@pytest.fixture(scope="module")
def creature() -> Asset:
    return make_creature(triangles=1000, texture_size=32)


def moved(skeleton: Skeleton, by: tuple[float, float, float], *sides: str) -> Skeleton:
    """The elbows of these sides moved; x outward."""
    heads, tails = skeleton.heads.copy(), skeleton.tails.copy()
    for side in sides:
        step = np.float32(by) * np.float32([1 if side == "L" else -1, 1, 1])
        tails[skeleton.names.index(f"front_thigh.{side}")] += step
        heads[skeleton.names.index(f"front_shin.{side}")] += step
    return replace(skeleton, heads=heads, tails=tails, z_axes=across(tails - heads, skeleton.z_axes))


def dense(skin: Skin, skeleton: Skeleton) -> np.ndarray:
    return dense_weights(skin, len(skeleton.names))


def test_each_half_has_the_weights_of_its_own_bones(creature: Asset) -> None:
    mesh, by = creature.mesh, (0.01, 0.04, 0.05)
    still, both = moved(creature.skeleton, (0, 0, 0), "L"), moved(creature.skeleton, by, "L", "R")
    one = moved(creature.skeleton, by, "L")
    before, after, mixed = (dense(weights_anew(mesh, skeleton)[0], skeleton) for skeleton in (still, both, one))
    x = mesh.vertices[:, 0]
    assert np.abs(mixed - after)[x > 0.01].max() < ALIKE and np.abs(mixed - before)[x < -0.01].max() < ALIKE
    assert np.abs(after - before)[x > 0.01].max() > 0.05
    assert np.allclose(mixed.sum(1), 1, atol=1e-5) and (mixed > 0).sum(1).max() <= 4
    assert len(weights_anew(mesh, both)[1]) == 1 and len(weights_anew(mesh, one)[1]) == 2


def test_one_sides_bones_are_mirrored(creature: Asset) -> None:
    lopsided = moved(creature.skeleton, (0.02, 0.03, 0.04), "R")
    found = mirrored(lopsided, "R")
    left, right = (found.names.index(f"front_thigh.{side}") for side in "LR")
    assert np.allclose(found.tails[left] * [-1, 1, 1], found.tails[right]) and np.array_equal(found.tails[right], lopsided.tails[right])
    centre = [number for number, name in enumerate(found.names) if not name.endswith((".L", ".R"))]
    assert (found.heads[centre, 0] == 0).all()


def test_twins_are_found_only_where_all_have_one(creature: Asset) -> None:
    assert np.array_equal(mirror_of(creature.mesh.vertices, 1e-5), creature.mesh.mirror)
    pulled = creature.mesh.vertices.copy()
    pulled[int(pulled[:, 0].argmax()), 0] += 0.1
    assert mirror_of(pulled, 1e-5) is None


def arrays(asset: Asset) -> dict[str, np.ndarray]:
    mesh, skeleton = asset.mesh, asset.skeleton
    return {
        "mesh.vertices": object_to_blender(mesh.vertices), "mesh.faces": mesh.faces, "skeleton.heads": object_to_blender(skeleton.heads),
        "skeleton.tails": object_to_blender(skeleton.tails), "skeleton.z_axes": object_to_blender(skeleton.z_axes),
    }  # fmt: skip


def write(path: Path, found: dict[str, np.ndarray], names: Any) -> Path:
    path.write_bytes(pack(found, json.dumps({"bones": names})))
    return path


def test_the_errand_goes_over_the_wire(creature: Asset, tmp_path: Path) -> None:
    source = write(tmp_path / "Knochen 骨.safetensors", arrays(creature), list(creature.skeleton.names))
    client = Client()
    try:
        job = str(client.call("reskin", source=str(source), out=str(tmp_path / "out"))["result"]["job"])
        ending = client.ending(job)
        assert ending["method"] == "finished" and ending["params"]["files"] == [SKIN], ending
        assert client.call("reskin", source="bones", out="/b")["error"]["data"]["code"] == "bad_request"
        assert client.call("reskin", source=str(source))["error"]["data"]["code"] == "bad_request"
    finally:
        client.close()
    found, text = unpack((tmp_path / "out" / SKIN).read_bytes())
    assert json.loads(text) == {"bones": list(creature.skeleton.names)}
    assert found["skin.bones"].shape == found["skin.weights"].shape == (len(creature.mesh.vertices), 4)


def spoilt(how: str, asset: Asset) -> tuple[dict[str, np.ndarray], Any]:
    found, names = {name: array.copy() for name, array in arrays(asset).items()}, list(asset.skeleton.names)
    if how == "not a number":
        found["mesh.vertices"][3, 1] = np.nan
    elif how == "no such vertex":
        found["mesh.faces"][0, 0] = len(found["mesh.vertices"])
    elif how == "no length":
        found["skeleton.tails"][5] = found["skeleton.heads"][5]
    elif how == "fewer bones":
        names = names[:-1]
    elif how == "other bones":
        names[3] = "wing"
    elif how == "another order":
        names[3], names[4] = names[4], names[3]
    elif how == "no names":
        names = 7
    elif how == "no heads":
        del found["skeleton.heads"]
    elif how == "flat":
        found["skeleton.heads"] = found["skeleton.heads"].ravel()
    return found, names


@pytest.mark.parametrize(
    "how", ["not a number", "no such vertex", "no length", "fewer bones", "other bones", "another order", "no names", "no heads", "flat"]
)
def test_damaged_files_are_refused(creature: Asset, tmp_path: Path, how: str) -> None:
    source = write(tmp_path / "bones.safetensors", *spoilt(how, creature))
    with pytest.raises(MenagerieError) as refusal:
        reskin(source, tmp_path / "out")
    assert refusal.value.code == "asset_damaged" and not (tmp_path / "out").exists()


def test_files_cut_short_gone_or_open_are_refused(creature: Asset, tmp_path: Path) -> None:
    whole = write(tmp_path / "bones.safetensors", arrays(creature), list(creature.skeleton.names))
    for size in (0, 7, 100, whole.stat().st_size - 4):
        cut = tmp_path / "cut.safetensors"
        cut.write_bytes(whole.read_bytes()[:size])
        with pytest.raises(MenagerieError) as refusal:
            reskin(cut, tmp_path / "out")
        assert refusal.value.code == "asset_damaged"
    with pytest.raises(MenagerieError) as refusal:
        reskin(tmp_path / "none.safetensors", tmp_path / "out")
    assert refusal.value.code == "asset_damaged"
    found = arrays(creature)
    found["mesh.faces"] = found["mesh.faces"][1:]
    with pytest.raises(MenagerieError) as refusal:
        reskin(write(tmp_path / "open.safetensors", found, list(creature.skeleton.names)), tmp_path / "out")
    assert refusal.value.code == "bad_request" and "closed" in refusal.value.sentence
