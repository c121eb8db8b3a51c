"""Clips with truth from a made-up animal: it travels, its feet stand, cameras keep it in the picture, equal seeds give equal clips."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from backend.data import clips, footing
from backend.data.clip_backgrounds import hang_backdrop
from backend.data.clip_cameras import Shot, film, frame_boxes, reach
from backend.data.clip_motion import Play, as_long_as_posed, close_in_time, read_motion, still_standing
from backend.data.clip_truth import feet, leg_length, read_truth, stances, strays
from backend.data.prepare import validation_sets
from backend.data.quadrupeds import catalogue
from backend.data.zero_ad import is_reserved
from backend.errors import MenagerieError
from backend.rig.template import load_quadruped
from tests.data.filmed import CYCLE, FPS, Shelf, walk, walker

SLIDE = 0.01
"""Of a leg's length."""
SHOT = Shot("still", 70, 5, 25, 96, 64)
PLAN = clips.Plan("bead-walk", "bead", "bead_walk", "walk", Play(5), replace(SHOT, kind="pan", shake=0.3), 7)


def test_the_animal_travels_at_the_speed_at_which_its_feet_stand() -> None:
    motion, template = walk(), load_quadruped()
    tips = feet(motion.points).astype(np.float64)
    assert 0.3 < motion.contacts.mean() < 0.8 and 0.2 < motion.speed < 1.5
    assert len(stances(motion.contacts)) >= 4
    assert strays(tips, motion.contacts).max() < SLIDE * leg_length(motion.rest_points)
    grounds = feet(motion.rest_points[None])[0, :, 1]
    assert np.abs(tips[..., 1] - grounds)[motion.contacts].max() < SLIDE
    pelvis = motion.points[:, template.point_index["pelvis"]]
    assert pelvis[-1, 2] - pelvis[0, 2] == pytest.approx(motion.speed * 29 / FPS, abs=0.05)
    assert abs(pelvis[:, 2].mean()) < 0.05 and np.abs(pelvis[:, 0]).max() < 0.05  # along z, about the origin
    withers = motion.points[:, template.point_index["withers"]]
    assert (withers[:, 2] > pelvis[:, 2] + 0.5).all()  # it heads where it goes


def test_the_skin_goes_with_the_points() -> None:
    motion = walk()
    bead = motion.rest_vertices.shape[0]
    near = np.linalg.norm(motion.rest_vertices[:, None] - motion.rest_points[None], axis=-1)
    before = near.min(0)
    after = np.linalg.norm(motion.vertices[:, :, None] - motion.points[:, None], axis=-1).min(1)
    assert bead > 100 and np.abs(after - before).max() < 0.05


def test_an_animal_that_stays_does_not_travel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(footing, "STEPS", 50)  # nothing is to be put right
    animal, clip = walker()
    still = replace(clip, frames=clip.frames[:1].repeat(8, 0))
    motion = read_motion(animal, still, Play(6, travels=False), FPS)
    assert motion.speed == 0 and motion.contacts.all()
    assert np.ptp(motion.points, axis=0).max() < 1e-3


def test_a_clip_of_another_rig_is_refused() -> None:
    animal, clip = walker()
    with pytest.raises(ValueError, match="bones"):
        read_motion(animal, replace(clip, frames=clip.frames[:, :5]), Play(4), FPS)


def test_a_cycle_lasts_whole_frames_of_the_shot() -> None:
    def path(times: np.ndarray) -> np.ndarray:
        return np.stack([np.cos(times), np.sin(times), 0 * times], -1)[:, None].repeat(2, 1)

    held = path(2 * np.pi * np.arange(22) / 23)
    cycle, seconds, refined = close_in_time(held, 1 / 30, 0.0, 24.0)
    assert seconds == pytest.approx(18 / 24) and refined == 2 and len(cycle) == 36  # 23 frames at 30 a second take 18.4 at 24
    assert np.abs(cycle - path(2 * np.pi * np.arange(36) / 36)).max() < 0.02
    assert close_in_time(held, 1 / 30, 1.5, 24.0)[1] == 1.5


def test_bones_at_rest_are_as_long_as_in_the_clip() -> None:
    motion, template = walk(), load_quadruped()
    points, vertices = motion.rest_points, motion.rest_vertices
    same = as_long_as_posed(points, vertices, motion.influence, points[None])
    assert np.abs(same - np.concatenate([points, vertices])).max() < 1e-4
    longer = points.copy()
    for side in "LR":
        hock, knee = (template.point_index[f"{name}.{side}"] for name in ("hock", "knee"))
        beyond = [template.point_index[f"{name}.{side}"] for name in ("hock", "hind_knuckle", "hind_tip")]
        longer[beyond] += 0.25 * (points[hock] - points[knee])
    found = as_long_as_posed(points, vertices, motion.influence, longer[None])
    assert np.abs(found[: len(points)] - longer).max() < 1e-4
    assert np.abs(found[len(points) :] - vertices).max() > 0.02  # the skin has followed


