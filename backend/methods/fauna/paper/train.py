"""Train the `paper` preset from images and masks alone, and write its scores over time.

    python -m backend train fauna --preset paper --data DIR --out DIR [--source FILE] [--steps N] [--seed N] [--without PART ...]

DIR of --data holds what `backend.data.prepare` wrote, or is filled from 0 A.D.'s archive with --source. The run writes
paper.safetensors (checkpoint: model, both optimisers, step), losses.jsonl and scores.jsonl in --out, and goes on where it stopped:
every step's randomness follows from seed and step alone, so that an interrupted run ends bit for bit as a whole one. `--table OUT ...`
prints finished runs' scores.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from torch import nn

from backend.methods.fauna.paper.config import SWITCHES, Recipe, open_gates, switch_off
from backend.methods.fauna.paper.discriminator import Discriminator, discriminator_loss, fake_masks, generator_loss
from backend.methods.fauna.paper.model import PaperFauna
from backend.methods.fauna.paper.objective import step_losses
from backend.methods.fauna.paper.pictures import SPECIES, Pictures
from backend.methods.fauna.paper.score import Truth, score
from backend.methods.fauna.paper.surface import Grid
from backend.methods.fauna.paper.table import markdown
from backend.methods.fauna.training.samples import fill_folder, store_features
from backend.training.checkpoint import SAVE_SECONDS, restore, save

LOG_STEPS = 50
STEADY = 0.5
"""Share of the run after which the rates fall, to a tenth."""
LARGEST_GRADIENT = 10.0
WARM_UP = 100
"""Steps in which a part's rate rises once its gate is open."""
VARIANTS, PICTURES_SEED = 440, 1
"""Of the pictures that --source makes; runs of several seeds share them."""
PARTS = {"base": "shape", "articulation": "bones", "feature_head": "bones", "deformation": "deformation"}
"""Attribute of the model -> which of `Recipe.rates` it learns at; the others at the view's."""


