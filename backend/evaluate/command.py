"""Quality tables.

    python -m backend evaluate fauna [--set photos|zero-ad-val] [--quality fast|fine] [--ablate PART] [--data DIR] [--out DIR]

Prints one line a photo or octant and the means; --out writes them as JSON with a contact sheet. --ablate switches one
part off (bank, articulation, deformation, joints or fit), so that the difference is what the part adds.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from backend.evaluate.animals import evaluate_animals
from backend.evaluate.photos import evaluate_photos
from backend.evaluate.sheet import write_sheet
from backend.methods.fauna.method import ABLATIONS

PHOTOS = Path(__file__).resolve().parents[2] / "tests" / "photos"


def summarise(rows: list[dict[str, object]]) -> dict[str, float]:
    """Means of every number, and how many headings lie within 45 degrees."""
    numbers = {k: [float(r[k]) for r in rows if isinstance(r.get(k), int | float)] for k in rows[0]}  # type: ignore[arg-type]
    means = {k: float(np.mean(v)) for k, v in numbers.items() if v}
    errors = numbers.get("heading_error", [])
    means["heading_within_45"] = float(np.mean([e < 45 for e in errors])) if errors else 0.0
    means["heading_median"] = float(np.median(errors)) if errors else 0.0
    means["count"] = float(len(rows))
    return means


def main(argv: list[str]) -> int:
    """The command of the module's docstring; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m backend evaluate")
    parser.add_argument("method", choices=["fauna"])
    parser.add_argument("--set", choices=["photos", "zero-ad-val"], default="photos")
    parser.add_argument("--quality", choices=["fast", "fine"], default="fast")
    parser.add_argument("--ablate", choices=ABLATIONS, default="")
    parser.add_argument("--data", type=Path, default=PHOTOS, help="the photos, or the prepared folder with validation pictures")
    parser.add_argument("--limit", type=int, default=64, help="validation pictures to reconstruct")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args(argv)
    if args.set == "photos":
        rows, sheet = evaluate_photos(args.data, args.quality, args.ablate, args.seed)
    else:
        rows, sheet = evaluate_animals(args.data, args.quality, args.ablate, args.seed, args.limit)
    for row in rows:
        print("  ".join(f"{k} {v:.3f}" if isinstance(v, float) else f"{v}" for k, v in row.items()))
    means = summarise(rows)
    print("mean  " + "  ".join(f"{k} {v:.3f}" for k, v in means.items()))
    if args.out is not None:
        name = f"{args.set}-{args.quality}" + (f"-without-{args.ablate}" if args.ablate else "")
        write_sheet(sheet, args.out / f"{name}.png")
        (args.out / f"{name}.json").write_text(json.dumps({"mean": means, "rows": rows}, indent=1, sort_keys=True))
    return 0