def test_a_stance_takes_in_the_frames_in_which_the_foot_is_still_there() -> None:
    count, speed = 12, 1.0
    tips = np.zeros((count, 4, 3))
    tips[:, 0, 2] = -speed * np.arange(count) / count  # stands
    tips[7:, 0, 2] = [-0.3, -0.1, 0.1, 0.25, 0.2]  # swings
    contacts = np.zeros((count, 4), bool)
    contacts[2:5, 0] = contacts[:, 1] = True
    found = still_standing(tips, contacts, speed, 1.0)
    assert found[:, 0].tolist() == [True] * 7 + [False] * 5
    assert found[:, 1].all() and not found[:, 2:].any()


@pytest.mark.parametrize("kind", ["still", "pan", "dolly"])
def test_a_camera_keeps_the_animal_in_the_picture(kind: str) -> None:
    skin = walk().vertices
    shot = replace(SHOT, kind=kind, fill=0.9)  # type: ignore[arg-type]
    cameras = film(skin, shot, FPS, np.random.default_rng(3)).astype(np.float64)
    assert np.array_equal(cameras, film(skin, shot, FPS, np.random.default_rng(3)))
    assert 0.85 < reach(*frame_boxes(skin.astype(np.float64), cameras), shot) < 0.95
    turns = cameras[:, :3, :3]
    places = -(turns.swapaxes(1, 2) @ cameras[:, :3, 3:])[..., 0]
    assert np.abs(turns @ turns.swapaxes(1, 2) - np.eye(3)).max() < 1e-5
    moved, turned = np.ptp(places, axis=0).max(), np.ptp(turns, axis=0).max()
    if kind == "still":
        assert moved == 0 and turned == 0
    elif kind == "pan":
        assert moved < 1e-4 and turned > 0.02
    else:
        assert moved > 0.5 and turned == 0


def test_a_hand_shakes_the_camera_by_as_much_as_it_is_told() -> None:
    skin = walk().vertices
    still, shaken = (film(skin, replace(SHOT, shake=degrees), FPS, np.random.default_rng(5)) for degrees in (0.0, 0.5))
    cosine = (np.einsum("tii->t", shaken[:, :3, :3] @ still[0, :3, :3].T) - 1) / 2
    angles = np.degrees(np.arccos(np.clip(cosine, -1, 1)))
    assert 0.2 < angles.max() < 1.5


def test_a_place_behind_moves_as_its_homographies_say() -> None:
    skin, shot = walk().vertices, replace(SHOT, kind="pan", shake=0.4)
    cameras = film(skin, shot, FPS, np.random.default_rng(1))
    across, down = np.meshgrid(np.linspace(0, 255, 800), np.linspace(0, 255, 600))
    photograph = np.stack([across, down, 0 * down], -1).astype(np.uint8)  # its colours say where one is
    backdrop = hang_backdrop(photograph, cameras, skin, shot, np.random.default_rng(2))
    assert backdrop.homographies[0] == pytest.approx(np.eye(3), abs=1e-5)
    first, last = (backdrop.behind(k).astype(float) for k in (0, len(cameras) - 1))
    assert np.abs(first - last).max() > 5
    seen = 0
    for x, y in ((30, 20), (48, 32), (70, 50)):
        u, v, w = backdrop.homographies[-1].astype(float) @ [x + 0.5, y + 0.5, 1]
        u, v = u / w - 0.5, v / w - 0.5
        if 1 <= u < 94 and 1 <= v < 62:
            seen += 1
            assert np.abs(last[round(v), round(u)] - first[y, x])[:2].max() < 4  # of 255: rounded pixels
    assert seen >= 1
    for k in range(len(cameras)):
        assert (backdrop.behind(k)[..., :2].max((0, 1)) > 0).all()  # no frame sees beyond the photograph's edge


@pytest.fixture
def studio(monkeypatch: pytest.MonkeyPatch) -> None:
    animal = replace(walker()[0], skins=("bead",))
    monkeypatch.setattr(clips.quadrupeds, "load", lambda archive, name: animal)
    monkeypatch.setattr(clips, "read_motion", lambda animal, clip, play, fps: first_frames(play.frames))


def first_frames(count: int):  # type: ignore[no-untyped-def]
    """The walk, cut short."""
    motion = walk()
    return replace(motion, vertices=motion.vertices[:count], points=motion.points[:count], contacts=motion.contacts[:count])


