"""The official preset has the published names, shapes and parameter counts, and its heuristic skeleton its structure."""

import numpy as np
import pytest
import torch

from backend.methods.fauna import bones20
from backend.methods.fauna.official import OfficialFauna
from backend.rig.embed import contains, embed_points
from backend.rig.skeleton import build_skeleton
from backend.rig.template import load_quadruped
from backend.rig.weights import skin_weights
from tests.rig.animals import animal as solid_animal

MILLIONS = {
    "netBase.netShape": 0.374, "netBase.netDINO": 0.312, "netInstance.netEncoder.final": 9.44, "netInstance.netEncoder.ViT": 21.67,
    "netInstance.netTexture": 0.543, "netInstance.netPose": 3.75, "netInstance.netDeform": 0.345, "netInstance.netArticulation": 2.31,
    "netInstance.netLight": 0.263,
}  # fmt: skip
"""Parameters a module in millions, as the published code has them."""


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
