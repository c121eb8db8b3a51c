"""From the panel's Clip tab to the creature: what is asked of the backend, preview, dropping, placing, and the motion on another rig."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import bpy
import numpy as np
import pytest
from PIL import Image

from backend.asset.write import write_asset
from backend.types import Motion
from blender_addon import compat
from blender_addon.clip import choices, source
from blender_addon.link import session
from blender_addon.link.process import Job
from blender_addon.ops import drop_clip, drop_photo
from blender_addon.panels import clip as clip_panel
from blender_addon.panels import main as panel
from blender_addon.panels import retarget as retarget_panel
from blender_addon.retarget import choices as retarget_choices
from blender_addon.scene.creature import find_creature
from tests import promise
from tests.asset.creature import walk
from tests.blender.button import Layout, drawn
from tests.blender.clips import STEP, write_frames, write_movie
from tests.blender.creatures import creature

pytestmark = [pytest.mark.blender5, pytest.mark.usefixtures("add_on")]

QUICK = 0.010
"""Seconds that the interface may wait."""


class Link:
    """Stands for the backend's process: notes what is asked, and ends the job with a result of the made-up creature."""

    state, error = "ready", None

    def __init__(self, failure: dict[str, str] | None = None) -> None:
        self.report: dict[str, Any] = {"warnings": ["The animal was lost for a while."]}
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.failure = failure

    def begin(self, method: str, **params: Any) -> Job:
        given = {key: value for key, value in params.items() if value is not None}
        self.asked.append((method, given))
        self.job = Job({key: str(value) if isinstance(value, Path) else value for key, value in given.items()}, method)
        return self.job

    def run(self, job: Job, seconds: float = 0.0, pause: float = 0.0) -> Job:
        if self.failure is not None:
            job.state, job.error = "failed", self.failure
            return job
        out = Path(job.params["out"])
        out.mkdir(parents=True)
        asset = creature()[0]
        strides = walk(asset.skeleton)
        motion = Motion("clip", 24.0, np.tile(strides.rotations, (3, 1, 1)), np.tile(strides.root_translations, (3, 1)))
        camera = replace(asset.camera, width=asset.camera.height)
        asset = replace(asset, motions=(motion,), name=job.params["name"], camera=camera)
        write_asset(asset, out / "asset.safetensors")
        (out / "mask.png").write_bytes(b"mask")
        job.state, job.result = "finished", {"out": str(out), "report": self.report}
        return job

    def pump(self) -> bool:
        return False

    def start(self) -> None:
        pass

    def stop(self) -> None:
        pass

    def cancel(self, job: Job) -> None:
        pass


@pytest.fixture
def link(add_on: None) -> Iterator[Link]:
    kept = session.state.backend
    session.state.backend, session.state.given = Link(), True
    yield session.state.backend
    session.state.backend = kept
    source.forget()


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_movie(tmp_path_factory.mktemp("film"))


def choose(path: Path) -> Any:
    bpy.context.scene.menagerie.kind = "CLIP"
    chosen = bpy.context.scene.menagerie_clip
    chosen.path = str(path)
    return chosen


def test_the_tab_asks_for_a_clip_and_leaves_the_photos_settings_out(link: Link) -> None:
    before = drawn(panel.MENAGERIE_PT_main)
    assert "menagerie.reconstruct" in before and "photo" in before
    bpy.context.scene.menagerie.kind = "CLIP"
    shown = drawn(panel.MENAGERIE_PT_main)
    assert {"menagerie.animate", "path", "camera", "loop"} <= set(shown)
    assert {"stride", "keys", "angle", "place", "masks", "seed"} <= set(drawn(clip_panel.MENAGERIE_PT_clip_options))
    assert not {"menagerie.reconstruct", "quality", "mask_kind", "photo"} & set(shown)
    assert not bpy.ops.menagerie.animate.poll()


