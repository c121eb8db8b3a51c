"""What was seen of a clip is kept on disk, and taken from there only where it is the same clip's."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from backend.errors import MenagerieError
from backend.methods.fauna.clip import looks as module
from backend.methods.fauna.clip.looks import CHUNK, PACKED, TENSORS, Looks, clip_focal, join, load, look_through, store
from backend.methods.fauna.clip.packed import Packed
from backend.methods.request import ClipRequest
from backend.types import ByteArray, Clip, Image, no_progress
from tests.methods.walking import look_at, walk

FOCAL = 400.0
SPAN = (0.0, 1.0)
WIDTH, HEIGHT = 60, 40


def same(first: Looks, second: Looks) -> bool:
    pairs = [(getattr(first, name).unpacked(), getattr(second, name).unpacked()) for name in PACKED]
    pairs += [(getattr(first, name), getattr(second, name)) for name in TENSORS]
    return all(a.dtype == b.dtype and torch.equal(a, b) for a, b in pairs)


def test_what_is_stored_is_loaded_bit_for_bit(tmp_path: Path) -> None:
    looks, path = look_at(walk(4)), tmp_path / "looks.npz"
    store(path, looks, FOCAL)
    found = load(path, looks.numbers.numpy(), FOCAL)
    assert found is not None and same(found, looks)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_another_lens_or_other_frames_are_not_taken(tmp_path: Path) -> None:
    looks, path = look_at(walk(4)), tmp_path / "looks.npz"
    numbers = looks.numbers.numpy()
    assert load(path, numbers, FOCAL) is None
    store(path, looks, FOCAL)
    for other, focal in ((numbers + 1, FOCAL), (numbers[:3], FOCAL), (numbers, FOCAL + 1e-9)):
        assert load(path, other, focal) is None
    with open(path, "wb") as file:
        np.savez(file, focal_px=FOCAL, numbers=numbers)
    assert load(path, numbers, FOCAL) is None


@pytest.mark.parametrize("share", [0.0, 0.3, 0.99])
def test_a_file_cut_short_is_not_taken(tmp_path: Path, share: float) -> None:
    looks, path = look_at(walk(4)), tmp_path / "looks.npz"
    store(path, looks, FOCAL)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    assert load(path, looks.numbers.numpy(), FOCAL) is None


@pytest.mark.parametrize("where", [0.0, 0.2, 0.5, 0.8, 0.999])
def test_a_damaged_file_is_not_taken(tmp_path: Path, where: float) -> None:
    looks, path = look_at(walk(4)), tmp_path / "looks.npz"
    store(path, looks, FOCAL)
    content = bytearray(path.read_bytes())
    at = int(where * (len(content) - 32))
    content[at : at + 32] = bytes(byte ^ 0xFF for byte in content[at : at + 32])
    path.write_bytes(content)
    assert load(path, looks.numbers.numpy(), FOCAL) is None


def request(folder: Path, frames: int, seen: list[int] | None = None, focal: float | None = None) -> ClipRequest:
    mask = np.zeros((HEIGHT, WIDTH), np.float32)
    mask[10:30, 15:45] = 1
    picture: ByteArray = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    visible = np.ones(frames, bool) if seen is None else np.isin(np.arange(frames), seen)
    clip = Clip(WIDTH, HEIGHT, 8.0, np.arange(frames) / 8.0, np.arange(frames, dtype=np.int32), lambda k: Image(picture, focal_px=focal))
    return ClipRequest(clip, lambda k: mask * visible[k], visible, folder)


def test_frames_that_were_seen_are_not_looked_at_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frames = CHUNK + 3
    every, asked = look_at(walk(frames)), []

    def look(networks: object, frame: object, after: object, number: int, focal: float) -> Looks:
        asked.append(number)
        return every[[number]]

    monkeypatch.setattr(module, "look", look)
    nothing: object = None
    ask = request(tmp_path, frames)
    first = look_through(nothing, ask, FOCAL, no_progress, SPAN)  # type: ignore[arg-type]
    assert asked == list(range(frames)) and same(first, every)
    asked.clear()
    assert same(look_through(nothing, ask, FOCAL, no_progress, SPAN), every) and asked == []  # type: ignore[arg-type]
    last = sorted(tmp_path.iterdir())[-1]
    last.write_bytes(last.read_bytes()[:1000])
    assert same(look_through(nothing, ask, FOCAL, no_progress, SPAN), every)  # type: ignore[arg-type]
    assert asked == list(range(CHUNK, frames))
    asked.clear()
    look_through(nothing, ask, FOCAL + 1, no_progress, SPAN)  # type: ignore[arg-type]
    assert asked == list(range(frames))


def test_frames_without_the_animal_are_not_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    every, seen = look_at(walk(6)), [1, 2, 5]
    monkeypatch.setattr(module, "look", lambda networks, frame, after, number, focal: every[[number]])
    found = look_through(None, request(tmp_path, 6, seen), FOCAL, no_progress, SPAN)  # type: ignore[arg-type]
    assert found.numbers.tolist() == seen


def test_each_frame_is_compared_with_the_next_one_where_there_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frames = CHUNK + 3
    every, follows, opened = look_at(walk(frames)), {}, []

    def look(networks: object, frame: tuple[Image, object], after: tuple[Image, object] | None, number: int, focal: float) -> Looks:
        follows[number] = None if after is None else int(after[0].rgb[0, 0, 0])
        assert int(frame[0].rgb[0, 0, 0]) == number
        return every[[number]]

    def read(number: int) -> Image:
        opened.append(number)
        return Image(np.full((HEIGHT, WIDTH, 3), number, np.uint8))

    monkeypatch.setattr(module, "look", look)
    seen = [k for k in range(frames) if k not in (4, 9)]
    asked = request(tmp_path, frames, seen)
    look_through(None, replace(asked, clip=replace(asked.clip, read=read)), FOCAL, no_progress, SPAN)  # type: ignore[arg-type]
    assert follows == {k: k + 1 if k + 1 in seen else None for k in seen}
    assert opened == seen  # each once


def test_a_clip_has_one_focal_length(tmp_path: Path) -> None:
    assert clip_focal(request(tmp_path, 3, focal=77.0)) == 77.0
    assert clip_focal(request(tmp_path, 3)) == clip_focal(request(tmp_path, 9, [4, 5])) > 0
    with pytest.raises(MenagerieError) as caught:
        clip_focal(request(tmp_path, 3, []))
    assert caught.value.code == "no_animal"


def test_parts_make_the_whole() -> None:
    looks = look_at(walk(5))
    assert same(join([looks[:2], looks[[2]], looks[3:]]), looks)
    assert replace(looks).numbers.tolist() == list(range(5))


def silhouettes(count: int, side: int = 160) -> torch.Tensor:
    """Discs with soft edges that wander: (t, s, s) uint8."""
    rows, columns = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    away = torch.stack([((rows - 60 - 3 * k) ** 2 + (columns - 80) ** 2).sqrt() for k in range(count)])
    return ((50 - away).clamp(0, 1) * 255).to(torch.uint8)


def test_masks_are_kept_bit_for_bit_in_a_fifth_of_their_pixels() -> None:
    masks = silhouettes(9)
    packed = Packed.of(masks)
    assert torch.equal(packed.unpacked(), masks) and torch.equal(packed[4], masks[4])
    assert 5 * sum(len(piece) for piece in packed.pieces) < masks.numel()
    for some in (slice(2, 7), slice(None, None, -1), [5, 1], torch.tensor([8, 0, 0]), torch.arange(9) % 2 == 0):
        plain = masks.flip(0) if isinstance(some, slice) and some.step == -1 else masks[some]
        assert torch.equal(packed[some].unpacked(), plain)
    with pytest.raises(IndexError):
        packed[9]
    with pytest.raises(ValueError, match="uint8"):
        Packed.of(masks.float())


def test_masks_of_another_kind_are_not_taken(tmp_path: Path) -> None:
    looks, path = look_at(walk(4)), tmp_path / "looks.npz"
    store(path, looks, FOCAL)
    with np.load(path) as arrays:
        other = {name: arrays[name] for name in arrays.files} | {"mask": np.zeros((4, 160), np.uint8)}
    with open(path, "wb") as file:
        np.savez(file, **other)
    assert load(path, looks.numbers.numpy(), FOCAL) is None
