"""Train the bundled preset from rendered truth.

    python -m backend train fauna --data DIR --out DIR [--start FILE [--keep SHARE]] [--steps N] [--shape-steps N] [--tune N]
        [--device cuda] [--seed N]

DIR holds what `backend.data.prepare` wrote (or is filled from 0 A.D.'s archive, or a pack of it, with --source). The stages, each
resumed where it stopped: the frozen encoder's features are stored; the base SDF learns the rest shapes (`shapes`), whose codes start
the bank; everything learns together from the pictures (`pictures`); with --tune, it goes on with the encoder learning too, from its
stride 8 on: what comes before stays as photographs taught it. With --start, all begin from shipped weights, and the shapes' codes from
what the bank answers to their pictures; --keep exports the weighted mean of both. Checkpoints are safetensors; what is shipped is
`--export FILE` in fp16. `--preset paper` learns from images and masks alone, by the paper's recipe (`backend.methods.fauna.paper`).
"""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path

import numpy as np
import torch

from backend.methods.fauna.config import BUNDLED
from backend.methods.fauna.model import Fauna
from backend.methods.fauna.networks import HELD_OUT
from backend.methods.fauna.training.export import export
from backend.methods.fauna.training.learner import Learner, validate
from backend.methods.fauna.training.pictures import learn_pictures
from backend.methods.fauna.training.samples import DistanceGrids, Samples, fill_folder, store_features
from backend.methods.fauna.training.shapes import learn_shapes
from backend.methods.fauna.training.start import codes_seen, mix_with_start, start_bank, start_from
from backend.observe.efficientnet import load_encoder


def main(argv: list[str]) -> int:
    """The command of the module's docstring; returns the exit status."""
    first = argparse.ArgumentParser(add_help=False)
    first.add_argument("--preset", choices=["bundled", "paper"], default="bundled")
    chosen, argv = first.parse_known_args(argv)
    if chosen.preset == "paper":
        from backend.methods.fauna.paper.train import main as train_paper

        return train_paper(argv)
    parser = argparse.ArgumentParser(prog="python -m backend train fauna")
    parser.add_argument("--data", type=Path, required=True, help="folder of prepared shapes and pictures")
    parser.add_argument("--source", type=Path, help="0 A.D.'s public.zip: fills the data folder first")
    parser.add_argument("--images", type=int, default=32000)
    parser.add_argument("--variants", type=int, default=440)
    parser.add_argument("--out", type=Path, required=True, help="folder of checkpoints")
    parser.add_argument("--start", type=Path, help="weights to begin from, as --export writes them")
    parser.add_argument("--keep", type=float, default=0.0, help="share of the --start weights in what is exported, 0 to 1")
    parser.add_argument("--shape-steps", type=int, default=1800)
    parser.add_argument("--steps", type=int, default=2700)
    parser.add_argument("--batch", type=int, default=48)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--tune", type=int, default=0, help="steps more in which the encoder learns too")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--workers", type=int, default=2, help="processes that render")
    parser.add_argument("--all", action="store_true", help="learn from the animals set aside for validation too")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--export", type=Path, help="write the fp16 weights to this file at the end")
    args = parser.parse_args(argv)
    if not 0 <= args.keep < 1 or (args.keep and args.start is None):
        parser.error("--keep is a share below 1 of the --start weights")
    if args.threads:
        torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    args.out.mkdir(parents=True, exist_ok=True)
    if args.source is not None:
        fill_folder(args.data, args.source, args.images, args.variants, args.seed, args.workers, () if args.all else None)
    device = torch.device(args.device)
    store_features(args.data, device=device)
    samples, grids = Samples(args.data), DistanceGrids(args.data)
    model = Fauna(BUNDLED).to(device)
    used = np.unique(samples.truth["shape"][samples.train])
    log, again = args.out / "scores.jsonl", args.start is not None
    encoder = start_from(model, args.start, samples) if again else None
    encoder = encoder and encoder.to(device)
    learner = Learner(model, encoder, device)
    begin = partial(codes_seen, learner, samples) if again else None
    codes = learn_shapes(model, grids, used, args.out / "shapes.safetensors", args.shape_steps, args.seed, begin)
    if not again:
        start_bank(model, samples, codes, args.seed)
    learn_pictures(learner, samples, grids, codes, args.out / "pictures.safetensors", args.steps, args.batch, args.seed, log, again)
    if args.tune:
        encoder = (encoder or load_encoder().to(device)).requires_grad_(True)
        encoder.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # twice as fast
        learner = Learner(model, encoder, device)
        learnt = again or args.steps > 0
        learn_pictures(learner, samples, grids, codes, args.out / "tuned.safetensors", args.tune, args.batch, args.seed, log, learnt)
    if args.export is not None:
        sizes_given = f"--images {len(samples.train)} --variants {len(used)} --shape-steps {args.shape_steps} --steps {args.steps}"
        sizes_given += f" --tune {args.tune}" * bool(args.tune) + " --all" * args.all + f" --start {args.start}" * again
        if args.keep:
            mix_with_start(learner, args.start, args.keep)
            sizes_given += f" --keep {args.keep}"
        command = f"python -m backend train fauna --source public.zip {sizes_given} --batch {args.batch} --seed {args.seed}"
        scores = validate(learner, samples, 4096) if len(samples.validation) else {}
        away = {name.split("+")[0] for name, split in zip(samples.names, samples.shape_split, strict=True) if split != "train"}
        export(model, learner.encoder, args.export, {"command": command, "scores": scores, HELD_OUT: sorted(away)})
    return 0
