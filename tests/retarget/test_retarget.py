"""What the retargeting core promises, measured on made-up animals: exactness, chains of other counts, travel, feet, guessing."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from backend.rig.template import load_quadruped
from tests.retarget.animals import Array, directions, posed_anew, posed_by, rig_from, rig_of, rotations, skeleton, turn_about_y, walk
from tests.retarget.core import core

bone_maps, frames, guess, parts, rigs, solve = (core(name) for name in ("bone_map", "frames", "guess", "parts", "rig", "solve"))
laps = core("laps")

DEGREES = 0.5
"""A bone of the same skeleton."""
FEET = 0.005
"""Leg lengths that a foot of the same skeleton may be off."""
MEAN_DEGREES = 2.0
"""Mean direction error where the counts differ."""
PATH = 0.01
"""Share of its length by which the root's path may be off, after leg scaling."""
SLIDE = 0.01
"""Leg lengths that a standing foot may slide."""
SWING = 0.2
"""Share by which a joint's swing may differ across species."""
SINK = 0.01
"""Leg lengths below the ground."""


def transfer(source: Any, clip: Any, target: Any, **options: Any) -> tuple[Any, Array]:
    result = solve.solve(source, clip, target, guess.guess_map(source, target), solve.Options(**options))
    return result, posed_by(target, result)


def degrees(first: Array, second: Array) -> Array:
    return np.degrees(rotations.angle_between(first, second))


def limited(rig: Any) -> Any:
    return replace(rig, limits=parts.limits_of(rig.names))


@pytest.fixture(scope="module")
def horse() -> Any:
    return rig_of(skeleton("horse"))


@pytest.fixture(scope="module")
def horse_walk(horse: Any) -> Any:
    return rigs.pose_clip(horse, "walk", 24.0, *walk(horse))


@pytest.mark.parametrize("seed", range(4))
def test_the_same_skeleton_with_another_rest_pose_roll_and_scale_follows_exactly(horse: Any, horse_walk: Any, seed: int) -> None:
    rng = np.random.default_rng(seed)
    angles = rng.uniform(-0.3, 0.3, (len(horse.names), 3))
    angles[0] = 0
    other = posed_anew(horse, angles, rng.uniform(-3, 3, len(horse.names)), 2.3)
    result, poses = transfer(horse, horse_walk, other, feet="off")
    assert result.stance == "source" and result.scale == pytest.approx(2.3)
    assert degrees(directions(other, poses), directions(horse, horse_walk.poses)).max() <= DEGREES
    leg = frames.leg_length(horse, guess.find_body(horse)[0], guess.find_body(horse)[0])
    assert np.linalg.norm(poses[..., :3, 3] / 2.3 - horse_walk.poses[..., :3, 3], axis=-1).max() <= FEET * leg


def test_tails_of_inner_bones_and_rolls_say_nothing(horse: Any, horse_walk: Any) -> None:
    """An importer's invented tails and rolls: the joints move as before."""
    rng = np.random.default_rng(3)
    rest = horse.rest.copy()
    turn = np.linalg.qr(rng.normal(size=(len(horse.names), 3, 3)))[0]
    turn *= np.sign(np.linalg.det(turn))[:, None, None]
    rest[:, :3, :3] = rest[:, :3, :3] @ turn
    wild = rigs.Rig(horse.names, horse.parents, rest, horse.heads + rng.normal(size=horse.heads.shape))
    _, poses = transfer(horse, horse_walk, wild, feet="off")
    assert np.abs(poses[..., :3, 3] - horse_walk.poses[..., :3, 3]).max() < 1e-6


@pytest.fixture(scope="module")
def true_walk(horse: Any, horse_walk: Any) -> tuple[Any, Array]:
    """The walk with feet that stand, and its rotations: held once on the horse itself."""
    result, poses = transfer(horse, horse_walk, horse)
    return rigs.Clip("walk", horse_walk.seconds, poses), result.rotations


