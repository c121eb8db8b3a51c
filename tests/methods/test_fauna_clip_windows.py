"""A long clip in windows: each takes the last one's end over, and what was stored is taken only for the same."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from backend.methods.fauna.clip.track import Track
from backend.methods.fauna.clip.windows import OVERLAP, WINDOW, by_windows, load, store, windows
from tests.methods.walking import walk

KEY = "a key"


@pytest.mark.parametrize("count", [1, WINDOW, WINDOW + OVERLAP, WINDOW + OVERLAP + 1, 3 * WINDOW, 600])
def test_windows_cover_the_clip_and_overlap(count: int) -> None:
    parts = windows(count)
    assert parts[0].start == 0 and parts[-1].stop == count
    assert all(part.stop - part.start <= WINDOW + OVERLAP for part in parts)
    assert all(part.start == last.stop - OVERLAP for last, part in zip(parts, parts[1:]))


def test_windows_come_together_in_order_and_are_not_solved_again(tmp_path: Path) -> None:
    track, asked = walk(250), []

    def solve(part: slice, rough: Track, held: Track | None) -> Track:
        asked.append((part.start, None if held is None else len(held.angles)))
        return rough

    found = by_windows(track, solve, tmp_path, "some", KEY)
    assert asked == [(0, None)] + [(part.start, OVERLAP) for part in windows(250)[1:]]
    for field in ("rotation", "translation", "angles"):
        assert torch.equal(getattr(found, field), getattr(track, field))
    asked.clear()
    again = by_windows(track, solve, tmp_path, "some", KEY)
    assert asked == [] and torch.equal(again.angles, found.angles)
    by_windows(track, solve, tmp_path, "some", "another key")
    assert len(asked) == len(windows(250))


@pytest.mark.parametrize("share", [0.0, 0.3, 0.99])
def test_a_file_cut_short_is_not_taken(tmp_path: Path, share: float) -> None:
    path = tmp_path / "some.npz"
    store(path, walk(5), KEY)
    found = load(path, KEY)
    assert found is not None and load(path, "another") is None and torch.equal(found.angles, walk(5).angles)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    assert load(path, KEY) is None
