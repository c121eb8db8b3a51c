"""Where the animal's skin goes in the picture is read off two frames, and what it says of joints and of the skin holds for a known walk."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from backend.media.crop import crop_camera
from backend.methods.fauna.clip.drift import JointDrift, SkinDrift, hidden, steps_read
from backend.methods.fauna.clip.flank import Flank, find_flanks, goes_with, trunk_motion
from backend.methods.fauna.clip.flow import SIDE, UNIT, UNKNOWN, cells, flow_at, flow_between, read_field, unknown
from backend.methods.fauna.clip.looks import Looks
from backend.methods.fauna.clip.packed import Packed
from backend.methods.fauna.clip.posed import Posed
from backend.methods.fauna.clip.track import Track
from backend.methods.fauna.fitting.viewpoint import Solution
from backend.methods.fauna.glances import composed
from backend.rig.kinematics import dense_weights
from backend.rig.skeleton import build_skeleton, skeleton_points
from backend.types import Image
from tests.methods.walking import REST, TEMPLATE, look_at, no_network, posed, walk

WIDTH, HEIGHT, FOCAL = 320, 240, 600.0
PIXEL = 2 / 256
"""Half widths."""
NEAR_SKIN = 0.15
"""Half widths about a joint that go as it does."""


def textured(seed: int) -> np.ndarray:
    """(h, w, 3) uint8 with spots of several sizes."""
    dice = np.random.default_rng(seed)
    grain = [np.kron(dice.uniform(0, 1, (-(-HEIGHT // k), -(-WIDTH // k))), np.ones((k, k)))[:HEIGHT, :WIDTH] for k in (4, 8, 16)]
    picture = np.mean(grain, 0) * 255
    return np.repeat(picture.astype(np.uint8)[..., None], 3, 2)


def shifted(shift: tuple[int, int]) -> tuple[Image, np.ndarray]:
    """A spotted disc on black, gone (x, y) pixels from the middle."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    mask = (np.hypot(x - WIDTH / 2, y - HEIGHT / 2) < 70).astype(np.float32)
    roll = (shift[1], shift[0])
    cover = np.roll(mask, roll, (0, 1))
    return Image((np.roll(textured(3), roll, (0, 1)) * cover[..., None]).astype(np.uint8)), cover


def test_a_disc_that_moves_is_followed_and_nothing_beside_it() -> None:
    first, second = shifted((0, 0)), shifted((6, -3))
    crop = crop_camera(first[1], (WIDTH, HEIGHT), FOCAL, 0.83)
    field = flow_between(composed(*first, crop, 256), composed(*second, crop, 256))
    assert field.dtype == torch.int16 and field.shape == (SIDE, SIDE, 2)
    place, step = read_field(Packed.of(field[None]), 0)
    assert float(place.norm(dim=1).max()) < 0.83 + 2 * PIXEL  # the disc fills as much of the crop
    assert len(place) > 0.9 * np.pi / 4 * (0.83 * SIDE) ** 2
    half = np.tan(crop.fov / 2) * FOCAL  # pixels
    off = step - torch.tensor([6.0, -3.0]) / half
    assert float(off.norm(dim=1).median()) < PIXEL / 3


