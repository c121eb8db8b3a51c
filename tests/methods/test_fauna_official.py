"""The official preset has the published names, shapes and parameter counts, its heuristic skeleton its structure, and its
angles pose the template's bones.
"""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation
from torch import Tensor

from backend.methods.fauna.official import bones20, bones20_pose
from backend.methods.fauna.official.model import OfficialFauna
from backend.rig.embed import contains, embed_points
from backend.rig.kinematics import pose_matrices, pose_points, rest_frames
from backend.rig.posing import pose_skeleton
from backend.rig.rotations import quaternion_to_matrix
from backend.rig.skeleton import build_skeleton, rest_matrices
from backend.rig.template import load_quadruped
from backend.rig.weights import skin_weights
from backend.types import Pose
from tests.rig.animals import animal as solid_animal

MILLIONS = {
    "netBase.netShape": 0.374, "netBase.netDINO": 0.312, "netInstance.netEncoder.final": 9.44, "netInstance.netEncoder.ViT": 21.67,
    "netInstance.netTexture": 0.543, "netInstance.netPose": 3.75, "netInstance.netDeform": 0.345, "netInstance.netArticulation": 2.31,
    "netInstance.netLight": 0.263,
}  # fmt: skip
"""Parameters a module in millions, as the published code has them."""

OWNERS = {
    0: ("head", "jaw", "ear.L", "ear.R"), 1: ("neck.002",), 2: ("neck.001",), 3: ("chest",), 4: ("tail.003", "tail.004"),
    5: ("tail.001", "tail.002"), 6: ("hips",), 7: ("spine.001",),
    8: ("front_foot.L", "front_toe.L"), 9: ("front_shin.L",), 10: ("front_thigh.L", "shoulder.L"),
    11: ("foot.L", "toe.L"), 12: ("shin.L",), 13: ("thigh.L",),
    14: ("foot.R", "toe.R"), 15: ("shin.R",), 16: ("thigh.R",),
    17: ("front_foot.R", "front_toe.R"), 18: ("front_shin.R",), 19: ("front_thigh.R", "shoulder.R"),
}  # fmt: skip
"""The template bones that lie on each of the paper's 20, where the animal faces +Z and +X is its left."""
ACROSS = [4, 5, 6, 7, 0, 1, 2, 3, 14, 15, 16, 17, 18, 19, 8, 9, 10, 11, 12, 13]
"""What the 20 are called after half a turn."""
SAME = 1e-5
"""The most that rotation matrices, and points of an animal about 2 units long, may differ by."""


@pytest.fixture(scope="module")
def model() -> OfficialFauna:
    torch.manual_seed(0)
    return OfficialFauna().eval()


def animal(tilt: float = 0.0) -> np.ndarray:
    """A box-like body with four legs, a heavy head end at +z and a thin tail at -z."""
    rng = np.random.default_rng(0)
    body = rng.uniform([-0.4, -0.3, -1], [0.4, 0.3, 1], (2000, 3))
    head = rng.uniform([-0.2, 0.2, 1], [0.2, 0.8, 1.8], (600, 3))
    tail = rng.uniform([-0.03, 0.1, -1.6], [0.03, 0.2, -1], (100, 3))
    legs = [rng.uniform([x - 0.1, -1.3, z - 0.1], [x + 0.1, -0.3, z + 0.1], (300, 3)) for x in (-0.3, 0.3) for z in (-0.8, 0.8)]
    return np.concatenate([body, head, tail, *legs])


def test_each_module_has_the_published_number_of_parameters(model: OfficialFauna) -> None:
    for prefix, millions in MILLIONS.items():
        count = sum(p.numel() for name, p in model.named_parameters() if name.startswith(prefix))
        assert count / 1e6 == pytest.approx(millions, abs=0.005), prefix


