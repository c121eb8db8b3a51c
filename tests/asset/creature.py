"""A made-up quadruped with every bone of the template: the asset that tests share, without any network.

Enters: a wanted number of triangles. Leaves: a complete `types.Asset` in the object frame, body length 1, standing
on Y = 0 with its root at the origin under the pelvis. The body is a smooth union of capsules along the bones, turned
into a closed mesh by naive surface nets on a grid that is mirrored at x = 0, so vertices pair exactly. numpy only.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from backend.types import Asset, Camera, FloatArray, IntArray, Mesh, Motion, Pose, Skeleton, Skin, Texture

TEMPLATE = Path(__file__).parents[2] / "backend" / "rig" / "templates" / "quadruped.json"

CENTRE_POINTS: dict[str, tuple[float, float]] = {  # (y, z), x = 0
    "pelvis": (0.86, 0.0), "spine1": (0.87, 0.16), "spine2": (0.87, 0.33), "spine3": (0.87, 0.5), "chest": (0.88, 0.66),
    "withers": (0.92, 0.83), "neck_mid": (1.12, 0.98), "poll": (1.3, 1.1), "muzzle": (1.16, 1.45), "jaw_hinge": (1.2, 1.14),
    "chin": (1.09, 1.36), "tail0": (0.86, -0.165), "tail1": (0.78, -0.25), "tail2": (0.68, -0.29), "tail3": (0.58, -0.31),
    "tail4": (0.47, -0.32),
}  # fmt: skip
LEFT_POINTS: dict[str, tuple[float, float, float]] = {
    "ear_base": (0.06, 1.34, 1.1), "ear_tip": (0.13, 1.47, 1.08), "scapula": (0.1, 0.88, 0.78), "shoulder": (0.13, 0.65, 0.88),
    "elbow": (0.13, 0.5, 0.76), "wrist": (0.13, 0.28, 0.79), "front_knuckle": (0.13, 0.1, 0.78), "front_tip": (0.13, 0.04, 0.86),
    "hip": (0.12, 0.78, -0.04), "knee": (0.14, 0.52, 0.09), "hock": (0.14, 0.32, -0.12), "hind_knuckle": (0.14, 0.1, -0.08),
    "hind_tip": (0.14, 0.04, 0.01),
}  # fmt: skip
RADII: dict[str, float] = {"torso": 0.17, "neck and head": 0.09, "tail": 0.035, "front leg": 0.05, "hind leg": 0.055}
THIN: dict[str, float] = {"ear": 0.035, "jaw": 0.05, "front_toe": 0.04, "toe": 0.04, "head": 0.075, "shoulder": 0.08, "thigh": 0.085}
BLEND = 0.03
"""Width of the smooth union, in body lengths."""


def make_skeleton() -> tuple[Skeleton, tuple[float, ...]]:
    """The template's bones at rest, and a capsule radius for each (0 where the bone doesn't deform)."""
    template = json.loads(TEMPLATE.read_text())
    points = {"origin": np.zeros(3)}
    points |= {name: np.array([0.0, *yz]) for name, yz in CENTRE_POINTS.items()}
    for name, xyz in LEFT_POINTS.items():
        points[f"{name}.L"] = np.array(xyz)
        points[f"{name}.R"] = np.array(xyz) * [-1, 1, 1]
    bones = template["bones"]
    names = tuple(bone["name"] for bone in bones)
    heads = np.array([points[bone["head"]] for bone in bones])
    tails = np.array([[0.0, 0.0, 0.3] if bone["tail"] is None else points[bone["tail"]] for bone in bones])
    z_axes = np.array([bend_z_axis(head, tail) for head, tail in zip(heads, tails, strict=True)])
    radii = []
    for bone in bones:
        base = bone["name"].split(".")[0]
        group = bone["group"].split(".")[0]
        radii.append(THIN.get(base, RADII[group]) if bone["deform"] else 0.0)
    skeleton = Skeleton(
        names=names,
        parents=np.array([-1 if bone["parent"] is None else names.index(bone["parent"]) for bone in bones], np.int32),
        connected=np.array([bone["connected"] for bone in bones]),
        deform=np.array([bone["deform"] for bone in bones]),
        heads=heads.astype(np.float32),
        tails=tails.astype(np.float32),
        z_axes=z_axes.astype(np.float32),
    )
    return skeleton, tuple(radii)


def bend_z_axis(head: NDArray[np.float64], tail: NDArray[np.float64]) -> NDArray[np.float64]:
    """(3,) local Z of a bone whose local X is the animal's right (-X) made perpendicular to it."""
    along = (tail - head) / np.linalg.norm(tail - head)
    across = np.array([-1.0, 0.0, 0.0]) + along[0] * along
    across /= np.linalg.norm(across)
    return np.cross(across, along)


