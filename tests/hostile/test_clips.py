"""Hostile, cut and disguised clips give a coded error, or their good frames: never a crash, never another file, never much memory."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from backend.errors import MenagerieError
from backend.media.clip import read_clip
from tests.media.clips import decode_here, number_of, write_folder, write_movie, write_pictures

ROOT = Path(__file__).parents[2]
CODES = {"clip_unreadable", "clip_unsupported", "clip_too_large", "clip_too_long", "clip_too_short"}
MEMORY_LIMIT = 1536 << 20
"""Bytes over idle: the promise."""
FUZZED = 60
FUZZER = """
import json, sys, tempfile
from pathlib import Path
import numpy as np
from backend.errors import MenagerieError
from backend.media.photo import DECODE_FAILURES
from tests.media.clips import decode_here
good, suffix, count = Path(sys.argv[1]).read_bytes(), Path(sys.argv[1]).suffix, int(sys.argv[2])
generator, outcomes = np.random.default_rng(0), {}
for trial in range(count):
    data = bytearray(good)
    places = generator.integers(0, min(len(data), 600) if trial % 2 else len(data), 1 + trial % 8)
    for place in places:
        data[place] = generator.integers(256)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / ("a" + suffix)
        path.write_bytes(data)
        try:
            clip = decode_here(path, Path(folder) / "work")
            clip.read(len(clip.times) - 1)
            code = ""
        except MenagerieError as error:
            code = error.code
        except DECODE_FAILURES as error:
            code = "clip_unreadable"  # as the throwaway process tells it
        outcomes[code] = outcomes.get(code, 0) + 1
print(json.dumps(outcomes))
"""
WATCH = """
import json, sys
from pathlib import Path
from backend.media.source import refuse
opened = []
sys.addaudithook(lambda event, arguments: opened.append(str(arguments[0])) if event in ("open", "socket.connect") else None)
from backend.errors import MenagerieError
from tests.media.clips import decode_here
try:
    decode_here(Path(sys.argv[1]), Path(sys.argv[2]))
    code = ""
except MenagerieError as error:
    code = error.code