def test_published_key_names_and_shapes(model: OfficialFauna) -> None:
    shapes = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    assert shapes["netBase.memory_bank"] == (60, 128)
    assert shapes["netBase.memory_bank_keys"] == (60, 384)
    assert shapes["netBase.netShape.mlp.in_layer.weight"] == (256, 51)
    assert shapes["netBase.netShape.mlp.mlp.linear_4.weight"] == (1, 256)
    assert shapes["netBase.netShape.mlp.style_mlp.network.0.weight"] == (256, 128)
    assert shapes["netBase.netDINO.mlp.network.8.weight"] == (16, 256)
    assert shapes["netInstance.netTexture.mlp.network.14.weight"] == (9, 256)
    assert shapes["netInstance.netPose.network.9.weight"] == (19, 256, 4, 4)
    assert shapes["netInstance.netArticulation.in_layer.0.weight"] == (256, 793)
    assert shapes["netInstance.netArticulation.out_layer.0.weight"] == (3, 256)
    assert shapes["netInstance.netEncoder.ViT.blocks.11.attn.qkv.weight"] == (1152, 384)


def test_forward_gives_four_viewpoints_in_four_quadrants(model: OfficialFauna) -> None:
    with torch.inference_mode():
        answer = model(torch.rand(2, 3, 256, 256, generator=torch.Generator().manual_seed(1)))
    forward = answer.viewpoints.rotation[..., 2]
    signs = {(bool(f[0] > 0), bool(f[2] > 0)) for f in forward[0]}
    assert len(signs) == 4
    identity = answer.viewpoints.rotation @ answer.viewpoints.rotation.transpose(-1, -2)
    assert torch.allclose(identity, torch.eye(3).expand_as(identity), atol=1e-5)
    assert torch.equal(answer.code[0], answer.code[1])  # one base shape a batch


def test_heuristic_skeleton_has_two_roots_that_meet_and_legs_that_reach_the_ground() -> None:
    vertices = animal()
    bones, parents = bones20.bones(vertices)
    assert bones.shape == (20, 2, 3) and list(np.flatnonzero(parents < 0)) == [3, 7]
    assert np.allclose(bones[3, 0], bones[7, 0])
    assert np.allclose(bones[8::3, 1, 1], vertices[:, 1].min(), atol=0.05)
    weights = bones20.skin_weights(vertices, bones)
    assert np.allclose(weights.sum(1), 1)


def test_head_end_is_the_heavier_one() -> None:
    for vertices in (animal(), *(solid_animal(build)[0].vertices for build in ("horse", "bear", "thin"))):
        assert bones20.head_is_front(vertices)
        assert not bones20.head_is_front(vertices * bones20.TURN)
    vertices = animal()
    assert not bones20.head_is_front(vertices * np.array([1, 1, -1]))


def test_shape_with_a_missing_leg_still_has_a_skeleton() -> None:
    vertices = animal()
    three = vertices[~((vertices[:, 0] > 0) & (vertices[:, 2] > 0.3) & (vertices[:, 1] < -0.2))]
    bones, _ = bones20.bones(three)
    assert np.isfinite(bones).all()


@pytest.mark.parametrize("turned", [False, True])
def test_the_twenty_bones_become_the_templates_with_the_head_ahead(turned: bool) -> None:
    mesh, own = solid_animal("horse")
    vertices = mesh.vertices * (bones20.TURN if turned else 1)
    points, was_turned = bones20.template_points(vertices)
    assert was_turned == turned
    index = load_quadruped().point_index
    away = np.linalg.norm(points - own, axis=1) / np.linalg.norm(own[index["withers"]] - own[index["tail0"]])
    for name in ("muzzle", "front_tip.L", "front_tip.R", "hind_tip.L", "hind_tip.R"):
        assert away[index[name]] < 0.3, name
    assert points[index["front_tip.L"], 0] > 0 > points[index["front_tip.R"], 0]


def test_the_published_skeleton_makes_a_whole_rig() -> None:
    mesh, _ = solid_animal("horse")
    points, _ = bones20.template_points(mesh.vertices)
    skeleton = build_skeleton(embed_points(mesh, points))
    assert skeleton.names == load_quadruped().bone_names
    skin = skin_weights(mesh, skeleton)
    assert np.allclose(skin.weights.sum(1), 1, atol=1e-5)
    assert contains(mesh, skeleton.heads[skeleton.deform]).mean() > 0.9