def rest_matrices(skeleton: Skeleton) -> NDArray[np.float64]:
    """(b, 4, 4) rest transforms: columns X, Y, Z, head."""
    y_axes = skeleton.tails.astype(np.float64) - skeleton.heads
    y_axes /= np.linalg.norm(y_axes, axis=1, keepdims=True)
    x_axes = np.cross(y_axes, skeleton.z_axes)
    x_axes /= np.linalg.norm(x_axes, axis=1, keepdims=True)
    matrices = np.tile(np.eye(4), (len(skeleton.names), 1, 1))
    matrices[:, :3, 0], matrices[:, :3, 1], matrices[:, :3, 2] = x_axes, y_axes, np.cross(x_axes, y_axes)
    matrices[:, :3, 3] = skeleton.heads
    return matrices


def rotation_matrices(quaternions: FloatArray) -> NDArray[np.float64]:
    """(..., 4) wxyz -> (..., 3, 3)."""
    w, x, y, z = np.moveaxis(quaternions.astype(np.float64), -1, 0)
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    return np.moveaxis(np.array(rows), (0, 1), (-2, -1))


def pose_matrices(skeleton: Skeleton, pose: Pose) -> NDArray[np.float64]:
    """(b, 4, 4) posed bone transforms, by Blender's rule: pose[parent] inv(rest[parent]) rest[b] basis[b]."""
    rest = rest_matrices(skeleton)
    basis = np.tile(np.eye(4), (len(skeleton.names), 1, 1))
    basis[:, :3, :3] = rotation_matrices(pose.rotations)
    posed = np.empty_like(rest)
    for bone, parent in enumerate(skeleton.parents):
        if parent < 0:
            posed[bone] = rest[bone] @ basis[bone]
        else:
            posed[bone] = posed[parent] @ np.linalg.inv(rest[parent]) @ rest[bone] @ basis[bone]
        if bone == 0:
            posed[bone, :3, 3] += pose.root_translation
    return posed


def skin_vertices(asset: Asset, pose: Pose) -> NDArray[np.float64]:
    """(v, 3) linear blend skinning of the asset's mesh in the pose, in float64."""
    deltas = pose_matrices(asset.skeleton, pose) @ np.linalg.inv(rest_matrices(asset.skeleton))
    per_bone = np.einsum("vkij,vj->vki", deltas[asset.skin.bones][..., :3, :3], asset.mesh.vertices)
    per_bone += deltas[asset.skin.bones][..., :3, 3]
    return np.einsum("vk,vki->vi", asset.skin.weights.astype(np.float64), per_bone)


def distances_to_bones(points: NDArray[np.float64], skeleton: Skeleton) -> NDArray[np.float64]:
    """(p, b) distances from points to the bones' segments."""
    heads, along = skeleton.heads.astype(np.float64), (skeleton.tails - skeleton.heads).astype(np.float64)
    columns = []
    for head, axis in zip(heads, along, strict=True):
        share = np.clip((points - head) @ axis / (axis @ axis), 0, 1)
        columns.append(np.linalg.norm(points - head - share[:, None] * axis, axis=1))
    return np.stack(columns, 1)


