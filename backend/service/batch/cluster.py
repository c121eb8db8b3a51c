"""Workers on a Ray cluster: one a GPU or a number of cores, on every node that has them.

Ray (https://docs.ray.io) is an optional package, imported here alone and when asked for. Photos go to the workers and results come
back as bytes: nodes need no common disk, only Menagerie's environment and the same version of it in the same folder. Ray itself
retries nothing; an item whose worker or node is lost is told as lost. Usage statistics and dashboard are off; Ray's processes listen
as Ray has them do, under its own token (https://docs.ray.io, "Token authentication"), and nothing else does.
"""

from __future__ import annotations

import logging
import os
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from backend import VERSION
from backend.errors import MenagerieError
from backend.service.batch.run import Outcome
from backend.service.batch.work import Task, make

ROOT = Path(__file__).resolve().parents[3]
"""The folder that holds `backend`, here and on the nodes."""

KEPT_VARIABLES = ("NUMBA_CACHE_DIR", "MENAGERIE_WEIGHTS", "OMP_WAIT_POLICY")
"""What the workers' environments take over from ours."""

AHEAD = 2
"""Items a worker that may wait on the cluster: none is idle while one result travels."""

LOOK_SECONDS, PATIENCE_SECONDS = 5.0, 120.0
"""How often the nodes are counted while nothing comes back, and how long there may be none."""


@dataclass(frozen=True)
class Parcel:
    """A task that travels: the bytes of its photos and masks beside it, the first one's first. version: of the backend that sends it."""

    task: Task
    photos: tuple[tuple[bytes, bytes | None], ...]
    version: str = VERSION


def pack(task: Task) -> Parcel:
    """Raises OSError where a photo or a mask is gone."""
    pairs = ((task.item.photo, task.item.mask), *task.item.others)
    return Parcel(task, tuple((photo.read_bytes(), None if mask is None else mask.read_bytes()) for photo, mask in pairs))


def make_far(parcel: Parcel) -> tuple[dict[str, str] | None, dict[str, bytes]]:
    """The worker's work -> error in the wire's form or None, and the result's files by name."""
    if parcel.version != VERSION:
        sentence = f"A node of the cluster has backend {VERSION}, this machine {parcel.version}."
        return MenagerieError("backend_mismatch", sentence, "Bring all nodes to the same version.").to_wire(), {}
    item = parcel.task.item
    with tempfile.TemporaryDirectory(prefix="menagerie-batch-") as name:
        folder = Path(name)
        (photo, mask), *others = unpack(parcel, folder)
        error = make(replace(parcel.task, item=replace(item, photo=photo, mask=mask, others=tuple(others))), folder / "result")
        return error, {} if error else {path.name: path.read_bytes() for path in (folder / "result").iterdir()}


def unpack(parcel: Parcel, folder: Path) -> list[tuple[Path, Path | None]]:
    """The photos and masks as files, each in a folder of its own under its name."""
    item = parcel.task.item
    pairs: list[tuple[Path, Path | None]] = []
    for number, ((photo, mask), (photo_bytes, mask_bytes)) in enumerate(
        zip(((item.photo, item.mask), *item.others), parcel.photos, strict=True)
    ):
        here = folder / str(number) / photo.name
        here.parent.mkdir()
        here.write_bytes(photo_bytes)
        cover = None
        if mask is not None and mask_bytes is not None:
            cover = folder / f"mask-{number}{mask.suffix}"
            cover.write_bytes(mask_bytes)
        pairs.append((here, cover))
    return pairs


