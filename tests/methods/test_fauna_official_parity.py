"""The official preset computes what the authors' own modules compute, at both published checkpoints' configurations.

`official_golden.json` holds what those modules gave, run outside this tree from the sources it names, on weights and inputs that
`official_recipe.py` makes from names and shapes. On the authors' side: their `BasePredictorBank` and `InstancePredictorFauna` under their
`config/model/fauna.yaml`, the demo's `PriorPredictor` and `InstancePredictor` under its `configs.yml`, and DINO's own ViT. Of each output
its shape, its root mean square and some of its numbers are compared; `pass.N.*` is the whole way from the picture to the posed mesh of a
checkpoint N iterations old. The demo's outputs are listed where they differ from the other's.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from backend.methods.fauna.heads import shade
from backend.methods.fauna.official import bones20, bones20_pose
from backend.methods.fauna.official.gates import gates
from backend.methods.fauna.official.model import OfficialAnswer, OfficialFauna
from backend.weights.fauna_checkpoint import count_parameters, published_shapes
from tests.methods import official_recipe as recipe

GOLDEN: dict[str, Any] = json.loads(Path(__file__).with_name("official_golden.json").read_text(encoding="utf-8"))
LAYOUTS = ("3DAnimals", "demo")
CASES = [(layout, name) for layout in LAYOUTS for name in GOLDEN[layout]["outputs"]]
CLOSE = 2e-5
"""Largest difference over an output's root mean square; of float32 sums in another order."""
PASSES = 2e-4
"""The same at the end of a whole pass: the encoder's twelve blocks, then sines of up to 2^7 pi times a position."""
INPUTS = {name: torch.from_numpy(value) for name, value in recipe.inputs().items()}


@cache
def model(layout: str) -> OfficialFauna:
    made = OfficialFauna(layout)
    made.load_state_dict({name: torch.from_numpy(recipe.weight(name, tuple(v.shape))) for name, v in made.state_dict().items()})
    return made.eval().requires_grad_(False)


@cache
def seen() -> tuple[OfficialAnswer, Tensor, Tensor, Tensor]:
    """The answer to the picture, and what the encoder gives: both checkpoints' encoders and heads are alike."""
    made = model("3DAnimals")
    with torch.inference_mode():
        return (made(INPUTS["image"]), *made.netInstance.netEncoder.ViT(INPUTS["image"]))


def aged(layout: str, total_iter: int) -> OfficialFauna:
    made = model(layout)
    made.gates = gates(made.release, total_iter)
    return made


def of_encoder() -> dict[str, Tensor]:
    made = model("3DAnimals")
    answer, tokens, keys, query = seen()
    encoder = made.netInstance.netEncoder
    top, index = made.netBase.weights(INPUTS["queries"]).topk(10)
    codes = made.netBase(INPUTS["queries"])
    return {
        "vit.positions": encoder.ViT.positions(32), "vit.positions224": encoder.ViT.positions(28), "vit.tokens": tokens, "vit.keys": keys,
        "vit.class": query, "heads.feat_out": answer.feat_out, "heads.feat_key": answer.feat_key,
        "heads.feat_key3": encoder.final_layer_patch_key(INPUTS["keys"]), "bank.class_code": answer.code[0], "bank.codes": codes,
        "bank.mean": codes.mean(0), "bank.weights": top, "bank.picked": index,
    }  # fmt: skip


def of_fields(layout: str) -> dict[str, Tensor]:
    made = aged(layout, 800_000)
    points, features, code = INPUTS["points"], INPUTS["features"], INPUTS["code"][None]
    direction, ambient, diffuse = light = made.netInstance.netLight(features)
    normals, albedo = INPUTS["normals"][:, 0], INPUTS["albedo"][:, 0]
    return {
        "shape.sdf": made.netBase.netShape(points[None], code)[0, :, None],
        "features": made.netBase.netDINO(points[None], code)[None],
        "texture": made.netInstance.netTexture(points.expand(3, -1, -1), features)[:, None],
        "deformation": made.deform(points, features) - points,
        "light.params": torch.cat([direction, ambient[:, None], diffuse[:, None]], -1),
        "light.shaded": shade(albedo, normals, light)[:, None],
        "light.shading": shade(torch.ones_like(albedo[..., :1]), normals, light)[:, None],
    }