def body_distance(points: NDArray[np.float64], skeleton: Skeleton, radii: tuple[float, ...]) -> NDArray[np.float64]:
    """(p,) signed distance to the smooth union of the deforming bones' capsules (log-sum-exp of width BLEND)."""
    gaps = np.where(skeleton.deform, distances_to_bones(points, skeleton) - np.array(radii), np.inf)
    nearest = gaps.min(1)
    return nearest - BLEND * np.log(np.exp((nearest[:, None] - gaps) / BLEND).sum(1))


def surface_nets(skeleton: Skeleton, radii: tuple[float, ...], step: float) -> Mesh:
    """Closed mesh of the body's zero level on a grid of the given step, exactly mirrored at x = 0.

    Only x >= -step / 2 is evaluated. A cell that the surface enters gets one vertex at the mean of its edges'
    crossings; the cells of column 0 straddle the plane, so their vertices get x = 0.
    """
    xs = (np.arange(int(0.45 / step) + 2) - 0.5) * step
    ys = np.arange(-0.1, 1.7, step)
    zs = np.arange(-0.6, 1.7, step)
    grid = np.stack(np.meshgrid(np.abs(xs), ys, zs, indexing="ij"), -1)
    values = body_distance(grid.reshape(-1, 3), skeleton, radii).reshape(grid.shape[:3])
    corners = np.stack(np.meshgrid(xs, ys, zs, indexing="ij"), -1)
    cells = tuple(size - 1 for size in values.shape)
    total, count = np.zeros((*cells, 3)), np.zeros(cells)
    for axis in range(3):
        low, high = np.delete(np.arange(3), axis)
        near, far = [np.take(values, range(start, start + cells[axis]), axis) for start in (0, 1)]
        crossing = (near < 0) != (far < 0)
        share = np.where(crossing, np.clip(near / np.where(crossing, near - far, 1), 0.1, 0.9), 0)
        place = np.take(corners, range(cells[axis]), axis).copy()
        place[..., axis] += share * step
        for shift_low in (0, 1):
            for shift_high in (0, 1):
                window = [slice(None)] * 3
                window[low] = slice(shift_low, shift_low + cells[low])
                window[high] = slice(shift_high, shift_high + cells[high])
                total += np.where(crossing[..., None], place, 0)[tuple(window)]
                count += crossing[tuple(window)]
    used = count > 0
    index = np.full(cells, -1)
    index[used] = np.arange(used.sum())
    vertices = total[used] / count[used][:, None]
    on_plane = np.nonzero(used)[0] == 0
    vertices[on_plane, 0] = 0
    faces = np.concatenate([quads_across(values, index, axis) for axis in range(3)])
    return mirror_half(vertices, faces, on_plane)


def quads_across(values: NDArray[np.float64], index: NDArray[np.int64], axis: int) -> NDArray[np.int64]:
    """(f, 3) triangles dual to the grid edges along one axis where the sign changes, for edges with x > 0."""
    low, high = (axis + 1) % 3, (axis + 2) % 3
    inside = [slice(1, size - 1) for size in values.shape]
    inside[axis] = slice(0, values.shape[axis] - 1)
    near = values[tuple(inside)] < 0
    inside[axis] = slice(1, values.shape[axis])
    far = values[tuple(inside)] < 0
    edges = np.argwhere(near != far) + 1
    edges[:, axis] -= 1
    outward = near[near != far]
    ring = []
    for shift_low, shift_high in ((-1, -1), (0, -1), (0, 0), (-1, 0)):
        cell = edges.copy()
        cell[:, low] += shift_low
        cell[:, high] += shift_high
        ring.append(index[tuple(cell.T)])
    quads = np.stack(ring, 1)
    quads[~outward] = quads[~outward][:, ::-1]
    return np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])