class Run:
    """Everything that changes while training, and nothing else.

    model and discriminator with an optimiser each; step: how many are done; seconds: that they took, over all sessions.
    """

    def __init__(self, recipe: Recipe, pictures: Pictures) -> None:
        torch.manual_seed(recipe.seed)
        self.recipe, self.pictures = recipe, pictures
        self.model, self.discriminator = PaperFauna(recipe), Discriminator(recipe.side)
        self.model.query_mean.copy_(pictures.query_mean)  # type: ignore[operator]
        groups: dict[str, list[nn.Parameter]] = {"shape": [], "view": [], "bones": [], "deformation": []}
        for name, parameter in self.model.named_parameters():
            groups[PARTS.get(name.split(".")[0], "view")].append(parameter)
        gates = recipe.gates
        self.begins = {"shape": gates.shape, "view": 0.0, "bones": gates.articulation, "deformation": gates.deformation}
        self.optimizer = torch.optim.Adam([{"params": own, "name": name} for name, own in groups.items()], betas=(0.9, 0.99))
        # The published code gives this one the base network's parameters.
        self.critic = torch.optim.Adam(self.discriminator.parameters(), lr=recipe.discriminator_rate, betas=(0.5, 0.9))
        self.grids = {cells: Grid(cells, self.model.config.half_extent) for cells in set(recipe.cells)}
        self.step, self.seconds = 0, 0.0

    def advance(self) -> dict[str, float]:
        """One step: one batch. -> its weighted loss terms and figures to watch."""
        recipe, began = self.recipe, time.perf_counter()
        rng = np.random.default_rng([recipe.seed, self.step])
        generator = torch.Generator().manual_seed(recipe.seed * 1_000_003 + self.step)
        gates = open_gates(recipe, self.step)
        share = self.step / recipe.steps
        fall = 1.0 if share < STEADY else 0.1 + 0.45 * (1 + math.cos(math.pi * (share - STEADY) / (1 - STEADY)))
        # A part's first gradients are all of one sign: at full rate the shape would shrink to nothing, and bones would fold it.
        for group in self.optimizer.param_groups:
            age = self.step - self.begins[group["name"]] * recipe.steps
            group["lr"] = recipe.rates[group["name"]] * fall * min(1.0, max(age, 0.0) / WARM_UP + 0.02)
        names = [recipe.species[int(n)] for n in rng.integers(len(recipe.species), size=recipe.batch)]
        if gates.one_species:
            names = names[:1] * recipe.batch
        index = np.array([rng.choice(self.pictures.train[name]) for name in names])
        batch = self.pictures.load(index, rng.random(recipe.batch) < 0.5)
        done = step_losses(self.model, batch, self.pictures.variance, self.grids[gates.cells], gates, recipe, generator)
        terms = dict(done.losses)
        fakes = None
        if gates.discriminator:
            fakes = fake_masks(self.model, done, recipe.side, generator)
            for parameter in self.discriminator.parameters():
                parameter.requires_grad_(False)
            terms["adversarial"] = recipe.weights.adversarial * generator_loss(self.discriminator, fakes, done.code)
        self.optimizer.zero_grad()
        torch.stack(list(terms.values())).sum().backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), LARGEST_GRADIENT)
        self.optimizer.step()
        if fakes is not None:
            for parameter in self.discriminator.parameters():
                parameter.requires_grad_(True)
            loss = discriminator_loss(self.discriminator, batch.mask[:, None], fakes, done.code, recipe.weights.penalty)
            self.critic.zero_grad()
            loss.backward()
            self.critic.step()
            terms["critic"] = loss.detach()
        self.step += 1
        self.seconds += time.perf_counter() - began
        best = done.seen.views.logits.argmin(1) == done.beside.argmin(1)
        gap = done.beside.sort(1).values
        watched = {"feature_error": float(done.chosen.feature.detach().mean()), "mask_error": float(done.chosen.mask.detach().mean())}
        watched |= {"logit_right": float(best.float().mean()), "score_gap": float((gap[:, min(1, gap.shape[1] - 1)] - gap[:, 0]).mean())}
        watched |= {"vertices": float(len(done.mesh.vertices))}
        return {key: float(value.detach()) for key, value in terms.items()} | watched

    @property
    def networks(self) -> dict[str, nn.Module]:
        """By the names that a checkpoint gives them."""
        return {"model": self.model, "discriminator": self.discriminator}

    @property
    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """As `networks`."""
        return {"optimizer": self.optimizer, "critic": self.critic}

    @property
    def fingerprint(self) -> str:
        """What a checkpoint must have been made by, and from, to be gone on from."""
        return json.dumps({"recipe": asdict(self.recipe), "pictures": self.pictures.fingerprint}, sort_keys=True)

    def save(self, path: Path) -> None:
        """Write the run as one file (`training.checkpoint`)."""
        extra = {"step": torch.tensor(self.step), "seconds": torch.tensor(self.seconds, dtype=torch.float64)}
        save(path, self.networks, self.optimizers, extra, self.fingerprint)

    def restore(self, path: Path) -> None:
        """Go on from what `save` wrote. Raises `bad_request` where it was made by another recipe or from other pictures."""
        extra = restore(path, self.networks, self.optimizers, self.fingerprint)
        self.step, self.seconds = int(extra["step"]), float(extra["seconds"])


def judge_run(run: Run, truth: Truth, each: int) -> dict[str, object]:
    """`score.score` of the run as it stands."""
    gates = open_gates(run.recipe, max(0, run.step - 1))
    return score(run.model, run.pictures, truth, run.grids[gates.cells], gates, each)


def append(path: Path, row: dict[str, object]) -> None:
    """One JSON line."""
    with path.open("a", encoding="utf-8") as out:
        out.write(json.dumps(row) + "\n")