def of_viewpoint(layout: str) -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}
    for name, total_iter in ((".level", 19_999), ("", 20_000)):
        view = aged(layout, total_iter).view(INPUTS["keys"])
        raw = torch.cat([view.logits[..., None], view.rotation[..., 2]], -1).flatten(1)
        found[f"pose.raw{name}"] = torch.cat([raw, view.translation + torch.tensor([0.0, 0.0, 10.0])], -1)
    found["pose.rotations"] = view.rotation
    for total_iter in (1_000, 3_000, 5_000, 800_000):
        made = aged(layout, total_iter)
        probability = made.probability(view)
        best = probability.argmax(-1) if total_iter > 1_000 else torch.zeros(3, dtype=torch.int64)  # there all are as likely
        rotation = view.rotation[torch.arange(3), best]
        camera = INPUTS["mesh"][:8] @ rotation.transpose(1, 2) + view.translation[:, None]
        found |= {
            f"pose.probability.{total_iter}": probability, f"pose.best.{total_iter}": best,
            f"pose.w2c.{total_iter}": extrinsics(rotation, view.translation), f"pose.seen.{total_iter}": made.project(camera),
        }  # fmt: skip
    return found


def extrinsics(rotation: Tensor, translation: Tensor) -> Tensor:
    bottom = torch.tensor([0.0, 0.0, 0.0, 1.0]).expand(len(rotation), 1, 4)
    return torch.cat([torch.cat([rotation, translation[..., None]], -1), bottom], 1)


def posed_ends(bones: NDArray[np.float64], transforms: Tensor) -> Tensor:
    ends = torch.cat([torch.from_numpy(bones).to(transforms), transforms.new_ones(20, 2, 1)], -1)
    return torch.einsum("bkij,kej->bkei", transforms[:, :, :3], ends)


def of_skeleton(layout: str) -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}
    vertices = recipe.mesh()
    hosts = {"": None, ".preset": model(layout).release.hosts} if layout == "demo" else {"": None}
    for attached in (True, False):
        for name, host in hosts.items():
            tag = ("" if attached else ".loose") + name
            bones, parents = bones20.bones(vertices, host, attached)
            weights = bones20.skin_weights(vertices, bones)
            transforms = bones20_pose.pose_transforms(bones, parents, INPUTS["angles"])
            found |= {
                f"bones.ends{tag}": torch.from_numpy(bones), f"bones.parents{tag}": torch.from_numpy(parents),
                f"skin.weights{tag}": torch.from_numpy(weights), f"skin.bones{tag}": posed_ends(bones, transforms),
                f"skin.posed{tag}": bones20_pose.pose_vertices(vertices, weights, transforms),
            }  # fmt: skip
    for total_iter in (200_000, 300_000, 300_001, 800_000):
        angles = torch.deg2rad(60 * INPUTS["angles"])
        found[f"constraints.{total_iter}"] = bones20_pose.constrain(angles, gates(model(layout).release, total_iter).hinged)
    return found