def mirror_half(vertices: NDArray[np.float64], faces: NDArray[np.int64], on_plane: NDArray[np.bool_]) -> Mesh:
    """The half mesh of x >= 0 and its mirror image, welded at the plane."""
    used = np.zeros(len(vertices), bool)
    used[faces] = True
    renumber = np.cumsum(used) - 1
    vertices, on_plane, faces = vertices[used], on_plane[used], renumber[faces]
    twin = np.arange(len(vertices))
    twin[~on_plane] = len(vertices) + np.arange((~on_plane).sum())
    every = np.concatenate([vertices, vertices[~on_plane] * [-1, 1, 1]])
    mirror = np.concatenate([twin, np.nonzero(~on_plane)[0]])
    both = np.concatenate([faces, twin[faces][:, ::-1]])
    return Mesh(every.astype(np.float32), both.astype(np.int32), None, mirror.astype(np.int32))


def is_manifold(faces: IntArray) -> bool:
    """True if each edge is shared by exactly two faces."""
    edges = np.sort(faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), 1)
    return bool((np.unique(edges, axis=0, return_counts=True)[1] == 2).all())


def side_uvs(mesh: Mesh) -> FloatArray:
    """(f, 3, 2) side view of each half: the left half fills the upper half of the texture, the right half the lower."""
    corners = mesh.vertices[mesh.faces]
    u = (corners[..., 2] + 0.5) / 2.2
    v = 0.02 + 0.46 * corners[..., 1] / 1.6
    left = corners[..., 0].mean(1, keepdims=True) > 0
    return np.stack([u, v + np.where(left, 0.5, 0)], -1).astype(np.float32)


def near_weights(mesh: Mesh, skeleton: Skeleton) -> Skin:
    """The four nearest deforming bones, weights falling by e every 0.04 body lengths; the right side is the left's mirror."""
    assert mesh.mirror is not None
    gaps = np.where(skeleton.deform, distances_to_bones(mesh.vertices.astype(np.float64), skeleton), np.inf)
    bones = np.argsort(gaps, 1, kind="stable")[:, :4]
    nearest = np.take_along_axis(gaps, bones, 1)
    weights = np.exp(-(nearest - nearest[:, :1]) / 0.04)
    weights[weights < 1e-3] = 0
    weights /= weights.sum(1, keepdims=True)
    swap = np.array([skeleton.names.index(mirror_name(name)) for name in skeleton.names])
    right = np.nonzero(mesh.vertices[:, 0] < 0)[0]
    bones[right], weights[right] = swap[bones[mesh.mirror[right]]], weights[mesh.mirror[right]]
    return Skin(np.where(weights > 0, bones, 0).astype(np.int32), weights.astype(np.float32))


def mirror_name(name: str) -> str:
    """NAME.L <-> NAME.R; others as they are."""
    return {"L": name[:-1] + "R", "R": name[:-1] + "L"}[name[-1]] if name[-2:] in (".L", ".R") else name


def random_pose(skeleton: Skeleton, seed: int, spread: float = 0.5) -> Pose:
    """Every bone turned by a normal angle of `spread` radians about a random axis; the root stays upright."""
    generator = np.random.default_rng(seed)
    axes = generator.normal(size=(len(skeleton.names), 3))
    axes /= np.linalg.norm(axes, axis=1, keepdims=True)
    half = generator.normal(size=(len(skeleton.names), 1)) * spread / 2
    half[0] = 0
    return Pose(np.hstack([np.cos(half), np.sin(half) * axes]).astype(np.float32), np.zeros(3, np.float32))


