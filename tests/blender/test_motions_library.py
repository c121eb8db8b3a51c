"""The bundled motions: small, whole, with their credit; loops are closed and feet stand on the skeletons they come from."""

from __future__ import annotations

import numpy as np
import pytest

from blender_addon.motions import library, stances
from blender_addon.motions.rig import LEGS, pose, source_rig, tips_of
from blender_addon.retarget.rotations import to_angles, to_matrices
from blender_addon.scene.asset_file import AssetError

MAX_TOTAL = 1_500_000
SLIDE = 0.01
"""Of the leg's length, as is how deep a foot may be in the ground."""
SEAM = 2.0
"""Largest step from the last frame to the first over the largest one elsewhere in the cycle."""
LIMIT = 1e-4
FUZZED = 200
NAMES = tuple(library.load().motions)


def test_everything_is_small_and_credited() -> None:
    files = [path for path in library.HERE.iterdir() if path.suffix in (".safetensors", ".png", ".md")]
    assert sum(path.stat().st_size for path in files) < MAX_TOTAL
    shared = library.load()
    assert shared.credit == "0 A.D. © Wildfire Games" and shared.licence == "CC-BY-SA-3.0"
    assert shared.credit in (library.HERE / "LICENCE.md").read_text(encoding="utf-8")
    assert all(motion.picture.is_file() for motion in shared.motions.values())
    assert {"idle", "walk", "run", "graze"} <= {motion.kind for motion in shared.motions.values()}


@pytest.mark.parametrize("name", NAMES)
def test_a_motion_is_a_closed_loop_within_limits(name: str) -> None:
    motion = library.load().motions[name]
    assert np.abs(np.linalg.norm(motion.rotations, axis=-1) - 1).max() < 1e-5
    cosine = np.abs((motion.rotations * np.roll(motion.rotations, -1, 0)).sum(-1)).clip(0, 1)
    steps = 2 * np.arccos(cosine).max(1)
    assert steps[-1] < SEAM * steps[:-1].max()
    angles = to_angles(to_matrices(motion.rotations[:, 1:].astype(np.float64)))
    limits = motion.skeleton.limits[1:]
    assert (angles > limits[..., 0] - LIMIT).all() and (angles < limits[..., 1] + LIMIT).all()


@pytest.mark.parametrize("name", NAMES)
def test_its_feet_stand_on_its_own_skeleton(name: str) -> None:
    motion = library.load().motions[name]
    own = source_rig(motion.skeleton)
    tips = tips_of(own, to_matrices(motion.rotations.astype(np.float64)), motion.hips)
    step = motion.speed * motion.seconds / len(tips)
    assert (own.grounds - tips[..., 2]).max() < SLIDE * own.leg_length
    for foot in range(len(LEGS)):
        for start, length in stances.runs(motion.contacts[:, foot]):
            frames = start + np.arange(length)
            spots = tips[frames % len(tips), foot][:, :2] - np.outer(np.arange(length) * step, (0, 1))
            assert np.linalg.norm(spots - spots.mean(0), axis=1).max() < SLIDE * own.leg_length


def test_the_root_does_nothing_of_itself() -> None:
    for motion in library.load().motions.values():
        turned, _ = pose(source_rig(motion.skeleton), to_matrices(motion.rotations.astype(np.float64)), motion.hips)
        assert np.ptp(turned[:, 0], axis=0).max() == 0


def test_a_damaged_bundle_is_refused_with_its_code() -> None:
    data = library.BUNDLE.read_bytes()
    for cut in (0, 7, 100, len(data) - 1):
        with pytest.raises(AssetError) as caught:
            library.decode(data[:cut])
        assert caught.value.code == "asset_damaged"
    with pytest.raises(AssetError) as caught:
        library.decode(data.replace(b'\\"schema\\":1', b'\\"schema\\":2'))
    assert caught.value.code == "asset_version"


def test_random_damage_gives_a_code_or_a_sound_library() -> None:
    data = library.BUNDLE.read_bytes()
    generator = np.random.default_rng(0)
    head = 8 + int.from_bytes(data[:8], "little")
    for trial in range(FUZZED):
        bent = bytearray(data)
        for place in generator.integers(0, head, 1 + trial % 8):
            bent[place] = generator.integers(256)
        try:
            library.decode(bytes(bent))
        except AssetError as error:
            assert error.code in ("asset_damaged", "asset_version")
