"""The service's `mask` and `install`: clicks in, a mask or a coded failure out, over the real wire."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Picture

from backend.errors import MenagerieError
from backend.media import photo as media
from backend.observe.clicks import Clicker
from backend.service import mask as service
from backend.service import wire
from backend.service.mask import write_clicked
from tests.service.client import Client

LEFT, RIGHT = [60, 100, True], [240, 60, True]
"""On the two islands of the photo."""


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """A child that finds no optional set."""
    patch = pytest.MonkeyPatch()
    patch.setenv("MENAGERIE_WEIGHTS", str(tmp_path_factory.mktemp("weights")))
    client = Client()
    yield client
    client.close()
    patch.undo()


@pytest.fixture
def photo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cut-out with two islands of like size, in a folder with spaces and other letters."""
    monkeypatch.setenv("MENAGERIE_WEIGHTS", str(tmp_path / "none"))
    path = tmp_path / "Tier fotos 动物" / "Zwei Löwen.png"
    path.parent.mkdir()
    picture = Picture.new("RGBA", (300, 160), (120, 80, 40, 0))
    picture.paste((120, 80, 40, 255), (20, 60, 120, 140))
    picture.paste((120, 80, 40, 255), (190, 20, 290, 100))
    picture.save(path)
    return path


def start(client: Client, **params: object) -> str:
    return str(client.call("mask", **params)["result"]["job"])


def covered(path: Path) -> np.ndarray:
    return np.asarray(Picture.open(path)) > 127


def test_clicks_are_answered_with_a_mask_of_the_animal(client: Client, photo: Path, tmp_path: Path) -> None:
    out = tmp_path / "Ergebnis 结果"
    ready = client.ending(start(client, photo=str(photo), out=str(out), clicks=[]))
    assert ready["method"] == "finished" and ready["params"]["files"] == [] and not out.exists()
    assert ready["params"]["negative"] is False
    ending = client.ending(start(client, photo=str(photo), out=str(out), clicks=[LEFT]))
    assert ending["method"] == "finished" and ending["params"]["files"] == ["mask.png"]
    assert [path.name for path in out.iterdir()] == ["mask.png"]
    first = covered(out / "mask.png")
    assert first.shape == (160, 300) and first[62:138, 22:118].all() and not first[:, 150:].any()
    assert client.ending(start(client, photo=str(photo), out=str(out), clicks=[LEFT, RIGHT]))["method"] == "finished"
    assert covered(out / "mask.png")[22:98, 192:288].all()


def test_a_job_may_follow_a_click(client: Client, photo: Path, tmp_path: Path) -> None:
    out = tmp_path / "clicks"
    assert client.ending(start(client, photo=str(photo), out=str(out), clicks=[LEFT]))["method"] == "finished"
    job = client.job(photo, tmp_path / "result", mask=str(out / "mask.png"))
    assert client.ending(job)["method"] == "finished"
    mask = covered(tmp_path / "result" / "mask.png")
    assert mask[100, 60] and not mask[:, 150:].any()


@pytest.mark.parametrize(
    ("clicks", "code"),
    [([[60, 100, False]], "weights_missing"), ([[300, 159, True]], "no_animal"), ([[301, 10, True]], "bad_request")],
)
def test_what_a_click_can_not_do_is_a_coded_failure(client: Client, photo: Path, tmp_path: Path, clicks: list[object], code: str) -> None:
    ending = client.ending(start(client, photo=str(photo), out=str(tmp_path / "out"), clicks=clicks))
    error = ending["params"]["error"]
    assert error["code"] == code and error["sentence"] and error["remedy"]
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "clicks", [None, "here", [[1, 2]], [[1, 2, 1]], [["1", 2, True]], [[True, 2, True]], [{"x": 1}], [[1, 2, True]] * 101]
)  # fmt: skip
def test_bad_clicks_are_refused(client: Client, clicks: object) -> None:
    reply = client.call("mask", photo="/a.png", out="/b", clicks=clicks)
    assert reply["error"]["code"] == wire.INVALID_PARAMS and reply["error"]["data"]["code"] == "bad_request"


def test_numbers_that_are_none_are_refused(client: Client) -> None:
    body = b'{"jsonrpc":"2.0","id":990,"method":"mask","params":{"photo":"/a.png","out":"/b","clicks":[[1e999,2,true]]}}'
    client.send(b"Content-Length: %d\r\n\r\n" % len(body) + body)
    assert "error" in client.wait(lambda message: message.get("id") in (990, None))


def test_a_set_is_only_installed_from_its_own_file(client: Client, tmp_path: Path) -> None:
    other = tmp_path / "package.tgz"
    other.write_bytes(b"no package")
    for id, source, code in (
        ("sam2-hiera-tiny", other, "weights_damaged"), ("sam2-hiera-tiny", tmp_path / "none.onnx", "weights_missing"),
        ("u2netp", other, "bad_request"), ("none", other, "bad_request"),
    ):  # fmt: skip
        job = str(client.call("install", id=id, source=str(source))["result"]["job"])
        error = client.ending(job)["params"]["error"]
        assert error["code"] == code and error["remedy"], id
    reply = client.call("install", id="sam2-hiera-tiny", source="package.tgz")
    assert reply["error"]["data"]["code"] == "bad_request"


def test_a_photo_is_decoded_once_for_all_its_clicks(photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    decoded = []
    monkeypatch.setattr(service, "read_photo", lambda path: decoded.append(path) or media.read_photo(path))
    clicker = Clicker()
    for _ in range(3):
        write_clicked(clicker, photo, tmp_path / "out", [LEFT])
    assert len(decoded) == 1
    Picture.open(photo).transpose(Picture.Transpose.FLIP_LEFT_RIGHT).save(photo)
    write_clicked(clicker, photo, tmp_path / "out", [[240, 100, True]])
    assert len(decoded) == 2 and covered(tmp_path / "out" / "mask.png")[100, 240]


def test_an_earlier_mask_of_other_proportions_is_refused(photo: Path, tmp_path: Path) -> None:
    Picture.new("L", (100, 100), 255).save(tmp_path / "square.png")
    with pytest.raises(MenagerieError) as refusal:
        write_clicked(Clicker(), photo, tmp_path / "out", [LEFT], tmp_path / "square.png")
    assert refusal.value.code == "mask_unreadable"


def test_a_photo_that_is_gone_has_its_code(tmp_path: Path) -> None:
    with pytest.raises(MenagerieError) as refusal:
        write_clicked(Clicker(), tmp_path / "gone.png", tmp_path / "out", [LEFT])
    assert refusal.value.code == "photo_unreadable"
