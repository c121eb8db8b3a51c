"""Several photos of one animal make one creature: on the command line, over the wire and in a batch, with errors that name the photo."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Picture

from backend.__main__ import main
from backend.asset.read import read_asset
from backend.errors import MenagerieError
from backend.service.batch.cluster import Parcel, make_far, pack
from backend.service.batch.items import Settings, asked_of, find_items
from backend.service.batch.work import Task, make
from backend.service.reconstruct import MOST_PHOTOS, Further, reconstruct
from tests.service.client import Client

METHODS = {"fauna": "tests.service.made_up"}
SIZES = ((96, 64), (80, 120), (64, 64))


@pytest.fixture
def photos(tmp_path: Path) -> list[Path]:
    """Of three sizes, the animal's share of each another."""
    folder = tmp_path / "animals" / "my dog"
    folder.mkdir(parents=True)
    found = []
    for number, (width, height) in enumerate(SIZES):
        picture = Picture.new("RGBA", (width, height), (120, 80, number, 0))
        picture.paste((120, 80, number, 255), (16, 16, 16 + 20 * (number + 1), 48))
        found.append(folder / f"{number}.png")
        picture.save(found[-1])
    return found


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    client = Client()
    yield client
    client.close()


def further(photos: list[Path]) -> list[Further]:
    return [Further(photo) for photo in photos]


def test_every_photo_has_its_mask_its_overlay_and_its_part_of_the_report(photos: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    report = reconstruct(photos[0], out, others=further(photos[1:]), methods=METHODS)
    assert report["photo"] == str(photos[0]) and [other["photo"] for other in report["others"]] == [str(photo) for photo in photos[1:]]
    assert set(report["files"]) == {path.name for path in out.iterdir()}
    names = read_asset(out / "asset.safetensors").skeleton.names
    for number, (photo, other) in enumerate(zip(photos[1:], report["others"], strict=True), 2):
        with Picture.open(photo) as picture, Picture.open(out / other["mask"]) as mask, Picture.open(out / other["overlay"]) as overlay:
            assert mask.size == overlay.size == picture.size == SIZES[number - 1]
            np.testing.assert_allclose(np.asarray(mask), np.asarray(picture)[..., 3], atol=2)
        assert (other["camera"]["width"], other["camera"]["height"]) == SIZES[number - 1]
        assert tuple(other["pose"]["rotations"]) == names


def test_a_later_result_of_one_photo_leaves_nothing_of_the_others(photos: list[Path], tmp_path: Path) -> None:
    reconstruct(photos[0], tmp_path / "out", others=further(photos[1:]), methods=METHODS)
    report = reconstruct(photos[0], tmp_path / "out", methods=METHODS)
    assert report["others"] == [] and [path.name for path in (tmp_path / "out").glob("*-2.png")] == ["viewpoint-2.png"]
    assert set(report["files"]) == {path.name for path in (tmp_path / "out").iterdir()}


def test_a_mask_of_its_own_is_taken(photos: list[Path], tmp_path: Path) -> None:
    width, height = SIZES[1]
    cover = Picture.new("L", (width, height), 0)
    cover.paste(255, (0, 0, width // 2, height))
    cover.save(tmp_path / "mask.png")
    report = reconstruct(photos[0], tmp_path / "out", others=[Further(photos[1], tmp_path / "mask.png")], methods=METHODS)
    assert report["others"][0]["iou"] == pytest.approx(0.5)


def test_an_error_names_the_photo(photos: list[Path], tmp_path: Path) -> None:
    photos[1].write_bytes(b"no photo")
    with pytest.raises(MenagerieError) as caught:
        reconstruct(photos[0], tmp_path / "out", others=further(photos[1:]), methods=METHODS)
    assert caught.value.code == "photo_unsupported" and caught.value.sentence.startswith("1.png: ")
    Picture.new("RGBA", (64, 64), (0, 0, 0, 0)).save(photos[1])
    with pytest.raises(MenagerieError) as caught:
        reconstruct(photos[0], tmp_path / "out", others=further(photos[1:]), methods=METHODS)
    assert caught.value.code == "no_animal" and caught.value.sentence.startswith("1.png: ")
    assert not (tmp_path / "out").exists()


def test_what_makes_no_creature_is_refused(photos: list[Path], tmp_path: Path) -> None:
    for others in ([photos[0]], [photos[1]] * 2, [tmp_path / f"{number}.png" for number in range(MOST_PHOTOS)]):
        with pytest.raises(MenagerieError) as caught:
            reconstruct(photos[0], tmp_path / "out", others=further(others), methods=METHODS)
        assert caught.value.code == "bad_request"
    with pytest.raises(MenagerieError, match="takes one photo"):
        reconstruct(photos[0], tmp_path / "out", others=further(photos[1:]), methods={"fauna": "tests.service.test_several"})


def test_the_wire_takes_further_photos(client: Client, photos: list[Path], tmp_path: Path) -> None:
    job = client.call("reconstruct", photo=str(photos[0]), out=str(tmp_path / "out"), photos=[{"photo": str(photos[1])}])["result"]["job"]
    done = client.wait(lambda message: message.get("method") in ("finished", "failed") and message["params"]["job"] == job)
    assert [other["photo"] for other in done["params"]["report"]["others"]] == [str(photos[1])]
    for wrong in ([str(photos[1])], [{"photo": "relative.png"}], [{"mask": str(photos[1])}], [{"photo": str(photos[1]), "size": "1"}]):
        reply = client.call("reconstruct", photo=str(photos[0]), out=str(tmp_path / "out"), photos=wrong)
        assert "'photos'" in reply["error"]["message"]


def test_the_command_line_refuses_more_masks_than_photos(photos: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    masks = [word for photo in photos for word in ("--mask", str(photo))]
    assert main(["reconstruct", str(photos[0]), str(photos[1]), "--out", str(tmp_path / "out"), *masks]) == 1
    assert "more masks than photos" in capsys.readouterr().err


def test_a_folder_in_the_folder_is_one_animal(photos: list[Path], tmp_path: Path) -> None:
    folder = photos[0].parents[1]
    Picture.open(photos[0]).save(folder / "alone.png")
    (folder / "empty").mkdir()
    (folder / ".hidden").mkdir()
    Picture.open(photos[0]).save(folder / ".hidden" / "photo.png")
    masks = tmp_path / "masks" / "my dog"
    masks.mkdir(parents=True)
    Picture.new("L", SIZES[1], 255).save(masks / "1.png")
    alone, dog = find_items(folder, tmp_path / "masks")
    assert alone.name == "alone" and alone.others == ()
    assert (dog.name, dog.photo) == ("my dog", photos[0])
    assert dog.others == ((photos[1], masks / "1.png"), (photos[2], None))
    asked = asked_of(dog, Settings())
    assert len(asked["others"]) == 2 and "others" not in asked_of(alone, Settings())
    photos[2].write_bytes(photos[0].read_bytes())
    assert asked_of(dog, Settings()) != asked
    assert make(Task(dog, Settings(), METHODS), tmp_path / "made") is None
    assert len(json.loads((tmp_path / "made" / "report.json").read_text())["others"]) == 2


def test_a_far_worker_gets_all_photos(photos: list[Path]) -> None:
    [dog] = find_items(photos[0].parents[1])
    parcel = pack(Task(dog, Settings(), METHODS))
    for photo in photos:
        photo.unlink()
    assert isinstance(parcel, Parcel)
    error, files = make_far(parcel)
    assert error is None and {"mask-2.png", "overlay-3.png", "asset.safetensors"} <= set(files)
