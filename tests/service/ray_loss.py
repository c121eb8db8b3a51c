"""A batch on two Ray nodes of this machine, one of them killed half-way: `python -m tests.service.ray_loss [--out DIR]`.

20 photos, the twelve samples and mirrored copies, with the real method: minutes. The test runs the same with the made-up method.
Prints what came of it; exit status 1 where a result is missing, came twice or is not the photo's.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from PIL import Image, ImageOps

from backend.__main__ import keep_kernels_in_environment, let_threads_sleep
from backend.asset.read import read_asset
from backend.methods.index import METHODS
from backend.service.batch import cluster
from backend.service.batch.items import Settings, asked_of, find_items, finished_report
from backend.service.batch.run import Standing, run_batch
from backend.service.batch.summary import write_sheet
from backend.service.result_folder import ASSET

SAMPLES = Path(__file__).parents[1] / "photos"
PHOTOS = 20
NODES = 2


@dataclass(frozen=True)
class Outcome:
    """standings: of all items; arrived: names in the order of their results; killed_after: results that stood when the node went."""

    standings: list[Standing]
    arrived: list[str]
    killed_after: int
    seconds: float

    @property
    def begun_again(self) -> list[str]:
        """The items that were lost with the node."""
        return [standing.item.name for standing in self.standings if standing.tries > 1]


def lose_a_node(photos: Path, out: Path, methods: Mapping[str, str] = METHODS) -> Outcome:
    """Run the folder's batch, one core a worker, and kill a node at work, as a power cut would, when half of the results stand."""
    os.environ.setdefault("RAY_worker_niceness", "0")  # 15 by default: beside other tests they would hardly be served
    ray = cluster.import_ray()
    from ray.cluster_utils import Cluster

    items = find_items(photos)
    nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    arrived: list[str] = []
    killed_after = 0
    start = time.monotonic()
    try:
        other = nodes.add_node(num_cpus=1)

        def tell(standing: Standing) -> None:
            nonlocal killed_after
            arrived.append(standing.item.name)
            print(f"{time.monotonic() - start:6.1f} s  {standing.item.name}: {standing.state}, begun {standing.tries} times", flush=True)
            if len(arrived) == len(items) // 2:
                stop_at_work(other.all_processes["raylet"][0].process.pid)
                nodes.remove_node(other, allow_graceful=False)
                killed_after = len(arrived)
                print(f"{time.monotonic() - start:6.1f} s  -- one of {NODES} nodes was killed", flush=True)

        standings = run_batch(items, out, Settings(), lambda: cluster.Cluster(1, address=nodes.address), methods, tell=tell)
        return Outcome(standings, arrived, killed_after, time.monotonic() - start)
    finally:
        ray.shutdown()
        nodes.shutdown()


def stop_at_work(raylet: int) -> None:
    """Freeze a node's workers at a moment when one of them has an item: else the node might go between two."""
    while True:
        workers = [process for process in psutil.Process(raylet).children(recursive=True) if title(process).startswith("ray::")]
        for worker in workers:
            worker.suspend()
        if any(title(worker) == f"ray::{cluster.make_far.__name__}" for worker in workers):
            return
        for worker in workers:
            worker.resume()
        time.sleep(0.02)


def title(process: psutil.Process) -> str:
    """What Ray has a process show as its command: its task, or that it is idle."""
    with suppress(psutil.Error):
        return " ".join(process.cmdline()).strip()
    return ""


def faults(outcome: Outcome, out: Path) -> list[str]:
    """What must not be: a photo without its result, a result twice, a result of another photo, anything unfinished."""
    found = [f"{name} arrived {times} times" for name, times in Counter(outcome.arrived).items() if times != 1]
    for standing in outcome.standings:
        folder = out / standing.item.name
        if standing.state != "done" or finished_report(folder, asked_of(standing.item, Settings())) is None:
            found.append(f"{standing.item.name} is {standing.state}: {standing.error}")
        elif read_asset(folder / ASSET).name != standing.item.name:
            found.append(f"{standing.item.name} has another photo's creature")
    folders = {path.name for path in out.iterdir() if path.is_dir()}
    return found + [f"{name} is nobody's" for name in folders ^ {standing.item.name for standing in outcome.standings}]


def make_photos(folder: Path, count: int = PHOTOS) -> Path:
    """The sample photos, and mirrored copies of the first ones."""
    samples = sorted(SAMPLES.glob("*.png"))
    folder.mkdir(parents=True)
    for path in samples:
        (folder / path.name).write_bytes(path.read_bytes())
    for path in samples[: count - len(samples)]:
        with Image.open(path) as picture:
            ImageOps.mirror(picture).save(folder / f"{path.stem} mirrored.png")
    return folder


def main(argv: list[str]) -> int:
    """Run it with the real method. -> exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.service.ray_loss", description=__doc__)
    parser.add_argument("--out", type=Path, help="where the results stay; a folder that goes afterwards otherwise")
    args = parser.parse_args(argv)
    keep_kernels_in_environment()
    let_threads_sleep()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    with tempfile.TemporaryDirectory() as name:
        out: Path = (args.out or Path(name) / "out").resolve()
        outcome = lose_a_node(make_photos(Path(name) / "photos"), out)
        write_sheet(outcome.standings, out)
        wrong = faults(outcome, out)
    told: dict[str, Any] = {
        "photos": len(outcome.standings), "results": len(set(outcome.arrived)), "killed_after": outcome.killed_after,
        "begun_again": outcome.begun_again, "seconds": round(outcome.seconds), "faults": wrong,
    }  # fmt: skip
    print(json.dumps(told))
    return 1 if wrong or not outcome.begun_again else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
