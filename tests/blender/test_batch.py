"""Many photos become a row of creatures: states, retry, remove, cancel, and what is still there after a restart."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import bpy
import pytest

import blender_addon
from blender_addon import paths
from blender_addon.link import batch, batch_list, batch_rows, session
from blender_addon.link.process import Backend
from blender_addon.panels import batch_panel
from tests import promise
from tests.blender.button import CHILD, PATIENCE, PYTHON, ROOT, Layout, choose_photo, drawn, everything
from tests.blender.creatures import empty_blender

pytestmark = [pytest.mark.blender5, pytest.mark.usefixtures("add_on", "empty_list")]


@pytest.fixture
def empty_list() -> Iterator[None]:
    yield
    batch.stop()
    pump_until(lambda: batch.state.entry is None)
    batch.remove(batch.entries())
    batch.state.offered.clear()


def pump_until(holds: Callable[[], bool], seconds: float = 3 * PATIENCE) -> None:
    """Call the timers' functions as Blender's interface does."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not happen in time"
        session.tick()
        batch.tick()
        time.sleep(0.01)


def add(folder: Path, *names: str) -> None:
    """These photos into the list, as the file browser hands them over."""
    for name in names:
        choose_photo(folder, name)
    bpy.ops.menagerie.batch_add(directory=str(folder), files=[{"name": f"{name}.png"} for name in names])


def go() -> None:
    """Start, as in Blender's interface: returns at once."""
    batch.start(bpy.context)


def states() -> dict[str, str]:
    return {entry.name: entry.state for entry in batch.entries()}


def rigs() -> dict[str, bpy.types.Object]:
    return {thing.name: thing for thing in bpy.data.objects if thing.type == "ARMATURE"}


def row(index: int) -> list[str]:
    """What the list shows in a row."""
    layout = Layout()
    batch_panel.draw_entry(layout, batch.entries()[index], index)
    return layout.said


def test_a_folder_becomes_a_row_in_a_collection_of_its_own_in_the_lists_order(tmp_path: Path) -> None:
    folder = tmp_path / "Tiere 动物"
    folder.mkdir()
    for name in ("a", "b", "c"):
        choose_photo(folder, name)
    (folder / "notes.txt").write_text("no photo")
    bpy.context.scene.cursor.location = (2, -1, 0.5)
    assert bpy.ops.menagerie.batch_add(directory=str(folder)) == {"FINISHED"}
    assert [row.name for row in batch_rows.rows()] == ["a", "b", "c"]
    assert bpy.ops.menagerie.batch_start() == {"FINISHED"}
    assert states() == dict.fromkeys("abc", "finished")
    assert [tuple(round(x, 4) for x in rigs()[name].location) for name in "abc"] == [
        (2 + number * batch.PITCH, -1, 0.5) for number in range(3)
    ]
    home = bpy.data.collections["Tiere 动物"]
    assert sorted(child.name for child in home.children) == ["a", "b", "c"] and list(bpy.context.scene.collection.children) == [home]
    assert bpy.ops.menagerie.batch_add(directory=str(folder)) == {"FINISHED"} and len(batch.entries()) == 3, "none twice"


def test_a_creature_of_the_row_overlays_its_photo_there_and_after_an_update(tmp_path: Path) -> None:
    add(tmp_path, "a", "b")
    bpy.ops.menagerie.batch_start()
    cameras = [next(o for o in rigs()[name].users_collection[0].objects if o.type == "CAMERA") for name in "ab"]

    def seen() -> list[tuple[float, ...]]:
        """Each creature's place from its camera."""
        bpy.context.view_layer.update()
        return [tuple(round(x, 4) for x in camera.matrix_world.inverted() @ rigs()[name].matrix_world.translation)
                for camera, name in zip(cameras, "ab", strict=True)]  # fmt: skip

    first = seen()
    assert first[0] == first[1]
    bpy.context.view_layer.objects.active = rigs()["b"]
    assert bpy.ops.menagerie.update() == {"FINISHED"}
    assert seen() == first and rigs()["b"].location.x == pytest.approx(batch.PITCH)
    assert not batch.unplaced(), "it is still the entry's creature"


