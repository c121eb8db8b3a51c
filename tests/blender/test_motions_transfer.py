"""Ready motions on the creatures of the sample photos: feet stand, joints hold, steps keep their width and their rhythm."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from blender_addon.link.errors import LinkError
from blender_addon.motions import library, stances, turns
from blender_addon.motions.rig import LEGS, Target, flesh_on, limits_on, pose, source_rig, tips_of
from blender_addon.motions.transfer import Steps, transfer
from blender_addon.retarget.rotations import to_angles, to_matrices
from blender_addon.scene.asset_file import AssetFile
from tests.blender.photo_creatures import photo_creatures

CREATURES = ("dog", "elephant", "european-bear", "horse", "pig")
RATE = 24
SLIDE = DEPTH = 0.01
"""Of the leg's length: how far a standing foot may slide, how deep any may be in the ground."""
SHARE_OF_SKINS, DEEPEST = 0.95, 0.02
"""How many motions on creatures keep every vertex within that depth, and how deep the flesh of a toe that rolls may be in the others."""
SWING, SHARE_OF_SWINGS = 0.2, 0.95
"""How much wider or narrower a leg may swing than the source's, and how many legs must keep that."""
TIMELY = 0.9
"""Share of contacts that begin and end within a frame of the source's."""
LIMIT = 1e-6
NAMES = tuple(library.load().motions)
TRAVELLING = tuple(name for name, motion in library.load().motions.items() if motion.speed > 0)


@cache
def creatures() -> dict[str, AssetFile]:
    return photo_creatures(*CREATURES)


@cache
def target(creature: str) -> Target:
    asset = creatures()[creature]
    along = (asset.tails - asset.heads).astype(np.float64)
    lengths = np.linalg.norm(along, axis=1)
    y = along / lengths[:, None]
    x = np.cross(y, asset.z_axes)
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    rest = np.tile(np.eye(4), (len(y), 1, 1))
    rest[:, :3] = np.stack([x, y, np.cross(x, y), asset.heads], -1)
    hung = {name: ((asset.skin_bones == number) * asset.skin_weights).sum(1) for number, name in enumerate(asset.bone_names)}
    return Target(asset.bone_names, asset.parents, rest, lengths, flesh_on(asset.bone_names, asset.vertices, hung))


@cache
def steps_of(creature: str, name: str) -> Steps:
    motion = library.load().motions[name]
    return transfer(motion, target(creature), round(motion.seconds * RATE))


def tips(rig: Target, steps: Steps) -> np.ndarray:
    return tips_of(rig, to_matrices(steps.rotations), steps.hips)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("creature", CREATURES)
def test_standing_feet_stay_and_none_is_in_the_ground(creature: str, name: str) -> None:
    rig, steps = target(creature), steps_of(creature, name)
    places = tips(rig, steps)
    assert (rig.grounds - places[..., 2]).max() < DEPTH * rig.leg_length
    for foot in range(len(LEGS)):
        for start, length in stances.runs(steps.contacts[:, foot]):
            frames = (start + np.arange(length)) % len(places)
            spots = places[frames, foot] - np.outer(np.arange(length) * steps.step, (0, 1, 0))
            assert np.linalg.norm((spots - spots.mean(0))[:, :2], axis=1).max() < SLIDE * rig.leg_length
            assert np.abs(spots[:, 2] - rig.grounds[foot]).max() < DEPTH * rig.leg_length


def test_the_skin_stays_out_of_the_ground() -> None:
    lowest = np.array([[skin_height(creature, name) for name in NAMES] for creature in CREATURES])
    assert (lowest > -DEPTH).mean() >= SHARE_OF_SKINS
    assert lowest.min() > -DEEPEST


def skin_height(creature: str, name: str) -> float:
    """The lowest that any vertex gets in every third frame, in leg lengths; but for the tail's: a lion's may trail behind a pig."""
    rig, asset, steps = target(creature), creatures()[creature], steps_of(creature, name)
    turned, heads = pose(rig, to_matrices(steps.rotations), steps.hips)
    moved = np.tile(np.eye(4), (*heads.shape[:2], 1, 1))
    moved[..., :3, :3], moved[..., :3, 3] = turned, heads
    tail = [number for number, bone in enumerate(rig.names) if bone.startswith("tail")]
    body = ~(np.isin(asset.skin_bones, tail) & (asset.skin_weights > 0)).any(1)
    bones, weights, vertices = asset.skin_bones[body], asset.skin_weights[body], asset.vertices[body]
    rows = (moved @ np.linalg.inv(rig.rest))[::3, :, 2]  # (t, b, 4): what gives the height
    places = np.c_[vertices, np.ones(len(vertices))]
    heights = sum(weights[:, slot] * np.einsum("tvx,vx->tv", rows[:, bones[:, slot]], places) for slot in range(4))
    return float(np.min(heights)) / rig.leg_length


