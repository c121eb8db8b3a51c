"""Place a creature as the asset file wants it: standing on the ground, root under the pelvis, body length 1.

Enters: an asset in any units whose skeleton has its root somewhere. Leaves: the same creature, seen alike through its
camera, with its lowest rest vertex on Y = 0 (object frame), the first root bone's head at the origin, the pelvis (head
of `hips`) above it, and one unit = one metre where metres are known, else withers to tail base at rest = 1.
Only scaled and shifted along Y and Z: what lay on x = 0 or was mirrored stays so exactly.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from backend.types import Asset, Camera, FloatArray, Mesh, Pose, Skeleton


def place(asset: Asset) -> Asset:
    """The placed asset. Raises ValueError for a mesh without extent."""
    scale = asset.metres if asset.metres is not None else 1.0 / body_length(asset)
    skeleton = asset.skeleton
    pelvis_z = float(skeleton.heads[skeleton.names.index("hips"), 2]) if "hips" in skeleton.names else float(skeleton.heads[0, 2])
    ground = np.array([0.0, float(asset.mesh.vertices[:, 1].min()), pelvis_z])

    def moved(points: FloatArray) -> FloatArray:
        return np.asarray((points - ground) * scale, np.float32)

    root = 0  # parents stand before children
    heads, tails = moved(skeleton.heads), moved(skeleton.tails)
    tails[root] = (tails[root] - heads[root]).astype(np.float32)
    shift = -heads[root].astype(np.float64)  # how far the root's head moves against the body
    heads[root] = 0
    placed = Skeleton(skeleton.names, skeleton.parents, skeleton.connected, skeleton.deform, heads, tails, skeleton.z_axes)

    def translated(rotations: FloatArray, translations: FloatArray) -> FloatArray:
        turn = root_turns(skeleton, root, rotations)
        return np.asarray(translations * scale - shift + (turn @ shift[:, None])[..., 0], np.float32)

    def seen(object_to_camera: FloatArray) -> FloatArray:
        views = object_to_camera.astype(np.float64)
        views[..., :3, 3] = scale * (views[..., :3, :3] @ ground + views[..., :3, 3])
        return views.astype(np.float32)

    camera = asset.camera
    return replace(
        asset,
        mesh=Mesh(moved(asset.mesh.vertices), asset.mesh.faces, asset.mesh.uvs, asset.mesh.mirror),
        skeleton=placed,
        camera=Camera(camera.width, camera.height, camera.focal_px, seen(camera.object_to_camera)),
        photo_pose=Pose(asset.photo_pose.rotations, translated(asset.photo_pose.rotations, asset.photo_pose.root_translation)),
        motions=tuple(
            replace(
                motion,
                root_translations=translated(motion.rotations, motion.root_translations),
                cameras=None if motion.cameras is None else seen(motion.cameras),
            )
            for motion in asset.motions
        ),
        metres=None if asset.metres is None else 1.0,
    )


def body_length(asset: Asset) -> float:
    """Withers (head of neck.001) to tail base (head of tail.001, or of hips without a tail) at rest; the mesh's
    longest side for creatures without these bones. Raises ValueError where that is nothing."""
    names, heads = asset.skeleton.names, asset.skeleton.heads
    if "neck.001" in names and "hips" in names:
        rear = "tail.001" if "tail.001" in names else "hips"
        length = float(np.linalg.norm(heads[names.index("neck.001")] - heads[names.index(rear)]))
    else:
        length = float(np.ptp(asset.mesh.vertices, axis=0).max())
    if not length > 0:
        raise ValueError("the creature has no length")
    return length


def root_turns(skeleton: Skeleton, root: int, rotations: FloatArray) -> NDArray[np.float64]:
    """(..., 3, 3) object-frame rotation of the root bone for (..., b, 4) local rotations."""
    along = skeleton.tails[root].astype(np.float64) - skeleton.heads[root]
    along /= np.linalg.norm(along)
    across = np.cross(along, skeleton.z_axes[root])
    across /= np.linalg.norm(across)
    rest = np.stack([across, along, np.cross(across, along)], 1)
    w, vector = rotations[..., root, 0].astype(np.float64), rotations[..., root, 1:].astype(np.float64)
    cross = np.zeros((*w.shape, 3, 3))
    cross[..., 0, 1], cross[..., 0, 2], cross[..., 1, 2] = -vector[..., 2], vector[..., 1], -vector[..., 0]
    cross -= np.swapaxes(cross, -1, -2)
    local = np.eye(3) + 2 * (w[..., None, None] * cross + cross @ cross)
    return np.asarray(rest @ local @ rest.T)
