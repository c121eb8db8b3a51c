"""Pick Animal: clicks go to the backend in the photo's pixels, the answer is the mask's transparency, Esc brings everything back."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import bpy
import numpy as np
import pytest
from PIL import Image as Picture

from blender_addon import preferences
from blender_addon.link import session
from blender_addon.ops import picking
from blender_addon.panels import main as panel
from blender_addon.panels import preferences_panel
from tests.blender.button import Layout, choose_photo, drawn
from tests.blender.creatures import empty_blender

pytestmark = [pytest.mark.blender5, pytest.mark.usefixtures("add_on")]

FIRST, SECOND = (150.0, 250.0), (450.0, 120.0)
"""Middles of the two islands of `two_animals`, in the photo's pixels from its upper left corner."""
CALLBACK_SECONDS = 0.05


@pytest.fixture(scope="module", autouse=True)
def no_sets(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The child, which inherits this, finds no optional set."""
    patch = pytest.MonkeyPatch()
    patch.setenv("MENAGERIE_WEIGHTS", str(tmp_path_factory.mktemp("weights")))
    yield
    patch.undo()


@pytest.fixture(autouse=True)
def no_picking() -> Iterator[None]:
    yield
    picking.close()


def two_animals(folder: Path, name: str = "two", side: int = 600) -> Path:
    """A cut-out with two islands of like size."""
    scale = side / 600
    picture = Picture.new("RGBA", (side, round(400 * scale)), (120, 80, 40, 0))
    for box in ((50, 200, 250, 300), (370, 60, 530, 180)):
        picture.paste((120, 80, 40, 255), tuple(round(edge * scale) for edge in box))
    path = folder / f"{name}.png"
    picture.save(path)
    bpy.context.scene.menagerie.photo = str(path)
    return path


def click(place: tuple[float, float], negative: bool = False) -> set[str]:
    return bpy.ops.menagerie.pick_animal(x=place[0], y=place[1], negative=negative)


def shown() -> np.ndarray:
    """(h, w) transparency of the mask's image, row 0 at the top; while picking, 0 where the rest of the photo is faintly in view."""
    alpha = picking.read_alpha(bpy.context.scene.menagerie.mask_image)[::-1]
    if picking.current is None:
        return alpha
    assert alpha.min() > picking.FAINT - 0.01, "the rest can still be seen, to be clicked on"
    return np.where(alpha > picking.FAINT + 0.01, alpha, 0)


def standing() -> tuple[object, ...]:
    chosen = bpy.context.scene.menagerie
    image = chosen.mask_image
    return chosen.mask_kind, chosen.mask_photo, image and image.name, image and picking.read_alpha(image).tobytes(), len(bpy.data.images)


def test_a_click_chooses_one_of_two_animals_and_is_reconstructed_from(tmp_path: Path) -> None:
    two_animals(tmp_path)
    with pytest.raises(RuntimeError, match="things of like size"):
        bpy.ops.menagerie.reconstruct()
    assert "menagerie.pick_animal" in drawn(panel.MENAGERIE_PT_main)
    assert click(SECOND) == {"FINISHED"}
    assert session.state.error is None
    alpha = shown()
    assert alpha[70:170, 380:520].min() > 0.9 and alpha[:, :300].max() < 0.1
    assert "menagerie.keep_pick" in drawn(panel.MENAGERIE_PT_main) and "Clicks: 1 on, 0 beside" in drawn(panel.MENAGERIE_PT_picking)
    assert bpy.ops.menagerie.keep_pick() == {"FINISHED"}
    settings = bpy.context.scene.menagerie
    assert settings.mask_kind == "PAINTED" and settings.mask_image.packed_file is not None and picking.current is None
    assert shown()[70:170, 380:520].min() > 0.9 and shown()[:, :300].max() < 0.1
    reconstructed_from_the_second()


def reconstructed_from_the_second() -> None:
    assert bpy.ops.menagerie.reconstruct() == {"FINISHED"}
    record = session.read_record(bpy.data.objects[session.state.last_creature])
    seen = np.asarray(Picture.open(Path(record["out"]) / "mask.png"))
    assert seen[70:170, 380:520].min() > 250 and seen[:, :300].max() < 5


def test_a_reconstruction_takes_the_mask_that_is_being_picked(tmp_path: Path) -> None:
    two_animals(tmp_path)
    click(SECOND)
    reconstructed_from_the_second()
    assert picking.current is None


def test_a_second_click_adds(tmp_path: Path) -> None:
    two_animals(tmp_path)
    click(SECOND)
    click(FIRST)
    alpha = shown()
    assert alpha[70:170, 380:520].min() > 0.9 and alpha[210:290, 60:240].min() > 0.9 and alpha[:50].max() < 0.1


def test_clicks_are_pixels_of_the_photo_and_not_of_its_small_copy(tmp_path: Path) -> None:
    two_animals(tmp_path, side=2400)
    click((4 * SECOND[0], 4 * SECOND[1]))
    image = bpy.context.scene.menagerie.mask_image
    assert max(image.size) == 1024 and tuple(image["menagerie_photo_size"]) == (2400, 1600)
    alpha = shown()
    assert alpha[130:290, 660:880].min() > 0.9 and alpha[:, :512].max() < 0.1


def test_a_turned_photo_is_clicked_on_upright(tmp_path: Path) -> None:
    path = choose_turned(tmp_path)
    picking.begin(bpy.context)
    assert picking.current is not None and picking.current.size == (96, 64) and picking.current.photo == path
    session.finish_errands()
    assert session.state.error is None


def choose_turned(folder: Path) -> Path:
    exif = Picture.Exif()
    exif[0x0112] = 6
    path = folder / "turned.jpg"
    Picture.fromarray(np.full((96, 64, 3), 90, np.uint8)).save(path, exif=exif)
    bpy.context.scene.menagerie.photo = str(path)
    return path


@pytest.mark.parametrize("painted", [False, True])
def test_esc_leaves_everything_as_it_was(tmp_path: Path, painted: bool) -> None:
    two_animals(tmp_path)
    if painted:
        bpy.ops.menagerie.paint_mask()
        image = bpy.context.scene.menagerie.mask_image
        alpha = np.zeros((400, 600), np.float32)
        alpha[::-1][200:300, 50:250] = 1
        picking.write_alpha(image, alpha)
    before = standing()
    click(SECOND)
    assert standing() != before
    assert bpy.ops.menagerie.drop_pick() == {"FINISHED"}
    assert standing() == before and picking.current is None and not session.state.errands


def test_accepting_nothing_changes_nothing(tmp_path: Path) -> None:
    two_animals(tmp_path)
    before = standing()
    picking.begin(bpy.context)
    bpy.ops.menagerie.keep_pick()
    assert standing() == before


def test_a_negative_click_says_what_it_needs_and_the_last_mask_stays(tmp_path: Path) -> None:
    two_animals(tmp_path)
    click(SECOND)
    alpha = shown().copy()
    with pytest.raises(RuntimeError, match="SAM 2"):
        click(FIRST, negative=True)
    assert np.array_equal(shown(), alpha) and picking.current is not None and len(picking.current.clicks) == 1
    assert session.state.error is not None and session.state.error["code"] == "weights_missing"
    assert "preferences.addon_show" in drawn(panel.MENAGERIE_PT_main)
    click(FIRST)
    assert shown()[210:290, 60:240].min() > 0.9, "the next click is answered"


def test_a_click_beside_everything_is_said(tmp_path: Path) -> None:
    two_animals(tmp_path)
    with pytest.raises(RuntimeError, match="where you clicked"):
        click((10.0, 10.0))
    with pytest.raises(RuntimeError, match="not on the photo"):
        click((700.0, 10.0))


def test_a_photo_that_is_gone_is_said_and_nothing_begins(tmp_path: Path) -> None:
    bpy.context.scene.menagerie.photo = str(tmp_path / "gone.png")
    before = standing()
    with pytest.raises(RuntimeError, match="not there"):
        click(FIRST)
    assert standing() == before and picking.current is None


def test_another_photo_or_file_ends_picking(tmp_path: Path) -> None:
    two_animals(tmp_path)
    click(SECOND)
    choose_photo(tmp_path, "other")
    assert picking.running(bpy.context) is None
    two_animals(tmp_path)
    click(SECOND)
    empty_blender()
    session.file_opened()
    assert picking.running(bpy.context) is None


def test_showing_an_answer_takes_no_longer_than_a_callback_may(tmp_path: Path) -> None:
    two_animals(tmp_path, side=2400)
    click((4 * SECOND[0], 4 * SECOND[1]))
    under_way = picking.current
    assert under_way is not None
    job = under_way.jobs[-1]
    spent = []
    for _ in range(5):
        start = time.process_time()
        picking.answered(under_way, 1, job)
        spent.append(time.process_time() - start)
    assert min(spent) < CALLBACK_SECONDS, spent


def sam2_row() -> dict[str, object]:
    return next(row for row in preferences.weights() if row["id"] == "sam2-hiera-tiny")


def test_the_preferences_show_the_sets_licence_and_how_it_is_installed() -> None:
    layout = Layout()
    preferences_panel.draw_weights(layout, None)  # type: ignore[arg-type]
    assert "menagerie.install_weights" in layout.said and any("Apache-2.0: SAM 2" in text for text in layout.said)
    assert not preferences.is_installed(sam2_row())


def test_a_set_is_not_installed_without_consent_or_from_another_file(tmp_path: Path) -> None:
    other = tmp_path / "other.tgz"
    other.write_bytes(b"something else")
    call = bpy.ops.menagerie.install_weights
    with pytest.raises(RuntimeError, match="Tick the box"):
        call(id="sam2-hiera-tiny", filepath=str(other))
    with pytest.raises(RuntimeError, match="No file"):
        call(id="sam2-hiera-tiny", filepath=str(tmp_path / "none.tgz"), consent=True)
    with pytest.raises(RuntimeError, match="differs from the listed file"):
        call(id="sam2-hiera-tiny", filepath=str(other), consent=True)
    assert not preferences.is_installed(sam2_row()) and not session.state.errands
