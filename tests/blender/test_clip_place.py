"""A clip's result in the scene: the motion at the scene's rate, few keys or all, the camera's path, the clip behind it in sync."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import bpy
import numpy as np
import pytest

from blender_addon import compat
from blender_addon.clip import action as actions
from blender_addon.clip import keys, movie, timing
from blender_addon.clip import place as clips
from blender_addon.export.copies import actions_of
from blender_addon.export.export import Choices, export_creature
from blender_addon.scene.creature import Creature, find_creature
from blender_addon.scene.place import place_asset, update_asset
from tests.blender.clips import STEP, clip_asset, place_clip, pose_at, write_frames, write_movie
from tests.blender.creatures import empty_blender

pytestmark = [pytest.mark.blender5, pytest.mark.usefixtures("add_on")]

EVERY = clips.Wishes(every=True)
EXACT = np.radians(0.02)
"""What single precision and a resampled frame may turn a bone by."""
RATES = [(30.0, 30), (30.0, 24), (12.0, 60), (25.0, 24)]


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_movie(tmp_path_factory.mktemp("film"))


def motion_at(asset: object, seconds: float) -> tuple[np.ndarray, np.ndarray]:
    motion = asset.motions[0]
    places = np.array([seconds * motion.fps])
    return timing.resampled_turns(motion.rotations, places)[0], timing.resampled(motion.root_translations, places)[0]


def worst_turn(creature: Creature, asset: object, first: int, frames: range, rate: float) -> tuple[float, float]:
    """Over the scene's frames: the most that a bone is turned, and the root is moved, away from the motion."""
    turned = moved = 0.0
    for frame in frames:
        turns, place = pose_at(creature.armature, frame, asset.bone_names)
        wanted, there = motion_at(asset, (frame - first) / rate)
        turned = max(turned, float(keys.turned_by(turns, wanted).max()))
        moved = max(moved, float(np.abs(place - there).max()))
    return turned, moved


@pytest.mark.parametrize(("fps", "scene_fps"), RATES)
def test_the_motion_keeps_its_time_at_every_rate_with_keys_on_whole_frames(film: Path, fps: float, scene_fps: int) -> None:
    asset = clip_asset(40, fps)
    bpy.context.scene.render.fps = scene_fps
    creature = place_clip(asset, film, EVERY)
    action = creature.armature.animation_data.action
    assert action.name == "doe clip" and action.use_fake_user
    last = 1 + int(39 * scene_fps / fps + 0.05)
    assert tuple(action.frame_range) == (1, last)
    turned, moved = worst_turn(creature, asset, 1, range(1, last + 1, 3), scene_fps)
    assert turned < EXACT and moved < 1e-4
    for curve in compat.curves_of(action):
        frames = [key.co[0] for key in curve.keyframe_points]
        assert frames in ([1.0], [float(frame) for frame in range(1, last + 1)])


def test_few_keys_hold_the_motion_in_blenders_own_curves(film: Path) -> None:
    asset = clip_asset(70)
    bpy.context.scene.render.fps = 30
    wishes = clips.Wishes(angle=np.radians(1.0), place=0.005)
    creature = place_clip(asset, film, wishes)
    few = sum(len(curve.keyframe_points) for curve in compat.curves_of(creature.armature.animation_data.action))
    turned, moved = worst_turn(creature, asset, 1, range(1, 71), 30)
    assert turned <= wishes.angle + EXACT and moved <= wishes.place
    every = sum(len(curve.keyframe_points) for curve in compat.curves_of(place_clip(asset, film, EVERY).armature.animation_data.action))
    assert few < 0.4 * every


def test_neighbouring_keys_never_run_the_long_way_round(film: Path) -> None:
    creature = place_clip(clip_asset(70), film)
    by_bone: dict[str, list[np.ndarray]] = {}
    for curve in compat.curves_of(creature.armature.animation_data.action):
        if curve.data_path.endswith("rotation_quaternion"):
            by_bone.setdefault(curve.data_path, []).append(np.array([key.co[1] for key in curve.keyframe_points]))
    assert len(by_bone) == 34
    for channels in by_bone.values():
        turns = np.stack(channels, -1)
        assert ((turns[1:] * turns[:-1]).sum(-1) > 0).all()


def test_it_begins_at_the_scenes_first_frame_and_the_range_is_extended_never_shrunk(film: Path) -> None:
    scene = bpy.context.scene
    scene.render.fps, scene.frame_start, scene.frame_end = 30, 1001, 1020
    scene.frame_set(1007)
    creature = place_clip(clip_asset(70), film)
    assert (scene.frame_start, scene.frame_end, scene.frame_current) == (1001, 1070, 1007)
    assert tuple(creature.armature.animation_data.action.frame_range) == (1001, 1070)
    scene.frame_end = 1500
    place_clip(clip_asset(70), film, name="other")
    assert scene.frame_end == 1500