def train(run: Run, truth: Truth, out: Path, score_steps: int, each: int) -> None:
    """Run to the recipe's last step, saving, logging and scoring on the way."""
    checkpoint, saved = out / "paper.safetensors", time.perf_counter()
    running: dict[str, float] = {}
    while run.step < run.recipe.steps:
        for key, value in run.advance().items():
            running[key] = 0.95 * running.get(key, value) + 0.05 * value
        if run.step % LOG_STEPS == 0:
            rounded = {key: round(value, 4) for key, value in running.items()}
            append(out / "losses.jsonl", {"step": run.step, "seconds": round(run.seconds), **rounded})
            print(run.step, f"{run.seconds:.0f} s", " ".join(f"{k} {v:.3f}" for k, v in running.items()), flush=True)
        last = run.step == run.recipe.steps
        if run.step % score_steps == 0 or last:
            found = judge_run(run, truth, each)
            append(out / "scores.jsonl", {"step": run.step, "seconds": round(run.seconds), "without": run.recipe.without, **found})
            shown = ("quadrant", "left_right", "heading_median", "chamfer_ratio", "iou", "iou_rest", "iou_mean_shape")
            print("scores", " ".join(f"{key} {found[key]:.3f}" for key in shown), flush=True)
        if last or time.perf_counter() - saved > SAVE_SECONDS:
            run.save(checkpoint)
            saved = time.perf_counter()


def main(argv: list[str]) -> int:
    """The command of the module's docstring; returns the exit status."""
    usual = Recipe()
    parser = argparse.ArgumentParser(prog="python -m backend train fauna --preset paper")
    parser.add_argument("--preset", choices=["paper"], default="paper")
    parser.add_argument("--data", type=Path, help="folder of prepared pictures")
    parser.add_argument("--source", type=Path, help="0 A.D.'s public.zip: fills the data folder first")
    parser.add_argument("--images", type=int, default=26000, help="that --source makes, of all species")
    parser.add_argument("--out", type=Path, help="folder of the checkpoint and the logs")
    parser.add_argument("--table", type=Path, nargs="+", help="only print the scores of these runs' folders")
    parser.add_argument("--steps", type=int, default=usual.steps)
    parser.add_argument("--batch", type=int, default=usual.batch)
    parser.add_argument("--seed", type=int, default=usual.seed)
    parser.add_argument("--species", nargs="+", choices=list(SPECIES), default=list(usual.species))
    parser.add_argument("--pictures", type=int, default=usual.pictures, help="training pictures a species, at most")
    parser.add_argument("--cells", type=int, nargs=2, default=list(usual.cells), help="of the tetrahedral grid, early and late")
    parser.add_argument("--without", nargs="+", choices=SWITCHES, default=[], help="parts of the recipe to switch off")
    parser.add_argument("--score-steps", type=int, default=500, help="steps between two scorings")
    parser.add_argument("--score-pictures", type=int, default=32, help="held-out pictures a species")
    parser.add_argument("--threads", type=int, default=0)
    args = parser.parse_args(argv)
    if args.table:
        print(markdown(args.table))
        return 0
    if args.data is None or args.out is None:
        parser.error("--data and --out are required")
    if args.threads:
        torch.set_num_threads(args.threads)
    recipe = Recipe(
        steps=args.steps, batch=args.batch, seed=args.seed, species=tuple(args.species), pictures=args.pictures,
        cells=(args.cells[0], args.cells[1]),
    )  # fmt: skip
    recipe = switch_off(recipe, tuple(args.without))
    args.out.mkdir(parents=True, exist_ok=True)
    if args.source is not None:
        fill_folder(args.data, args.source, args.images, VARIANTS, PICTURES_SEED)
    if (args.data / "images_rgb.npy").exists():
        store_features(args.data)
    pictures = Pictures(args.data, recipe.species, recipe.pictures, recipe.side)
    run = Run(recipe, pictures)
    checkpoint = args.out / "paper.safetensors"
    if checkpoint.exists():
        run.restore(checkpoint)
        print(f"resumed at step {run.step}", flush=True)
    train(run, Truth(args.data), args.out, args.score_steps, args.score_pictures)
    return 0
