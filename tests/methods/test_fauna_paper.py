"""The paper's own recipe: gradients reach the shape, hypotheses are told apart, gates open in turn, a resumed run is the same run."""

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file

from backend.errors import MenagerieError
from backend.methods.fauna.heads import QUADRANTS, look_rotation
from backend.methods.fauna.paper.config import Gates, Recipe, open_gates, switch_off
from backend.methods.fauna.paper.draw import draw
from backend.methods.fauna.paper.model import PaperFauna, Seen
from backend.methods.fauna.paper.objective import Target, score_hypotheses, step_losses
from backend.methods.fauna.paper.pictures import Batch, Pictures
from backend.methods.fauna.paper.score import Truth, chamfer, headings
from backend.methods.fauna.paper.skinning import find_bones, pose
from backend.methods.fauna.paper.surface import Grid, march
from backend.methods.fauna.paper.train import Run, main
from backend.methods.fauna.paper.viewpoint import Views, choose, logit_loss, probabilities
from tests.methods.paper_pictures import write_pictures

FOCAL = 1 / math.tan(math.radians(12.5))
TINY = Recipe(steps=10, batch=3, species=("horse", "lion"), side=32, cells=(12, 16))


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Pictures:
    folder = tmp_path_factory.mktemp("pictures")
    write_pictures(folder)
    return Pictures(folder, TINY.species, 20, TINY.side)


def ball(radius: torch.Tensor) -> Callable[[torch.Tensor], torch.Tensor]:
    return lambda points: radius - (points * points.new_tensor([1.0, 1.0, 0.5])).norm(dim=-1)


def test_marched_surface_is_closed_mirrored_and_on_the_zero_set() -> None:
    mesh = march(ball(torch.tensor(0.8)), Grid(24, 2.4), (0.03, -0.05))
    edges = np.sort(mesh.faces.numpy()[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2), 1)
    assert (np.unique(edges, axis=0, return_counts=True)[1] == 2).all()
    assert float(ball(torch.tensor(0.8))(mesh.vertices).abs().max()) < 0.05
    points = {tuple(p) for p in mesh.vertices.numpy().round(5).tolist()}
    assert points == {(-x + 0.0, y, z) for x, y, z in points}
    corners = mesh.vertices[mesh.faces.long()]
    volume = float((corners[:, 0] * torch.linalg.cross(corners[:, 1], corners[:, 2])).sum() / 6)
    assert volume == pytest.approx(4 / 3 * math.pi * 0.8**3 * 2, rel=0.05)  # positive: faces look outward


def test_silhouettes_gradient_reaches_the_signed_distance() -> None:
    def area(radius: torch.Tensor) -> torch.Tensor:
        mesh = march(ball(radius), Grid(24, 2.4))
        return draw(mesh.vertices[None] + torch.tensor([0.0, 0.0, -10.0]), mesh.faces, None, FOCAL, 64)[0].sum()

    radius = torch.tensor(0.8, requires_grad=True)
    area(radius).backward()
    step = 0.02
    with torch.no_grad():
        measured = float(area(torch.tensor(0.8 + step)) - area(torch.tensor(0.8 - step))) / (2 * step)
    assert radius.grad is not None and float(radius.grad) == pytest.approx(measured, rel=0.1)


def test_every_part_that_takes_part_gets_a_gradient(pictures: Pictures) -> None:
    torch.manual_seed(0)
    recipe = switch_off(TINY, ("gates",))
    model = PaperFauna(recipe)
    batch = pictures.load(pictures.train["horse"][:3])
    done = step_losses(model, batch, pictures.variance, Grid(12, 2.4), open_gates(recipe, 5), recipe, torch.Generator().manual_seed(0))
    torch.stack(list(done.losses.values())).sum().backward()
    still = [n for n, p in model.named_parameters() if p.grad is None or not bool(p.grad.abs().sum() > 0)]
    assert still == []


