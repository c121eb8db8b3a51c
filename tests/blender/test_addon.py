"""The add-on inside Blender, with the real service and a made-up method: from the button to the creature and back."""

from __future__ import annotations

import json
import re
import shutil
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import bpy
import pytest

from blender_addon import paths, preferences
from blender_addon.link import session
from blender_addon.link.process import Job
from blender_addon.ops.copy_diagnostics import diagnostics, without_paths
from blender_addon.panels import main as panel
from blender_addon.panels import preferences_panel
from tests.blender.button import PATIENCE, ROOT, Layout, choose_photo, drawn, everything, finish_unplaced, reconstruct

CANCEL_SECONDS = 2.0

pytestmark = [pytest.mark.blender5, pytest.mark.usefixtures("add_on")]


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
    ("name", "code"),
    [
        ("several", "several_animals"), ("no animal", "no_animal"), ("damaged weights", "weights_damaged"), ("disk full", "disk_full"),
        ("no memory", "no_memory"), ("dies", "backend_killed"),
    ],  # fmt: skip
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


def test_promise_3_cancel_ends_the_job_and_shows_no_error(tmp_path: Path) -> None:
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
    assert time.monotonic() - start < CANCEL_SECONDS
    assert session.state.error is None and everything() == before


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


def test_the_other_way_is_counted_from_the_viewpoint_that_was_chosen(tmp_path: Path) -> None:
    rig = reconstruct(tmp_path)
    bpy.ops.menagerie.viewpoint(index=2)
    chosen = session.read_record(rig)["settings"]
    bpy.ops.menagerie.flip_heading()
    flipped = session.read_record(rig)["settings"]
    assert (flipped["viewpoint"], flipped["flip_heading"]) == (2, True)
    bpy.ops.menagerie.swap_legs()
    assert session.read_record(rig)["settings"] == {**flipped, "swap_legs": True}
    bpy.ops.menagerie.swap_legs()
    assert session.read_record(rig)["settings"] == {**flipped, "swap_legs": False}
    bpy.ops.menagerie.flip_heading()
    assert session.read_record(rig)["settings"] == {**chosen, "swap_legs": False}


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


def test_promise_2_a_damaged_result_is_said_and_nothing_is_placed(tmp_path: Path) -> None:
    finish_unplaced(tmp_path)
    file = Path(session.state.ready[-1][1]["out"]) / "asset.safetensors"
    file.write_bytes(file.read_bytes()[:1000])
    before = everything()
    with pytest.raises(session.LinkError) as refusal:
        session.place()
    assert refusal.value.code == "asset_damaged" and everything() == before and not session.state.ready


def test_only_the_photos_view_touches_camera_and_resolution(tmp_path: Path) -> None:
    scene = bpy.context.scene
    scene.render.resolution_x, scene.render.resolution_y = 111, 222
    rig = reconstruct(tmp_path)
    assert scene.camera is None and (scene.render.resolution_x, scene.render.resolution_y) == (111, 222)
    assert bpy.ops.menagerie.use_photo_view() == {"FINISHED"}
    assert scene.camera in rig.users_collection[0].objects.values()
    assert (scene.render.resolution_x, scene.render.resolution_y) == (96, 64)


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


def test_a_changed_device_reaches_the_next_job_and_leaves_the_running_one_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python = tmp_path / "python"
    python.touch()
    chosen = SimpleNamespace(device="cpu", python_path=str(python))
    monkeypatch.setattr(preferences, "get", lambda context: chosen)
    monkeypatch.setattr(session, "state", session.Session())
    first = session.backend_for(bpy.context)
    assert first.variables == {"CUDA_VISIBLE_DEVICES": "-1"} and session.backend_for(bpy.context) is first
    chosen.device = "cuda"
    session.state.job = Job({})
    assert session.backend_for(bpy.context) is first
    session.state.job = None
    second = session.backend_for(bpy.context)
    assert second is not first and second.variables == {} and session.backend_for(bpy.context) is second


def test_the_device_is_the_processor_until_the_person_chooses_cuda_and_knows_what_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    assert preferences.device_of(bpy.context) == "cpu"
    device = preferences.MenageriePreferences.bl_rna.properties["device"]
    assert device.default == "cpu" and [item.identifier for item in device.enum_items] == ["cpu", "cuda"]
    assert {"training", "`benchmark", "reconstruction", "processor"} <= set(device.enum_items["cuda"].description.split())


def test_the_sidebar_offers_what_the_creature_can_do(tmp_path: Path) -> None:
    assert "menagerie.reconstruct" in drawn(panel.MENAGERIE_PT_main)
    bpy.context.view_layer.objects.active = reconstruct(tmp_path)
    shown = drawn(panel.MENAGERIE_PT_creature)
    assert {"menagerie.use_photo_view", "menagerie.update", "menagerie.flip_heading", "menagerie.swap_legs"} <= set(shown)
    assert drawn(panel.MENAGERIE_PT_viewpoints).count("menagerie.viewpoint") == 4


def test_the_bar_names_the_stage_and_the_seconds_left(tmp_path: Path) -> None:
    photo = choose_photo(tmp_path, "slow")
    job = session.begin(bpy.context, session.Plan(str(photo), str(tmp_path / "out"), {}, bpy.context.scene.name, "slow"))
    job.stage, job.fraction, job.seconds_left = "fit", 0.5, 12.4
    assert "Fitting, 12 s left" in drawn(panel.MENAGERIE_PT_main)
    session.cancel()
    assert any(text.startswith("Stopping") for text in drawn(panel.MENAGERIE_PT_main))
    while session.state.job is not None:
        session.pump()
        time.sleep(0.01)


def test_every_stage_of_the_method_has_its_words() -> None:
    rooms = [ROOT / "backend" / "methods" / "fauna", ROOT / "backend" / "service", ROOT / "backend" / "observe"]
    source = "".join(path.read_text(encoding="utf-8") for room in rooms for path in sorted(room.rglob("*.py")))
    named = set(re.findall(r"""(?:progress|stages|stages\.part\("\w+"\))\("(\w+)", """, source))
    assert len(named) > 5 and named <= set(panel.STAGES)


def test_preferences_show_environment_path_device_weights_and_licences() -> None:
    assert preferences.weights()
    layout = Layout()
    chosen = type("Chosen", (), {"python_path": ""})()
    preferences_panel.draw(layout, bpy.context, chosen)
    shown = " ".join(layout.said)
    assert "Not set up yet" in shown and str(paths.user_folder() / "environment") in shown
    assert {"menagerie.set_up", "menagerie.copy_diagnostics", "device", "interpreter", "python_path", "archive"} <= set(layout.said)
    for row in preferences.weights():
        assert row["licence"] and set(f"{row['licence'].rstrip('.')}: {row['attribution']}".split()) <= set(shown.split())


def test_a_record_that_a_person_broke_is_no_creature(tmp_path: Path) -> None:
    rig = reconstruct(tmp_path)
    for text in ("", "{", "[]", json.dumps({"settings": 3})):
        rig[session.RECORD] = text
        assert session.read_record(rig) == {}