def test_without_its_action_it_stands_in_the_photos_pose(film: Path) -> None:
    asset = clip_asset(70)
    creature = place_clip(asset, film)
    creature.armature.animation_data.action = None
    turns, place = pose_at(creature.armature, 1, asset.bone_names)
    assert keys.turned_by(turns, asset.photo_rotations).max() < EXACT and np.abs(place - asset.photo_translation).max() < 1e-5
    compat.assign_action(creature.armature, creature.photo_pose)
    turns, _ = pose_at(creature.armature, 1, asset.bone_names)
    assert keys.turned_by(turns, asset.photo_rotations).max() < EXACT


@pytest.mark.parametrize("scene_fps", [30, 24, 60])
@pytest.mark.parametrize("start", [0.0, 0.4])
def test_the_clip_behind_is_in_sync_at_every_rate(film: Path, scene_fps: int, start: float) -> None:
    """At every frame the picture that Blender shows is the one that was there at that moment of the clip."""
    scene = bpy.context.scene
    scene.render.fps = scene_fps
    plane = place_clip(clip_asset(40), film, start=start).photo
    assert plane.data.source == "MOVIE" and plane.parent.type == "CAMERA"
    texture = bpy.data.textures.new("eye", "IMAGE")
    texture.image = plane.data
    plane.data.colorspace_settings.name = "Non-Color"
    for frame in range(1, int(39 * scene_fps / 30), 4):
        scene.frame_set(frame)
        texture.image_user.frame_current = plane.evaluated_get(bpy.context.evaluated_depsgraph_get()).image_user.frame_current
        bright = texture.evaluate((0.1, 0.1, 0))[0] * 255
        wanted = (start + (frame - 1) / scene_fps) * 30
        assert abs(bright / STEP - wanted) <= 0.5 + 0.35, f"frame {frame}: picture {bright / STEP:.1f} for {wanted:.1f}"


def test_a_folder_of_frames_is_in_sync_whatever_its_first_number(tmp_path: Path) -> None:
    scene = bpy.context.scene
    scene.render.fps, scene.frame_start = 24, 101
    folder = write_frames(tmp_path / "frames", 60, first=17)
    plane = place_clip(clip_asset(40, 24.0), folder, start=0.25).photo
    assert plane.data.source == "SEQUENCE" and plane.animation_data is None
    for frame in (101, 110, 130):
        scene.frame_set(frame)
        shown = plane.evaluated_get(bpy.context.evaluated_depsgraph_get()).image_user.frame_current
        assert shown == 17 + 6 + frame - 101


def test_names_of_frames_that_count_no_further_have_no_sequence(tmp_path: Path) -> None:
    assert movie.numbers_of([tmp_path / "a_1.png", tmp_path / "b_2.png"]) is None
    assert movie.numbers_of([tmp_path / "f9.png", tmp_path / "f10.png"]) == [9, 10]
    names = ["f10.png", "f9.png", "f1.png"]
    for name in names:
        (tmp_path / name).touch()
    assert [path.name for path in movie.frames_in(tmp_path)] == ["f1.png", "f9.png", "f10.png"]


def test_a_clip_that_blender_cannot_show_leaves_the_plane_out_and_keeps_the_motion(tmp_path: Path) -> None:
    broken = tmp_path / "clip.mp4"
    broken.write_bytes(b"no movie")
    creature = place_clip(clip_asset(40), broken)
    assert creature.photo is None and creature.armature.animation_data.action is not None
    assert not bpy.data.movieclips and [image.name for image in bpy.data.images] == ["doe base color"]


@pytest.mark.parametrize("name", ["clip.webp", "turned.mp4"])
def test_of_a_clip_that_blender_cannot_play_the_first_frame_is_shown(film: Path, tmp_path: Path, name: str) -> None:
    still = write_frames(tmp_path, 1) / "shot_0001.png"
    asset = clip_asset(40)
    if name == "turned.mp4":  # seen by the backend upright, lying on its side by Blender
        asset = replace(asset, height=2 * asset.width)
        shutil.copy(film, tmp_path / name)
    moving, said = clips.Moving(asset, clips.Clip(tmp_path / name, still=still), clips.Wishes()), []
    creature = place_asset(
        bpy.context, replace(asset, motions=()), None, "doe", finish=lambda creature: moving.on_new(bpy.context, creature, said)
    )
    assert creature.photo.data.source == "FILE" and Path(creature.photo.data.filepath).name == still.name
    assert said == [clips.NOT_SHOWN] and len(bpy.data.images) == 2


