"""Pins: a leg is told from its twin, a wrong reading is doubted along its limb, and a real photo's creature lies on them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from backend.evaluate.creature_views import overlay_mask, posed_points, project
from backend.evaluate.metrics import box_side, mask_iou
from backend.media.crop import crop_camera, to_photo_pixels
from backend.media.photo import read_photo
from backend.methods.fauna import method as fauna
from backend.methods.fauna.fitting.evidence import Evidence, Pins, bone_limits, pin_residual, sideways_stiffness
from backend.methods.fauna.fitting.pins import bones_between, crop_positions, pin, sides_told, trust_left
from backend.methods.request import Request
from backend.observe.mask import find_mask
from backend.rig.template import load_quadruped
from backend.types import no_progress

PHOTOS = Path(__file__).resolve().parents[1] / "photos"
TRUTH = json.loads((PHOTOS / "truth.json").read_text("utf-8"))["photos"]
TEMPLATE = load_quadruped()
ON_PIN = 0.02
"""Of the animal's box."""
WITHOUT = 0.83
"""Overlay IoU of the lion without pins, as `evaluate` finds it; with them it may be no worse."""


def at(name: str) -> int:
    return TEMPLATE.point_index[name]


def seen() -> torch.Tensor:
    """(P, 2): every point somewhere of its own, left legs apart from right ones."""
    places = torch.rand(len(TEMPLATE.points), 2, generator=torch.Generator().manual_seed(3)) * 0.1
    places[:, 0] += torch.tensor([0.4 if name.endswith(".L") else -0.4 if name.endswith(".R") else 0.0 for name in TEMPLATE.points])
    return places


def evidence() -> Evidence:
    count = len(TEMPLATE.points)
    return Evidence(
        torch.zeros(8, 8), seen(), torch.full((count,), 0.8), torch.zeros(count, 3), torch.ones(count), 4.0, bone_limits(TEMPLATE),
        sideways_stiffness(TEMPLATE),
    )  # fmt: skip


def test_a_foot_pinned_where_its_twin_was_read_tells_the_pair_apart() -> None:
    foot, twin = at("hind_tip.L"), at("hind_tip.R")
    order = sides_told(seen(), torch.tensor([foot]), seen()[[twin]])
    assert order[foot] == twin and order[twin] == foot and order[at("knee.L")] == at("knee.R")
    others = [number for number, name in enumerate(TEMPLATE.points) if not name.startswith(("hip", "knee", "hock", "hind"))]
    assert order[others].tolist() == others, "the front legs and the trunk stay"


@pytest.mark.parametrize("place", [(0.43, 0.02), (0.2, 0.9), (0.05, 0.05)])
def test_a_foot_pinned_near_its_own_reading_or_anywhere_else_does_not(place: tuple[float, float]) -> None:
    order = sides_told(seen(), torch.tensor([at("hind_tip.L")]), torch.tensor([place]))
    assert order.tolist() == list(range(len(TEMPLATE.points)))


def test_a_wrong_reading_is_doubted_along_its_limb_and_a_right_one_not() -> None:
    hock = torch.tensor([at("hock.L")])
    trust = trust_left(hock, torch.tensor([0.3]))
    assert trust[at("hock.L")] < trust[at("hind_knuckle.L")] < trust[at("hind_tip.L")] < 1
    assert trust[at("hock.R")] == trust[at("muzzle")] == trust[at("elbow.L")] == 1
    assert trust_left(hock, torch.tensor([0.005])).min() > 0.95
    assert bones_between()[at("hip.L"), at("hind_tip.L")] == 4


def test_a_pin_takes_the_place_of_what_was_read() -> None:
    mask = np.zeros((200, 300), np.float32)
    mask[40:160, 60:250] = 1
    crop = crop_camera(mask, (300, 200), 400.0)
    place = (123.0, 77.0)
    found, _ = pin(evidence(), torch.zeros(len(TEMPLATE.points), 4, 4), {"muzzle": place}, crop)
    back = to_photo_pixels(crop, (found.seen[at("muzzle")].numpy() + 1) / 2 * crop.size)
    assert np.allclose(back, place, atol=0.01) and found.confidence[at("muzzle")] == 1
    assert found.pins is not None and torch.equal(found.pins.places[0], found.seen[at("muzzle")])
    assert np.allclose(crop_positions(np.array([place]), crop)[0], found.seen[at("muzzle")].numpy())


def test_a_pin_pulls_however_far_it_is() -> None:
    points = torch.tensor([at("muzzle")])
    pulls = []
    for distance in (0.05, 0.5, 2.0):
        image = torch.zeros(len(TEMPLATE.points), 2, requires_grad=True)
        pinned = Evidence(**{**vars(evidence()), "pins": Pins(points, torch.tensor([[distance, 0.0]]))})
        residual = pin_residual(image, pinned)
        assert isinstance(residual, torch.Tensor)
        residual.backward()
        assert image.grad is not None
        pulls.append(-float(image.grad[points[0], 0]))
    assert 0.3 < pulls[0] < pulls[1] < pulls[2] <= 1
    assert pin_residual(torch.zeros(len(TEMPLATE.points), 2), evidence()) == 0


def test_a_photos_creature_lies_on_its_pins_and_explains_it_no_worse() -> None:
    image, facts = read_photo(PHOTOS / "lion-2.png"), TRUTH["lion-2.png"]
    pins = {"hind_tip.L": tuple(facts["hind_tip_L"]), "hind_tip.R": tuple(facts["hind_tip_R"])}  # taken for each other without
    mask = find_mask(image)
    result = fauna.run(Request(image, mask, pins=pins), no_progress)
    points = posed_points(result.asset)
    places = project(np.stack([points[name] for name in pins]), result.asset.camera)
    assert np.linalg.norm(places - np.array(list(pins.values())), axis=1).max() < ON_PIN * box_side(mask > 0.5)
    cover, _ = overlay_mask(result.asset, image.rgb)
    assert mask_iou(cover, mask > 0.5) > WITHOUT
    assert result.asset.provenance["pins"] == {name: [float(x) for x in place] for name, place in pins.items()}
    assert set(result.confidence) == set(TEMPLATE.points)