class Cluster:
    """An `Executor` on Ray. cores: of one worker; gpu: one worker a GPU; address: of a running cluster, "" to start one here."""

    def __init__(self, cores: int = 2, gpu: bool = False, address: str = "") -> None:
        self._ray = import_ray()
        self._cores, self._gpu = cores, gpu
        connect(self._ray, address)
        self._work = self._ray.remote(num_cpus=cores, num_gpus=int(gpu), max_retries=0)(make_far)
        self._sent: dict[Any, tuple[Task, Path]] = {}
        self._spoilt: list[tuple[Task, MenagerieError]] = []
        self._seen = time.monotonic()
        if not self.workers():
            needs = "a free GPU" if gpu else f"{cores} cores"
            self.close()
            remedy = "Ask for less with --cores, or start more nodes."
            raise MenagerieError("bad_request", f"No node of the Ray cluster has {needs}.", remedy)

    def workers(self) -> int:
        """How many the nodes that are alive have room for."""
        alive = [node["Resources"] for node in self._ray.nodes() if node["Alive"]]
        return sum(int(has.get("GPU", 0)) if self._gpu else int(has.get("CPU", 0)) // self._cores for has in alive)

    def room(self) -> int:
        return AHEAD * max(1, self.workers())

    def submit(self, task: Task, folder: Path) -> None:
        try:
            self._sent[self._work.remote(pack(task))] = task, folder
        except OSError:
            gone = MenagerieError("photo_unreadable", f"The photo {task.item.photo.name}, or its mask, is not there any more.")
            self._spoilt.append((task, gone))

    def next(self) -> tuple[Task, Outcome]:
        if self._spoilt:
            return self._spoilt.pop()
        while True:
            ready, _ = self._ray.wait(list(self._sent), timeout=LOOK_SECONDS)
            if ready:
                return self._receive(ready[0])
            self._check_nodes()

    def _receive(self, sent: Any) -> tuple[Task, Outcome]:
        task, folder = self._sent.pop(sent)
        try:
            error, files = self._ray.get(sent)
        except self._ray.exceptions.RayTaskError as failed:  # our code there raises nothing: it could not be loaded
            sentence = f"A node of the cluster can't load the backend ({str(failed.cause)[:200]})."
            return task, MenagerieError("backend_missing", sentence, "Start Ray there from Menagerie's own environment and folder.")
        except self._ray.exceptions.RayError as lost:
            logging.getLogger(__name__).info("%s was lost: %s", task.item.name, type(lost).__name__)
            return task, None
        if error is not None:
            return task, MenagerieError(**error)
        folder.mkdir(parents=True)
        for name, data in files.items():
            (folder / Path(name).name).write_bytes(data)
        return task, folder

    def _check_nodes(self) -> None:
        """Raises `backend_killed` where no node has been there for long: what was sent would never come back."""
        now = time.monotonic()
        if self.workers():
            self._seen = now
        elif now - self._seen > PATIENCE_SECONDS:
            remedy = "Start nodes and give the same command: what is finished stays."
            raise MenagerieError("backend_killed", "The Ray cluster has lost all its nodes.", remedy)

    def close(self) -> None:
        self._ray.shutdown()


def import_ray() -> Any:
    """Raises `bad_request` with the remedy where Ray is not installed."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # read when it is imported
    try:
        import ray
    except ImportError as absent:
        remedy = "Install it into this environment: python -m pip install ray. Or leave out --executor ray."
        raise MenagerieError("bad_request", "Ray is not installed here.", remedy) from absent
    return ray


def connect(ray: Any, address: str) -> None:
    """Join the cluster at `address`, or start one on this machine that ends with this process. Raises `bad_request`."""
    variables = {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}
    variables |= {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1", "RAY_USAGE_STATS_ENABLED": "0"}
    where: dict[str, Any] = {"address": address} if address else {"address": "local", "include_dashboard": False}
    try:
        ray.init(**where, log_to_driver=False, logging_level=logging.ERROR, runtime_env={"env_vars": variables})
    except (ConnectionError, RuntimeError, ValueError, ray.exceptions.RayError) as refused:
        place = f"at {address}" if address else "on this machine"
        first = str(refused).strip().splitlines()[0][:200]
        sentence, remedy = f"The Ray cluster {place} can't be used: {first}", "See that it runs, with the same versions of Ray and Python."
        raise MenagerieError("bad_request", sentence, remedy) from refused
