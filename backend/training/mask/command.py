"""Train the bundled animal decoder on composites.

    python -m backend train mask --renders DIR --scenes DIR --archive public.zip [--photographs DIR] [--photographed] --data DIR
        --out DIR [--pictures N] [--steps N] [--batch N] [--seed N] [--threads N] [--export FILE]

renders: what `backend.data.prepare` wrote, of whose pictures only the training split is used; scenes: the folder that holds gcompris's
.rcc files; archive: 0 A.D.'s public.zip; photographs: a folder of further ones without animals; photographed: animals in gcompris's
photographs are learnt from too, which needs the SAM 2 set; data: the folder of the stored squares
and of what the frozen encoder sees in them, filled on from where it stopped; out: checkpoint and log, from which a run goes on.
`--export` writes the running mean in fp16.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from backend.data.photographed import name_authors
from backend.observe.animal.decoder import WEIGHTS, AnimalDecoder
from backend.training.mask.learner import Learner
from backend.training.mask.pictures import SIDE, store_pictures
from backend.training.mask.samples import read_samples
from backend.types import ByteArray
from backend.weights.manifest import MANIFEST, register

GAME = "Learnt from animals of 0 A.D. © Wildfire Games (CC-BY-SA-3.0)"
CHECKPOINT, LOG = "decoder.safetensors", "losses.jsonl"


def main(argv: list[str]) -> int:
    """The command of the module's docstring; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m backend train mask")
    parser.add_argument("--renders", type=Path, help="folder of prepared pictures; left out where --data is filled")
    parser.add_argument("--scenes", type=Path, help="folder that holds gcompris's .rcc files")
    parser.add_argument("--archive", type=Path, help="0 A.D.'s public.zip")
    parser.add_argument("--photographs", type=Path, help="folder of further JPEG photographs without animals")
    parser.add_argument("--photographed", action="store_true", help="learn from the animals in gcompris's photographs too")
    parser.add_argument("--data", type=Path, required=True, help="folder of the squares to learn from")
    parser.add_argument("--out", type=Path, required=True, help="folder of the checkpoint and the log")
    parser.add_argument("--pictures", type=int, default=12000)
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--export", type=Path, help="write the fp16 weights to this file at the end")
    args = parser.parse_args(argv)
    torch.set_num_threads(args.threads)
    if args.renders is not None:
        if args.scenes is None or args.archive is None:
            parser.error("--renders needs --scenes and --archive")
        fill(args)
    samples = read_samples(args.data)
    args.out.mkdir(parents=True, exist_ok=True)
    learner = Learner(samples.data, args.seed)
    if (args.out / CHECKPOINT).exists():
        learner.restore(args.out / CHECKPOINT)
    learner.learn(samples, args.steps, args.batch, args.out / CHECKPOINT, args.out / LOG)
    if args.export is not None:
        sizes = f"--pictures {len(samples.covers)} --steps {learner.step} --batch {args.batch} --seed {args.seed}"
        command = f"python -m backend train mask {'--photographed ' * bool(samples.photographed)}{sizes}"
        export(learner.mean, args.export, command, bool(samples.photographed))
    return 0


def fill(args: argparse.Namespace) -> None:
    """Make the squares that are still missing."""
    from backend.data.animal_pictures import Renders, make_picture
    from backend.data.backgrounds import read_backgrounds
    from backend.training.mask.cutouts import read_cutouts

    renders = Renders(args.renders)
    backgrounds = read_backgrounds(args.scenes, args.archive, args.photographs, args.seed)
    photographed = read_cutouts(args.scenes) if args.photographed else ()

    def make(rng: np.random.Generator) -> tuple[ByteArray, ByteArray]:
        return make_picture(renders, backgrounds, SIDE, rng, photographed)

    store_pictures(args.data, args.pictures, args.seed, make, len(photographed))


def export(decoder: AnimalDecoder, path: Path, command: str, photographed: bool) -> None:
    """Write parameters in fp16, statistics and parameters of normalisation in float32. A file inside the repository is registered.

    photographed: whether photographs of animals were learnt from, whose authors are to be named.
    """
    state = {k: v for k, v in decoder.state_dict().items() if not k.endswith("num_batches_tracked")}
    state = {k: (v.float() if v.dim() == 1 else v.half()).contiguous() for k, v in state.items()}
    partial = path.with_suffix(".partial")
    save_file(state, partial, metadata={"recipe": json.dumps({"command": command}, sort_keys=True)})
    os.replace(partial, path)
    if path.resolve().is_relative_to(MANIFEST.resolve().parent):
        register(
            path, WEIGHTS, method="observe", licence="CC-BY-SA-4.0" if photographed else "CC-BY-SA-3.0",
            attribution=f"{GAME} and photographs by {name_authors()}" if photographed else GAME, source=command,
        )  # fmt: skip