@pytest.mark.parametrize("turn", ["object turned", "Y up", "object moving"])
def test_the_sources_object_transform_counts(horse: Any, horse_walk: Any, turn: str) -> None:
    """The same motion, shown through an object that an importer has turned and scaled, or that itself walks."""
    count = len(horse_walk.seconds)
    quarter = rotations.from_angles(np.array([np.pi / 2, 0, 0]))
    place = np.eye(4)
    if turn == "Y up":
        inside = np.eye(4)
        inside[:3, :3] = quarter.T
        place[:3, :3] = quarter * 0.01
        source = rigs.Rig(horse.names, horse.parents, inside @ horse.rest, horse.tails @ quarter, quarter.T @ [0, 0, 1])
        clip = replace(horse_walk, poses=inside @ horse_walk.poses, places=np.tile(place, (count, 1, 1)))
    elif turn == "object turned":
        place[:3, :3] = rotations.from_angles(np.array([0, 0, 0.9])) * 3
        place[:3, 3] = 5, -2, 0
        source, clip = horse, replace(horse_walk, places=np.tile(place, (count, 1, 1)))
    else:
        standing = rigs.pose_clip(horse, "", 24.0, *walk(horse, travels=False))
        places = np.tile(place, (count, 1, 1))
        places[:, :3, 3] = walk(horse)[1]
        source, clip = horse, replace(standing, places=places)
    _, poses = transfer(source, clip, horse, feet="off")
    assert np.abs(poses[..., :3, 3] - horse_walk.poses[..., :3, 3]).max() < 1e-6
    assert np.abs(poses[:, 0, :3, 3] - horse_walk.poses[:, 0, :3, 3]).max() < 1e-6


def recounted(rig: Any, counts: dict[str, int], lost_hips: bool) -> tuple[Any, dict[str, tuple[str, ...]]]:
    """The same body with chains cut into other counts of equal bones; lost_hips: hips, legs and tail have no parent. -> rig, its parts."""
    body = dict(guess.find_body(rig)[0])
    names, parents, heads, tails = list(rig.names), [rig.names[p] if p >= 0 else None for p in rig.parents], rig.heads, rig.tails
    table = {name: (parents[i], heads[i], tails[i], rig.axes[i][:, 2]) for i, name in enumerate(names)}
    for part, count in counts.items():
        old = body[part]
        chain = frames.chain_of(rig, body, part, True)
        shares = np.linspace(0, 1, count + 1)
        points = np.array([[np.interp(share, chain.shares, chain.joints[:, axis]) for axis in range(3)] for share in shares])
        fresh = tuple(f"{part}{number}" for number in range(count))
        above = table[old[0]][0]
        for name in old:
            del table[name]
        for number, name in enumerate(fresh):
            table[name] = (above if number == 0 else fresh[number - 1], points[number], points[number + 1], np.array([0.0, 0, 1]))
        table = {name: (fresh[-1] if row[0] in old else row[0], *row[1:]) for name, row in table.items()}
        body[part] = fresh
    if lost_hips:
        table = {name: (None if row[0] in ("root", "hips") else row[0], *row[1:]) for name, row in table.items() if name != "root"}
        del body["root"]
    order: list[str] = []
    while len(order) < len(table):
        order += [name for name, row in table.items() if name not in order and (row[0] is None or row[0] in order)]
    above_of = np.array([-1 if table[name][0] is None else order.index(table[name][0]) for name in order])
    made = rig_from(tuple(order), above_of, *(np.array([table[name][k] for name in order]) for k in (1, 2, 3)))
    return made, body


def chain_points(rig: Any, body: dict[str, tuple[str, ...]], part: str, poses: Array) -> tuple[Array, Array]:
    """(t, n + 1, 3) posed joints of a part with its end, (n + 1,) shares."""
    chain = frames.chain_of(rig, body, part, True)
    last = chain.bones[-1]
    end = (poses[:, last] @ np.linalg.inv(rig.rest[last]) @ np.append(rig.tails[last], 1))[:, :3]
    return np.concatenate([poses[:, :, :3, 3][:, list(chain.bones)], end[:, None]], 1), chain.shares


@pytest.mark.parametrize("lost_hips", [False, True])
@pytest.mark.parametrize("way", ["to more", "to fewer"])
def test_chains_of_other_counts_follow_by_length(horse: Any, horse_walk: Any, lost_hips: bool, way: str) -> None:
    few = recounted(horse, {"spine": 3, "neck": 1, "tail": 5}, False)
    many = recounted(horse, {"spine": 5, "neck": 7, "tail": 16}, lost_hips)
    if way == "to fewer" and lost_hips:
        few = recounted(horse, {"spine": 3, "neck": 1, "tail": 5}, True)
        many = recounted(horse, {"spine": 5, "neck": 7, "tail": 16}, False)
    (source, theirs), (target, ours) = (few, many) if way == "to more" else (many, few)
    seeded, _ = transfer(horse, horse_walk, source, feet="off") if "root" in theirs else (None, None)
    base = solve.solve(horse, horse_walk, source, bone_maps.join(guess.find_body(horse)[0], theirs), solve.Options(feet="off"))
    clip = rigs.Clip("", horse_walk.seconds, posed_by(source, base))
    result = solve.solve(source, clip, target, bone_maps.join(theirs, ours), solve.Options(feet="off", stance="source"))
    poses = posed_by(target, result)
    errors = []
    for part in ("spine", "neck", "tail"):
        (here, shares), (there, their_shares) = chain_points(target, ours, part, poses), chain_points(source, theirs, part, clip.poses)
        # Each of the target's bones against the source's curve over the same stretch of length.
        at = np.stack([np.stack([np.interp(shares, their_shares, there[t, :, axis]) for axis in range(3)], -1) for t in range(len(there))])
        errors.append(degrees(np.diff(here, axis=1), np.diff(at, axis=1)).mean())
    for stem in ("front_thigh.L", "front_shin.R", "thigh.R", "shin.L", "foot.L"):
        a, b = target.index[ours[stem][0]], source.index[theirs[stem][0]]
        errors.append(degrees(directions(target, poses)[:, a], directions(source, clip.poses)[:, b]).mean())
    assert max(errors) <= MEAN_DEGREES
    hips = [poses[:, target.index["hips"], :3, 3], clip.poses[:, source.index["hips"], :3, 3]]
    assert np.abs((hips[0] - hips[0][0]) - (hips[1] - hips[1][0])).max() <= PATH * np.linalg.norm(hips[1][-1] - hips[1][0])
    assert (result.rotations[1:] * result.rotations[:-1]).sum(-1).min() > 0
    assert seeded is None or seeded.stance == "source"