def test_logits_learn_which_hypothesis_is_the_better_one() -> None:
    torch.manual_seed(0)
    model, recipe = PaperFauna(TINY), TINY
    mesh = march(lambda p: 0.6 - ((p - p.new_tensor([0, 0.3, 0.4])) * p.new_tensor([1.4, 1.0, 0.5])).norm(dim=-1), Grid(16, 2.4))
    # A body whose first component grows towards its head, seen in each of the quadrants.
    colours = torch.full((1, len(mesh.vertices), 16), 0.5)
    colours[0, :, 0] += mesh.vertices[:, 2] / 4
    forward = torch.tensor([[sx * 0.8, 0.0, sz * 0.6] for sx, sz in QUADRANTS]).expand(4, 4, 3)
    rotation, translation = look_rotation(forward, torch.full((4, 4), 0.2)), torch.tensor([0.0, 0.0, -8.0]).expand(4, 3)
    points = mesh.vertices @ rotation[0].transpose(1, 2) + translation[:, None]  # picture i shows hypothesis i
    mask, seen_colours = draw(points, mesh.faces, colours, FOCAL, 32)
    assert seen_colours is not None
    target = Target(mask, torch.zeros_like(mask), seen_colours, 0.05)
    logits = torch.zeros(4, 4, requires_grad=True)
    seen = Seen(torch.zeros(4, 64), torch.zeros(4, 128), torch.zeros(4, 64, 16, 16), Views(rotation, translation, logits))
    scores = score_hypotheses(model, mesh, None, colours, seen, target, recipe.weights)
    optimizer = torch.optim.Adam([logits], lr=0.05)
    for _ in range(200):
        optimizer.zero_grad()
        logit_loss(logits, scores).backward()
        optimizer.step()
    assert logits.argmin(1).tolist() == [0, 1, 2, 3]
    margin = logits.detach().sort(1).values
    assert float((margin[:, 1] - margin[:, 0]).min()) > 0.1


def test_a_hypothesis_that_always_does_better_is_no_better_for_any_picture() -> None:
    torch.manual_seed(0)
    head = PaperFauna(TINY).view_head
    own, species, width = torch.randn(2400, 4) * 0.1, torch.arange(2400) % 2, 0.4 + 1.6 * torch.rand(2400)
    box = torch.stack([-width / 2, torch.full_like(width, -0.5), width / 2, torch.full_like(width, 0.5)], 1)
    # Whatever the picture shows: horses go, lions come, and the wider the outline, the more so.
    usual = torch.tensor([[0.0, 0.0, -1.0, -1.0], [-1.0, -1.0, 0.0, 0.0]])[species] + width.log()[:, None] * torch.tensor([0.5, 0.5, 0, 0])
    shown = own + usual + 5 * torch.rand(2400, 1)
    for rows in torch.arange(2400).split(4):
        head.compare(shown[rows], species[rows], box[rows])
    head.eval()
    best = head.compare(shown, species, box).argmin(1)
    for kind in (0, 1):
        for among in ((species == kind) & (width > 1.2), (species == kind) & (width <= 1.2)):
            assert torch.bincount(best[among], minlength=4).min() > 0.18 * among.sum()
    assert (best == own.argmin(1)).float().mean() > 0.85
    assert torch.equal(head.compare(own, species, box), head.compare(own, species, box))  # scoring leaves it as it is


def test_logits_answer_for_differences_alone() -> None:
    losses = torch.tensor([[3.0, 3.1, 3.4, 3.2], [7.0, 6.8, 7.1, 7.3]])
    assert float(logit_loss(losses - 100, losses)) == pytest.approx(0, abs=1e-9)
    assert float(logit_loss(losses.flip(0), losses)) > 0.01