def test_one_failure_stops_nothing_and_is_told_with_its_row(tmp_path: Path) -> None:
    add(tmp_path, "a", "no animal", "b")
    bpy.ops.menagerie.batch_start()
    assert states() == {"a": "finished", "no animal": "failed", "b": "finished"} and sorted(rigs()) == ["a", "b"]
    assert session.state.error is None
    bpy.context.window_manager.menagerie_batch_active = 1
    said, error = drawn(batch_panel.MENAGERIE_PT_batch), batch.entries()[1].error
    assert error is not None and error["code"] == "no_animal" and "2 of 3 done, 1 failed" in said
    assert set(f"{error['sentence']} {error['remedy']}".split()) <= set(" ".join(said).split())
    assert "menagerie.batch_retry" in row(1) and "OUTLINER_OB_ARMATURE" in row(0)


def test_retry_does_what_failed_again_and_nothing_else(tmp_path: Path) -> None:
    add(tmp_path, "a", "b")
    photo = tmp_path / "b.png"
    photo.rename(tmp_path / "away.png")
    bpy.ops.menagerie.batch_start()
    assert states() == {"a": "finished", "b": "failed"} and "not there" in batch.entries()[1].error["sentence"]
    before = Path(batch.entries()[0].out, "report.json").stat().st_mtime_ns
    (tmp_path / "away.png").rename(photo)
    assert bpy.ops.menagerie.batch_retry(index=1) == {"FINISHED"} and states()["b"] == "waiting"
    assert bpy.ops.menagerie.batch_start() == {"FINISHED"}
    assert states() == dict.fromkeys("ab", "finished") and sorted(rigs()) == ["a", "b"]
    assert Path(batch.entries()[0].out, "report.json").stat().st_mtime_ns == before


def test_creatures_are_placed_as_they_finish_and_wait_while_the_artist_is_elsewhere(tmp_path: Path) -> None:
    bpy.ops.mesh.primitive_cube_add()
    cube = bpy.context.object
    add(tmp_path, "a", "b")
    go()
    bpy.ops.object.mode_set(mode="EDIT")
    before = everything()
    pump_until(lambda: states() == dict.fromkeys("ab", "finished"))
    assert everything() == before and cube.mode == "EDIT" and len(batch.unplaced()) == 2
    assert "Ready: Place 2" in drawn(batch_panel.MENAGERIE_PT_batch)
    bpy.ops.object.mode_set(mode="OBJECT")
    pump_until(lambda: not batch.unplaced())
    assert sorted(rigs()) == ["a", "b"] and bpy.context.object == cube and bpy.context.selected_objects == [cube]


def test_a_creature_that_the_artist_took_away_comes_back_only_when_asked_for(tmp_path: Path) -> None:
    add(tmp_path, "a")
    go()
    pump_until(lambda: "a" in rigs())
    bpy.data.batch_remove(list(rigs()["a"].users_collection[0].objects))
    for _ in range(5):
        batch.tick()
    assert not rigs() and len(batch.unplaced()) == 1
    assert bpy.ops.menagerie.batch_place(index=0) == {"FINISHED"} and list(rigs()) == ["a"]
    bpy.ops.menagerie.batch_remove(what="PLACED")
    assert not batch.entries() and list(rigs()) == ["a"]


