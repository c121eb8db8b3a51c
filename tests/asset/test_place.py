"""Placement: on the ground, root under the pelvis, body length 1, and seen through the camera as before."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from backend.asset.place import place
from backend.types import Asset, Camera, Mesh, Motion, Pose, Skeleton
from tests.asset.creature import look_at, make_creature, random_pose, skin_vertices

PIXEL_TOLERANCE = 2e-2  # float32 vertices a few units off, focal length of about a thousand pixels


def in_network_units(asset: Asset, scale: float = 2.3) -> Asset:
    """The creature 2.3 times as large, centred about its middle, with its root bone at the centre and turned in the photo."""
    shift = np.array([0, -0.7, -0.5], np.float32)
    skeleton, camera = asset.skeleton, asset.camera
    view = camera.object_to_camera.copy()
    view[:3, 3] = scale * (view[:3, 3] - view[:3, :3] @ shift)
    heads, tails = (skeleton.heads + shift) * scale, (skeleton.tails + shift) * scale
    rotations = random_pose(skeleton, 5, 0.2).rotations.copy()
    rotations[0] = np.array([0.8, 0.1, 0.5, 0.3]) / np.linalg.norm([0.8, 0.1, 0.5, 0.3])
    moves = np.array([[0.1, 0.2, -0.3], [0.4, 0, 0.1]], np.float32)
    return replace(
        asset,
        mesh=Mesh((asset.mesh.vertices + shift) * scale, asset.mesh.faces, asset.mesh.uvs, asset.mesh.mirror),
        skeleton=Skeleton(
            skeleton.names, skeleton.parents, skeleton.connected, skeleton.deform,
            heads.astype(np.float32), tails.astype(np.float32), skeleton.z_axes,
        ),
        camera=Camera(camera.width, camera.height, camera.focal_px, view.astype(np.float32)),
        photo_pose=Pose(rotations, np.array([0.1, 0.2, -0.3], np.float32)),
        motions=(Motion("m", 24.0, np.stack([rotations, rotations]), moves),),
    )  # fmt: skip


@pytest.fixture(scope="module")
def before() -> Asset:
    return in_network_units(make_creature(1500, texture_size=16))


def project(asset: Asset, pose: Pose) -> np.ndarray:
    camera = asset.camera
    seen = skin_vertices(asset, pose) @ camera.object_to_camera[:3, :3].T.astype(np.float64) + camera.object_to_camera[:3, 3]
    return camera.focal_px * seen[:, :2] / seen[:, 2:] + [camera.width / 2, camera.height / 2]


def test_the_rest_pose_stands_on_the_ground_with_the_root_under_the_pelvis(before: Asset) -> None:
    after = place(before)
    names = after.skeleton.names
    assert after.mesh.vertices[:, 1].min() == 0
    assert np.array_equal(after.skeleton.heads[0], np.zeros(3))
    assert np.array_equal(after.skeleton.heads[names.index("hips")][[0, 2]], [0, 0])


def test_withers_to_tail_base_is_one(before: Asset) -> None:
    after = place(before)
    heads, names = after.skeleton.heads, after.skeleton.names
    length = np.linalg.norm(heads[names.index("neck.001")] - heads[names.index("tail.001")])
    assert abs(length - 1) < 1e-6


def test_known_metres_become_the_unit(before: Asset) -> None:
    after = place(replace(before, metres=0.4))
    assert after.metres == 1.0
    assert np.allclose(np.ptp(after.mesh.vertices, 0), 0.4 * np.ptp(before.mesh.vertices, 0), atol=1e-6)


def test_photo_and_motion_are_seen_as_before_even_where_the_root_is_turned(before: Asset) -> None:
    after = place(before)
    assert np.abs(project(after, after.photo_pose) - project(before, before.photo_pose)).max() < PIXEL_TOLERANCE
    motion, placed = before.motions[0], after.motions[0]
    for frame in range(2):
        expected = project(before, Pose(motion.rotations[frame], motion.root_translations[frame]))
        assert np.abs(project(after, Pose(placed.rotations[frame], placed.root_translations[frame])) - expected).max() < PIXEL_TOLERANCE


def test_a_moving_camera_sees_each_frame_as_before(before: Asset) -> None:
    cameras = np.stack([look_at((7.0, 2.0, 1.0), (0.0, 0.1, 0.0)), look_at((6.0, 2.0, 4.0), (0.2, 0.0, 0.0))])
    moving = replace(before, motions=(replace(before.motions[0], cameras=cameras),))
    after = place(moving)
    for frame in range(2):
        seen = []
        for asset in (moving, after):
            motion = asset.motions[0]
            assert motion.cameras is not None
            view = replace(asset, camera=replace(asset.camera, object_to_camera=motion.cameras[frame]))
            seen.append(project(view, Pose(motion.rotations[frame], motion.root_translations[frame])))
        assert np.abs(seen[0] - seen[1]).max() < PIXEL_TOLERANCE


def test_exact_symmetry_stays_exact(before: Asset) -> None:
    after = place(before)
    assert after.mesh.mirror is not None
    assert np.array_equal(after.mesh.vertices[after.mesh.mirror] * np.float32([-1, 1, 1]), after.mesh.vertices)


def test_placing_twice_changes_nothing_more(before: Asset) -> None:
    once = place(before)
    assert np.abs(place(once).mesh.vertices - once.mesh.vertices).max() < 1e-6


def test_a_creature_without_a_tail_is_measured_to_its_pelvis(before: Asset) -> None:
    kept = [bone for bone, name in enumerate(before.skeleton.names) if not name.startswith("tail")]
    renumber = {old: new for new, old in enumerate(kept)} | {-1: -1}
    old = before.skeleton
    skeleton = Skeleton(
        tuple(old.names[bone] for bone in kept), np.array([renumber[old.parents[bone]] for bone in kept], np.int32),
        old.connected[kept], old.deform[kept], old.heads[kept], old.tails[kept], old.z_axes[kept],
    )  # fmt: skip
    pose = Pose(before.photo_pose.rotations[kept], before.photo_pose.root_translation)
    after = place(replace(before, skeleton=skeleton, photo_pose=pose, motions=()))
    heads, names = after.skeleton.heads, after.skeleton.names
    assert abs(np.linalg.norm(heads[names.index("neck.001")] - heads[names.index("hips")]) - 1) < 1e-6
