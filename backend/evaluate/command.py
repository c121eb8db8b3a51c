"""Quality tables.

    python -m backend evaluate fauna [--set photos|pins|zero-ad-val|several|composites|passages] [--quality fast|fine] [--ablate PART]
        [--data DIR] [--weights FILE] [--out DIR]
    python -m backend evaluate animate ...      (clips; see `backend.evaluate.clip_command`)

photos: the photos in tests/photos, a row each. pins: the same as they are, and with the joints that were read wrong pinned where they
are. zero-ad-val: pictures of animals set aside, a row an octant of viewing directions; split "val" (relatives in training) and split
"family" (none) stand apart. several: of the same animals, one picture alone and then with three others from other sides, and what those
add. composites: masks alone, on cut-outs of tests/photos and of the pictures in --data over the photographs of places in --scenes (Debian's
gcompris-qt-data: the folder, or its explore_monuments.rcc), a row each. passages: masks through time and the background's motion, on clips
of animals of --source set aside, over those places; --alone adds matting frame by frame. Means below each; --out writes every row as JSON,
with a contact sheet to look at. --ablate runs the set once as it is and once with one part switched off (bank, articulation, deformation,
joints, lifting or fit), and prints what the part adds. --source, 0 A.D.'s public.zip, makes the validation pictures, and their true posed
meshes, where --data does not hold them yet. --weights scores a file that `train fauna --export` wrote in place of the bundled one; of
animals that it learnt from, the table says so.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from backend.data.prepare import validation_sets
from backend.errors import MenagerieError
from backend.evaluate.animals import ROUND, SPLITS, evaluate_animals, make_pictures
from backend.evaluate.clip_command import main as evaluate_clips
from backend.evaluate.creature_scores import Row, Sheet
from backend.evaluate.creature_views import HEADINGS
from backend.evaluate.masks import COUNT, evaluate_masks, summarise_masks
from backend.evaluate.masks import HEADINGS as MASK_HEADINGS
from backend.evaluate.passages import HEADINGS as PASSAGE_HEADINGS
from backend.evaluate.passages import evaluate_passages
from backend.evaluate.photos import evaluate_photos
from backend.evaluate.pins import evaluate_pins
from backend.evaluate.posed_truth import NAME as POSED
from backend.evaluate.posed_truth import write_posed_truth
from backend.evaluate.several import evaluate_several, gains
from backend.evaluate.sheet import write_sheet
from backend.methods.fauna.method import ABLATIONS
from backend.methods.fauna.networks import load_networks, use_weights

PHOTOS = Path(__file__).resolve().parents[2] / "tests" / "photos"
PICTURES = 64
"""Of each split, where --limit doesn't say."""
ROUNDS = 6
"""Animals of each split that `several` looks at, likewise."""
ALIKE = 45.0
"""Degrees of body-axis error within which an animal counts as facing the right way."""


def summarise(rows: list[Row]) -> dict[str, float]:
    """Means of every number over the rows that have it, the body-axis error's median, and the share of it within `ALIKE`."""
    columns = dict.fromkeys(k for row in rows for k, v in row.items() if isinstance(v, int | float))
    numbers = {k: np.array([float(row[k]) for row in rows if k in row]) for k in columns}  # type: ignore[arg-type]
    means = {k: float(v.mean()) for k, v in numbers.items() if k not in ("octant", "axis_error", "heading_degrees")}
    if "axis_error" in numbers:
        means["axis_error_mean"] = float(numbers["axis_error"].mean())
        means["axis_error_median"] = float(np.median(numbers["axis_error"]))
        means["axis_within_45"] = float((numbers["axis_error"] <= ALIKE).mean())
    means["count"] = float(len(rows))
    return means


def by_octant(rows: list[Row]) -> list[Row]:
    """One row of means for each of the eight directions that pictures were made for (0 faces the picture's right, 2 the viewer)."""
    groups = {octant: [r for r in rows if r["octant"] == octant] for octant in range(8)}
    return [{"octant": octant, **summarise(group)} for octant, group in groups.items() if group]


def by_split(rows: list[Row]) -> dict[str, list[Row]]:
    """The rows of each split apart; "all" where the set has no splits."""
    parts = {split: [row for row in rows if row.get("split", "all") == split] for split in (*SPLITS, "all")}
    return {split: part for split, part in parts.items() if part}