def test_places_take_the_median_about_them_and_know_when_nothing_is_there() -> None:
    field = unknown()
    field[: SIDE // 2] = torch.tensor([round(0.1 / UNIT), round(-0.05 / UNIT)]).to(torch.int16)
    field[3, 3] = 20000
    packed = Packed.of(torch.stack([field, unknown()]))
    middle = cells()[3, 3]
    step, known = flow_at(packed, torch.stack([middle, torch.tensor([0.0, 0.5])]).expand(2, 2, 2), 0.06)
    assert known.tolist() == [[True, False], [False, False]]
    assert torch.allclose(step[0, 0], torch.tensor([0.1, -0.05]), atol=UNIT)
    assert not step[1].any() and int(packed[1].max()) == UNKNOWN


def with_flow(looks: Looks, step: Tensor) -> Looks:
    """The same with a flow that, about what is seen of each point, goes as step (t - 1, P, 2)."""
    fields = []
    for seen, own in zip(looks.seen[:-1], step, strict=True):
        gap = torch.cdist(cells().view(-1, 2), seen)
        nearest, away = gap.argmin(1), gap.amin(1)
        field = torch.where((away < NEAR_SKIN)[:, None], own[nearest] / UNIT, float(UNKNOWN))
        fields.append(field.round().to(torch.int16).view(SIDE, SIDE, 2))
    return replace(looks, flow=Packed.of(torch.stack([*fields, unknown()])))


def steps(looks: Looks, track: Track) -> Tensor:
    """(t - 1, P, 2) where the track's points go, each step in its first frame's crop."""
    camera = posed(track) @ track.rotation.transpose(1, 2) + track.translation[:, None]

    def seen(points: Tensor) -> Tensor:
        turned = points @ looks.turn[:-1].transpose(1, 2)
        return looks.focal[:-1, None, None] * turned[..., :2] / turned[..., 2:]

    return seen(camera[1:]) - seen(camera[:-1])


def test_joints_that_go_as_the_flow_cost_next_to_nothing_and_others_more() -> None:
    truth = walk(12)
    looks = look_at(truth)
    drift = JointDrift(with_flow(looks, steps(looks, truth)), TEMPLATE)
    assert 0 < float(drift.weight.mean()) <= 1
    right = float(drift(posed(truth), truth.rotation, truth.translation))
    lame = Track(truth.rotation, truth.translation, 0.5 * truth.angles, truth.rest)
    elsewhere = truth.translation + torch.tensor([0.05, 0.02, 0.0])  # places aren't compared, steps are
    assert float(drift(posed(lame), truth.rotation, truth.translation)) > 3 * right
    assert float(drift(posed(truth), truth.rotation, elsewhere)) < 1.2 * right + 1e-2
    nothing = JointDrift(looks, TEMPLATE)
    assert float(nothing(posed(lame), truth.rotation, truth.translation)) == 0


def test_flow_tells_by_how_much_a_lame_leg_s_steps_are_too_short() -> None:
    truth = walk(12)
    looks = look_at(truth)
    drift = JointDrift(with_flow(looks, steps(looks, truth)), TEMPLATE)
    lame = Track(truth.rotation, truth.translation, 0.8 * truth.angles, truth.rest)
    right, missed = (drift.feet_missed(posed(track), track.rotation, track.translation) for track in (truth, lame))
    assert right.shape == (11, 4, 3) and float(right.norm(dim=-1).median()) < 0.01

    def feet(track: Track) -> Tensor:
        """(t - 1, 4, 3) steps of the knuckles from the pelvis, in the clip's camera."""
        points = posed(track) @ track.rotation.transpose(1, 2)
        knuckles = points[:, [leg.points[-2] for leg in TEMPLATE.legs]] - points[:, [TEMPLATE.point_index["pelvis"]]]
        return knuckles.diff(dim=0)

    wanted = feet(truth) - feet(lame)
    seen = drift.weight[:, [leg.points[-2] for leg in TEMPLATE.legs]] > 0.8
    for axis in (0, 1):  # what lies along the line of sight no picture tells
        slope = float((missed[..., axis] * wanted[..., axis])[seen].sum() / wanted[..., axis][seen].square().sum())
        assert slope == pytest.approx(1, abs=0.3), axis
    part = drift[2:7]
    assert part.step.shape[0] == part.weight.shape[0] == 4 and torch.equal(part.step, drift.step[2:6])


def test_flow_that_another_leg_s_skin_has_is_let_go() -> None:
    truth = walk(12)
    looks = look_at(truth)
    wrong = TEMPLATE.point_index["muzzle"]
    step = steps(looks, truth)
    assert torch.allclose(steps_read(looks)[1:-1], (step[:-2] + step[1:-1] + step[2:]) / 3, atol=0.01)
    step[:, wrong] += 0.2
    weight = JointDrift(with_flow(looks, step), TEMPLATE).weight
    assert 0 < float(weight[:, wrong].max()) < 0.01 < 0.9 < float(weight[:, TEMPLATE.point_index["spine2"]].min())


def test_legs_behind_others_are_not_asked() -> None:
    looks = look_at(walk(6))
    behind = hidden(looks, TEMPLATE)
    left, right = (torch.tensor([name.endswith(side) for name in TEMPLATE.points]) for side in (".L", ".R"))
    near, far = (left, right) if float(looks.rotation[:, 0, 2, 0].mean()) < 0 else (right, left)
    assert behind[:, far].any() and not behind[:, near].any() and not behind[:, ~(left | right)].any()


@pytest.fixture(scope="module")
def skin() -> tuple[Any, Posed]:
    """A sheet of triangles through the skeleton of the walk, flat as a shadow puppet, each corner on its nearest bone."""
    skeleton = build_skeleton(REST.numpy())
    rest, side = torch.from_numpy(skeleton_points(skeleton)), 33
    heads = torch.tensor(np.asarray(TEMPLATE.head_points)).clamp_min(0)
    low, high, share = rest.amin(0), rest.amax(0), torch.linspace(0, 1, side)
    y, z = torch.meshgrid(low[1] + share * (high[1] - low[1]), low[2] + share * (high[2] - low[2]), indexing="ij")
    vertices = torch.stack([torch.zeros_like(y), y, z], -1).view(-1, 3)
    corner = torch.arange(side**2).view(side, side)[:-1, :-1].flatten()
    square = [(corner, corner + 1, corner + side), (corner + 1, corner + side + 1, corner + side)]
    faces = torch.cat([torch.stack(three, 1) for three in square]).to(torch.int32)
    bone = torch.cdist(vertices, rest[heads]).argmin(1)
    dense = dense_weights(bone[:, None], torch.ones(len(bone), 1), len(skeleton.names))
    creature: Any = SimpleNamespace(vertices=vertices, rest=rest, dense=dense, faces=faces, model=no_network())
    return creature, Posed.of(creature)


def test_skin_that_goes_as_the_flow_costs_nothing_and_a_lame_leg_s_more(skin: tuple[Any, Posed]) -> None:
    creature, cast = skin
    truth = replace(walk(8), rest=creature.rest)
    looks = look_at(truth)
    transforms = cast.transforms(truth.angles)
    vertices = cast.vertices(transforms) @ truth.rotation.transpose(1, 2) + truth.translation[:, None]
    seen = [looks.focal[k] * (p := vertices[n] @ looks.turn[k].T)[:, :2] / p[:, 2:] for k in range(7) for n in (k, k + 1)]
    fields = []
    for here, there in zip(seen[::2], seen[1::2], strict=True):
        gap = torch.cdist(cells().view(-1, 2), here)
        field = torch.where((gap.amin(1) < 0.03)[:, None], (there - here)[gap.argmin(1)] / UNIT, float(UNKNOWN))
        fields.append(field.round().to(torch.int16).view(SIDE, SIDE, 2))
    drift = SkinDrift(cast, replace(looks, flow=Packed.of(torch.stack([*fields, unknown()]))), truth, 0)
    weights = drift.weight.sum(1)
    assert (weights > 0.5).all() and (weights <= 2 + 1e-5).all()
    right = float(drift(transforms, truth.rotation, truth.translation))
    lame = cast.transforms(0.3 * truth.angles)
    bend = (0.3 * truth.angles).requires_grad_(True)
    assert float(drift(lame, truth.rotation, truth.translation)) > 2.5 * right
    drift(cast.transforms(bend), truth.rotation, truth.translation).backward()
    assert bend.grad is not None and torch.isfinite(bend.grad).all() and bend.grad.abs().max() > 0
    empty = SkinDrift(cast, looks, truth, 0)
    assert float(empty(lame, truth.rotation, truth.translation)) == 0


def solution(looks: Looks) -> Solution:
    """The first hypothesis, at rest."""
    count = len(looks)
    angles = torch.zeros(count, sum(bone.deform for bone in TEMPLATE.bones), 3)
    return Solution(looks.rotation[:, 0], looks.translation, angles, REST.expand(count, -1, -1), 0.0)


@pytest.mark.parametrize("left", [True, False])
def test_the_flank_goes_with_the_leg_that_is_near(left: bool) -> None:
    truth = walk(24)
    looks = look_at(truth)
    index, start = TEMPLATE.point_index, solution(looks)
    ends = {side: looks.seen[:, [index[f"{joint}.{side}"] for joint in ("hock", "hind_knuckle", "hind_tip")]].mean(1) for side in "LR"}
    leg = ends["L" if left else "R"]
    swing = 0.2 * (leg[1:] - leg[:-1])
    step = torch.zeros(23, looks.seen.shape[1], 2) + torch.tensor([0.01, 0.0])
    step[:, [index[f"{joint}.{side}"] for joint in ("hip", "knee") for side in "LR"]] += swing[:, None]
    hind = find_flanks(with_flow(looks, step), start, TEMPLATE)[1]
    apart = ends["L"] - ends["R"]
    assert (goes_with(hind, apart, looks.focal) > 0.8) == left
    assert goes_with(hind, -apart, looks.focal) == pytest.approx(-goes_with(hind, apart, looks.focal))
    assert hind.near == pytest.approx(-float(looks.rotation[:, 0, 2, 0].median()), abs=0.02)


def test_a_flank_that_isn_t_seen_says_nothing() -> None:
    looks = look_at(walk(12))
    flanks = find_flanks(looks, solution(looks), TEMPLATE)
    assert all(np.isnan(flank.sway).all() for flank in flanks)
    assert all(goes_with(flank, torch.randn(12, 2), looks.focal) == 0 for flank in flanks)
    still = Flank(np.zeros(11), np.ones((11, 2)), 1.0)
    assert goes_with(still, torch.randn(12, 2), looks.focal) == 0


def test_the_trunk_s_turn_is_found_whatever_some_of_its_skin_does() -> None:
    looks = look_at(walk(2))
    turn, shift = 0.05, torch.tensor([0.03, -0.02])
    field = cells()
    step = torch.stack([-turn * field[..., 1], turn * field[..., 0]], -1) + shift
    step[:, ::5] += 0.2
    found = trunk_motion(replace(looks, flow=Packed.of(torch.stack([(step / UNIT).round().to(torch.int16), unknown()]))), 0, TEMPLATE)
    assert found is not None and found == pytest.approx([turn, *shift.tolist()], abs=2e-3)
    assert trunk_motion(looks, 0, TEMPLATE) is None
