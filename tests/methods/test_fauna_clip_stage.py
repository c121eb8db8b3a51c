"""What is put on stage is what the track shows, pixel for pixel, on a root that walks upright."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from backend.asset.place import place
from backend.asset.schema import check_rigid
from backend.methods.fauna.clip.posed import Posed
from backend.methods.fauna.clip.stage import Staged, put_on_stage, through_gaps
from backend.methods.fauna.clip.track import Track
from backend.methods.fauna.clip.world import World
from backend.rig.kinematics import blend, dense_weights
from backend.rig.rotations import quaternion_to_matrix
from backend.rig.skeleton import build_skeleton, rest_matrices, skeleton_points
from backend.types import Asset, Camera, Mesh, Motion, Pose, Skeleton, Skin, Texture
from tests.methods.walking import REST, no_network, turned, walk

FRAMES, VERTICES = 9, 300
WIDTH, HEIGHT, FOCAL = 640, 480, 1100.0
PIXEL = 1e-3
"""Pixels by which both may differ."""
UPRIGHT = 1e-5
"""By which the root's axes and place may miss."""
Array = np.ndarray


@dataclass(frozen=True)
class Cast:
    """Anything that hangs on a skeleton, and where it goes."""

    creature: Any
    skeleton: Skeleton
    mesh: Mesh
    skin: Skin
    track: Track
    steady: Array


@pytest.fixture(scope="module")
def cast() -> Cast:
    """A cloud of vertices, each on four bones, that pans past."""
    dice = np.random.default_rng(2)
    skeleton = build_skeleton(REST.numpy())
    rest, bones = torch.from_numpy(skeleton_points(skeleton)), len(skeleton.names)
    vertices = (dice.uniform(-1, 1, (VERTICES, 3)) * [0.5, 1.0, 1.8]).astype(np.float32)
    hangs = np.stack([dice.permutation(bones - 1)[:4] + 1 for _ in range(VERTICES)]).astype(np.int32)
    skin = Skin(hangs, dice.dirichlet(np.ones(4), VERTICES).astype(np.float32))
    dense = dense_weights(torch.from_numpy(hangs.astype(np.int64)), torch.from_numpy(skin.weights), bones)
    creature = SimpleNamespace(vertices=torch.from_numpy(vertices), rest=rest, dense=dense, model=no_network())
    track = walk(FRAMES)
    noise = torch.from_numpy(dice.normal(size=tuple(track.angles.shape))).float()
    track.angles, track.rest = track.angles + 0.1 * noise, rest  # the hips turn too
    steady = np.stack([turned((0.0, 1.0, 0.0), 0.03 * k).double().numpy() for k in range(FRAMES)])
    mesh = Mesh(vertices, np.array([[0, 1, 2]], np.int32))
    return Cast(creature, skeleton, mesh, skin, track, steady)


def world(moving: bool, steady: Array) -> World:
    """Up leans from the camera's own; the camera goes along, or stands; steady (t, 3, 3): of its turning."""
    up = np.array([0.05, -0.99, 0.12])
    path = np.outer(np.arange(FRAMES), [0.1, 0.01, -0.03]) if moving else np.zeros((FRAMES, 3))
    contacts = np.ones((FRAMES, 4), bool)
    return World(up / np.linalg.norm(up), np.full(FRAMES, -1.6), steady, path, path, contacts, moving)


def pixels(points: Array, rotation: Array, translation: Array, focal: float = FOCAL) -> Array:
    """(n, 3) -> (n, 2)."""
    seen = points.astype(np.float64) @ rotation.astype(np.float64).T + translation
    return np.asarray(focal * seen[:, :2] / seen[:, 2:] + [WIDTH / 2, HEIGHT / 2])


def posed_bones(skeleton: Skeleton, pose: Pose) -> Array:
    """(b, 4, 4) as Blender poses bones: parent's pose, rest in the parent, the bone's own turn; the root moved in the object's frame."""
    rest = rest_matrices(skeleton)
    turns = quaternion_to_matrix(torch.from_numpy(pose.rotations.astype(np.float64))).numpy()
    bones = np.zeros_like(rest)
    for number, parent in enumerate(skeleton.parents):
        local = np.eye(4)
        local[:3, :3] = turns[number]
        above = np.eye(4) if parent < 0 else bones[parent] @ np.linalg.inv(rest[parent])
        bones[number] = above @ rest[number] @ local
        if parent < 0:
            bones[number, :3, 3] += pose.root_translation
    return bones


def shown(mesh: Mesh, skeleton: Skeleton, skin: Skin, pose: Pose) -> Array:
    """(V, 3) posed vertices of an asset's parts."""
    moves = posed_bones(skeleton, pose) @ np.linalg.inv(rest_matrices(skeleton))
    dense = torch.zeros(len(mesh.vertices), len(moves), dtype=torch.float64)
    dense.scatter_add_(1, torch.from_numpy(skin.bones.astype(np.int64)), torch.from_numpy(skin.weights.astype(np.float64)))
    return np.asarray(blend(torch.from_numpy(mesh.vertices.astype(np.float64))[None], dense, torch.from_numpy(moves)[None])[0].numpy())