@pytest.mark.parametrize("root", ["bone", "object", "in_place"])
def test_the_roots_path_is_the_sources_after_leg_scaling(horse: Any, horse_walk: Any, root: str) -> None:
    target = rig_of(skeleton("low", 2.0))
    result, poses = transfer(horse, horse_walk, target, root=root)
    wanted = result.scale * (horse_walk.poses[:, 0, :3, 3] - horse_walk.poses[0, 0, :3, 3])
    wanted = wanted * 0 if root == "in_place" else wanted
    got = poses[:, 0, :3, 3] - poses[0, 0, :3, 3]
    assert np.linalg.norm(got - wanted, axis=1).max() <= PATH * result.scale * 1.9
    assert (result.moves is not None) == (root == "object")


def slides(target: Any, result: Any, poses: Array) -> dict[str, float]:
    """Leg -> the longest way that a standing toe's tip goes, in leg lengths."""
    body = guess.find_body(target)[0]
    leg = frames.leg_length(target, body, body)
    out = {}
    for name, stands in result.contacts.items():
        kind, side = name.split(".")
        bone = target.index[f"{'front_toe' if kind == 'front' else 'toe'}.{side}"]
        tip = (poses[:, bone] @ np.linalg.inv(target.rest[bone]) @ np.append(target.tails[bone], 1))[:, :3]
        ways = [np.linalg.norm(tip[a : a + n] - tip[a], axis=1).max() for a, n in laps.Lap(result.seconds).runs(stands)]
        out[name] = max(ways, default=0.0) / leg
    return out


@pytest.mark.parametrize("build", ["horse", "low", "thin", "bear"])
def test_standing_feet_stand_and_none_sinks(horse: Any, true_walk: tuple[Any, Array], build: str) -> None:
    target = limited(rig_of(skeleton(build, 1.3)))
    clip, channels = true_walk
    result, poses = transfer(horse, clip, target)
    free, _ = transfer(horse, clip, target, feet="off")
    assert sum(stands.any() for stands in result.contacts.values()) == 4
    assert max(slides(target, result, poses).values()) <= SLIDE
    body = guess.find_body(target)[0]
    leg = frames.leg_length(target, body, body)
    for part in ("front_toe", "toe"):
        for side in "LR":
            bone = target.index[f"{part}.{side}"]
            tip = poses[:, bone] @ np.linalg.inv(target.rest[bone]) @ np.append(target.tails[bone], 1)
            assert tip[:, 2].min() >= -SINK * leg and poses[:, bone, 2, 3].min() >= -SINK * leg
    low, high = np.moveaxis(target.limits, -1, 0)
    angles = rotations.to_angles(rotations.to_matrices(result.rotations))
    past = np.maximum(low - angles, angles - high)
    past[:, [target.index["root"], target.index["hips"]]] = 0
    assert past.max() <= 1e-6
    for stem in ("front_thigh.L", "thigh.R", "front_shin.L", "shin.R", "foot.L"):  # the transfer's own swing, before feet are held
        bone = target.index[stem]
        span = [np.ptp(rotations.to_angles(rotations.to_matrices(turns))[:, 0]) for turns in (free.rotations[:, bone], channels[:, bone])]
        assert abs(span[0] / span[1] - 1) <= SWING, stem
    assert (result.rotations[1:] * result.rotations[:-1]).sum(-1).min() > 0.7
    assert free.contacts == {}