@pytest.mark.parametrize("creature", CREATURES)
def test_no_joint_is_past_its_limits_and_no_knee_bends_backwards(creature: str) -> None:
    rig = target(creature)
    for name in NAMES:
        skeleton = library.load().motions[name].skeleton
        limits = limits_on(rig, skeleton, [skeleton.names.index(bone) for bone in rig.names])
        angles = to_angles(to_matrices(steps_of(creature, name).rotations))
        assert (angles >= limits[..., 0] - LIMIT).all() and (angles <= limits[..., 1] + LIMIT).all()
        assert (limits >= skeleton.limits[[skeleton.names.index(bone) for bone in rig.names]][..., :1] - LIMIT)[1:].all()
        turned, _ = pose(rig, to_matrices(steps_of(creature, name).rotations), steps_of(creature, name).hips)
        for leg, upper, lower, sign in (("hind.L", 0, 1, -1), ("hind.R", 0, 1, -1), ("front.L", 0, 1, 1), ("front.R", 0, 1, 1)):
            above, below = (turned[:, rig.index[LEGS[leg][bone]]] for bone in (upper, lower))
            bend = sign * np.einsum("ti,ti->t", np.cross(above[..., 1], below[..., 1]), below[..., 0])
            assert bend.min() > 0


def test_legs_swing_as_wide_as_the_sources() -> None:
    ratios = []
    for creature in CREATURES:
        for name in TRAVELLING:
            motion, steps = library.load().motions[name], steps_of(creature, name)
            count = len(steps.rotations)
            moves = turns.resampled(motion.hips.astype(float), count)
            source = Steps(turns.resampled_turns(motion.rotations, count), moves, steps.contacts, 0)
            ratios.append(swings(target(creature), steps) / swings(source_rig(motion.skeleton), source))
    assert (np.abs(np.array(ratios) - 1) <= SWING).mean() >= SHARE_OF_SWINGS


def swings(rig: Target, steps: Steps) -> np.ndarray:
    """(4,) the angle over which each leg swings, from its first joint to its tip, seen from the side."""
    _, heads = pose(rig, to_matrices(steps.rotations), steps.hips)
    away = tips(rig, steps) - heads[:, [rig.index[leg[0]] for leg in LEGS.values()]]
    return np.ptp(np.arctan2(away[..., 1], -away[..., 2]), axis=0)


def test_feet_come_down_and_leave_when_the_sources_do() -> None:
    timely = []
    for creature in CREATURES:
        for name in TRAVELLING:
            steps = steps_of(creature, name)
            seen = standing(target(creature), steps)
            for foot in range(len(LEGS)):
                found = stances.runs(seen[:, foot])
                for start, length in stances.runs(steps.contacts[:, foot]):
                    timely.append(near(start, [begin for begin, _ in found], len(seen)))
                    timely.append(near(start + length, [begin + count for begin, count in found], len(seen)))
    assert np.mean(timely) >= TIMELY


def standing(rig: Target, steps: Steps) -> np.ndarray:
    """(t, 4) feet that are on the ground and still, seen from the motion alone."""
    places = tips(rig, steps)
    ahead, behind = np.roll(places, -1, 0) - places, places - np.roll(places, 1, 0)
    speed = np.minimum(*(np.linalg.norm(way - (0, steps.step, 0), axis=-1) for way in (ahead, behind)))
    return (places[..., 2] - rig.grounds < 0.02 * rig.leg_length) & (speed < 0.02 * rig.leg_length)


def near(frame: int, others: list[int], count: int) -> bool:
    return any(min((frame - other) % count, (other - frame) % count) <= 1 for other in others)


def test_a_wider_stride_gets_further_and_a_faster_one_needs_fewer_frames() -> None:
    motion, rig = library.load().motions["horse_walk"], target("horse")
    plain, wide = steps_of("horse", "horse_walk"), transfer(motion, rig, round(motion.seconds * RATE), stride=1.2)
    assert 1.1 < wide.step / plain.step < 1.3
    quick = transfer(motion, rig, round(motion.seconds * RATE / 2))
    assert abs(quick.step / plain.step / 2 - 1) < 0.05


def test_an_armature_without_legs_is_refused() -> None:
    rig = target("horse")
    without = Target(tuple(name.replace("shin", "chin") for name in rig.names), rig.parents, rig.rest, rig.lengths)
    with pytest.raises(LinkError) as caught:
        transfer(library.load().motions["horse_walk"], without, 40)
    assert caught.value.code == "bones_missing" and caught.value.remedy
