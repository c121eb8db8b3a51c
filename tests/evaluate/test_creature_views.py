"""Pictures and points of a finished asset."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from backend.evaluate.creature_scores import body_axis, heading, stack_points
from backend.evaluate.creature_views import HEADINGS, creature_pictures, draw_bones, exported, overlay_mask, posed_points, project
from backend.evaluate.joint_groups import COLOURS
from backend.evaluate.sheet import CELL, write_sheet
from backend.rig.template import load_quadruped
from backend.types import Asset, Pose, Skeleton, Skin
from tests.asset.creature import make_creature, skin_vertices


@pytest.fixture(scope="module")
def creature() -> Asset:
    return make_creature(1500, 64)


def without_tail(asset: Asset) -> Asset:
    keep = np.array([not name.startswith("tail") for name in asset.skeleton.names])
    new, old = np.cumsum(keep) - 1, asset.skeleton
    parents = np.where(old.parents < 0, -1, new[old.parents])[keep].astype(np.int32)
    skeleton = Skeleton(
        tuple(n for n, k in zip(old.names, keep, strict=True) if k), parents, old.connected[keep], old.deform[keep],
        old.heads[keep], old.tails[keep], old.z_axes[keep],
    )  # fmt: skip
    bones = np.where(keep[asset.skin.bones], new[asset.skin.bones], new[list(old.names).index("hips")]).astype(np.int32)
    pose = Pose(asset.photo_pose.rotations[keep], asset.photo_pose.root_translation)
    return replace(asset, skeleton=skeleton, skin=Skin(bones, asset.skin.weights), photo_pose=pose, motions=())


def test_the_exported_asset_covers_the_same_pixels(creature: Asset) -> None:
    photo = np.zeros((creature.camera.height, creature.camera.width, 3), np.uint8)
    there, back = exported(creature), creature
    assert np.array_equal(overlay_mask(there, photo)[0], overlay_mask(back, photo)[0])
    assert skin_vertices(there, there.photo_pose) == pytest.approx(skin_vertices(back, back.photo_pose), abs=1e-5)


def test_points_of_an_absent_tail_are_absent_and_the_axis_starts_at_the_pelvis(creature: Asset) -> None:
    whole, stub = posed_points(creature), posed_points(without_tail(creature))
    assert set(whole) == set(load_quadruped().points) and set(whole) - set(stub) == {f"tail{i}" for i in range(5)}
    assert np.isnan(stack_points(stub, ["muzzle", "tail4"])).tolist() == [[False] * 3, [True] * 3]
    assert body_axis(stub) == pytest.approx(whole["withers"] - whole["pelvis"])
    assert body_axis(whole) == pytest.approx(whole["withers"] - whole["tail0"])
    assert draw_bones(without_tail(creature)).shape == draw_bones(creature).shape


def test_the_heading_follows_the_posed_skeleton_not_the_objects_frame(creature: Asset) -> None:
    turned = creature.photo_pose.rotations.copy()
    turned[0] = [np.cos(np.pi / 8), 0, np.sin(np.pi / 8), 0]  # the root by 45 degrees about its own Y, which lies along +Z here
    assert creature.skeleton.names[0] == "root"
    moved = replace(creature, photo_pose=Pose(turned, creature.photo_pose.root_translation))
    camera = creature.camera.object_to_camera
    axis = body_axis(posed_points(moved))
    seen = camera[:3, :3] @ axis
    assert np.degrees(np.arccos(axis @ body_axis(posed_points(creature)) / np.linalg.norm(axis) ** 2)) > 1
    assert heading(posed_points(moved), camera, np.array([0.0, -1, 0])) == pytest.approx(np.degrees(np.arctan2(-seen[2], seen[0])) % 360)


def test_bones_are_drawn_in_the_colours_of_their_groups(creature: Asset) -> None:
    picture = draw_bones(creature).reshape(-1, 3).astype(int)
    for group, colour in COLOURS.items():
        assert (np.abs(picture - colour).max(1) < 40).sum() > 10, group


def test_projection_puts_the_middle_in_the_middle(creature: Asset) -> None:
    camera = creature.camera
    ahead = np.linalg.inv(camera.object_to_camera.astype(np.float64)) @ [0, 0, 5, 1]
    assert project(ahead[None, :3], camera)[0] == pytest.approx([camera.width / 2, camera.height / 2], abs=1e-3)


def test_a_sheet_has_a_heading_for_every_picture(creature: Asset, tmp_path) -> None:  # type: ignore[no-untyped-def]
    photo = np.zeros((80, 120, 3), np.uint8)
    pictures = creature_pictures(creature, photo, photo)
    assert len(pictures) == len(HEADINGS)
    write_sheet([("one", pictures)], tmp_path / "sheet.png", HEADINGS)
    from PIL import Image

    assert Image.open(tmp_path / "sheet.png").size == (CELL * 6, CELL + 32)
