"""The add-on inside Blender, with the real service and a made-up method: from the button to the creature and back."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bpy
import numpy as np
import pytest
from PIL import Image as Picture

import blender_addon
from blender_addon import paths, preferences
from blender_addon.link import session
from blender_addon.link.process import Backend
from blender_addon.ops.copy_diagnostics import diagnostics, without_paths
from blender_addon.ops.paint_mask import save_mask
from blender_addon.panels import main as panel
from blender_addon.panels import preferences_panel
from tests.blender.creatures import empty_blender

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".venv" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
CHILD = ("-c", f"import runpy; runpy.run_path({str(ROOT / 'tests' / 'service' / 'child.py')!r})")
PATIENCE = 60.0
CALLBACK_SECONDS = 0.050

pytestmark = pytest.mark.blender5


@pytest.fixture(scope="module", autouse=True)
def _enabled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The add-on, registered, with one child for all tests of this file."""
    folder = tmp_path_factory.mktemp("user")
    patch = pytest.MonkeyPatch()
    patch.setattr(paths, "user_folder", lambda *parts: make(folder.joinpath(*parts)))
    blender_addon.register()
    session.use(Backend(PYTHON, ROOT, paths.version(), folder / "backend.log", entry=CHILD))
    yield
    blender_addon.unregister()
    patch.undo()