def asset_of(cast: Cast, staged: Staged) -> Asset:
    """The asset before it is placed."""
    camera = Camera(WIDTH, HEIGHT, FOCAL, staged.cameras[0])
    motion = Motion("walk", 12.0, staged.rotations, staged.root_translations, cameras=staged.cameras)
    pose = Pose(staged.rotations[0], staged.root_translations[0])
    texture = Texture(np.zeros((4, 4, 3), np.uint8))
    return Asset("horse", cast.mesh, cast.skeleton, cast.skin, texture, camera, pose, (motion,))


def misses(cast: Cast, asset: Asset) -> list[float]:
    """Pixels, of each frame, by which any vertex of the asset is seen elsewhere than the track has it."""
    posed, [motion] = Posed.of(cast.creature), asset.motions
    vertices = posed.vertices(posed.transforms(cast.track.angles)).numpy()
    assert motion.cameras is not None
    found = []
    for k in range(FRAMES):
        here = shown(asset.mesh, asset.skeleton, asset.skin, Pose(motion.rotations[k], motion.root_translations[k]))
        there = pixels(vertices[k], cast.track.rotation[k].numpy(), cast.track.translation[k].double().numpy())
        found.append(float(np.abs(pixels(here, motion.cameras[k, :3, :3], motion.cameras[k, :3, 3]) - there).max()))
    return found


def check_root(skeleton: Skeleton, motion: Motion) -> None:
    """Upright in every frame; at rest's place and facing +Z in the first."""
    ahead = []
    for k in range(FRAMES):
        root = posed_bones(skeleton, Pose(motion.rotations[k], motion.root_translations[k]))[0]
        turn = root[:3, :3] @ rest_matrices(skeleton)[0, :3, :3].T
        np.testing.assert_allclose(turn @ [0, 1, 0], [0, 1, 0], atol=UPRIGHT)
        ahead.append(turn @ [0, 0, 1])
    np.testing.assert_allclose(ahead[0], [0, 0, 1], atol=UPRIGHT)
    assert np.abs(motion.root_translations[0, [0, 2]]).max() < UPRIGHT
    assert np.abs(motion.root_translations[-1]).max() > 0.1  # it walks


@pytest.mark.parametrize("moving", [False, True])
@pytest.mark.parametrize("pans", [False, True])
def test_the_stage_shows_what_the_track_shows_on_an_upright_root(cast: Cast, moving: bool, pans: bool) -> None:
    steady = cast.steady if pans else np.tile(np.eye(3), (FRAMES, 1, 1))
    staged = put_on_stage(cast.creature, cast.skeleton, cast.track, world(moving, steady))
    asset = asset_of(cast, staged)
    assert max(misses(cast, asset)) < PIXEL
    check_root(asset.skeleton, asset.motions[0])
    assert bool((np.ptp(staged.cameras, axis=0) > 0).any()) == (moving or pans)
    placed = place(asset)
    assert max(misses(cast, placed)) < PIXEL
    check_root(placed.skeleton, placed.motions[0])


def test_neighbouring_frames_turn_the_short_way(cast: Cast) -> None:
    staged = put_on_stage(cast.creature, cast.skeleton, cast.track, world(True, cast.steady))
    assert float((staged.rotations[1:] * staged.rotations[:-1]).sum(-1).min()) >= 0


def test_the_ground_lies_under_the_resting_creature(cast: Cast) -> None:
    here = world(True, cast.steady)
    staged = put_on_stage(cast.creature, cast.skeleton, cast.track, here)
    lowest = float(cast.creature.vertices[:, 1].min())
    for k, camera in enumerate(staged.cameras.astype(np.float64)):
        ground = np.linalg.inv(camera) @ [*(cast.steady[k].T @ (here.height[k] * here.up - here.path[k])), 1]
        assert float(ground[1]) == pytest.approx(lowest, abs=1e-4)


def test_unseen_frames_are_bridged_and_seen_ones_kept(cast: Cast) -> None:
    whole = put_on_stage(cast.creature, cast.skeleton, cast.track, world(True, cast.steady))
    seen = np.array([0, 1, 2, 5, 6, 8])
    parts = whole.rotations, whole.root_translations, whole.cameras
    found = through_gaps(Staged(*(part[seen] for part in parts)), seen, FRAMES)
    for filled, part in zip((found.rotations, found.root_translations, found.cameras), parts, strict=True):
        assert filled.shape == part.shape and np.array_equal(filled[seen], part[seen])
    np.testing.assert_allclose(found.root_translations[3], (2 * whole.root_translations[2] + whole.root_translations[5]) / 3, atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(found.rotations, axis=-1), 1, atol=1e-5)
    np.testing.assert_allclose(found.cameras, whole.cameras, atol=0.02)  # it pans and goes evenly
    check_rigid(found.cameras, "the camera")
    assert through_gaps(whole, np.arange(FRAMES), FRAMES) is whole