def some_angles(seed: int, batch: int = 1) -> Tensor:
    """(B, 20, 3) within the published 60 degrees."""
    return (torch.rand(batch, 20, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)) * 2 - 1) * np.pi / 3


def horse_rest() -> tuple[NDArray[np.floating], Tensor]:
    """Vertices (v, 3) of an animal that faces +Z, and its rest points (1, 42, 3)."""
    mesh, _ = solid_animal("horse")
    points, turned = bones20.template_points(mesh.vertices)
    assert not turned
    return mesh.vertices, torch.from_numpy(points)[None]


def turned_by(transforms: Tensor, rest: Tensor, turned: bool = False) -> tuple[Tensor, Tensor]:
    """-> the template's own rotations (B, b, 3, 3), and those that its bones then have gone through in object axes."""
    local = quaternion_to_matrix(bones20_pose.template_rotations(transforms, rest, turned))
    posed = pose_matrices(rest, local)
    return local, posed[..., :3, :3] @ rest[..., :3, :3].transpose(-1, -2)


def test_transforms_are_the_published_chain_from_leaf_to_root() -> None:
    vertices, _ = horse_rest()
    bones, parents = bones20.bones(vertices)
    angles = some_angles(0, 2)
    got = bones20_pose.pose_transforms(bones, parents, angles)
    assert got.shape == (2, 20, 4, 4)
    for sample in range(2):
        for leaf in range(20):
            expected, bone = np.eye(4), leaf
            while bone >= 0:
                frame = np.eye(4)
                z = bones[bone, 1] - bones[bone, 0]
                y = np.cross(z, [1.0, 0.0, 0.0])
                x = np.cross(y, z)
                frame[:3] = np.stack([*(axis / np.linalg.norm(axis) for axis in (x, y, z)), bones[bone, 0]], 1)
                turn = np.eye(4)
                turn[:3, :3] = Rotation.from_euler("XYZ", angles[sample, bone].numpy()).as_matrix()  # PyTorch3D's XYZ: Rx Ry Rz
                expected = frame @ turn @ np.linalg.inv(frame) @ expected
                bone = int(parents[bone])
            assert np.allclose(got[sample, leaf], expected, atol=SAME), leaf


def test_transforms_keep_every_bone_on_its_parent_and_both_roots_on_the_middle() -> None:
    vertices, _ = horse_rest()
    bones, parents = bones20.bones(vertices)
    transforms = bones20_pose.pose_transforms(bones, parents, some_angles(1))[0].numpy()
    for bone, parent in enumerate(parents):
        joint = np.append(bones[bone, 0], 1)
        held = joint if parent < 0 else transforms[parent] @ joint
        assert np.allclose(transforms[bone] @ joint, held, atol=SAME), bone


def test_bones_along_x_or_without_length_still_turn_rigidly() -> None:
    bones, parents = bones20.bones(horse_rest()[0])
    bones[8, 1] = bones[8, 0] + [0.3, 0, 0]
    bones[11, 1] = bones[11, 0]
    turn = bones20_pose.pose_transforms(bones, parents, some_angles(2))[0, :, :3, :3]
    assert torch.allclose(turn @ turn.transpose(-1, -2), torch.eye(3, dtype=turn.dtype).expand_as(turn), atol=SAME)
    assert torch.allclose(torch.linalg.det(turn), turn.new_ones(20))


def test_every_bone_but_the_root_and_the_middle_of_the_spine_lies_on_one_of_the_twenty() -> None:
    named = [name for names in OWNERS.values() for name in names]
    assert len(named) == len(set(named))
    assert set(load_quadruped().bone_names) - set(named) == {"root", "spine.002", "spine.003"}