print(json.dumps({"code": code, "opened": opened}))
"""


def run(program: str, *arguments: object) -> dict:
    command = [sys.executable, "-B", "-c", program, *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def refused(path: Path, work: Path) -> str:
    with pytest.raises(MenagerieError) as refusal:
        decode_here(path, work)
    assert refusal.value.sentence and refusal.value.remedy
    return refusal.value.code


def write_sound(path: Path) -> Path:
    """An MP4 without pictures."""
    import av

    with av.open(str(path), "w") as output:
        stream = output.add_stream("aac", rate=44100)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 44100), np.float32), "fltp", "mono")
        frame.sample_rate = 44100
        output.mux(stream.encode(frame))
        output.mux(stream.encode())
    return path


def with_alias(data: bytes, target: str) -> bytes:
    """A movie (its index at the end) whose one data reference is no longer the file itself, but an alias to another one."""
    name = Path(target).name.encode()
    alias = bytes(10) + b"\x01/" + bytes(26) + bytes(12) + bytes([len(name)]) + name.ljust(63, b"\0") + bytes(16)
    alias += struct.pack(">HH", 1, 1) + bytes(16)
    whole = target.encode() + b"\0" * (len(target) % 2)
    alias += struct.pack(">HH", 2, len(whole)) + whole + struct.pack(">hH", -1, 0)
    entry = struct.pack(">I4sI", 12 + len(alias), b"alis", 0) + alias
    reference = struct.pack(">I4sII", 16 + len(entry), b"dref", 0, 1) + entry
    begin = data.index(b"dref") - 4
    end = begin + struct.unpack_from(">I", data, begin)[0]
    changed = bytearray(data[:begin] + reference + data[end:])
    for box in (b"moov", b"trak", b"mdia", b"minf", b"dinf"):
        place = data.rindex(box, 0, begin) - 4
        struct.pack_into(">I", changed, place, struct.unpack_from(">I", data, place)[0] + len(changed) - len(data))
    return bytes(changed)


LIES = {
    "playlist.mp4": b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile:///etc/hostname\n#EXT-X-ENDLIST\n",
    "list.mp4": b"ffconcat version 1.0\nfile /etc/hostname\n",
    "dash.mp4": b"<?xml version='1.0'?><MPD><BaseURL>http://localhost/</BaseURL></MPD>",
    "sdp.mp4": b"v=0\no=- 0 0 IN IP4 127.0.0.1\nm=video 1234 RTP/AVP 96\n",
    "frames%d.png.mov": b"\0\0\0\0",
    "photo.mp4": b"\xff\xd8\xff\xe0" + bytes(200),
    "text.webm": b"hello",
    "avi.mp4": b"RIFF\0\0\0\0AVI LIST" + bytes(100),
}


@pytest.mark.parametrize("name", LIES)
def test_what_is_no_clip_is_not_given_to_a_decoder(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(LIES[name])
    assert refused(tmp_path / name, tmp_path / "work") == "clip_unsupported"


@pytest.mark.parametrize("name", ["absent.mp4", "folder"])
def test_what_is_not_there_or_empty_has_its_code(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    assert refused(tmp_path / name, tmp_path / "work") == "clip_unreadable"
    (tmp_path / "empty.mp4").write_bytes(b"")
    assert refused(tmp_path / "empty.mp4", tmp_path / "work") == "clip_unreadable"


def test_sound_alone_has_its_code(tmp_path: Path) -> None:
    assert refused(write_sound(tmp_path / "a.m4a.mp4"), tmp_path / "work") == "clip_unsupported"


def test_a_still_picture_is_no_clip(tmp_path: Path) -> None:
    assert refused(write_pictures(tmp_path / "a.png", 1), tmp_path / "work") == "clip_too_short"


def test_a_clip_whose_index_is_cut_off_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    path = write_movie(tmp_path / "a.mp4", frames=24)
    data = path.read_bytes()
    assert data.index(b"moov") > len(data) // 2
    path.write_bytes(data[: data.index(b"moov") - 4])
    with pytest.raises(MenagerieError) as refusal:
        read_clip(path, tmp_path / "work")
    assert refusal.value.code == "clip_unreadable"
    assert not list((tmp_path / "work").glob("frame-*")) and not (tmp_path / "work" / "clip.json").exists()


CUT = {
    "a.mp4": lambda path: write_movie(path, frames=48, options={"g": "8"}, container={"movflags": "faststart"}),
    "a.webm": lambda path: write_movie(path, "libvpx", frames=48),
    "a.mkv": lambda path: write_movie(path, frames=48, options={"g": "8"}),
    "a.gif": lambda path: write_pictures(path, 16),
    "a.png": lambda path: write_pictures(path, 16),
}


@pytest.mark.parametrize("name", CUT)
def test_a_clip_that_is_cut_off_in_the_midst_keeps_its_good_frames_with_a_warning(tmp_path: Path, name: str) -> None:
    path = CUT[name](tmp_path / name)
    whole = decode_here(path, tmp_path / "whole")
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * 0.6)])
    clip = decode_here(path, tmp_path / "work")
    assert 2 <= len(clip.times) < len(whole.times) and clip.numbers.tolist() == list(range(len(clip.times)))
    assert len(clip.warnings) == 1 and "what comes before is used" in clip.warnings[0]
    assert [number_of(clip.read(k).rgb) for k in range(len(clip.times))] == [k % 18 for k in range(len(clip.times))]


def test_damage_in_the_midst_costs_the_frames_that_it_hit_and_no_other(tmp_path: Path) -> None:
    path = write_movie(tmp_path / "a.mov", "png", "rgb24", frames=12)
    data = bytearray(path.read_bytes())
    places = [place for place in range(len(data)) if data.startswith(b"IHDR", place)]
    for place in (places[5], places[6]):
        data[place : place + 4] = b"XXXX"
    path.write_bytes(data)
    clip = decode_here(path, tmp_path / "work")
    assert clip.numbers.tolist() == [0, 1, 2, 3, 4, 4, 7, 7, 8, 9, 10, 11]
    assert len(clip.warnings) == 1 and "2 frames" in clip.warnings[0]


def test_a_frame_that_only_claims_to_be_huge_is_refused(tmp_path: Path) -> None:
    path = write_movie(tmp_path / "a.mov", "png", "rgb24", frames=3)
    data = bytearray(path.read_bytes())
    place = data.index(b"png ", data.index(b"stsd")) + 4 + 24
    data[place : place + 4] = b"\xff\xf0\xff\xf0"
    for place in [place for place in range(len(data)) if data.startswith(b"IHDR", place)]:
        data[place + 4 : place + 12] = struct.pack(">II", 65520, 65520)
    path.write_bytes(data)
    with pytest.raises(MenagerieError, match="megapixels") as refusal:
        decode_here(path, tmp_path / "work")
    assert refusal.value.code == "clip_unreadable"
    (tmp_path / "a.gif").write_bytes(b"GIF89a\xff\xff\xff\xff\x80\0\0" + bytes(6) + b",\0\0\0\0\x10\0\x10\0\0\x02\0;")
    assert refused(tmp_path / "a.gif", tmp_path / "work") == "clip_too_large"


@pytest.mark.parametrize("name", ["a.mp4", "a.webm", "a.mov", "a.gif"])
def test_random_damage_gives_a_code_or_frames(tmp_path: Path, name: str) -> None:
    make = {
        "a.mp4": lambda path: write_movie(path, container={"movflags": "faststart"}), "a.gif": write_pictures,
        "a.webm": lambda path: write_movie(path, "libvpx-vp9", "yuva420p", alpha=True),
        "a.mov": lambda path: write_movie(path, "qtrle", "argb", alpha=True),
    }  # fmt: skip
    outcomes = run(FUZZER, make[name](tmp_path / name), FUZZED)
    assert outcomes.keys() <= CODES | {""} and outcomes.get("", 0) > 0


def test_a_movie_that_points_to_another_file_opens_none(tmp_path: Path) -> None:
    other = write_movie(tmp_path / "secret.mov", "png", "rgb24", frames=3)
    path = write_movie(tmp_path / "a.mov", "png", "rgb24", frames=3)
    path.write_bytes(with_alias(path.read_bytes(), str(other)))
    told = run(WATCH, path, tmp_path / "work")
    assert told["code"] in CODES | {""}
    assert [name for name in told["opened"] if str(path) in name] and not [name for name in told["opened"] if str(other) in name]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="peak memory is read from /proc")
def test_the_largest_frames_stay_within_the_promise_or_are_refused(tmp_path: Path) -> None:
    path = write_movie(tmp_path / "a.mov", "mpeg4", size=(7680, 4320), frames=2)
    program = (
        "import json, sys, os\nfrom pathlib import Path\nimport PIL.Image, av\nfrom backend.media import decode\nPIL.Image.init()\n"
        "def memory(key): return int(next(l for l in open('/proc/self/status') if l.startswith(key)).split()[1]) * 1024\n"
        "from backend.media.throwaway import take_no_more_memory\nfrom tests.media.clips import decode_here\nidle = memory('VmRSS')\n"
        "take_no_more_memory(decode.MEMORY)\n"
        "clip = decode_here(Path(sys.argv[1]), Path(sys.argv[2]))\n"
        "print(json.dumps({'memory': memory('VmHWM') - idle, 'width': clip.width}))"
    )
    told = run(program, path, tmp_path / "work")
    assert told["width"] == 1280 and told["memory"] < MEMORY_LIMIT


def test_a_decoder_that_breaks_off_is_a_coded_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from backend.media import clip as clips

    breaks = tmp_path / "unit" / "breaks.py"
    breaks.parent.mkdir()
    breaks.write_text("import os\nos.abort()\n")
    monkeypatch.setattr(clips, "DECODER", "breaks")
    monkeypatch.setattr("backend.media.throwaway.UNIT", breaks.parent)
    with pytest.raises(MenagerieError) as refusal:
        read_clip(write_folder(tmp_path / "frames", 2), tmp_path / "work")
    assert refusal.value.code == "clip_unreadable"


def test_a_decoder_that_hangs_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from backend.media import clip as clips

    hangs = tmp_path / "unit" / "hangs.py"
    hangs.parent.mkdir()
    hangs.write_text("import time\ntime.sleep(600)\n")
    monkeypatch.setattr(clips, "DECODER", "hangs")
    monkeypatch.setattr(clips, "LONGEST_SILENCE", 0.3)
    monkeypatch.setattr("backend.media.throwaway.UNIT", hangs.parent)
    with pytest.raises(MenagerieError) as refusal:
        read_clip(write_folder(tmp_path / "frames", 2), tmp_path / "work")
    assert refusal.value.code == "clip_unreadable" and "time" in refusal.value.sentence