def make(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(autouse=True)
def _empty() -> Iterator[None]:
    empty_blender()
    session.state.error = None
    session.state.ready.clear()
    yield


def choose_photo(folder: Path, name: str = "ram") -> Path:
    """A photo with alpha becomes the panel's; its name tells the made-up method how to behave."""
    path = folder / f"{name}.png"
    picture = Picture.new("RGBA", (96, 64), (120, 80, 40, 0))
    picture.paste((120, 80, 40, 255), (24, 16, 72, 48))
    picture.save(path)
    bpy.context.scene.menagerie.photo = str(path)
    return path


def reconstruct(folder: Path) -> bpy.types.Object:
    choose_photo(folder)
    assert bpy.ops.menagerie.reconstruct() == {"FINISHED"}
    return bpy.data.objects[session.state.last_creature]


def finish_unplaced(folder: Path, name: str = "ram") -> None:
    """A job that ends while the artist is elsewhere: pumped as the timer does, not placed."""
    photo = choose_photo(folder, name)
    plan = session.Plan(str(photo), str(session.new_folder()), {}, bpy.context.scene.name, name)
    session.begin(bpy.context, plan)
    deadline = time.monotonic() + PATIENCE
    while session.state.job is not None:
        assert time.monotonic() < deadline
        session.pump()
        time.sleep(0.01)


def everything() -> dict[str, int]:
    kinds = ("objects", "meshes", "armatures", "images", "materials", "collections", "cameras", "actions", "scenes")
    return {kind: len(getattr(bpy.data, kind)) for kind in kinds}


def test_the_button_makes_a_creature_in_a_collection_of_its_own(tmp_path: Path) -> None:
    rig = reconstruct(tmp_path)
    assert rig.type == "ARMATURE" and rig.users_collection[0].name == "ram"
    record = session.read_record(rig)
    assert record["photo"].endswith("ram.png") and record["photo_size"] == [96, 64] and len(record["viewpoints"]) == 4
    assert session.state.ready == [] and session.state.error is None


def test_a_second_creature_stands_beside_the_first(tmp_path: Path) -> None:
    first = reconstruct(tmp_path)
    second = reconstruct(tmp_path)
    assert first != second and len([o for o in bpy.data.objects if o.type == "ARMATURE"]) == 2


@pytest.mark.parametrize(
    ("name", "code"), [("several", "several_animals"), ("disk full", "disk_full"), ("no memory", "no_memory"), ("dies", "backend_killed")]
)
def test_a_failure_is_shown_with_its_remedy_and_changes_nothing(tmp_path: Path, name: str, code: str) -> None:
    choose_photo(tmp_path, name)
    before = everything()
    with pytest.raises(RuntimeError):
        bpy.ops.menagerie.reconstruct()
    assert everything() == before
    assert session.state.error is not None and session.state.error["code"] == code and session.state.error["remedy"]
    labels = drawn(panel.MENAGERIE_PT_main)
    assert session.state.error["remedy"].split()[0] in " ".join(labels)
    assert reconstruct(tmp_path).type == "ARMATURE"
    assert session.state.error is None


def test_a_photo_that_is_gone_is_said(tmp_path: Path) -> None:
    bpy.context.scene.menagerie.photo = str(tmp_path / "gone.png")
    with pytest.raises(RuntimeError, match="not there"):
        bpy.ops.menagerie.reconstruct()


def test_cancel_ends_the_job_and_shows_no_error(tmp_path: Path) -> None:
    photo = choose_photo(tmp_path, "slow")
    job = session.begin(bpy.context, session.Plan(str(photo), str(tmp_path / "out"), {}, bpy.context.scene.name, "slow"))
    deadline = time.monotonic() + PATIENCE
    while job.stage != "slow" or not job.preview:
        assert time.monotonic() < deadline
        session.pump()
        time.sleep(0.01)
    assert "Cancel" in " ".join(drawn(panel.MENAGERIE_PT_main)) or "menagerie.cancel" in drawn(panel.MENAGERIE_PT_main)
    before = everything()
    assert bpy.ops.menagerie.cancel() == {"FINISHED"}
    start = time.monotonic()
    while session.state.job is not None:
        session.pump()
        time.sleep(0.01)
    assert time.monotonic() - start < 2.0
    assert session.state.error is None and everything() == before


@pytest.mark.parametrize("mode", ["EDIT", "SCULPT", "WEIGHT_PAINT"])
def test_placing_from_any_mode_leaves_mode_selection_and_frame(tmp_path: Path, mode: str) -> None:
    bpy.ops.mesh.primitive_cube_add()
    cube = bpy.context.object
    bpy.context.scene.frame_set(7)
    bpy.ops.object.mode_set(mode=mode)
    finish_unplaced(tmp_path)
    plan = session.state.ready[-1][0]
    assert not session.may_place(bpy.context, plan), "the artist is elsewhere: the result waits"
    assert "Ready: Place ram" in drawn(panel.MENAGERIE_PT_main)
    assert bpy.ops.menagerie.place() == {"FINISHED"}
    assert cube.mode == mode and bpy.context.object == cube and bpy.context.selected_objects == [cube]
    assert bpy.context.scene.frame_current == 7 and bpy.data.objects.get("ram") is not None
    bpy.ops.object.mode_set(mode="OBJECT")


def test_a_result_in_object_mode_of_its_scene_may_be_placed_at_once(tmp_path: Path) -> None:
    finish_unplaced(tmp_path)
    assert session.may_place(bpy.context, session.state.ready[-1][0])


def test_a_waiting_result_can_be_dismissed(tmp_path: Path) -> None:
    finish_unplaced(tmp_path)
    bpy.ops.menagerie.dismiss(what="RESULT")
    assert not session.state.ready and not bpy.ops.menagerie.place.poll()


@pytest.mark.parametrize(
    ("operator", "words", "setting", "value"),
    [
        ("flip_heading", {}, "flip_heading", True),
        ("swap_legs", {}, "swap_legs", True),
        ("viewpoint", {"index": 2}, "viewpoint", 2),
    ],
)
def test_another_hypothesis_replaces_the_same_creature(
    tmp_path: Path, operator: str, words: dict[str, Any], setting: str, value: Any
) -> None:
    rig = reconstruct(tmp_path)
    objects = sorted(thing.name for thing in bpy.data.objects)
    assert getattr(bpy.ops.menagerie, operator)(**words) == {"FINISHED"}
    assert sorted(thing.name for thing in bpy.data.objects) == objects
    assert session.read_record(rig)["settings"][setting] == value


def test_facing_the_other_way_twice_is_the_first_way_again(tmp_path: Path) -> None:
    rig = reconstruct(tmp_path)
    bpy.ops.menagerie.flip_heading()
    bpy.ops.menagerie.flip_heading()
    assert session.read_record(rig)["settings"]["flip_heading"] is False


def test_update_uses_the_panels_seed_and_keeps_constraints_and_materials(tmp_path: Path) -> None:
    rig = reconstruct(tmp_path)
    rig.pose.bones["head"].constraints.new("DAMPED_TRACK").name = "mine"
    body = next(child for child in rig.children if child.type == "MESH")
    body.data.materials[0].roughness = 0.123
    bpy.context.scene.menagerie.seed = 5
    assert bpy.ops.menagerie.update() == {"FINISHED"}
    assert session.read_record(rig)["settings"]["seed"] == 5
    assert rig.pose.bones["head"].constraints[0].name == "mine"
    assert body.data.materials[0].roughness == pytest.approx(0.123)


def test_a_damaged_result_is_said_and_nothing_is_placed(tmp_path: Path) -> None:
    finish_unplaced(tmp_path)
    file = Path(session.state.ready[-1][1]["out"]) / "asset.safetensors"
    file.write_bytes(file.read_bytes()[:1000])
    before = everything()
    with pytest.raises(session.LinkError) as refusal:
        session.place()
    assert refusal.value.code == "asset_damaged" and everything() == before and not session.state.ready


def test_a_creature_that_was_deleted_meanwhile_is_made_anew(tmp_path: Path) -> None:
    reconstruct(tmp_path)
    plan = session.again(bpy.context)
    session.begin(bpy.context, plan)
    empty_blender()
    bpy.context.scene.name = plan.scene
    session.finish(bpy.context, PATIENCE)
    assert bpy.data.objects.get("ram") is not None


def test_only_the_photos_view_touches_camera_and_resolution(tmp_path: Path) -> None:
    scene = bpy.context.scene
    scene.render.resolution_x, scene.render.resolution_y = 111, 222
    rig = reconstruct(tmp_path)
    assert scene.camera is None and (scene.render.resolution_x, scene.render.resolution_y) == (111, 222)
    assert bpy.ops.menagerie.use_photo_view() == {"FINISHED"}
    assert scene.camera in rig.users_collection[0].objects.values()
    assert (scene.render.resolution_x, scene.render.resolution_y) == (96, 64)


def test_a_painted_mask_goes_to_the_backend(tmp_path: Path) -> None:
    choose_photo(tmp_path)
    settings = bpy.context.scene.menagerie
    assert bpy.ops.menagerie.paint_mask() == {"FINISHED"}
    image = settings.mask_image
    assert settings.mask_kind == "PAINTED" and tuple(image.size) == (96, 64)
    pixels = np.zeros((64, 96, 4), np.float32)
    pixels[16:32, 24:48] = 1  # rows from the bottom
    image.pixels.foreach_set(pixels.ravel())
    assert bpy.ops.menagerie.reconstruct() == {"FINISHED"}
    record = session.read_record(bpy.data.objects[session.state.last_creature])
    seen = np.asarray(Picture.open(Path(record["out"]) / "mask.png"))
    assert (seen[64 - 32 + 1 : 64 - 16 - 1, 25:47] > 250).all() and seen[:30].max() < 5


def test_an_empty_painted_mask_is_refused(tmp_path: Path) -> None:
    image = bpy.data.images.new("nothing", 8, 8, alpha=True)
    image.pixels.foreach_set(np.zeros(256, np.float32))
    with pytest.raises(session.LinkError):
        save_mask(image, tmp_path)


def test_a_mask_file_is_used_and_a_missing_one_is_said(tmp_path: Path) -> None:
    choose_photo(tmp_path)
    with pytest.raises(RuntimeError, match="mask"):
        bpy.ops.menagerie.load_mask(filepath=str(tmp_path / "none.png"))
        bpy.ops.menagerie.reconstruct()
    Picture.new("L", (96, 64), 255).save(tmp_path / "mask.png")
    bpy.ops.menagerie.load_mask(filepath=str(tmp_path / "mask.png"))
    assert bpy.ops.menagerie.reconstruct() == {"FINISHED"}


def test_a_dropped_photo_becomes_the_panels(tmp_path: Path) -> None:
    photo = choose_photo(tmp_path, "dropped")
    bpy.context.scene.menagerie.photo = ""
    bpy.ops.menagerie.drop_photo(filepath=str(photo))
    assert bpy.context.scene.menagerie.photo == str(photo)


def test_diagnostics_name_versions_and_no_paths(tmp_path: Path) -> None:
    choose_photo(tmp_path, "several")
    with pytest.raises(RuntimeError):
        bpy.ops.menagerie.reconstruct()
    text = diagnostics(bpy.context)
    assert paths.version() in text and bpy.app.version_string in text and "several_animals" in text
    for secret in (str(tmp_path), str(ROOT), str(Path.home())):
        assert len(secret) < 3 or secret not in text


@pytest.mark.parametrize("path", ["/home/jo hn/x.png", "C:\\Users\\Jörg\\a b\\x.py", "\\\\server\\share\\x", "~/photos/x.png"])
def test_paths_of_every_kind_are_removed(path: str) -> None:
    text = without_paths(f'File "{path}", line 3: gone')
    assert "Jörg" not in text and "jo hn" not in text and "share" not in text and "photos" not in text and "line 3: gone" in text


def test_the_set_up_asks_for_consent_and_for_online_access() -> None:
    with pytest.raises(RuntimeError, match="Nothing was downloaded"):
        bpy.ops.menagerie.set_up()
    assert not bpy.app.online_access
    with pytest.raises(RuntimeError, match="may not use the network"):
        bpy.ops.menagerie.set_up(consent=True)
    with pytest.raises(RuntimeError, match="offline archive"):
        bpy.ops.menagerie.set_up(offline=True)


def test_without_a_backend_the_person_is_sent_to_the_preferences(tmp_path: Path) -> None:
    link, given = session.state.backend, session.state.given
    session.state.backend, session.state.given = None, False
    try:
        choose_photo(tmp_path)
        with pytest.raises(RuntimeError, match="Set Up"):
            bpy.ops.menagerie.reconstruct()
        assert session.state.error is not None and session.state.error["code"] == "backend_missing"
        assert "preferences.addon_show" in drawn(panel.MENAGERIE_PT_main)
    finally:
        session.state.backend, session.state.given = link, given


def test_every_panel_draws_fast_in_every_state(tmp_path: Path) -> None:
    rig = reconstruct(tmp_path)
    bpy.context.view_layer.objects.active = rig
    for kind in (panel.MENAGERIE_PT_main, panel.MENAGERIE_PT_creature, panel.MENAGERIE_PT_viewpoints):
        drawn(kind)
        start = time.perf_counter()
        drawn(kind)
        assert time.perf_counter() - start < CALLBACK_SECONDS
    assert preferences.weights()
    layout = Layout()
    preferences_panel.draw(layout, bpy.context, type("Chosen", (), {"python_path": ""})())
    assert any("CC-BY" in text or "licen" in text.lower() or "Apache" in text or "GPL" in text for text in layout.said)


def test_a_record_that_a_person_broke_is_no_creature(tmp_path: Path) -> None:
    rig = reconstruct(tmp_path)
    for text in ("", "{", "[]", json.dumps({"settings": 3})):
        rig[session.RECORD] = text
        assert session.read_record(rig) == {}


class Layout:
    """A stand-in for `UILayout` that notes texts and operators."""

    def __init__(self, said: list[str] | None = None) -> None:
        object.__setattr__(self, "said", [] if said is None else said)

    def __setattr__(self, name: str, value: object) -> None:
        pass

    def __getattr__(self, name: str) -> Any:
        def call(*args: Any, **words: Any) -> Layout:
            self.said.extend(str(value) for value in (*args, *words.values()) if isinstance(value, str))
            return Layout(self.said)

        return call


def drawn(kind: Any) -> list[str]:
    """What a panel shows."""
    layout = Layout()
    kind.draw(type("Panel", (), {"layout": layout})(), bpy.context)
    return layout.said
