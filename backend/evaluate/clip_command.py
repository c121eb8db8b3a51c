"""Clips, scored against the truth.

    python -m backend evaluate animate --data DIR [--source public.zip] [--weights FILE] [--limit N] [--only NAME ...] [--out DIR]
        [--whole | --truth] [--per-frame] [--gif] [--scenes PLACES] [--seed N]

A table: a row a clip of --data, made from 0 A.D.'s archive in --source where the folder holds none, and means. Every column is explained
in `backend/evaluate/clips.py`. --whole goes the artist's way, `python -m backend animate`, with the bundled weights, in a process of its
own; without it the method is asked directly, given the true masks. --truth scores the truth's own motion on the template's skeleton:
what can be reached. --per-frame also reconstructs every frame on its own (seconds a frame; kept in --out) and sets the jitter against
that. --scenes makes the clips over photographs of places (see `evaluate --set composites`). --out holds animate.json, a strip of each
clip in strips/, with --gif a moving picture in gifs/, and what is kept for the next time.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

from backend.data import clips as made
from backend.errors import MenagerieError
from backend.evaluate.clip_pictures import draw_gif, draw_strip
from backend.evaluate.clip_road import Road, by_command, by_method
from backend.evaluate.clips import evaluate_clips, find_clips, mean_row
from backend.evaluate.creature_scores import Row
from backend.methods.fauna.networks import load_networks, use_weights


def main(argv: list[str]) -> int:
    """The command of the module's docstring; returns the exit status."""
    layout = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog="python -m backend evaluate animate", description=__doc__, formatter_class=layout)
    parser.add_argument("--data", type=Path, required=True, help="folder of clips with truth")
    parser.add_argument("--source", type=Path, help="0 A.D.'s public.zip, to make the clips from where --data holds none")
    parser.add_argument("--scenes", type=Path, help="gcompris-qt-data's folder, or its explore_monuments.rcc")
    parser.add_argument("--weights", type=Path, help="other weights of the fauna model, as train fauna --export writes them")
    parser.add_argument("--only", nargs="*", default=[], help="names of clips")
    parser.add_argument("--limit", type=int, default=0, help="clips")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--whole", action="store_true", help="through the command animate, in a process of its own")
    parser.add_argument("--truth", action="store_true", help="score the truth itself, on the template's bones")
    parser.add_argument("--per-frame", action="store_true", help="set the jitter against frames reconstructed each on its own")
    parser.add_argument("--gif", action="store_true")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args(argv)
    if args.weights is not None and args.whole:
        raise MenagerieError("bad_request", "--whole takes the bundled weights: leave out --weights or --whole.")
    if args.weights is not None:
        use_weights(args.weights)
    if args.source is not None and not list(args.data.glob("*/truth.json")):
        options = [] if args.scenes is None else ["--scenes", str(args.scenes)]
        made.main([str(args.source), str(args.data), *options])
    with tempfile.TemporaryDirectory(prefix="menagerie-clips-") as spare:
        return report(args, args.out or Path(spare))


def report(args: argparse.Namespace, out: Path) -> int:
    """Score, print, draw, write."""
    road: Road | None = None if args.truth else by_command if args.whole else by_method
    clips = [clip for clip in find_clips(args.data) if not args.only or clip.name in args.only][: args.limit or None]
    rows: list[Row] = []
    learnt = [] if args.truth else learnt_animals(clips)
    if learnt:
        print(f"These weights have learnt from {', '.join(learnt)}: what follows says nothing of animals they never met (see --weights).")
    for scored in evaluate_clips(clips, road, out, args.seed, args.per_frame):
        rows.append(scored.row)
        print(line(scored.row), flush=True)
        if args.out is not None:
            draw_strip(scored, out / "strips" / f"{scored.folder.name}.png")
            if args.gif:
                draw_gif(scored, out / "gifs" / f"{scored.folder.name}.gif")
    mean = mean_row(rows)
    print("mean  " + line(dict(mean)))
    if args.out is not None:
        found = {"mean": mean, "rows": rows, "learnt_from": learnt}
        (out / ("truth.json" if args.truth else "animate.json")).write_text(json.dumps(found, indent=1, sort_keys=True))
    return 0


def learnt_animals(clips: list[Path]) -> list[str]:
    """Of the clips' animals, those that the weights in use say they have learnt from."""
    held_out = load_networks().held_out
    animals = {str(json.loads((clip / "truth.json").read_text("utf-8")).get("animal")) for clip in clips}
    return [] if held_out is None else sorted(animals - held_out)


def line(row: Row) -> str:
    """One row as text."""
    return "  ".join(f"{name} {value:.3f}" if isinstance(value, float) else f"{name} {value}" for name, value in row.items())