def test_cancel_all_stops_in_time_and_start_goes_on(tmp_path: Path) -> None:
    add(tmp_path, "a", "slow", "b")
    go()
    pump_until(lambda: batch.state.job is not None and batch.state.job.stage == "slow")
    assert "menagerie.batch_cancel" in drawn(batch_panel.MENAGERIE_PT_batch) and "Slow" in row(1)
    start = time.monotonic()
    assert bpy.ops.menagerie.batch_cancel() == {"FINISHED"}
    pump_until(lambda: batch.state.entry is None)
    assert time.monotonic() - start < 2 and session.state.error is None
    assert states() == {"a": "finished", "slow": "waiting", "b": "waiting"}
    bpy.ops.menagerie.batch_remove(index=1)
    assert bpy.ops.menagerie.batch_start() == {"FINISHED"} and states() == dict.fromkeys("ab", "finished")


def test_the_photo_at_work_can_be_removed_and_the_next_follows(tmp_path: Path) -> None:
    add(tmp_path, "slow", "b")
    go()
    pump_until(lambda: batch.state.job is not None and batch.state.job.stage == "slow")
    bpy.ops.menagerie.batch_remove(index=0)
    pump_until(lambda: states() == {"b": "finished"})
    assert session.state.error is None


def test_reconstruct_works_beside_the_batch(tmp_path: Path) -> None:
    add(tmp_path, "a", "slow")
    go()
    pump_until(lambda: batch.state.job is not None and batch.state.job.stage == "slow")
    photo = choose_photo(tmp_path, "mine")
    session.begin(bpy.context, session.Plan(str(photo), str(session.new_folder()), {}, bpy.context.scene.name, "mine"))
    bpy.ops.menagerie.batch_remove(index=1)
    pump_until(lambda: "mine" in rigs())
    assert states() == {"a": "finished"} and sorted(rigs()) == ["a", "mine"]


def test_a_backend_that_is_killed_goes_on_with_the_same_photo_and_a_photo_that_kills_it_fails(tmp_path: Path) -> None:
    add(tmp_path, "slow", "dies", "b")
    go()
    pump_until(lambda: batch.state.job is not None and batch.state.job.stage == "slow")
    os.kill(session.state.backend.pid, signal.SIGKILL)
    pump_until(lambda: batch.state.job is None or batch.state.job.stage != "slow")
    pump_until(lambda: batch.state.job is not None and batch.state.job.stage == "slow")
    assert states()["slow"] == "running" and batch.entries()[0].tries == 2
    bpy.ops.menagerie.batch_remove(index=0)
    pump_until(lambda: states() == {"dies": "failed", "b": "finished"})
    assert batch.entries()[0].error["code"] == "backend_killed" and batch.entries()[0].tries == batch.TRIES


def test_what_every_photo_would_meet_stops_the_batch_with_its_remedy(tmp_path: Path) -> None:
    add(tmp_path, "disk full", "b")
    with pytest.raises(RuntimeError, match="disk"):
        bpy.ops.menagerie.batch_start()
    assert states() == {"disk full": "waiting", "b": "waiting"} and session.state.error["code"] == "disk_full"


def restart(folder: Path, meanwhile: Callable[[], object] = lambda: None) -> None:
    """Blender ends and starts again with the same user folder."""
    blender_addon.unregister()
    meanwhile()
    blender_addon.register()
    session.use(Backend(PYTHON, ROOT, paths.version(), folder / "backend.log", entry=CHILD))


def test_after_a_restart_the_list_is_there_and_finished_ones_are_not_done_again(tmp_path: Path) -> None:
    add(tmp_path, "a", "slow", "b", "no animal")
    batch.entries()[3].state, batch.entries()[3].error = "failed", {"code": "no_animal", "sentence": "None.", "remedy": "Paint."}
    go()
    pump_until(lambda: batch.state.job is not None and batch.state.job.stage == "slow")
    saved = tmp_path / "with a.blend"
    bpy.ops.wm.save_as_mainfile(filepath=str(saved))
    before = Path(batch.entries()[0].out, "report.json").stat().st_mtime_ns
    restart(tmp_path, empty_blender)
    assert states() == {"a": "finished", "slow": "waiting", "b": "waiting", "no animal": "failed"}
    assert [row.name for row in batch_rows.rows()] == ["a", "slow", "b", "no animal"] and not batch.state.going
    batch.tick()
    assert not rigs(), "nothing is placed in a file that the artist has not asked for"
    bpy.ops.wm.open_mainfile(filepath=str(saved))
    assert batch.unplaced() == [], "the file has it already"
    bpy.ops.menagerie.batch_remove(index=1)
    bpy.ops.menagerie.batch_start()
    assert states() == {"a": "finished", "b": "finished", "no animal": "failed"} and sorted(rigs()) == ["a", "b"]
    assert Path(batch.entries()[0].out, "report.json").stat().st_mtime_ns == before
    assert rigs()["b"].location.x == pytest.approx(2 * batch.PITCH)