def walk(skeleton: Skeleton, frames: int = 24) -> Motion:
    """A made-up walk: the legs swing about their own X, the tail about its Z, the root bobs."""
    phase = np.arange(frames) / frames * 2 * np.pi
    rotations = np.zeros((frames, len(skeleton.names), 4), np.float32)
    rotations[..., 0] = 1
    for bone, name in enumerate(skeleton.names):
        shift = np.pi * (name.startswith("front") == name.endswith(".L"))
        if name.startswith(("thigh", "front_thigh", "shin", "front_shin")):
            half = 0.15 * np.sin(phase + shift)
            rotations[:, bone, 0], rotations[:, bone, 1] = np.cos(half), np.sin(half)
        elif name.startswith("tail"):
            half = 0.1 * np.sin(phase)
            rotations[:, bone, 0], rotations[:, bone, 3] = np.cos(half), np.sin(half)
    translations = np.zeros((frames, 3), np.float32)
    translations[:, 1] = 0.01 * np.sin(2 * phase)
    return Motion("walk", 24.0, rotations, translations, loop=True)


def look_at(eye: tuple[float, float, float], target: tuple[float, float, float]) -> FloatArray:
    """(4, 4) object frame -> OpenCV camera at `eye` that looks at `target` with the horizon level."""
    place = np.array(eye)
    forward = np.array(target) - place
    forward /= np.linalg.norm(forward)
    right = np.cross(forward, [0, 1, 0])
    right /= np.linalg.norm(right)
    turn = np.stack([right, np.cross(forward, right), forward])
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = turn, -turn @ place
    return matrix.astype(np.float32)


def with_moving_camera(asset: Asset) -> Asset:
    """The asset with a camera that goes half way round it while its first motion plays."""
    motion = asset.motions[0]
    angles = np.linspace(0, np.pi, len(motion.rotations))
    cameras = np.stack([look_at((3.5 * np.cos(angle), 1.4, 0.5 + 3.5 * np.sin(angle)), (0.0, 0.75, 0.5)) for angle in angles])
    return replace(asset, motions=(replace(motion, cameras=cameras), *asset.motions[1:]))


def coat(size: int) -> Texture:
    """A brown coat with stripes and grain, so that texels differ and PNG has some work."""
    v, u = np.mgrid[0:size, 0:size] / size
    stripes = 0.5 + 0.5 * np.sin(40 * u + 6 * np.sin(9 * v))
    grain = np.random.default_rng(7).normal(0, 6, (size, size))
    shade = np.stack([110 + 90 * stripes + grain, 80 + 60 * stripes + grain, 50 + 30 * stripes + grain], -1)
    return Texture(np.clip(shade, 0, 255).astype(np.uint8))


def make_creature(triangles: int = 10000, texture_size: int = 1024, name: str = "creature") -> Asset:
    """A whole asset with about the given number of triangles (within a few per cent)."""
    skeleton, radii = make_skeleton()
    step = 0.026
    mesh = surface_nets(skeleton, radii, step)
    for _ in range(3):
        step *= (len(mesh.faces) / triangles) ** 0.5
        mesh = surface_nets(skeleton, radii, step)
    while not is_manifold(mesh.faces):  # a saddle that falls badly on the grid pinches the surface
        step *= 0.995
        mesh = surface_nets(skeleton, radii, step)
    lift = np.array([0, -float(mesh.vertices[:, 1].min()), 0], np.float32)
    lifted = np.where(np.arange(len(skeleton.names))[:, None] == 0, 0, lift).astype(np.float32)
    skeleton = Skeleton(
        skeleton.names, skeleton.parents, skeleton.connected, skeleton.deform,
        skeleton.heads + lifted, skeleton.tails + lifted, skeleton.z_axes,
    )  # fmt: skip
    mesh = Mesh(mesh.vertices + lift, mesh.faces, None, mesh.mirror)
    skin: Skin = near_weights(mesh, skeleton)
    faces: IntArray = mesh.faces
    return Asset(
        name=name,
        mesh=Mesh(mesh.vertices, faces, side_uvs(mesh), mesh.mirror),
        skeleton=skeleton,
        skin=skin,
        texture=coat(texture_size),
        camera=Camera(1200, 800, 1300.0, look_at((2.2, 1.4, 3.2), (0.0, 0.75, 0.5))),
        photo_pose=random_pose(skeleton, 3, 0.15),
        motions=(walk(skeleton),),
        provenance={"method": "made up"},
    )