def of_passes(layout: str) -> dict[str, Tensor]:
    """A picture and a base mesh -> the posed instance mesh, at ages on both sides of every gate."""
    found: dict[str, Tensor] = {}
    answer, rest = seen()[0], INPUTS["mesh"]
    for total_iter in (15_000, 50_000, 60_000, 200_000, 400_000, 600_000, 800_000):
        made, own = aged(layout, total_iter), f"pass.{total_iter}"
        view = made.view(answer.key_map)
        rotation = view.rotation[:, int(made.probability(view).argmax())]
        instance = made.deform(rest, answer.feat_key)
        vertices = instance[0].numpy()
        angles, bones = made.articulate(answer, vertices, rotation, view.translation)
        transforms = bones20_pose.pose_transforms(bones, made.skeleton(vertices)[1], angles)
        weights = bones20.skin_weights(vertices, bones)
        found |= {
            f"{own}.w2c": extrinsics(rotation, view.translation), f"{own}.deformation": instance - rest, f"{own}.angles": angles,
            f"{own}.bones": posed_ends(bones, transforms), f"{own}.posed": bones20_pose.pose_vertices(vertices, weights, transforms),
        }  # fmt: skip
    return found


@cache
def ours(layout: str) -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}
    parts: tuple[Callable[[str], dict[str, Tensor]], ...] = (of_fields, of_viewpoint, of_skeleton, of_passes)
    with torch.inference_mode():
        for part in parts:
            found |= part(layout)
        return found | of_encoder()


def test_the_recipe_still_makes_the_same_numbers() -> None:
    assert GOLDEN["seed"] == recipe.SEED
    assert recipe.digest(recipe.inputs().values()) == GOLDEN["inputs"]
    some = (("netShape.mlp.weight", (256, 384)), ("a.bias", (64,)), ("min_max", (9, 2)))
    assert recipe.digest(recipe.weight(name, shape) for name, shape in some) == GOLDEN["weights"]


@pytest.mark.parametrize(("layout", "name"), CASES)
def test_output_equals_the_authors(layout: str, name: str) -> None:
    golden = GOLDEN[layout]["outputs"][name]
    value = ours(layout)[name]
    assert list(value.shape) == golden["shape"]
    found, expected = np.array(recipe.sample(value.numpy())), np.array(golden["values"])
    assert np.abs(found - expected).max() <= (PASSES if name.startswith("pass.") else CLOSE) * expected[0]


def test_every_output_of_ours_has_been_compared() -> None:
    compared = set(GOLDEN["3DAnimals"]["outputs"]) | set(GOLDEN["demo"]["outputs"])
    gated = {name for layout in LAYOUTS for name in ours(layout)} - compared
    early = {"pass.15000.angles", "pass.15000.bones"}
    assert gated == early | {"pose.best.1000"} | {f"pass.{n}000.deformation" for n in (15, 50, 60, 200, 400)}
    assert all(ours(layout)[f"pass.{n}000.deformation"].abs().max() == 0 for n in (15, 50, 60, 200, 400) for layout in LAYOUTS)
    assert all(ours(layout)["pass.15000.angles"].abs().max() == 0 for layout in LAYOUTS)


def test_demo_differs_from_the_other_only_where_it_is_listed() -> None:
    """What the golden file leaves out of the demo's outputs, because the authors' two codes agree there, agrees here too."""
    left_out = set(GOLDEN["3DAnimals"]["outputs"]) - set(GOLDEN["demo"]["outputs"])
    for name in left_out:
        assert torch.allclose(ours("demo")[name].double(), ours("3DAnimals")[name].double(), atol=1e-6), name


def test_names_shapes_and_counts_are_the_authors() -> None:
    shapes = published_shapes()
    assert recipe.layout_digest(shapes) == GOLDEN["3DAnimals"]["layout"]
    demo = {name: shape[::-1] if name.endswith("min_max") else shape for name, shape in shapes.items() if "memory_bank" not in name}
    assert recipe.layout_digest({**demo, "netBase.classes_vectors": (123, 128)}) == GOLDEN["demo"]["layout"]
    assert {name: tuple(v.shape) for name, v in model("3DAnimals").state_dict().items()} == shapes
    counts = count_parameters(shapes)
    for layout in LAYOUTS:
        for module, count in GOLDEN[layout]["parameters"].items():
            assert sum(n for name, n in counts.items() if f"{name}.".startswith(f"{module}.")) == count