def line(row: Mapping[str, object]) -> str:
    """One row as text."""
    return "  ".join(f"{k} {v:.3f}" if isinstance(v, float) else f"{k} {v}" for k, v in row.items())


def print_row(row: Row) -> None:
    """At once: the next one may take minutes."""
    print(line(row), flush=True)


def evaluate(args: argparse.Namespace, ablate: str) -> tuple[list[Row], Sheet]:
    """Reconstruct the whole set once."""
    if args.set == "photos":
        return evaluate_photos(args.data or PHOTOS, args.quality, ablate, args.seed, args.limit)
    splits = SPLITS if args.split == "both" else (args.split,)
    return evaluate_animals(args.data, args.quality, ablate, args.seed, args.limit or PICTURES, splits)


def provide_pictures(args: argparse.Namespace) -> None:
    """Make what --data doesn't hold yet, where --source allows it; say what will be missing where it doesn't."""
    if args.data is None:
        raise MenagerieError("bad_request", f"--set {args.set} needs --data, a folder of validation pictures; --source makes them.")
    if not (args.data / "truth.npz").exists():
        if args.source is None:
            raise MenagerieError("bad_request", f"There are no validation pictures in {args.data}; --source makes them.")
        make_pictures(args.source, args.data, args.limit or PICTURES, args.seed)
    if not (args.data / POSED).exists():
        if args.source is None:
            print(f"{args.data} has no {POSED}: no chamfer and no sides (--source makes it)")
        else:
            write_posed_truth(args.source, args.data)


def learnt_animals() -> list[str]:
    """Of the animals of validation.json, those that the weights in use say they have learnt from."""
    held_out = load_networks().held_out
    every = {name for names in validation_sets().values() for name in names}
    return [] if held_out is None else sorted(every - held_out)


def report_set(args: argparse.Namespace, rows: list[Row]) -> dict[str, object]:
    """Print the tables of one run, each split apart -> the report's part of it."""
    report: dict[str, object] = {"rows": rows}
    if args.set == "zero-ad-val" and (learnt := learnt_animals()):
        print(f"These weights have learnt from {', '.join(learnt)}: what follows says nothing of animals they never met (see --weights).")
        report["learnt_from"] = learnt
    for split, part in by_split(rows).items():
        whole = summarise(part)
        name = "" if split == "all" else f"{split}  "
        for row in by_octant(part) if args.set == "zero-ad-val" else part:
            print(name + line(row))
        print(f"{name}mean  " + line(whole))
        report |= {"mean": whole} if split == "all" else {split: whole}
    return report


def report_ablation(ablate: str, rows: list[Row], fewer: list[Row]) -> dict[str, object]:
    """Print what a part adds: rows with it, fewer without -> the report's part of it."""
    report: dict[str, object] = {}
    for split, part in by_split(rows).items():
        whole, without = summarise(part), summarise(by_split(fewer)[split])
        added = {k: whole[k] - without[k] for k in whole if k in without and k not in ("count", "seconds")}
        name = "" if split == "all" else f"{split}  "
        print(f"{name}without {ablate}  " + line(without))
        print(f"{name}{ablate} adds  " + line(added))
        found = {"without": without, "adds": added}
        report |= found if split == "all" else {f"{split} {k}": v for k, v in found.items()}
    return report


def report_masks(args: argparse.Namespace) -> int:
    """The set of composites, which asks nothing of the method."""
    if args.scenes is None:
        raise MenagerieError("bad_request", "--set composites needs --scenes, the folder or file of gcompris-qt-data.")
    if args.ablate:
        raise MenagerieError("bad_request", "--set composites looks at masks: there is no part of the method to switch off.")
    if args.data is None:
        print("no --data: no renders among the composites")
    rows, sheet = evaluate_masks(PHOTOS, args.data, args.scenes, args.seed, args.limit or COUNT)
    mean = summarise_masks(rows)
    for row in rows:
        print(line(row))
    print("mean  " + line(mean))
    write_report(args, "composites", {"mean": mean, "rows": rows}, sheet, MASK_HEADINGS)
    return 0