@pytest.mark.parametrize("wishes", [clips.Wishes(), EVERY])
def test_a_moving_camera_goes_the_clips_way(film: Path, wishes: clips.Wishes) -> None:
    asset, scene = clip_asset(60, moving=True), bpy.context.scene
    scene.render.fps = 30
    creature = place_clip(asset, film, wishes)
    flip = np.diag([1.0, -1.0, -1.0, 1.0])
    off = 0.0
    for frame in range(60):
        scene.frame_set(1 + frame)
        seen = np.array(creature.camera.evaluated_get(bpy.context.evaluated_depsgraph_get()).matrix_world)
        point = np.array([0.1, -0.02 * frame, 0.6, 1.0])
        wanted, there = asset.motions[0].cameras[frame] @ point, flip @ np.linalg.inv(seen) @ point
        off = max(off, float(np.abs(asset.focal_px * (wanted[:2] / wanted[2] - there[:2] / there[2])).max()))
    assert off < (0.05 if wishes.every else 2.0), f"{off:.2f} pixels"
    still = place_clip(clip_asset(40), film, name="still")
    assert still.camera.animation_data is None


def again(creature: Creature, asset: object, film: Path) -> tuple[Creature, list[str]]:
    """The job done anew."""
    standing = find_creature(creature.armature)
    fresh = update_asset(bpy.context, standing, replace(asset, motions=()), None)
    return fresh, clips.Moving(asset, clips.Clip(film), clips.Wishes()).on(bpy.context, fresh)


def test_update_fills_our_own_actions_anew(film: Path) -> None:
    bpy.context.scene.render.fps = 30
    creature = place_clip(clip_asset(60, moving=True), film)
    action = creature.armature.animation_data.action
    fresh = clip_asset(40, moving=True)
    creature, said = again(creature, fresh, film)
    assert creature.armature.animation_data.action == action and action.frame_end == 40 and not said
    assert worst_turn(creature, fresh, 1, range(1, 41, 5), 30)[0] < np.radians(1.1)
    assert [a.get("menagerie_role") for a in bpy.data.actions].count(actions.CAMERA) == 1
    again(creature, clip_asset(40), film)
    assert creature.camera.animation_data is None or creature.camera.animation_data.action is None


def test_update_keeps_what_the_artist_has_changed(film: Path) -> None:
    bpy.context.scene.render.fps = 30
    creature = place_clip(clip_asset(60, moving=True), film)
    rig, camera = creature.armature, creature.camera
    action, way = rig.animation_data.action, camera.animation_data.action
    for changed in (action, way):
        curve = next(curve for curve in compat.curves_of(changed) if len(curve.keyframe_points) > 1)
        curve.keyframe_points[1].co[1] += 0.3
    rig.pose.bones["head"].constraints.new("COPY_ROTATION")
    before = {one.name: actions.stamp(one) for one in (action, way)}
    _, said = again(creature, clip_asset(40, moving=True), film)
    assert rig.animation_data.action == action and camera.animation_data.action == way
    assert {one.name: actions.stamp(one) for one in (action, way)} == before
    assert len(said) == 1 and "goes on playing" in said[0] and len(rig.pose.bones["head"].constraints) == 1
    assert [a.frame_end for a in bpy.data.actions if a.name == "doe clip.001"] == [40]


def test_exports_carry_the_motion_and_no_camera_or_movie(film: Path, tmp_path: Path) -> None:
    creature = place_clip(clip_asset(60, moving=True), film, clips.Wishes(loop=True))
    assert sorted(action.name for action in actions_of(creature.armature)) == ["doe clip", "doe clip cycle"]
    moves = export_creature(bpy.context, creature.armature, tmp_path / "doe.glb", Choices(motion="ACTIONS"))
    assert sorted(moves) == ["doe clip", "doe clip cycle"]
    data = (tmp_path / "doe.glb").read_bytes()
    told = json.loads(data[20 : 20 + int.from_bytes(data[12:16], "little")])
    assert sorted(animation["name"] for animation in told["animations"]) == ["doe clip", "doe clip cycle"]
    lasted = {round(max(told["accessors"][sampler["input"]]["max"][0] for sampler in one["samplers"]), 2) for one in told["animations"]}
    assert round(47 / 24, 2) in lasted  # 60 frames of a clip at 30 a second, on a scene's 24


def test_promise_2_a_failure_half_way_leaves_nothing(film: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: object) -> None:
        raise MemoryError

    empty_blender()
    monkeypatch.setattr(movie, "show_in_sync", fail)
    with pytest.raises(MemoryError):
        place_clip(clip_asset(40), film)
    for kind in ("objects", "meshes", "armatures", "cameras", "collections", "images", "materials", "actions", "movieclips"):
        assert len(getattr(bpy.data, kind)) == 0, kind
