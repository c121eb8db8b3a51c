"""Quality tables.

    python -m backend evaluate fauna [--set photos|zero-ad-val] [--quality fast|fine] [--ablate PART] [--data DIR] [--out DIR]

Prints a row a photo (or an octant of viewing directions) and the means; --out writes every row as JSON, with a contact
sheet to look at. --ablate runs the set once as it is and once with one part switched off (bank, articulation,
deformation, joints or fit), and prints what the part adds. --source, 0 A.D.'s public.zip, makes the validation pictures
first where --data does not hold them yet.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from backend.errors import MenagerieError
from backend.evaluate.animals import evaluate_animals, make_pictures
from backend.evaluate.photos import Row, Sheet, evaluate_photos
from backend.evaluate.sheet import write_sheet
from backend.methods.fauna.method import ABLATIONS

PHOTOS = Path(__file__).resolve().parents[2] / "tests" / "photos"


def summarise(rows: list[Row]) -> dict[str, float]:
    """Means of every number, and how many headings lie within 45 degrees."""
    numbers = {k: [float(r[k]) for r in rows if isinstance(r.get(k), int | float)] for k in rows[0]}  # type: ignore[arg-type]
    means = {k: float(np.mean(v)) for k, v in numbers.items() if v and k not in ("octant", "heading_degrees")}
    errors = numbers.get("heading_error", [])
    means["heading_within_45"] = float(np.mean([e < 45 for e in errors])) if errors else 0.0
    means["heading_median"] = float(np.median(errors)) if errors else 0.0
    means["count"] = float(len(rows))
    return means


def by_octant(rows: list[Row]) -> list[Row]:
    """One row of means for each of the eight directions that pictures were made for (0 faces the picture's right, 2 the viewer)."""
    groups = {octant: [r for r in rows if r["octant"] == octant] for octant in range(8)}
    return [{"octant": octant, **summarise(group)} for octant, group in groups.items() if group]


def line(row: Mapping[str, object]) -> str:
    """One row as text."""
    return "  ".join(f"{k} {v:.3f}" if isinstance(v, float) else f"{k} {v}" for k, v in row.items())


def evaluate(args: argparse.Namespace, ablate: str) -> tuple[list[Row], Sheet]:
    """Reconstruct the whole set once."""
    if args.set == "photos":
        return evaluate_photos(args.data or PHOTOS, args.quality, ablate, args.seed, args.limit)
    return evaluate_animals(args.data, args.quality, ablate, args.seed, args.limit or 64)


def main(argv: list[str]) -> int:
    """The command of the module's docstring; returns the exit status."""
    layout = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog="python -m backend evaluate", description=__doc__, formatter_class=layout)
    parser.add_argument("method", choices=["fauna"])
    parser.add_argument("--set", choices=["photos", "zero-ad-val"], default="photos")
    parser.add_argument("--quality", choices=["fast", "fine"], default="fast")
    parser.add_argument("--ablate", choices=ABLATIONS, default="")
    parser.add_argument("--data", type=Path, help="folder of photos with truth.json, or of validation pictures")
    parser.add_argument("--source", type=Path, help="0 A.D.'s public.zip, to make the validation pictures from")
    parser.add_argument("--limit", type=int, default=0, help="photos, or validation pictures (in eights), to reconstruct")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args(argv)
    if args.set == "zero-ad-val":
        if args.data is None:
            raise MenagerieError("bad_request", "--set zero-ad-val needs --data, a folder of validation pictures; --source makes them.")
        if args.source is not None and not (args.data / "truth.npz").exists():
            make_pictures(args.source, args.data, args.limit or 64, args.seed)
    rows, sheet = evaluate(args, "")
    whole = summarise(rows)
    for row in rows if args.set == "photos" else by_octant(rows):
        print(line(row))
    print("mean  " + line(whole))
    report: dict[str, object] = {"mean": whole, "rows": rows}
    if args.ablate:
        without = summarise(evaluate(args, args.ablate)[0])
        added = {k: whole[k] - without[k] for k in whole if k in without and k not in ("count", "seconds")}
        print(f"without {args.ablate}  " + line(without))
        print(f"{args.ablate} adds  " + line(added))
        report |= {"without": without, "adds": added}
    if args.out is not None:
        name = f"{args.set}-{args.quality}" + (f"-without-{args.ablate}" if args.ablate else "")
        write_sheet(sheet, args.out / f"{name}.png")
        (args.out / f"{name}.json").write_text(json.dumps(report, indent=1, sort_keys=True))
    return 0
