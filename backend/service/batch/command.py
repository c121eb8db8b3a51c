"""`python -m backend batch PHOTOS --out DIR`: a folder of photos, and of folders with photos of one animal -> a folder of results.

The same command after a restart goes on with what isn't finished. Exit status 0: all are done; 1: something failed, each with its
reason in its own folder's `error.json`; 130 after an interrupt. stdout names the result folders, stderr tells how it goes.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from backend.errors import MenagerieError
from backend.service.batch.items import SHEET, SUMMARY, Settings, find_items
from backend.service.batch.local import Local
from backend.service.batch.run import Executor, Standing, run_batch
from backend.service.batch.summary import write_sheet


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m backend batch", description="A folder of photos -> a folder of results; the same command again goes on."
    )
    parser.add_argument("photos", type=Path, help="a folder of photos, one animal in each; those in a folder in it are of the same")
    parser.add_argument("--out", type=Path, required=True, help="the folder of the results, made if absent: one folder an animal")
    parser.add_argument("--masks", type=Path, help="a folder of masks named as the photos are, in folders likewise; the others are found")
    parser.add_argument("--method", default="fauna")
    parser.add_argument("--quality", choices=["fast", "fine"], default="fast")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--again", action="store_true", help="do finished ones again")
    parser.add_argument("--executor", choices=["local", "ray"], default="local", help="local: processes here; ray: a Ray cluster")
    parser.add_argument("--workers", type=positive, default=1, help="local: processes at a time; each needs 0.7 GiB or more")
    parser.add_argument("--cores", type=positive, default=2, help="ray: cores of one worker")
    parser.add_argument("--gpu", action="store_true", help="ray: one worker a GPU")
    parser.add_argument("--address", default="", help="ray: of a running cluster (host:port, or auto); one is started here otherwise")
    return parser.parse_args(argv)


def positive(text: str) -> int:
    """argparse's type."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is less than 1")
    return number


def main(argv: Sequence[str]) -> int:
    """Run one batch. -> exit status. Raises `MenagerieError` and OSError for what concerns it as a whole."""
    args = parse(argv)
    photos, out = args.photos.resolve(), args.out.resolve()
    if photos == out:
        raise MenagerieError("bad_request", "The results would lie among the photos.", "Choose another folder with --out.")
    items = find_items(photos, args.masks)
    telling = Telling(len(items))

    def executor() -> Executor:
        if args.executor == "local":
            return Local(args.workers)
        from backend.service.batch.cluster import Cluster

        return Cluster(args.cores, args.gpu, args.address)

    try:
        standings = run_batch(items, out, Settings(args.method, args.quality, args.seed), executor, again=args.again, tell=telling)
    except KeyboardInterrupt:
        print(f"\nStopped: {telling.done} of {len(items)} are done. The same command goes on.", file=sys.stderr)
        return 130
    write_sheet(standings, out)
    failed = sum(standing.state == "failed" for standing in standings)
    print(f"{telling.done} done, {failed} failed: {out / SUMMARY}, {out / SHEET}", file=sys.stderr)
    return 1 if failed else 0


class Telling:
    """A line an item."""

    def __init__(self, count: int) -> None:
        self._count, self._told, self.done = count, 0, 0

    def __call__(self, standing: Standing) -> None:
        self._told += 1
        place = f"[{self._told:>{len(str(self._count))}}/{self._count}] {standing.item.name}"
        if standing.error is not None:
            print(f"{place}: failed [{standing.error.code}] {standing.error.sentence} {standing.error.remedy}", file=sys.stderr, flush=True)
            return
        self.done += 1
        report = standing.report or {}
        when = "before" if standing.before else f"in {report.get('seconds_total', 0.0):.1f} s"
        print(f"{place}: done {when}", file=sys.stderr, flush=True)
        print(report.get("out", ""), flush=True)
