"""What a fit moves: the made-up animal under parameters whose effect is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn.functional import normalize

from backend.methods.fauna.config import BUNDLED
from backend.methods.fauna.fitting.creature import Creature, Parameters
from backend.methods.fauna.model import Fauna
from backend.methods.fauna.settle import Kept, drawn_back, settle
from backend.rig.skeleton import build_skeleton, skeleton_points
from backend.rig.weights import skin_weights
from backend.shape.checks import intersecting_faces
from backend.shape.untangle import untangle
from tests.rig.animals import animal

EYE, AWAY = torch.eye(3), torch.tensor([0.0, 0.0, 10.0])


@pytest.fixture(scope="module")
def creature() -> Creature:
    torch.manual_seed(0)
    mesh, points = animal("horse")
    skeleton = build_skeleton(points.astype(np.float32))
    rest = torch.from_numpy(skeleton_points(skeleton))
    model = Fauna(BUNDLED).eval().requires_grad_(False)
    model.canonical.copy_(rest)  # type: ignore[operator]
    model.netBase.memory_bank.normal_(0, 0.1)
    return Creature(model, mesh, skin_weights(mesh, skeleton, fitted=False), rest, torch.zeros(BUNDLED.code_dim))


@pytest.fixture
def plain(creature: Creature) -> Parameters:
    bones = len(creature.mirror_bone)
    return creature.start(EYE, AWAY, torch.zeros(bones, 3), creature.rest, torch.zeros(bones, 2))


def shape(creature: Creature, p: Parameters) -> np.ndarray:
    return creature.rest_vertices(p, use_code=True, use_free=True).numpy()


def test_a_settled_creature_that_nothing_moved_is_the_mesh_itself(creature: Creature, plain: Parameters) -> None:
    skin = skin_weights(creature.mesh, build_skeleton(creature.rest.numpy()), fitted=False)
    settled = Creature(creature.model, creature.mesh, skin, creature.rest, creature.code, settled=True)
    away = np.abs(creature.mesh.vertices[:, 0]) > 0.05  # those near the plane are kept on their side of it
    np.testing.assert_allclose(shape(settled, plain)[away], creature.mesh.vertices[away], atol=1e-4)


def test_the_flesh_of_a_raised_tail_lies_about_its_joints(creature: Creature, plain: Parameters) -> None:
    assert creature.tail is not None
    template, rest = creature.model.template, creature.rest.clone()
    tail = [template.point_index[f"tail{number}"] for number in range(5)]
    for number in range(1, 5):  # straight up, where it hung
        length = (creature.rest[tail[number]] - creature.rest[tail[number - 1]]).norm()
        rest[tail[number]] = rest[tail[number - 1]] + length * torch.tensor([0.0, 1.0, 0.0])
    half = creature.model.netInstance.netRest.fold
    plain.points = (half(rest[None]) - half(creature.rest[None]))[0]
    flesh = creature.tail
    tip = flesh.which[(flesh.hats[:, 4] > 0.5) & (flesh.share[:, 0] > 0.8)]
    assert len(tip) > 5
    goal = (flesh.hats[torch.isin(flesh.which, tip)] @ rest[tail]).mean(0)  # of whole rings about the bone
    missed = (creature.rest_vertices(plain, False, False)[tip].mean(0) - goal).norm()
    creature.tail = None
    try:
        without = (creature.rest_vertices(plain, False, False)[tip].mean(0) - goal).norm()
    finally:
        creature.tail = flesh
    assert missed < 0.06
    assert missed < 0.5 * without


def test_girth_thickens_its_bone_and_its_twin_along_the_axis_meant(creature: Creature, plain: Parameters) -> None:
    names = [bone.name for bone in creature.model.template.bones if bone.deform]
    plain.girth[names.index("front_shin.L"), 0] = 0.6  # half of it for each side: the mirror's share
    before, after = creature.mesh.vertices, shape(creature, plain)
    rest = creature.rest.numpy()
    elbow, wrist = (rest[creature.model.template.point_index[name]] for name in ("elbow.L", "wrist.L"))
    middle = np.abs(before[:, 1] - (elbow[1] + wrist[1]) / 2) < 0.12
    for side in (1, -1):
        shin = middle & (before[:, 0] * side > 0.03) & (before[:, 2] > 0.5 * elbow[2])
        assert shin.sum() > 20
        wide, deep = (np.ptp(after[shin][:, axis]) / np.ptp(before[shin][:, axis]) for axis in (0, 2))
        assert 1.1 < wide <= np.exp(0.3) + 1e-3  # its neighbours hold a share
        assert deep == pytest.approx(1, abs=0.03)


def test_whatever_is_moved_the_shape_stays_mirrored(creature: Creature, plain: Parameters) -> None:
    rng = torch.Generator().manual_seed(0)
    for name, size in (("points", 0.05), ("girth", 0.2), ("code", 1.0), ("free", 1.0)):
        value = getattr(plain, name)
        setattr(plain, name, value + size * torch.randn(value.shape, generator=rng))
    after = shape(creature, plain)
    assert np.abs(after - creature.mesh.vertices).max() > 0.1
    assert creature.mesh.mirror is not None
    np.testing.assert_allclose(after[creature.mesh.mirror] * np.array([-1, 1, 1], np.float32), after, atol=1e-4)


def test_a_tail_is_drawn_back_alone_and_goes_with_its_base(creature: Creature, plain: Parameters) -> None:
    template = creature.model.template
    tail = [template.point_index[f"tail{number}"] for number in range(5)]
    rng = torch.Generator().manual_seed(1)
    plain.points = 0.1 * torch.randn(plain.points.shape, generator=rng)
    plain.girth = torch.randn(plain.girth.shape, generator=rng)
    back = drawn_back(creature, plain, Kept(1, 0, 0))
    was, now, rest = (creature.rest_points(plain), creature.rest_points(back), creature.rest)
    others = [point for point in range(len(rest)) if point not in tail[1:]]
    torch.testing.assert_close(now[others], was[others])
    torch.testing.assert_close(now[tail] - now[tail[0]], rest[tail] - rest[tail[0]])
    of_tail = torch.tensor([bone.group == "tail" for bone in template.bones if bone.deform])
    assert (back.girth[of_tail] == 0).all() and torch.equal(back.girth[~of_tail], plain.girth[~of_tail])
    straight = drawn_back(creature, plain, Kept(1, 0, 1))
    bones = [creature.rest_points(p)[tail].diff(dim=0) for p in (plain, straight)]
    torch.testing.assert_close(bones[1].norm(dim=1), bones[0].norm(dim=1))  # as long as it was, as it lies at rest
    torch.testing.assert_close(normalize(bones[1]), normalize(rest[tail].diff(dim=0)))
    torch.testing.assert_close(drawn_back(creature, plain, Kept(1)).points, plain.points)
    half = drawn_back(creature, plain, Kept(0.5))
    torch.testing.assert_close(half.points, 0.5 * plain.points)
    torch.testing.assert_close(half.girth, 0.5 * plain.girth)


def test_a_skin_that_crosses_itself_is_drawn_back_until_it_does_not(creature: Creature, plain: Parameters) -> None:
    rng = torch.Generator().manual_seed(4)
    plain.girth = plain.girth + 1.0 * torch.randn(plain.girth.shape, generator=rng)
    plain.points = plain.points + 0.1 * torch.randn(plain.points.shape, generator=rng)
    mesh = untangle(replace(creature.mesh, vertices=creature.rest_vertices(plain, use_code=False, use_free=False).numpy()))
    assert intersecting_faces(mesh.vertices, mesh.faces).mean() > 0.005
    mesh, skeleton, _, settled, p = settle(creature, plain, use_free=False, use_code=False)
    assert intersecting_faces(mesh.vertices, mesh.faces).mean() < 0.005
    length = np.linalg.norm(np.ptp(creature.mesh.vertices, axis=0))
    change = np.linalg.norm(mesh.vertices - creature.mesh.vertices, axis=1).max()
    assert 0.02 * length < change  # no more than it takes
    np.testing.assert_allclose(settled.rest.numpy(), skeleton_points(skeleton), atol=1e-6)