def test_all_species_share_a_batch_until_their_gate_opens(pictures: Pictures, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[set[str]] = []
    of = {int(i): name for name, own in pictures.train.items() for i in own}
    load = pictures.load

    def watched(index: NDArray[np.int64], flip: NDArray[np.bool_] | None = None) -> Batch:
        shown.append({of[int(i)] for i in index})
        return load(index, flip)

    monkeypatch.setattr(pictures, "load", watched)
    run = Run(replace(TINY, batch=8, gates=replace(Gates(), one_species=0.5)), pictures)
    for _ in range(10):
        run.advance()
    assert all(len(names) == 2 for names in shown[:5]) and all(len(names) == 1 for names in shown[5:])


def test_the_discriminators_optimiser_moves_the_discriminator_and_nothing_else(pictures: Pictures) -> None:
    recipe = replace(TINY, gates=replace(Gates(), discriminator=(0.0, 1.0)))
    run = Run(recipe, pictures)
    own = {id(p) for group in run.critic.param_groups for p in group["params"]}
    assert own == {id(p) for p in run.discriminator.parameters()} and not own & {id(p) for p in run.model.parameters()}
    before = [p.detach().clone() for p in run.discriminator.parameters()]
    losses = [run.advance()["critic"] for _ in range(8)]
    assert all(bool((a != b).any()) for a, b in zip(before, run.discriminator.parameters(), strict=True))
    assert losses[-1] < losses[0]


def test_discriminator_rests_while_its_gate_is_closed(pictures: Pictures) -> None:
    run = Run(replace(TINY, gates=replace(Gates(), discriminator=(0.5, 0.6))), pictures)
    before = [p.detach().clone() for p in run.discriminator.parameters()]
    assert "critic" not in run.advance()
    assert all(bool((a == b).all()) for a, b in zip(before, run.discriminator.parameters(), strict=True))


def test_gates_open_at_their_shares_of_the_run() -> None:
    recipe = Recipe(steps=1000, gates=Gates(0.1, 0.2, (0.1, 0.3), (0.1, 0.3), 0.4, 0.5, (0.4, 0.6), 0.7, 0.8, 0.9), cells=(12, 24))
    at = [open_gates(recipe, step) for step in range(1000)]

    def first(name: str, value: object = True) -> int:
        return next(i for i, gates in enumerate(at) if getattr(gates, name) == value)

    parts = ("shape", "one_species", "articulation", "attach_legs", "discriminator", "stiff_legs", "deformation")
    opened = {name: first(name) for name in parts}
    assert opened == {
        "shape": 100, "one_species": 200, "articulation": 400, "attach_legs": 500, "discriminator": 400,
        "stiff_legs": 700, "deformation": 900,
    }  # fmt: skip
    assert first("cells", 24) == 800 and not at[600].discriminator
    assert (at[99].best, at[99].sharpness) == (0.0, 1.0) and (at[300].best, at[300].sharpness) == (recipe.best_share, recipe.sharpest)
    assert (at[99].uniform, at[300].uniform) == (1.0, pytest.approx(recipe.uniform))
    assert at[200].best == pytest.approx(recipe.best_share / 2)
    assert [at[i].by_score for i in (0, 200, 300)] == [recipe.by_score, pytest.approx(recipe.by_score / 2), 0]


def test_parts_of_the_recipe_can_be_taken_away() -> None:
    bare = switch_off(TINY, ("distance", "features", "gates", "hypotheses"))
    assert bare.weights.distance == bare.weights.feature == bare.weights.score_feature == 0
    assert open_gates(bare, 0).deformation and not open_gates(TINY, 0).deformation
    views = PaperFauna(bare).view_head(torch.zeros(2, 64, 16, 16), torch.tensor([[0.0, 0.0, -8.0]]).expand(2, 3))
    assert views.rotation.shape == (2, 1, 3, 3) and views.logits.shape == (2, 1)
    with pytest.raises(MenagerieError) as failure:
        switch_off(TINY, ("mask",))
    assert failure.value.code == "bad_request"


def test_hypotheses_are_drawn_by_their_probability() -> None:
    logits = torch.tensor([[0.0, 0.1, 5.0, 5.0]]).expand(4000, 4)
    likely = probabilities(logits, 10.0, 0.2)
    drawn = torch.bincount(choose(likely, 0.0, torch.Generator().manual_seed(0)), minlength=4) / 4000
    assert torch.allclose(drawn, likely[0], atol=0.03) and float(likely[0, 2]) == pytest.approx(0.05, abs=1e-3)
    assert bool((choose(likely, 1.0, torch.Generator().manual_seed(0)) == 0).all())
    assert torch.allclose(probabilities(logits, 10.0, 1.0), torch.tensor(0.25))


def test_legs_follow_the_body_once_attached() -> None:
    mesh = march(ball(torch.tensor(0.8)), Grid(16, 2.4))
    angles = torch.zeros(1, 20, 3)
    angles[:, :8, 0] = 0.4
    loose, attached = find_bones(mesh.vertices, False), find_bones(mesh.vertices, True)
    assert (loose.parents < 0).sum() == 6 and (attached.parents < 0).sum() == 2
    legs = attached.weights[:, 8:].sum(1) > 0.95
    moved = [(pose(mesh.vertices[None], bones, angles)[0] - mesh.vertices).norm(dim=-1)[legs].max() for bones in (loose, attached)]
    assert float(moved[0]) < 0.1 * float(moved[1])


def test_a_resumed_run_ends_as_the_whole_one_bit_for_bit(pictures: Pictures, tmp_path: Path) -> None:
    recipe = replace(TINY, gates=Gates(0.1, 0.2, (0.1, 0.3), (0.1, 0.3), 0.2, 0.3, (0.2, 1.0), 0.5, 0.4, 0.6))
    whole = Run(recipe, pictures)
    for _ in range(5):
        whole.advance()
    whole.save(tmp_path / "half.safetensors")
    resumed = Run(recipe, pictures)
    resumed.restore(tmp_path / "half.safetensors")
    for run in (whole, resumed):
        while run.step < recipe.steps:
            run.advance()
    whole.save(tmp_path / "whole.safetensors")
    resumed.save(tmp_path / "resumed.safetensors")
    one, other = load_file(tmp_path / "whole.safetensors"), load_file(tmp_path / "resumed.safetensors")
    assert one.keys() == other.keys()
    assert [name for name in one if name != "extra.seconds" and not torch.equal(one[name], other[name])] == []


def test_a_checkpoint_of_another_recipe_is_refused(pictures: Pictures, tmp_path: Path) -> None:
    Run(TINY, pictures).save(tmp_path / "run.safetensors")
    with pytest.raises(MenagerieError, match="other settings"):
        Run(replace(TINY, steps=11), pictures).restore(tmp_path / "run.safetensors")


def test_a_checkpoint_of_other_pictures_is_refused(pictures: Pictures, tmp_path: Path) -> None:
    Run(TINY, pictures).save(tmp_path / "run.safetensors")
    write_pictures(tmp_path)
    same = Pictures(tmp_path, TINY.species, 20, TINY.side)
    Run(TINY, same).restore(tmp_path / "run.safetensors")
    np.save(tmp_path / "features_pooled.npy", np.load(tmp_path / "features_pooled.npy")[::-1])
    with pytest.raises(MenagerieError, match="other samples"):
        Run(TINY, Pictures(tmp_path, TINY.species, 20, TINY.side)).restore(tmp_path / "run.safetensors")


def test_command_trains_scores_and_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_pictures(tmp_path / "data")
    command = ["--preset", "paper", "--data", str(tmp_path / "data"), "--out", str(tmp_path / "out"), "--steps", "4", "--batch", "2",
               "--species", "horse", "lion", "--cells", "12", "16", "--score-steps", "2", "--score-pictures", "2"]  # fmt: skip
    assert main(command) == 0
    assert main([*command, "--source", str(tmp_path / "nowhere.zip")]) == 0  # nothing left to do, nor to prepare
    rows = [json.loads(line) for line in (tmp_path / "out" / "scores.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [2, 4]
    assert 0 <= rows[-1]["quadrant"] <= 1 and rows[-1]["chamfer_ratio"] > 0 and rows[-1]["other_species"]["iou"] >= 0
    assert set(rows[-1]["species"]) == {"horse", "lion"}
    capsys.readouterr()
    assert main(["--table", str(tmp_path / "out")]) == 0
    table = capsys.readouterr().out
    assert f"{rows[-1]['iou']:.3f}" in table.splitlines()[3] and "| whole | 4 |" in table


def test_a_missing_folder_is_refused_with_a_code(tmp_path: Path) -> None:
    with pytest.raises(MenagerieError) as failure:
        Pictures(tmp_path, ("horse",), 10, 32)
    assert failure.value.code == "bad_request"


def test_a_folder_of_an_earlier_version_is_refused_with_a_code(tmp_path: Path) -> None:
    write_pictures(tmp_path)
    Truth(tmp_path)
    with np.load(tmp_path / "shapes.npz") as shapes:
        np.savez(tmp_path / "shapes.npz", **{name: shapes[name] for name in ("species", "share")})
    with pytest.raises(MenagerieError, match="no surfaces") as failure:
        Truth(tmp_path)
    assert failure.value.code == "bad_request"


def test_lying_animals_and_blends_are_left_out(tmp_path: Path) -> None:
    write_pictures(tmp_path)
    with np.load(tmp_path / "truth.npz") as truth, np.load(tmp_path / "shapes.npz") as shapes:
        lying, shape, known = np.char.find(truth["pose"], "lay") >= 0, truth["shape"], dict(shapes)
    known["share"][4:8] = 0.3
    np.savez(tmp_path / "shapes.npz", **known)
    pictures = Pictures(tmp_path, TINY.species, 100, TINY.side)
    used = np.concatenate([*pictures.train.values(), *pictures.held.values(), pictures.others])
    assert lying.any() and not lying[used].any() and not np.isin(shape[used], range(4, 8)).any()
    assert len(used) == (~lying & ~np.isin(shape, range(4, 8))).sum()


def test_pictures_held_out_show_individuals_that_training_never_sees(pictures: Pictures, tmp_path: Path) -> None:
    write_pictures(tmp_path)
    shape = np.load(tmp_path / "truth.npz")["shape"]
    for name in TINY.species:
        assert not set(shape[pictures.train[name]]) & set(shape[pictures.held[name]])
    one = pictures.load(pictures.train["horse"][:2], np.array([True, False]))
    same = pictures.load(pictures.train["horse"][:2])
    assert torch.equal(one.mask[0], same.mask[0].flip(-1)) and torch.equal(one.target[1], same.target[1])


def test_scores_forgive_scale_place_and_one_flip_alone() -> None:
    rng = np.random.default_rng(0)
    body = rng.normal(size=(800, 3)) * [0.3, 0.5, 1.0] + [0, 0.4, 0]
    assert chamfer(body * 1.7 + [0.3, -1, 2], body) < 1e-3
    assert chamfer(rng.normal(size=(800, 3)), body) > 0.02
    angle = rng.uniform(0, 2 * np.pi, 200)
    truth = np.stack([np.sin(angle), np.cos(angle)], 1)
    assert headings(-truth, truth, True)["quadrant"] == 1 and headings(-truth, truth, False)["quadrant"] == 0
    mixed = truth * np.where(np.arange(200) % 2, 1, -1)[:, None]
    assert headings(mixed, truth, False)["quadrant"] == headings(mixed, truth, True)["quadrant"] == 0.5