def test_another_file_gets_nothing_by_itself_and_its_start_places_there(tmp_path: Path) -> None:
    add(tmp_path, "a", "b")
    go()
    empty_blender()
    pump_until(lambda: states() == dict.fromkeys("ab", "finished"))
    batch.tick()
    assert not rigs() and len(batch_rows.rows()) == 2
    assert bpy.ops.menagerie.batch_start() == {"FINISHED"} and sorted(rigs()) == ["a", "b"]


def test_a_damaged_result_is_said_and_the_others_are_placed(tmp_path: Path) -> None:
    bpy.context.scene.name = "elsewhere"
    add(tmp_path, "a", "b")
    go()
    batch.state.scene = "gone"
    pump_until(lambda: states() == dict.fromkeys("ab", "finished"))
    file = Path(batch.entries()[0].out, "asset.safetensors")
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(RuntimeError, match="not whole|damaged|ends"):
        bpy.ops.menagerie.batch_place()
    assert states() == {"a": "failed", "b": "finished"} and list(rigs()) == ["b"]
    bpy.ops.menagerie.batch_retry()
    bpy.ops.menagerie.batch_start()
    assert states() == dict.fromkeys("ab", "finished") and sorted(rigs()) == ["a", "b"]


def test_promise_1_callbacks_are_short_while_the_batch_runs(tmp_path: Path) -> None:
    add(tmp_path, "slow", *(f"photo {number}" for number in range(30)))
    go()
    pump_until(lambda: batch.state.job is not None and batch.state.job.stage == "slow")
    took: list[promise.Took] = []
    with promise.own_garbage_only():
        for _ in range(100):
            promise.timed(took, lambda: (session.pump(), batch.tick(), drawn(batch_panel.MENAGERIE_PT_batch)))
            time.sleep(0.01)
    work = sorted(own for _, own in took)
    assert work[98] < promise.CALLBACK_SECONDS and work[-1] < promise.WORST_SECONDS


def test_several_dropped_photos_go_into_the_list_and_one_into_the_panel(tmp_path: Path) -> None:
    for name in ("a", "b"):
        choose_photo(tmp_path, name)
    bpy.context.scene.menagerie.photo = ""
    files = [{"name": "a.png"}, {"name": "b.png"}]
    assert bpy.ops.menagerie.drop_photo(filepath=str(tmp_path / "a.png"), directory=str(tmp_path), files=files) == {"FINISHED"}
    assert list(states()) == ["a", "b"] and bpy.context.scene.menagerie.photo == ""
    assert bpy.ops.menagerie.drop_photo(filepath=str(tmp_path / "a.png"), directory=str(tmp_path), files=files[:1]) == {"FINISHED"}
    assert len(batch.entries()) == 2 and bpy.context.scene.menagerie.photo == str(tmp_path / "a.png")


