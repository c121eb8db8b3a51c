"""Clips as they come: whatever a camera or a program wrote gives the same frames, at a steady rate, upright, in sRGB, with their alpha."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image as Picture

from backend.errors import Cancelled, MenagerieError
from backend.media import clip as clips
from backend.media import steady
from backend.media.clip import read_clip
from tests.media.clips import SIZE, decode_here, draw, lay, number_of, write_folder, write_movie, write_pictures

LOSSY, LOSSLESS = 10, 2
"""Levels of 255 by which a colour may differ."""
CANCEL_SECONDS = 1.5
ORPHAN_SECONDS = 2.0
ROOT = Path(__file__).parents[2]

KINDS = {
    "h264.mp4": lambda path: write_movie(path),
    "h264.mov": lambda path: write_movie(path),
    "hevc 10 bit.mp4": lambda path: write_movie(path, "libx265", "yuv420p10le"),
    "h264 10 bit.mkv": lambda path: write_movie(path, pixel_format="yuv420p10le"),
    "vp8.webm": lambda path: write_movie(path, "libvpx"),
    "vp9.webm": lambda path: write_movie(path, "libvpx-vp9"),
    "mpeg4.mp4": lambda path: write_movie(path, "mpeg4", options={"b": "4000000"}),
    "a.gif": lambda path: write_pictures(path, durations=40),
    "a.webp": lambda path: write_pictures(path, durations=40),
    "a.png": lambda path: write_pictures(path, durations=40),
    "写真 ü": lambda path: write_folder(path),
}
RATES = {"a.gif": 25.0, "a.webp": 25.0, "a.png": 25.0}


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_gives_its_frames_in_order(tmp_path: Path, name: str) -> None:
    clip = decode_here(KINDS[name](tmp_path / name), tmp_path / "work")
    assert (clip.width, clip.height) == SIZE and clip.warnings == () and not clip.has_alpha
    assert clip.fps == pytest.approx(RATES.get(name, 24.0), abs=1e-9)
    assert np.abs(clip.times - np.arange(12) / clip.fps).max() < 2e-3 and clip.numbers.tolist() == list(range(12))
    for number in range(12):
        image = clip.read(number)
        assert image.alpha is None and number_of(image.rgb) == number
        assert np.abs(image.rgb.astype(int) - draw(number)).mean() < LOSSY


ALPHA = {
    "vp8.webm": lambda path: write_movie(path, "libvpx", "yuva420p", alpha=True),
    "vp9.webm": lambda path: write_movie(path, "libvpx-vp9", "yuva420p", alpha=True),
    "prores 4444.mov": lambda path: write_movie(path, "prores_ks", "yuva444p10le", alpha=True),
    "animation.mov": lambda path: write_movie(path, "qtrle", "argb", alpha=True),
    "png.mov": lambda path: write_movie(path, "png", "rgba", alpha=True),
    "a.gif": lambda path: write_pictures(path, alpha=True),
    "a.webp": lambda path: write_pictures(path, alpha=True, exact=True),
    "a.png": lambda path: write_pictures(path, alpha=True),
    "frames": lambda path: write_folder(path, alpha=True),
}


@pytest.mark.parametrize("name", ALPHA)
def test_alpha_is_kept_in_every_kind_that_has_it(tmp_path: Path, name: str) -> None:
    clip = decode_here(ALPHA[name](tmp_path / name), tmp_path / "work")
    assert clip.has_alpha and len(clip.times) == 12
    for number in (0, 7):
        image = clip.read(number)
        assert image.alpha is not None
        assert image.alpha[:, : SIZE[0] // 2 - 8].max() < LOSSY and image.alpha[:, SIZE[0] // 2 + 8 :].min() > 255 - LOSSY
        assert number_of(image.rgb) == number


def test_a_clip_whose_alpha_is_opaque_everywhere_has_none(tmp_path: Path) -> None:
    clip = decode_here(write_movie(tmp_path / "a.mov", "png", "rgba"), tmp_path / "work")
    assert not clip.has_alpha and clip.read(0).alpha is None


def test_a_stretch_and_a_stride_are_chosen(tmp_path: Path) -> None:
    path = write_movie(tmp_path / "a.mp4", frames=48, options={"g": "10"})
    clip = decode_here(path, tmp_path / "work", start=0.5, end=1.5, stride=3)
    assert clip.numbers.tolist() == list(range(12, 36, 3)) and clip.fps == 8.0
    assert clip.times.tolist() == pytest.approx([number / 24 for number in range(12, 36, 3)], abs=1e-6)
    assert [number_of(clip.read(k).rgb) for k in range(8)] == [number % 18 for number in range(12, 36, 3)]
    assert decode_here(path, tmp_path / "work", start=1.75, end=9.0).numbers.tolist() == list(range(42, 48))


def test_fewer_frames_a_second_are_the_nearest_and_more_are_not_made_up(tmp_path: Path) -> None:
    path = write_movie(tmp_path / "a.mp4", frames=24)
    half = decode_here(path, tmp_path / "half", fps=12)
    assert half.fps == 12.0 and half.numbers.tolist() == list(range(0, 24, 2))
    ten = decode_here(path, tmp_path / "ten", fps=10)
    assert ten.fps == 10.0 and np.abs(ten.times - np.arange(10) / 10).max() <= 0.5 / 24 + 1e-6
    more = decode_here(path, tmp_path / "more", fps=60)
    assert more.fps == 24.0 and len(more.times) == 24 and "24" in more.warnings[0]


@pytest.mark.parametrize(("fps", "name"), [(Fraction(30000, 1001), "a.webm"), (Fraction(24000, 1001), "a.mp4"), (25, "a.mkv")])
def test_a_rate_is_found_again_where_a_file_counts_in_milliseconds(tmp_path: Path, fps: Fraction, name: str) -> None:
    clip = decode_here(write_movie(tmp_path / name, "libvpx" if name == "a.webm" else "libx264", frames=30, fps=fps), tmp_path / "work")
    assert clip.fps == pytest.approx(float(fps), rel=1e-9) and clip.numbers.tolist() == list(range(30)) and clip.warnings == ()


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_a_variable_rate_becomes_a_steady_one_by_the_nearest_frame(tmp_path: Path, name: str) -> None:
    times = np.concatenate([np.arange(10) / 30, 0.6 + np.arange(6) / 30])  # a pause of 0.3 seconds
    clip = decode_here(write_movie(tmp_path / name, frames=16, times=times), tmp_path / "work")
    assert clip.fps == 30.0 and any("varies" in sentence for sentence in clip.warnings)
    steps = np.arange(len(clip.numbers)) / 30
    assert len(steps) == 24
    assert np.abs(steps - times[clip.numbers]).max() <= 0.15 + 2e-3
    assert clip.numbers[:10].tolist() == list(range(10)) and clip.numbers[-5:].tolist() == [11, 12, 13, 14, 15]
    assert [number_of(clip.read(k).rgb) for k in (3, 23)] == [3, 15]


def test_frames_of_a_gif_stand_as_long_as_it_says_and_the_shortest_as_in_a_browser(tmp_path: Path) -> None:
    clip = decode_here(write_pictures(tmp_path / "a.gif", 6, [100, 100, 300, 100, 100, 100]), tmp_path / "work")
    assert clip.fps == 10.0 and clip.numbers.tolist() == [0, 1, 2, 2, 3, 3, 4, 5] or clip.numbers.tolist() == [0, 1, 2, 2, 2, 3, 4, 5]
    quick = decode_here(write_pictures(tmp_path / "b.gif", 6, 10), tmp_path / "quick")
    assert quick.fps == 10.0 and len(quick.times) == 6


UPRIGHT = {
    (1, 0, 0, 1): lambda a: a, (0, 1, -1, 0): lambda a: np.rot90(a, -1), (-1, 0, 0, -1): lambda a: np.rot90(a, 2),
    (0, -1, 1, 0): lambda a: np.rot90(a, 1), (-1, 0, 0, 1): lambda a: a[:, ::-1], (1, 0, 0, -1): lambda a: a[::-1],
}  # fmt: skip


@pytest.mark.parametrize("matrix", UPRIGHT)
def test_what_the_camera_was_turned_by_is_undone(tmp_path: Path, matrix: tuple[int, int, int, int]) -> None:
    path = lay(write_movie(tmp_path / "a.mp4", options={"crf": "5"}), matrix)
    clip, expected = decode_here(path, tmp_path / "work"), UPRIGHT[matrix](draw(3))
    assert (clip.height, clip.width) == expected.shape[:2]
    assert np.abs(clip.read(3).rgb.astype(int) - expected).mean() < LOSSY / 2


@pytest.mark.parametrize(("pixel", "size"), [(Fraction(2, 1), (96, 32)), (Fraction(1, 2), (48, 64)), (Fraction(4, 3), (96, 48))])
def test_pixels_that_are_no_squares_become_squares(tmp_path: Path, pixel: Fraction, size: tuple[int, int]) -> None:
    clip = decode_here(write_movie(tmp_path / "a.mp4", pixel=pixel), tmp_path / "work")
    assert (clip.width, clip.height) == size


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("matrix", [1, 5])
@pytest.mark.parametrize("depth", ["yuv444p", "yuv444p10le"])
def test_matrix_range_and_depth_are_taken_as_the_file_says(tmp_path: Path, full: bool, matrix: int, depth: str) -> None:
    path = write_movie(tmp_path / "a.mp4", pixel_format=depth, matrix=matrix, full=full, frames=4, options={"crf": "1"})
    image = decode_here(path, tmp_path / "work").read(2)
    for place in ((4, 4), (-4, -4), (32, 60)):
        assert np.abs(image.rgb[place].astype(int) - draw(2)[place]).max() <= LOSSLESS + 1


@pytest.mark.parametrize(("transfer", "levels"), [(18, (0.5, 0.75)), (16, (0.44, 0.58))])
def test_hdr_of_a_phone_comes_to_a_screens_range(tmp_path: Path, transfer: int, levels: tuple[float, float]) -> None:
    # Both stand for the same light: 50 cd/m2, a quarter of the reference white, and that white itself.
    grey = [round(255 * level) for level in levels]
    path = write_movie(tmp_path / "a.mkv", "libx264", "yuv420p10le", frames=2, grey=grey, transfer=transfer, options={"crf": "1"})
    clip = decode_here(path, tmp_path / "work")
    shown = [clip.read(k).rgb[32, 48].astype(int) for k in range(2)]
    assert np.abs(shown[0] - 137).max() <= 4 and np.abs(shown[1] - 242).max() <= 4


def test_an_interlaced_clip_is_read_with_a_warning(tmp_path: Path) -> None:
    path = write_movie(tmp_path / "a.mp4", options={"x264-params": "tff=1"})
    clip = decode_here(path, tmp_path / "work")
    assert len(clip.times) == 12 and len(clip.warnings) == 1 and "interlaced" in clip.warnings[0]


def test_large_frames_are_made_smaller_and_what_is_transparent_does_not_leak(tmp_path: Path) -> None:
    clip = decode_here(write_movie(tmp_path / "a.mp4", size=(2560, 1440), frames=3), tmp_path / "work")
    assert (clip.width, clip.height) == (1280, 720) and clip.read(1).rgb.shape == (720, 1280, 3)
    pixels = np.zeros((30, 2000, 4), np.uint8)
    pixels[:, 1001:] = (200, 100, 50, 255)
    folder = tmp_path / "frames"
    folder.mkdir()
    for number in range(2):
        Picture.fromarray(pixels).save(folder / f"{number}.png")
    image = decode_here(folder, tmp_path / "alpha").read(0)
    assert image.alpha is not None
    edge = (image.alpha > 0) & (image.alpha < 255)
    assert edge.any() and np.abs(image.rgb[edge].astype(int) - (200, 100, 50)).max() <= LOSSY


def test_frames_of_a_folder_are_in_natural_order_at_the_rate_asked_for_and_what_is_no_picture_is_left_aside(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "frames", 12, "walk_{}.png")
    (folder / "notes.txt").write_text("walk")
    (folder / ".hidden.png").write_bytes(b"")
    (folder / "walk_5.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    clip = decode_here(folder, tmp_path / "work", fps=30.0, start=0.1)
    assert clip.fps == 30.0 and [number_of(clip.read(k).rgb) for k in range(9)] == [3, 4, 4, 6, 7, 8, 9, 10, 11]
    assert len(clip.warnings) == 1 and "damaged" in clip.warnings[0]


def test_a_folder_of_different_pictures_is_refused(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "frames", 3)
    Picture.new("RGB", (64, 96)).save(folder / "frame 9.png")
    with pytest.raises(MenagerieError) as refusal:
        decode_here(folder, tmp_path / "work")
    assert refusal.value.code == "clip_unsupported" and "frame 9.png" in refusal.value.sentence


def test_what_stands_whole_is_used_again_and_other_settings_are_decoded_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, work = write_movie(tmp_path / "a.mp4"), tmp_path / "Arbeit 动物"
    told: list[tuple[str, float]] = []
    first = read_clip(path, work, progress=lambda stage, fraction, preview=None: told.append((stage, fraction)))
    assert told[0] == ("clip", 0.0) and told[-1] == ("clip", 1.0) and sorted(told) == told
    before = first.read(5).rgb
    again = read_clip(path, work, stride=2)
    assert again.numbers.tolist() == list(range(0, 12, 2)) and len(list(work.glob("frame-*.png"))) == 6
    monkeypatch.setattr(clips, "throwaway", lambda *_: pytest.fail("it was decoded again"))
    once_more = read_clip(path, work, stride=2)
    assert once_more.sha256 == first.sha256 and np.array_equal(once_more.read(0).rgb, again.read(0).rgb)
    assert number_of(before) == 5


def test_frames_that_a_killed_decoder_left_are_decoded_anew(tmp_path: Path) -> None:
    path, work = write_movie(tmp_path / "a.mp4"), tmp_path / "work"
    read_clip(path, work)
    (work / "frame-0000003.png").unlink()
    (work / "frame-0000009.part").write_bytes(b"half")
    assert number_of(read_clip(path, work).read(3).rgb) == 3 and not list(work.glob("*.part"))


@pytest.mark.parametrize(("number", "code"), [(errno.ENOSPC, "disk_full"), (errno.EACCES, "not_writable")])
def test_frames_that_find_no_room_have_their_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, code: str) -> None:
    path = write_movie(tmp_path / "a.mp4")

    def fail(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Picture.Image, "save", fail)
    with pytest.raises(MenagerieError) as refusal:
        decode_here(path, tmp_path / "work")
    assert refusal.value.code == code and not list((tmp_path / "work").glob("frame-*"))


@pytest.mark.parametrize("settings", [{"start": -1.0}, {"start": 2.0, "end": 1.0}, {"fps": 0.0}, {"fps": 1e4}, {"stride": 0}])
def test_settings_that_are_none_are_refused(tmp_path: Path, settings: dict[str, float]) -> None:
    with pytest.raises(MenagerieError) as refusal:
        read_clip(tmp_path / "a.mp4", tmp_path / "work", **settings)
    assert refusal.value.code == "bad_request" and not (tmp_path / "work").exists()


@pytest.mark.parametrize(
    ("frames", "settings", "code"),
    [(1, {}, "clip_too_short"), (12, {"start": 8.0}, "clip_too_short"), (12, {"end": 0.04}, "clip_too_short")],
)
def test_a_stretch_without_two_frames_is_too_short(tmp_path: Path, frames: int, settings: dict[str, float], code: str) -> None:
    with pytest.raises(MenagerieError) as refusal:
        decode_here(write_movie(tmp_path / "a.mp4", frames=frames), tmp_path / "work", **settings)
    assert refusal.value.code == code


def test_a_long_clip_is_told_before_it_is_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steady, "MOST_FRAMES", 11)
    with pytest.raises(MenagerieError) as refusal:
        decode_here(write_movie(tmp_path / "a.mp4"), tmp_path / "work")
    assert refusal.value.code == "clip_too_long" and not list((tmp_path / "work").iterdir())
    assert len(decode_here(tmp_path / "a.mp4", tmp_path / "work", stride=2).times) == 6
    with pytest.raises(MenagerieError) as refusal:
        steady.choose_frames(np.arange(700.0), 700.0)
    assert refusal.value.code == "clip_too_long"


MEASURER = """
import sys
from pathlib import Path
from tests.media.clips import decode_here
for end in (0.5, 5.0):
    clip = decode_here(Path(sys.argv[1]), Path(sys.argv[2]), end=end)
    for k in range(len(clip.times)):
        clip.read(k)
    print(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1])
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="peak memory is read from /proc")
def test_a_long_clip_takes_no_more_memory_than_a_short_one(tmp_path: Path) -> None:
    path = write_movie(tmp_path / "a.mp4", "mpeg4", size=(640, 360), frames=120)
    done = subprocess.run(
        [sys.executable, "-B", "-c", MEASURER, str(path), str(tmp_path / "work")], cwd=ROOT, capture_output=True, text=True, check=True
    )
    short, long = (int(kib) / 1024 for kib in done.stdout.split())
    assert long < 1.1 * short


