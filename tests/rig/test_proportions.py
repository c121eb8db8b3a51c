"""Bringing a rest shape onto other proportions, and back."""

import numpy as np
import torch

from backend.rig.proportions import OVERSHOOT, carry_bones, template_weights
from backend.rig.template import load_quadruped
from tests.rig.animals import animal, rest_points

TEMPLATE = load_quadruped()


def points(build: str) -> torch.Tensor:
    return torch.from_numpy(rest_points(build))


def test_the_way_back_undoes_the_way_there() -> None:
    rng = np.random.default_rng(0)
    girth = torch.from_numpy(rng.uniform(-0.5, 0.5, (len(TEMPLATE.bones), 2)))
    there = carry_bones(points("horse"), points("column"), girth)
    back = carry_bones(points("column"), points("horse"), -girth)
    np.testing.assert_allclose((back @ there).numpy(), np.tile(np.eye(4), (len(there), 1, 1)), atol=1e-9)


def test_bones_land_on_the_other_skeleton_and_ears_keep_their_shape() -> None:
    before, after = rest_points("horse"), rest_points("low")
    maps = carry_bones(points("horse"), points("low"), torch.zeros(len(TEMPLATE.bones), 2)).numpy()
    for bone in range(1, len(maps)):
        ends = [TEMPLATE.head_points[bone], TEMPLATE.tail_points[bone]][: 1 if TEMPLATE.bone_names[bone].startswith("ear") else 2]
        np.testing.assert_allclose(before[ends] @ maps[bone, :3, :3].T + maps[bone, :3, 3], after[ends], atol=1e-9)
    ear = TEMPLATE.bone_index["ear.L"]
    np.testing.assert_array_equal(maps[ear, :3, :3], maps[TEMPLATE.parents[ear], :3, :3])


def test_influence_is_mirrored_with_the_mesh() -> None:
    mesh, rest = animal("horse")
    assert mesh.mirror is not None
    weights = template_weights(mesh.vertices, mesh.faces, rest.astype(np.float32))
    np.testing.assert_allclose(weights[mesh.mirror][:, TEMPLATE.mirror_bones], weights, atol=1e-5)


def test_what_lies_beyond_a_bones_end_is_not_its_own() -> None:
    mesh, rest = animal("horse")
    rest = rest.astype(np.float32)
    weights = template_weights(mesh.vertices, mesh.faces, rest)
    np.testing.assert_allclose(weights.sum(1), 1, atol=1e-5)
    index = TEMPLATE.bone_index
    left = mesh.vertices[:, 0] > 0.3  # nearer to the middle, averaging over edges mixes the sides
    assert left.sum() > 100 and not weights[left][:, [i for name, i in index.items() if name.endswith(".R")]].any()
    neck_mid, poll = (rest[TEMPLATE.point_index[name]] for name in ("neck_mid", "poll"))
    crown = poll + 0.5 * (poll - neck_mid)  # straight on from the neck, as near to its end as to the head
    places = np.concatenate([mesh.vertices, crown[None]])
    alone, plain = (template_weights(places, mesh.faces, rest, overshoot=share)[-1, index["head"]] for share in (OVERSHOOT, 0.0))
    assert alone > 1.5 * plain