def test_a_clip_is_written_with_its_truth_and_the_same_again(tmp_path: Path, studio: None) -> None:
    for name in ("one", "two"):
        clips.make_clip(Shelf(), PLAN, tmp_path / name)  # type: ignore[arg-type]
    frames = sorted((tmp_path / "one" / "frames").iterdir())
    assert [frame.name for frame in frames] == [f"{k:04}.png" for k in range(5)]
    for frame in frames:
        twin = tmp_path / "two" / "frames" / frame.name
        assert hashlib.sha256(frame.read_bytes()).digest() == hashlib.sha256(twin.read_bytes()).digest()
        with Image.open(frame) as picture:
            assert picture.mode == "RGBA" and picture.size == (96, 64)
            alpha = np.asarray(picture)[..., 3]
            assert 0.05 < (alpha > 127).mean() < 0.7 and not alpha[[0, -1]].any() and not alpha[:, [0, -1]].any()
    truth = read_truth(tmp_path / "one")
    assert truth.facts["moving"] and truth.facts["camera"] == "pan" and truth.facts["frames"] == 5 and truth.background is None
    assert truth.body == pytest.approx(1) and truth.leg == pytest.approx(truth.facts["leg_length"], abs=1e-5)
    seen = truth.points @ truth.cameras[:, :3, :3].swapaxes(1, 2) + truth.cameras[:, None, :3, 3]
    pixels = truth.facts["focal_px"] * seen[..., :2] / seen[..., 2:] + [48, 32]
    pelvis = pixels[2, load_quadruped().point_index["spine2"]].astype(int)
    with Image.open(frames[2]) as picture:
        assert np.asarray(picture)[pelvis[1], pelvis[0], 3] == 255  # the truth's joints are where the picture shows the animal


def test_over_a_place_the_masks_lie_beside(tmp_path: Path, studio: None) -> None:
    place = np.random.default_rng(0).integers(0, 255, (200, 300, 3), np.uint8)
    clips.make_clip(Shelf(), PLAN, tmp_path / "place", place)  # type: ignore[arg-type]
    clips.make_clip(Shelf(), PLAN, tmp_path / "bare")  # type: ignore[arg-type]
    truth = read_truth(tmp_path / "place")
    assert truth.background is not None and truth.background.shape == (5, 3, 3) and not truth.facts["cut_out"]
    with Image.open(tmp_path / "place" / "frames" / "0003.png") as picture, Image.open(tmp_path / "place" / "masks" / "0003.png") as mask:
        colour, cover = np.asarray(picture), np.asarray(mask)
    assert colour.shape == (64, 96, 3) and cover.shape == (64, 96)
    assert 0.05 < (cover > 127).mean() < 0.7 and colour[cover == 0].std() > 20  # a place where the animal isn't


def test_only_clips_made_for_an_animals_bones_can_be_played(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    bones = {"bead_walk": 3, "bead_gallop": 3, "bead_trot": 2, "bead_death": 3, "bead_gather_meat": 3}
    archive = SimpleNamespace(
        mesh=lambda name: SimpleNamespace(bind=np.zeros((3, 4, 4))),
        clip=lambda path: SimpleNamespace(frames=np.zeros((5, bones[Path(path).stem], 4, 4))),
    )
    monkeypatch.setattr(clips.quadrupeds, "names", lambda: ("bead",))
    monkeypatch.setattr(clips.quadrupeds, "clips_and_skins", lambda archive, name: ([f"quadraped/{clip}.dae" for clip in bones], ()))
    assert clips.playable(archive) == {"bead": {"walk": ["bead_walk"], "run": ["bead_gallop"], "graze": ["bead_gather_meat"]}}
    monkeypatch.setattr(clips, "Archive", lambda source: archive)
    assert clips.main(["public.zip", "--list"]) == 0
    assert "bead: walk bead_walk; run bead_gallop" in capsys.readouterr().out


def test_a_folder_without_a_clip_is_a_coded_error(tmp_path: Path) -> None:
    with pytest.raises(MenagerieError) as refusal:
        read_truth(tmp_path)
    assert refusal.value.code == "bad_request"


def test_the_list_holds_what_validation_asks_for() -> None:
    plans = clips.listed()
    animals = {plan.animal for plan in plans}
    away = {name for names in validation_sets().values() for name in names}
    assert len(plans) == 12 == len({plan.name for plan in plans}) == len({plan.seed for plan in plans})
    assert animals <= away and len(animals) >= 5
    assert not any(is_reserved(name) for name in [*animals, *(plan.clip for plan in plans)])
    assert {plan.kind for plan in plans} >= {"walk", "run", "trot", "idle", "graze"}
    assert sum(plan.shot.kind != "still" for plan in plans) >= 4
    assert all(24 <= plan.play.frames <= 60 and 320 <= max(plan.shot.width, plan.shot.height) <= 512 for plan in plans)
    assert all(plan.shot.width % 2 == plan.shot.height % 2 == 0 for plan in plans)  # the principal point is a pixel's corner
    side = sum(40 <= abs(plan.shot.azimuth) <= 110 for plan in plans)
    assert side >= 9 and any(abs(plan.shot.azimuth) < 40 for plan in plans) and any(abs(plan.shot.azimuth) > 120 for plan in plans)
    assert all(name in catalogue()["meshes"] for name in animals)
    assert CYCLE == 24