def test_a_movie_is_looked_at_beside_and_its_pictures_follow_the_fields(link: Link, film: Path) -> None:
    took: list[promise.Took] = []
    with promise.own_garbage_only():
        chosen = promise.timed(took, lambda: choose(film))
        assert "Looking at the clip" in promise.timed(took, lambda: drawn(panel.MENAGERIE_PT_main))
    (_, began), (_, drawing) = took
    assert began < 3 * QUICK and drawing < QUICK  # a process is started, nothing is read
    source.finish()
    seen = source.seen(film)
    assert (seen.width, seen.height, seen.frames) == (64, 64, 80) and seen.fps == pytest.approx(30)
    assert "64 x 64, 2.7 s, 80 frames" in drawn(panel.MENAGERIE_PT_main)
    with Image.open(source.picture(film, 1.0)) as picture:
        assert picture.size == (source.SIDE, source.SIDE) and abs(picture.convert("L").getpixel((5, 5)) - 79 * STEP) < 12
    assert len({source.picture(film, share) for share in np.linspace(0, 1, source.PICTURES)}) == source.PICTURES
    chosen.start = 1.0
    chosen.end = 2.0
    assert "1.0 s, 30 frames to look at" in drawn(panel.MENAGERIE_PT_main)
    chosen.stride = 2
    assert "1.0 s, 15 frames to look at" in drawn(panel.MENAGERIE_PT_main)


def test_the_stretch_stays_inside_the_clip(link: Link, film: Path) -> None:
    chosen = choose(film)
    source.finish()
    chosen.end = 99.0
    assert chosen.end == pytest.approx(80 / 30)
    chosen.start = 2.0
    chosen.end = 1.5
    assert choices.stretch_of(chosen) == (2.0, pytest.approx(80 / 30))
    choose(film.parent / "frames")
    assert (chosen.start, chosen.end) == (0.0, 0.0)


def test_a_picture_stands_for_its_folder_of_frames(link: Link, tmp_path: Path) -> None:
    folder = write_frames(tmp_path / "shots", 12)
    chosen = choose(folder / "shot_0003.png")
    assert choices.path_of(chosen) == folder and source.seen(folder).frames == 12
    assert choices.length_of(chosen) == pytest.approx(0.5) and "rate" in drawn(panel.MENAGERIE_PT_main)
    assert source.picture(folder, 1.0).name == "shot_0012.png"


@pytest.mark.parametrize("name", ["broken.mp4", "gone.mp4", "clip.xyz"])
def test_what_blender_cannot_read_has_no_preview_and_no_error(link: Link, tmp_path: Path, name: str) -> None:
    if name == "broken.mp4":
        (tmp_path / name).write_bytes(b"\0" * 5000)
    choose(tmp_path / name)
    source.finish()
    assert "No preview of this clip" in drawn(panel.MENAGERIE_PT_main) and session.state.error is None


def test_nothing_of_the_preview_is_in_the_artists_file_nor_left_behind(link: Link, film: Path) -> None:
    choose(film)
    source.finish()
    folder = source.state.folder
    assert folder.is_dir() and not bpy.data.movieclips and not bpy.data.images and len(bpy.data.scenes) == 1
    source.forget()
    assert not folder.exists() and source.state.process is None


def test_animate_asks_the_backend_and_places_what_it_gives(link: Link, film: Path, tmp_path: Path) -> None:
    chosen = choose(film)
    source.finish()
    chosen.start, chosen.end, chosen.stride, chosen.camera, chosen.loop = 0.5, 2.0, 2, "still", True
    chosen.masks = str(tmp_path)
    scene = bpy.context.scene
    scene.frame_set(7)
    bpy.ops.mesh.primitive_cube_add()
    cube = bpy.context.object
    assert bpy.ops.menagerie.animate() == {"FINISHED"}
    (method, params), = link.asked
    assert method == "animate" and params["clip"] == film and params["name"] == "clip"
    wanted = {"start": 0.5, "end": 2.0, "stride": 2, "camera": "still", "seed": 0, "mask_dir": str(tmp_path)}
    assert {key: params[key] for key in wanted} == wanted and "fps" not in params
    assert all(type(params[key]) is kind for key, kind in (("start", float), ("end", float), ("stride", int)))
    rig = bpy.data.objects[session.state.last_creature]
    assert rig.animation_data.action.name == "clip clip" and find_creature(rig).photo.data.source == "MOVIE"
    assert any(action.use_cyclic for action in bpy.data.actions)
    assert bpy.context.object == cube and bpy.context.selected_objects == [cube] and scene.frame_current == 7
    record = session.read_record(rig)
    assert record["method"] == "animate" and record["photo"] == str(film) and record["placing"]["loop"] is True
    bpy.context.view_layer.objects.active = rig
    shown = drawn(panel.MENAGERIE_PT_creature)
    assert "The animal was lost for a while." in shown and "Use This Clip's View" in shown
    assert not {"menagerie.flip_heading", "menagerie.swap_legs"} & set(shown)