def children() -> list[psutil.Process]:
    return [child for child in psutil.Process().children(recursive=True) if "backend.media.decode" in child.cmdline()]


def test_a_cancelled_clip_stops_in_time_and_its_process_is_gone(tmp_path: Path) -> None:
    path = write_movie(tmp_path / "a.mp4", "mpeg4", size=(1280, 720), frames=40)
    cancelled = 0.0

    def stop(stage: str, fraction: float, preview: object = None) -> None:
        nonlocal cancelled
        if fraction > 0.12:
            assert children()
            cancelled = time.monotonic()
            raise Cancelled

    with pytest.raises(Cancelled):
        read_clip(path, tmp_path / "work", progress=stop)
    assert time.monotonic() - cancelled < CANCEL_SECONDS and not children()


def runs(process: psutil.Process) -> bool:
    """False as soon as it has ended, whether or not anybody asked for its status since."""
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


READER = """
import sys
from pathlib import Path
from backend.media.clip import read_clip
read_clip(Path(sys.argv[1]), Path(sys.argv[2]), progress=lambda stage, fraction, preview=None: print(fraction, flush=True))
"""


def test_the_decoder_ends_with_its_parent(tmp_path: Path) -> None:
    path = write_movie(tmp_path / "a.mp4", "mpeg4", size=(1280, 720), frames=40)
    command = [sys.executable, "-B", "-c", READER, str(path), str(tmp_path / "work")]
    parent = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert parent.stdout is not None
        while float(parent.stdout.readline()) <= 0.12:
            pass
        (decoder,) = [child for child in psutil.Process(parent.pid).children() if "backend.media.decode" in child.cmdline()]
        parent.kill()
        parent.wait()
        start = time.monotonic()
        while runs(decoder):
            assert time.monotonic() - start < ORPHAN_SECONDS
            time.sleep(0.02)
    finally:
        parent.kill()
        parent.communicate()