@pytest.mark.parametrize("turned", [False, True])
def test_no_angles_are_no_pose(turned: bool) -> None:
    vertices, points = horse_rest()
    transforms = bones20_pose.pose_transforms(*bones20.bones(vertices), torch.zeros(2, 20, 3))
    assert torch.allclose(transforms, torch.eye(4).expand_as(transforms), atol=SAME)
    rotations = bones20_pose.template_rotations(transforms, rest_frames(points), turned)
    assert rotations.shape == (2, len(load_quadruped().bones), 4)
    assert torch.allclose(rotations, torch.tensor([1.0, 0, 0, 0]).expand_as(rotations), atol=SAME)


@pytest.mark.parametrize("bone", range(20))
def test_one_of_the_twenty_turns_its_own_bones_and_carries_the_rest(bone: int) -> None:
    vertices, points = horse_rest()
    bones, parents = bones20.bones(vertices)
    angles = torch.zeros(1, 20, 3, dtype=torch.float64)
    angles[0, bone] = torch.tensor([0.5, -0.3, 0.4])
    transforms = bones20_pose.pose_transforms(bones, parents, angles)
    published = transforms[0, :, :3, :3]
    local, whole = turned_by(transforms, rest_frames(points))
    posed = pose_points(points, local)[0]

    carried = []
    for number in range(20):
        above = number
        while above >= 0 and above != bone:
            above = int(parents[above])
        carried.append(above == bone)
    template = load_quadruped()
    assert torch.allclose(whole[0, 0], torch.eye(3, dtype=whole.dtype), atol=SAME)
    for number, names in OWNERS.items():
        assert (not torch.allclose(published[number], torch.eye(3, dtype=whole.dtype), atol=0.1)) == carried[number]
        for name in names:
            index = template.bone_index[name]
            assert torch.allclose(whole[0, index], published[number], atol=SAME), name
            head, tail = template.head_points[index], template.tail_points[index]
            assert torch.allclose(posed[tail] - posed[head], published[number] @ (points[0, tail] - points[0, head]), atol=SAME), name
    for name in ("spine.002", "spine.003"):
        still = torch.allclose(whole[0, template.bone_index[name]], torch.eye(3, dtype=whole.dtype), atol=SAME)
        assert still == (bone not in (3, 7)), name


def test_the_spine_between_the_two_roots_shares_their_difference_evenly() -> None:
    vertices, points = horse_rest()
    angles = torch.zeros(1, 20, 3, dtype=torch.float64)
    angles[0, 3], angles[0, 7] = torch.tensor([0.6, 0.1, 0.2]), torch.tensor([0.2, -0.3, 0.1])
    transforms = bones20_pose.pose_transforms(*bones20.bones(vertices), angles)
    _, whole = turned_by(transforms, rest_frames(points))
    index = load_quadruped().bone_index
    turns = [Rotation.from_matrix(whole[0, index[name]].numpy()) for name in ("spine.001", "spine.002", "spine.003", "chest")]
    steps = [(turns[i].inv() * turns[i + 1]).as_rotvec() for i in range(3)]
    assert np.linalg.norm(steps[0]) > 0.1
    assert np.allclose(steps[0], steps[1], atol=SAME) and np.allclose(steps[1], steps[2], atol=SAME)


def test_the_head_and_neck_go_where_the_published_transforms_take_them_seen_from_the_chest() -> None:
    vertices, points = horse_rest()
    transforms = bones20_pose.pose_transforms(*bones20.bones(vertices), some_angles(3))
    local, _ = turned_by(transforms, rest_frames(points))
    posed, index = pose_points(points, local)[0], load_quadruped().point_index
    for number, name in ((3, "withers"), (2, "neck_mid"), (1, "poll"), (0, "muzzle"), (0, "chin"), (0, "ear_tip.L"), (0, "ear_tip.R")):
        moved = transforms[0, number] @ torch.cat([points[0, index[name]], points.new_ones(1)])
        # the middle of the back, the head of the chest, is where the published roots turn: it stays there
        assert torch.allclose(posed[index[name]] - posed[index["chest"]], moved[:3] - points[0, index["chest"]], atol=SAME), name