def test_the_clip_behind_begins_where_the_backend_says_the_motion_does(link: Link, film: Path) -> None:
    """Of a clip that was cut where the animal was lost, the motion begins later than what was asked for."""
    bpy.context.scene.render.fps = 30
    choose(film).start = 0.25
    link.report = {"frames": {"start": 1.0, "fps": 24.0}}
    bpy.ops.menagerie.animate()
    plane = find_creature(bpy.data.objects[session.state.last_creature]).photo
    assert plane.image_user.frame_offset == 30


def test_a_folder_says_its_rate_and_defaults_are_left_to_the_backend(link: Link, tmp_path: Path) -> None:
    chosen = choose(write_frames(tmp_path / "shots", 12))
    chosen.rate = 12.5
    assert bpy.ops.menagerie.animate() == {"FINISHED"}
    params = link.asked[0][1]
    assert params["fps"] == 12.5 and params["name"] == "shots" and not {"end", "mask_dir"} & set(params)


def test_update_asks_for_the_same_clip_again(link: Link, film: Path) -> None:
    chosen = choose(film)
    chosen.start = 0.5
    bpy.ops.menagerie.animate()
    rig = bpy.data.objects[session.state.last_creature]
    bpy.context.view_layer.objects.active = rig
    choose(film.parent / "frames")
    assert bpy.ops.menagerie.update() == {"FINISHED"}
    assert link.asked[1][0] == "animate" and link.asked[1][1]["clip"] == film and link.asked[1][1]["start"] == 0.5
    choose(film).start = 0.25
    assert bpy.ops.menagerie.update() == {"FINISHED"}
    assert link.asked[2][1]["start"] == 0.25, "the panel shows this clip: its settings are meant"
    assert bpy.data.objects[session.state.last_creature] == rig
    assert [action.name for action in bpy.data.actions if action.get("menagerie_role") == "clip_motion"] == ["clip clip"]


def test_failures_show_sentence_and_remedy(link: Link, film: Path, tmp_path: Path) -> None:
    link.failure = {"code": "clip_too_long", "sentence": "The clip is too long.", "remedy": "Choose a shorter stretch."}
    choose(film)
    with pytest.raises(RuntimeError, match="too long"):
        bpy.ops.menagerie.animate()
    shown = " ".join(drawn(panel.MENAGERIE_PT_main))
    assert "The clip is too long." in shown and "Choose a shorter stretch." in shown
    copy = tmp_path / "gone.mp4"
    shutil.copy(film, copy)
    choose(copy)
    copy.unlink()
    with pytest.raises(RuntimeError, match="not there any more"):
        bpy.ops.menagerie.animate()
    choose(film).masks = str(tmp_path / "nowhere")
    with pytest.raises(RuntimeError, match="folder of masks"):
        bpy.ops.menagerie.animate()


def test_a_dropped_movie_becomes_the_panels_clip(link: Link, film: Path) -> None:
    assert bpy.ops.menagerie.drop_clip(filepath=str(film)) == {"FINISHED"}
    assert bpy.context.scene.menagerie.kind == "CLIP" and bpy.context.scene.menagerie_clip.path == str(film)
    endings = set(drop_clip.EXTENSIONS.split(";"))
    assert {".mp4", ".mov", ".webm", ".gif", ".mkv"} <= endings and not endings & set(drop_photo.EXTENSIONS.split(";"))