def test_a_mask_that_was_made_for_a_failed_photo_is_used_by_its_retry(tmp_path: Path) -> None:
    add(tmp_path, "no animal", "a")
    bpy.ops.menagerie.batch_start()
    bpy.context.window_manager.menagerie_batch_active = 0
    assert "menagerie.batch_pick" in drawn(batch_panel.MENAGERIE_PT_batch)
    assert bpy.ops.menagerie.batch_pick(index=0) == {"FINISHED"}
    chosen = bpy.context.scene.menagerie
    assert chosen.photo == batch.entries()[0].photo
    picture = bpy.data.images.load(chosen.photo)
    chosen.mask_image, chosen.mask_photo, chosen.mask_kind = picture, chosen.photo, "PAINTED"
    bpy.ops.menagerie.batch_retry()
    assert Path(batch.entries()[0].settings["mask"]).is_file() and "mask" not in batch.entries()[1].settings
    bpy.ops.menagerie.batch_start()
    assert states() == {"no animal": "failed", "a": "finished"}, "it is the name that the made-up method refuses"


@pytest.mark.parametrize("what", ["ram", "no folder"])
def test_a_folder_without_photos_is_refused(tmp_path: Path, what: str) -> None:
    folder = tmp_path / what
    if what == "ram":
        folder.mkdir()
    with pytest.raises(RuntimeError, match="photo|folder"):
        bpy.ops.menagerie.batch_add(directory=str(folder))


def mark(*names: str) -> None:
    for row in batch_rows.rows():
        row.marked = row.name in names


def test_marked_rows_become_one_in_the_firsts_place(tmp_path: Path) -> None:
    add(tmp_path, "a", "b", "c", "d")
    with pytest.raises(RuntimeError):
        bpy.ops.menagerie.batch_join()
    mask = tmp_path / "of b.png"
    mask.write_bytes((tmp_path / "b.png").read_bytes())
    batch.entries()[1].settings["mask"] = str(mask)
    spot = batch.entries()[1].spot
    mark("b", "d")
    assert bpy.ops.menagerie.batch_join() == {"FINISHED"}
    assert [entry.name for entry in batch.entries()] == ["a", "b", "c"] and batch_rows.marked() == []
    one = batch.entries()[1]
    assert one.spot == spot and one.settings["photos"] == [{"photo": str(tmp_path / "d.png")}]
    assert Path(one.settings["mask"]).read_bytes() == mask.read_bytes() and Path(one.settings["mask"]).parent == Path(one.out)
    assert any("b (2 photos)" in said for said in row(1))
    add(tmp_path, "d")
    assert len(batch.entries()) == 3, "it is in the list already"


def test_joined_rows_become_one_creature(tmp_path: Path) -> None:
    add(tmp_path, "a", "b", "c", "d")
    mark("b", "d")
    bpy.ops.menagerie.batch_join()
    one = batch.entries()[1]
    assert bpy.ops.menagerie.batch_start() == {"FINISHED"}
    assert states() == dict.fromkeys("abc", "finished") and set(rigs()) == {"a", "b", "c"}
    record = session.read_record(rigs()["b"])
    assert record["settings"]["photos"] == one.settings["photos"], "an update uses all of them again"
    folder = Path(one.out)
    assert (folder / "mask-2.png").is_file() and not (Path(batch.entries()[0].out) / "mask-2.png").exists()


def test_what_is_joined_outlives_blender_and_a_lost_photo_is_named(tmp_path: Path) -> None:
    add(tmp_path, "a", "b")
    mark("a", "b")
    bpy.ops.menagerie.batch_join()
    assert batch.state.list is not None
    [kept] = batch_list.read(batch.state.list.folder, batch.state.list.stream).entries
    assert [Path(photo["photo"]).name for photo in kept.sources] == ["a.png", "b.png"]
    (tmp_path / "b.png").unlink()
    bpy.ops.menagerie.batch_start()
    assert states() == {"a": "failed"}
    error = batch.entries()[0].error
    assert error is not None and "b.png" in error["sentence"]


def test_marks_stay_with_their_photos(tmp_path: Path) -> None:
    add(tmp_path, "a", "b", "c")
    mark("c")
    bpy.ops.menagerie.batch_remove(index=0)
    assert [row.name for row in batch_rows.rows() if row.marked] == ["c"]