def report_several(args: argparse.Namespace) -> int:
    """One photo of an animal against several."""
    if args.ablate:
        raise MenagerieError("bad_request", "--set several compares two whole runs: there is no part to switch off.")
    splits = SPLITS if args.split == "both" else (args.split,)
    rows, sheet = evaluate_several(args.data, args.quality, args.seed, max(1, (args.limit or ROUNDS * ROUND) // ROUND), splits)
    for row in rows:
        print(line(row))
    report: dict[str, object] = {"rows": rows}
    for photos in sorted({str(row["photos"]) for row in rows}):
        report[f"mean {photos}"] = summarise([row for row in rows if str(row["photos"]) == photos])
        print(f"mean of {photos}  " + line(summarise([row for row in rows if str(row["photos"]) == photos])))
    added = gains(rows)
    print("further photos add  " + line(added))
    write_report(args, f"several-{args.quality}", report | {"adds": added}, sheet, HEADINGS)
    return 0


def report_passages(args: argparse.Namespace) -> int:
    """The set of passages, which asks nothing of the method."""
    if args.scenes is None or args.source is None:
        raise MenagerieError("bad_request", "--set passages needs --scenes, and --source, 0 A.D.'s public.zip.")
    if args.ablate:
        raise MenagerieError("bad_request", "--set passages looks at tracking: there is no part of the method to switch off.")
    rows, sheet = evaluate_passages(args.source, args.scenes, args.seed, args.limit, args.alone, told=print_row)
    mean = summarise(rows)
    print("mean  " + line(mean))
    write_report(args, "passages", {"mean": mean, "rows": rows}, sheet, PASSAGE_HEADINGS)
    return 0


def report_pins(args: argparse.Namespace) -> int:
    """The photos with and without a person's corrections."""
    if args.ablate:
        raise MenagerieError("bad_request", "--set pins compares two whole runs: there is no part to switch off.")
    rows, sheet, about = evaluate_pins(args.data or PHOTOS, args.quality, args.seed, args.limit)
    report = report_set(args, rows)
    print("all pins  " + line(about))
    write_report(args, f"pins-{args.quality}", report | {"all pins": about}, sheet, HEADINGS)
    return 0


def write_report(args: argparse.Namespace, name: str, report: dict[str, object], sheet: Sheet, headings: tuple[str, ...]) -> None:
    """The rows as JSON and the contact sheet, into --out where it was asked for."""
    if args.out is not None:
        write_sheet(sheet, args.out / f"{name}.png", headings)
        (args.out / f"{name}.json").write_text(json.dumps(report, indent=1, sort_keys=True))


def main(argv: list[str]) -> int:
    """The command of the module's docstring; returns the exit status."""
    if argv[:1] == ["animate"]:
        return evaluate_clips(argv[1:])
    layout = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog="python -m backend evaluate", description=__doc__, formatter_class=layout)
    parser.add_argument("method", choices=["fauna"])
    parser.add_argument("--set", choices=["photos", "pins", "zero-ad-val", "several", "composites", "passages"], default="photos")
    parser.add_argument("--quality", choices=["fast", "fine"], default="fast")
    parser.add_argument("--ablate", choices=ABLATIONS, default="")
    parser.add_argument("--weights", type=Path, help="other weights of the fauna model, as train fauna --export writes them")
    parser.add_argument("--data", type=Path, help="folder of photos with truth.json, or of validation pictures")
    parser.add_argument("--source", type=Path, help="0 A.D.'s public.zip, to make the validation pictures or the passages from")
    parser.add_argument("--scenes", type=Path, help="gcompris-qt-data's folder, or its explore_monuments.rcc")
    parser.add_argument("--split", choices=[*SPLITS, "both"], default="both", help="which animals set aside")
    parser.add_argument("--limit", type=int, default=0, help="photos, composites, passages, or pictures of each split (in eights)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--alone", action="store_true", help="passages: matting of each frame alone too")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args(argv)
    if args.set == "composites":
        return report_masks(args)
    if args.set == "passages":
        return report_passages(args)
    if args.weights is not None:
        use_weights(args.weights)
    if args.set == "pins":
        return report_pins(args)
    if args.set in ("zero-ad-val", "several"):
        provide_pictures(args)
    if args.set == "several":
        return report_several(args)
    rows, sheet = evaluate(args, "")
    report = report_set(args, rows)
    if args.ablate:
        report |= report_ablation(args.ablate, rows, evaluate(args, args.ablate)[0])
    name = f"{args.set}-{args.quality}" + (f"-without-{args.ablate}" if args.ablate else "")
    write_report(args, name, report, sheet, HEADINGS)
    return 0