def test_a_dropped_webp_is_a_clip_where_it_moves_and_a_photo_where_not(link: Link, tmp_path: Path) -> None:
    still, moving = tmp_path / "still.webp", tmp_path / "moving.webp"
    pictures = [Image.new("RGB", (16, 16), (40 * number, 0, 0)) for number in range(4)]
    pictures[1].save(still)
    pictures[0].save(moving, save_all=True, append_images=pictures[1:], duration=50)
    bpy.ops.menagerie.drop_photo(filepath=str(moving))
    assert bpy.context.scene.menagerie.kind == "CLIP" and bpy.context.scene.menagerie_clip.path == str(moving)
    bpy.ops.menagerie.drop_photo(filepath=str(still))
    assert bpy.context.scene.menagerie.kind == "PHOTO" and bpy.context.scene.menagerie.photo == str(still)


def animated(film: Path) -> bpy.types.Object:
    choose(film)
    bpy.ops.menagerie.animate()
    return bpy.data.objects[session.state.last_creature]


def test_one_click_puts_the_motion_on_another_armature(link: Link, film: Path) -> None:
    rig = animated(film)
    second = animated(film)
    second.animation_data_clear()
    second.name = "other"
    for bone in second.pose.bones:
        bone.rotation_mode = "XYZ"
    bpy.context.view_layer.objects.active = rig
    retarget_choices.of(bpy.context).feet = "off"  # the made-up walk's feet slide: held, they would turn the legs
    before = {action.name for action in bpy.data.actions}
    assert bpy.ops.menagerie.use_clip_on(target="other") == {"FINISHED"}
    made, = (action for action in bpy.data.actions if action.name not in before)
    assert second.animation_data.action == made and made.use_fake_user
    chosen = retarget_choices.of(bpy.context)
    assert chosen.source == rig and chosen.action == rig.animation_data.action and len(chosen.rows) > 8
    for frame in (3, 17, 40):
        bpy.context.scene.frame_set(frame)
        for name in ("thigh.L", "front_shin.R", "tail.002"):
            a, b = (thing.pose.bones[name].matrix.to_quaternion() for thing in (rig, second))
            assert np.degrees(a.rotation_difference(b).angle) < 2.0 or np.degrees(2 * np.pi - a.rotation_difference(b).angle) < 2.0


def test_a_target_that_plays_its_own_action_goes_on_with_it(link: Link, film: Path) -> None:
    rig, second = animated(film), animated(film)
    own = bpy.data.actions.new("mine")
    compat.assign_action(second, own)
    bpy.context.view_layer.objects.active = rig
    assert bpy.ops.menagerie.use_clip_on(target=second.name) == {"FINISHED"}
    assert second.animation_data.action == own


def test_the_clips_motion_is_offered_where_another_armature_takes_a_motion(link: Link, film: Path) -> None:
    rig = animated(film)
    bpy.ops.object.armature_add()
    other = bpy.context.object
    assert retarget_choices.target_of(bpy.context) == other
    shown = drawn(retarget_panel.MENAGERIE_PT_retarget)
    assert f"For {other.name}" in shown
    chosen = retarget_choices.of(bpy.context)
    assert chosen.source == rig and retarget_choices.action_of(chosen) == rig.animation_data.action
    assert clip_panel.MENAGERIE_PT_clip.poll(bpy.context)
    assert "menagerie.use_clip_on" in drawn(clip_panel.MENAGERIE_PT_clip)
    bpy.context.view_layer.objects.active = rig
    assert not bpy.ops.menagerie.retarget_bake.poll(), "a creature takes no motion from itself"


def test_without_another_armature_there_is_nothing_to_put_it_on(link: Link, film: Path) -> None:
    bpy.context.view_layer.objects.active = animated(film)
    assert not bpy.ops.menagerie.use_clip_on.poll() and Layout().said == []