def test_an_animal_that_walks_on_the_spot_has_its_feet_held_too_and_can_travel(horse: Any) -> None:
    clip = rigs.pose_clip(horse, "spot", 24.0, *walk(horse, travels=False))
    target = rig_of(skeleton("low"))
    result, poses = transfer(horse, clip, target, add_travel=True)
    assert max(slides(target, result, poses).values()) <= SLIDE
    assert poses[-1, 0, 1, 3] < -0.3 * result.scale
    stays, held = transfer(horse, clip, target)
    assert np.abs(held[:, 0, :3, 3] - held[0, 0, :3, 3]).max() < 1e-6
    assert np.abs(held[0, :, :3, 3] - held[-1, :, :3, 3]).max() < 1e-6 if stays.loop else True


def blank(rig: Any, seed: int) -> tuple[Any, Array]:
    """Names that say nothing, in an order that says nothing but parents first. -> rig, (b,) old bone of each."""
    rng = np.random.default_rng(seed)
    order: list[int] = []
    while len(order) < len(rig.names):
        ready = [b for b in range(len(rig.names)) if b not in order and (rig.parents[b] < 0 or rig.parents[b] in order)]
        order.append(int(rng.choice(ready)))
    parents = np.array([order.index(rig.parents[b]) if rig.parents[b] >= 0 else -1 for b in order])
    return rigs.Rig(tuple(f"Bone.{n:03d}" for n in range(len(order))), parents, rig.rest[order], None, rig.up), np.array(order)


@pytest.mark.parametrize("heading", [0.0, np.pi / 2, np.pi, -np.pi / 2])
@pytest.mark.parametrize("build", ["horse", "low", "thin", "bear", "column"])
def test_nameless_legs_are_never_swapped(build: str, heading: float) -> None:
    """Whichever way the animal faces: the right legs, or a question."""
    rig = rig_of(skeleton(build))
    turn = np.eye(4)
    turn[:3, :3] = rotations.from_angles(np.array([0, 0, heading]))
    turned = rigs.Rig(rig.names, rig.parents, turn @ rig.rest, rig.tails @ turn[:3, :3].T)
    nameless, order = blank(turned, 5)
    found, unsure = guess.find_body(nameless)
    assert found or unsure
    for part, bones in found.items():
        stem, side = parts.split(part)
        if side:
            for bone in bones:
                old = rig.names[order[nameless.index[bone]]]
                front = old.startswith(("front", "shoulder"))
                assert old.endswith(side) and front == (stem in ("shoulder", *parts.FRONT_LEG)), (part, old)
    assert build not in ("horse", "thin") or {"hips", "spine", "head", "tail", "toe.L", "front_toe.R"} <= found.keys()


def test_schemes_and_the_templates_limits_agree() -> None:
    template = load_quadruped()
    known = {scheme.name: scheme for scheme in parts.schemes()}
    assert {"Menagerie quadruped", "Rigify quadruped (metarig, ORG, DEF)", "Mixamo", "Rokoko", "0 A.D. horse", "0 A.D. wolf",
            "0 A.D. feline"} <= known.keys()  # fmt: skip
    ours = known["Menagerie quadruped"]
    assert sorted(name for bones in ours.parts.values() for name in bones) == sorted(template.bone_names)
    limits: NDArray[np.float64] = parts.limits_of(template.bone_names)
    assert np.allclose(limits[1:], template.limits[1:])
    for scheme in known.values():
        assert all(part in parts.ALL_PARTS for part in scheme.parts), scheme.name


def test_a_map_survives_its_file_and_errors_name_the_bones(horse: Any, tmp_path: Path) -> None:
    found = guess.guess_map(horse, horse)
    assert bone_maps.from_json(bone_maps.to_json(found)).pairs == found.pairs
    twice = bone_maps.BoneMap((*found.pairs, bone_maps.Pair("again", ("neck.001",), ("jaw", "head"))))
    with pytest.raises(bone_maps.MapError, match="head, jaw"):
        bone_maps.check_map(twice, horse, horse)
    with pytest.raises(bone_maps.MapError, match="nowhere"):
        bone_maps.check_map(bone_maps.BoneMap((bone_maps.Pair("x", ("nowhere",), ("jaw",)),)), horse, horse)
    for text in ("", "[]", "{}", json.dumps({"menagerie_bone_map": 1, "pairs": [1]}), "[" * 100000):
        with pytest.raises(bone_maps.MapError):
            bone_maps.from_json(text)
    fewer = bone_maps.BoneMap(tuple(pair for pair in found.pairs if pair.part != "jaw"))
    assert bone_maps.unmapped(fewer, horse) == ("jaw",)


def test_rolls_turn_about_the_bone() -> None:
    assert np.allclose(turn_about_y(np.array([0.3]))[0] @ [0, 1, 0], [0, 1, 0])