def test_the_turned_animal_takes_the_same_pose() -> None:
    one_side = animal()
    vertices = np.concatenate([one_side, one_side * [-1, 1, 1]])
    # The published rule finds feet by a margin at the +z end alone; here both ends find them where they are.
    assert np.allclose((bones20.bones(vertices)[0] * bones20.TURN)[ACROSS], bones20.bones(vertices * bones20.TURN)[0])
    angles = some_angles(4, 3)
    # With H the half turn, M of a turned bone is H M diag(-1, -1, 1): for the same turn in the world its angles are (-x, -y, z).
    across = (angles * torch.tensor([-1.0, -1.0, 1.0]))[:, ACROSS]
    posed = []
    for turn, own in ((np.ones(3), angles), (bones20.TURN, across)):
        points, turned = bones20.template_points(vertices * turn)
        assert turned == (turn is bones20.TURN)
        transforms = bones20_pose.pose_transforms(*bones20.bones(vertices * turn), own)
        rest = torch.from_numpy(points)[None]
        local, _ = turned_by(transforms, rest_frames(rest), turned)
        posed.append(pose_points(rest, local))
    assert (posed[0] - rest).norm(dim=-1).max() > 0.5
    assert torch.allclose(posed[0], posed[1], atol=SAME)


def test_a_left_legs_angle_moves_the_left_leg_alone() -> None:
    vertices, points = horse_rest()
    index = load_quadruped().point_index
    tips = [index[f"{end}_tip.{side}"] for end, side in (("front", "L"), ("hind", "L"), ("hind", "R"), ("front", "R"))]
    bones, parents = bones20.bones(vertices)
    for leg, tip in enumerate(tips):
        angles = torch.zeros(1, 20, 3, dtype=torch.float64)
        angles[0, 10 + 3 * leg, 0] = 0.5
        local, _ = turned_by(bones20_pose.pose_transforms(bones, parents, angles), rest_frames(points))
        moved = (pose_points(points, local) - points)[0].norm(dim=-1)
        assert moved[tip] > 0.1
        assert moved[[other for other in tips if other != tip]].max() < SAME
        assert (points[0, tip, 0] > 0) == (leg < 2) == bool(bones[8 + 3 * leg, 1, 0] > 0)


def test_the_pose_fits_the_skeleton_that_files_hold() -> None:
    mesh, _ = solid_animal("horse")
    points, turned = bones20.template_points(mesh.vertices)
    skeleton = build_skeleton(embed_points(mesh, points))
    transforms = bones20_pose.pose_transforms(*bones20.bones(mesh.vertices), some_angles(5))
    rest = rest_matrices(skeleton)
    rotations = bones20_pose.template_rotations(transforms, torch.from_numpy(rest)[None], turned)
    posed = pose_skeleton(skeleton, Pose(rotations[0].numpy().astype(np.float32), np.zeros(3, np.float32)))
    for number, names in OWNERS.items():
        for name in names:
            bone = skeleton.names.index(name)
            assert np.allclose(posed[bone, :3, :3] @ rest[bone, :3, :3].T, transforms[0, number, :3, :3], atol=SAME), name


def test_a_picture_poses_the_template(model: OfficialFauna) -> None:
    vertices = animal()
    with torch.inference_mode():
        answer = model(torch.rand(2, 3, 256, 256, generator=torch.Generator().manual_seed(2)))
        view = answer.viewpoints.rotation[:, 0], answer.viewpoints.translation
        angles, _ = model.articulate(answer, vertices, *view)
        points, rotations, turned = model.pose(answer, vertices, *view)
    assert not turned and points.shape == (42, 3) and rotations.shape == (2, len(load_quadruped().bones), 4)
    assert torch.allclose(rotations.norm(dim=-1), torch.ones(2, len(load_quadruped().bones)), atol=1e-5)
    assert angles[:, :8].abs().amin() > 0  # untrained, the network turns every bone a little
    legs = angles[:, 8:].unflatten(1, (4, 3))
    assert legs[:, :, 1:, 1:].abs().amax() == 0 < legs[..., 0].abs().amin()
    assert (angles[:, :8, 2].abs() < 0.1001).all()
