"""The backend as a child process: JSON-RPC on stdin and stdout, one reader, one worker.

Methods: initialize, reconstruct, animate, moment, mask, reskin, install, cancel, status, weights, shutdown. Notifications: progress,
finished, failed. stdin's end means that the parent is gone: the process then ends within two seconds, whatever the worker does.
Logs go to stderr, which the parent opens as a file. Nothing listens on a socket.
"""

from __future__ import annotations

import faulthandler
import logging
import math
import os
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from backend import VERSION
from backend.errors import MenagerieError
from backend.methods.index import METHODS, load
from backend.service import wire
from backend.service.failures import as_error
from backend.service.jobs import Job, JobProgress, Run, Worker
from backend.service.machine import lower_priority, peak_memory_mib, take_stdout

if TYPE_CHECKING:
    from backend.observe.clicks import Clicker
    from backend.service.animate import Tracker

TIDY_SECONDS = 1.2
"""How long a running job may take to remove its unfinished files once the parent is gone."""

CLICKS_LIMIT, PINS_LIMIT = 100, 100

log = logging.getLogger(__name__)

Answer = Callable[[], None]


@dataclass(frozen=True)
class Parameter:
    """One parameter of a method. kind: its JSON type, float for any number; needed: may not be left out; choices: allowed values."""

    kind: type
    needed: bool = False
    choices: tuple[Any, ...] = ()


RECONSTRUCT: dict[str, Parameter] = {
    "photo": Parameter(str, needed=True),
    "photos": Parameter(list),
    "out": Parameter(str, needed=True),
    "mask": Parameter(str),
    "method": Parameter(str),
    "quality": Parameter(str, choices=("fast", "fine")),
    "seed": Parameter(int),
    "viewpoint": Parameter(int, choices=(0, 1, 2, 3)),
    "flip_heading": Parameter(bool),
    "swap_legs": Parameter(bool),
    "name": Parameter(str),
    "pins": Parameter(dict),
}

ANIMATE: dict[str, Parameter] = {
    "clip": Parameter(str, needed=True),
    "out": Parameter(str, needed=True),
    "start": Parameter(float),
    "end": Parameter(float),
    "fps": Parameter(float),
    "stride": Parameter(int),
    "mask_dir": Parameter(str),
    "method": Parameter(str),
    "camera": Parameter(str, choices=("auto", "still", "moving")),
    "seed": Parameter(int),
    "name": Parameter(str),
}

MOMENT: dict[str, Parameter] = {
    "clip": Parameter(str, needed=True),
    "out": Parameter(str, needed=True),
    "at": Parameter(float, needed=True),
    "fps": Parameter(float),
}

MASK: dict[str, Parameter] = {
    "photo": Parameter(str, needed=True),
    "out": Parameter(str, needed=True),
    "clicks": Parameter(list, needed=True),
    "mask": Parameter(str),
}

RESKIN: dict[str, Parameter] = {"source": Parameter(str, needed=True), "out": Parameter(str, needed=True)}

INSTALL: dict[str, Parameter] = {"id": Parameter(str, needed=True), "source": Parameter(str, needed=True)}


class InvalidParams(Exception):
    """A parameter is missing, unknown or of the wrong type."""


def check_parameters(params: dict[str, Any], known: Mapping[str, Parameter]) -> dict[str, Any]:
    """params without its nulls, each of its declared type. Raises `InvalidParams` with the name."""
    given = {name: value for name, value in params.items() if value is not None}
    for name in given.keys() - known.keys():
        raise InvalidParams(f"unknown parameter {name!r}")
    for name, parameter in known.items():
        if name not in given:
            if parameter.needed:
                raise InvalidParams(f"{name!r} is missing")
            continue
        # bool is an int in Python, not on the wire.
        if type(given[name]) is not parameter.kind and not (parameter.kind is float and type(given[name]) is int):
            raise InvalidParams(f"{name!r} must be of type {parameter.kind.__name__}")
        if parameter.choices and given[name] not in parameter.choices:
            raise InvalidParams(f"{name!r} must be one of {parameter.choices}")
    return given


def check_clicks(clicks: list[Any]) -> None:
    """Each click is [x, y, positive]: two finite numbers, pixels of the photo, and a boolean. Raises `InvalidParams`."""
    for click in clicks:
        good = isinstance(click, list) and len(click) == 3 and type(click[2]) is bool
        if not good or not all(type(value) in (int, float) and math.isfinite(value) for value in click[:2]):
            raise InvalidParams("each of 'clicks' must be [x, y, positive]")
    if len(clicks) > CLICKS_LIMIT:
        raise InvalidParams(f"there may be {CLICKS_LIMIT} clicks at most")


def check_pins(pins: dict[str, Any]) -> None:
    """Each pin is joint: [x, y], two numbers. Whether there is such a joint, and in the photo, the job says. Raises `InvalidParams`."""
    if len(pins) > PINS_LIMIT:
        raise InvalidParams(f"there may be {PINS_LIMIT} pins at most")
    for place in pins.values():
        if not isinstance(place, list) or len(place) != 2 or not all(type(value) in (int, float) for value in place):
            raise InvalidParams("each of 'pins' must be joint: [x, y]")


def check_photos(photos: list[Any]) -> None:
    """Each further photo is {"photo": path} with or without its "mask", paths absolute. Raises `InvalidParams`."""
    for photo in photos:
        good = isinstance(photo, dict) and "photo" in photo and photo.keys() <= {"photo", "mask"}
        if not good or not all(isinstance(path, str) and Path(path).is_absolute() for path in photo.values()):
            raise InvalidParams('each of \'photos\' must be {"photo": path, "mask": path}, the paths absolute')


class Server:
    """Answers calls. output: binary stream of the protocol; methods: name -> module, as in `methods.index`; tracker: see `animate`."""

    def __init__(self, output: BinaryIO, methods: Mapping[str, str], tracker: Tracker | None = None) -> None:
        self._output, self._methods, self._tracker = output, methods, tracker
        self._lock = threading.Lock()
        self._welcome = False
        self.worker = Worker(self._reconstruct, self._post, self._warm_up)
        self._table: dict[str, Callable[[dict[str, Any]], tuple[Any, Answer | None]]] = {
            "initialize": self._initialize,
            "reconstruct": self._call_reconstruct,
            "animate": self._call_animate,
            "moment": self._call_moment,
            "mask": self._call_mask,
            "reskin": self._call_reskin,
            "install": self._call_install,
            "cancel": self._cancel,
            "status": self._status,
            "weights": self._weights,
            "shutdown": self._shutdown,
        }
        self.stopping = False
        self._clicker: Clicker | None = None
        """What the clicks on the last photo need, held by the worker's thread until the next reconstruction wants the memory."""

    def send(self, data: bytes) -> None:
        """Write one frame; a parent that no longer reads is noticed by the reader's end of stdin."""
        with self._lock:
            try:
                self._output.write(data)
                self._output.flush()
            except OSError:
                log.warning("the parent no longer reads")

    def handle(self, body: bytes) -> None:
        """Answer one frame. Never raises for what the frame holds."""
        try:
            message = wire.parse(body)
        except wire.MessageError as refusal:
            self.send(wire.error(refusal.request_id, refusal.code, str(refusal)))
            return
        if isinstance(message, wire.Notice):
            log.warning("a notification %r was ignored", message.method[:40])
            return
        self._answer(message)

    def _answer(self, call: wire.Call) -> None:
        after: Answer | None = None
        if call.method not in self._table:
            reply = wire.error(call.id, wire.METHOD_NOT_FOUND, f"there is no method {call.method[:40]!r}")
        else:
            try:
                if call.method != "initialize" and not self._welcome:
                    raise MenagerieError("protocol", "The backend was used before initialize.")
                value, after = self._table[call.method](call.params)
                reply = wire.result(call.id, value)
            except InvalidParams as refusal:
                data = MenagerieError("bad_request", f"The backend refused the request: {refusal}.").to_wire()
                reply = wire.error(call.id, wire.INVALID_PARAMS, str(refusal), data)
            except Exception as escaped:  # noqa: BLE001  the process boundary: everything is re-reported
                failure = as_error(escaped)
                if failure.code == "internal":
                    log.error("%s failed", call.method, exc_info=escaped)
                reply = wire.error(call.id, wire.APPLICATION_ERROR, failure.sentence, failure.to_wire())
        self.send(reply)
        if after is not None:
            after()

    def _post(self, method: str, params: dict[str, Any]) -> None:
        self.send(wire.notice(method, params))

    def _initialize(self, params: dict[str, Any]) -> tuple[Any, None]:
        known = {"protocol": Parameter(int, needed=True), "version": Parameter(str, needed=True), "client": Parameter(str)}
        given = check_parameters(params, known)
        if given["protocol"] != wire.PROTOCOL or given["version"] != VERSION:
            raise MenagerieError("backend_mismatch", f"The backend is version {VERSION}, the add-on is {given['version'][:20]}.")
        self._welcome = True
        return {"protocol": wire.PROTOCOL, "version": VERSION, "methods": sorted(self._methods), "pid": os.getpid()}, None

    def _call_reconstruct(self, params: dict[str, Any]) -> tuple[Any, Answer]:
        given = check_parameters(params, RECONSTRUCT)
        check_pins(given.get("pins", {}))
        check_photos(given.get("photos", []))
        return self._queue(given, "photo", "out")

    def _call_animate(self, params: dict[str, Any]) -> tuple[Any, Answer]:
        given = check_parameters(params, ANIMATE)
        folders = ("mask_dir",) if "mask_dir" in given else ()
        return self._queue(given, "clip", "out", *folders, run=self._animate)

    def _call_moment(self, params: dict[str, Any]) -> tuple[Any, Answer]:
        return self._queue(check_parameters(params, MOMENT), "clip", "out", run=self._moment)

    def _call_mask(self, params: dict[str, Any]) -> tuple[Any, Answer]:
        given = check_parameters(params, MASK)
        check_clicks(given["clicks"])
        return self._queue(given, "photo", "out", run=self._mask)

    def _call_reskin(self, params: dict[str, Any]) -> tuple[Any, Answer]:
        return self._queue(check_parameters(params, RESKIN), "source", "out", run=self._reskin)

    def _call_install(self, params: dict[str, Any]) -> tuple[Any, Answer]:
        return self._queue(check_parameters(params, INSTALL), "source", run=self._install)

    def _queue(self, given: dict[str, Any], *paths: str, run: Run | None = None) -> tuple[Any, Answer]:
        if not all(Path(given[name]).is_absolute() for name in paths):
            raise InvalidParams(f"{' and '.join(map(repr, paths))} must be absolute paths")
        job: Job = self.worker.prepare(given, run)
        return {"job": job.id}, partial(self.worker.submit, job)

    def _warm_up(self) -> None:
        """Load torch and the methods while the artist is still choosing a photo."""
        from backend.service import reconstruct  # noqa: F401

        for name in self._methods:
            load(name, self._methods)

    def _reconstruct(self, params: dict[str, Any], progress: JobProgress) -> dict[str, Any]:
        # Imported here: torch takes a second to load, and `initialize` must be answered at once.
        from backend.service.reconstruct import Further, reconstruct

        self._clicker = None
        given = dict(params)
        others = [Further(Path(one["photo"]), Path(one["mask"]) if "mask" in one else None) for one in given.pop("photos", [])]
        photo, out, mask = Path(given.pop("photo")), Path(given.pop("out")), given.pop("mask", None)
        report = reconstruct(
            photo, out, mask=Path(mask) if mask else None, others=others, methods=self._methods, progress=progress, expect=progress.expect,
            **given,
        )  # fmt: skip
        return {"out": str(out), "files": report["files"], "report": report}

    def _animate(self, params: dict[str, Any], progress: JobProgress) -> dict[str, Any]:
        from backend.service.animate import Choices, animate

        self._clicker = None
        given = dict(params)
        clip, out, name, mask_dir = Path(given.pop("clip")), Path(given.pop("out")), given.pop("name", None), given.pop("mask_dir", None)
        choices = Choices(mask_dir=Path(mask_dir) if mask_dir else None, **given)
        report = animate(
            clip, out, choices, name=name, methods=self._methods, tracker=self._tracker, progress=progress, expect=progress.expect
        )
        return {"out": str(out), "files": report["files"], "report": report}

    def _moment(self, params: dict[str, Any], progress: JobProgress) -> dict[str, Any]:
        from backend.service.animate import load_tracker
        from backend.service.moment import write_moment

        clip, out = Path(params["clip"]), Path(params["out"])
        return write_moment(clip, out, params["at"], self._tracker or load_tracker(), params.get("fps"), progress)

    def _mask(self, params: dict[str, Any], progress: JobProgress) -> dict[str, Any]:
        from backend.observe.clicks import Clicker
        from backend.service.mask import write_clicked

        self._clicker = self._clicker or Clicker()
        earlier = Path(params["mask"]) if "mask" in params else None
        return write_clicked(self._clicker, Path(params["photo"]), Path(params["out"]), params["clicks"], earlier, progress)

    def _reskin(self, params: dict[str, Any], progress: JobProgress) -> dict[str, Any]:
        from backend.service.reskin import reskin

        return reskin(Path(params["source"]), Path(params["out"]), progress)

    def _install(self, params: dict[str, Any], progress: JobProgress) -> dict[str, Any]:
        from backend.weights.convert import PACKAGED, convert

        if params["id"] not in PACKAGED:
            raise MenagerieError("bad_request", f"The weights {params['id'][:40]} are not installed from a file.")
        self._clicker = None
        convert(params["id"], Path(params["source"]), progress=progress)
        return {"id": params["id"]}

    def _cancel(self, params: dict[str, Any]) -> tuple[Any, None]:
        given = check_parameters(params, {"job": Parameter(str, needed=True)})
        return {"known": self.worker.cancel(given["job"])}, None

    def _status(self, params: dict[str, Any]) -> tuple[Any, None]:
        check_parameters(params, {})
        return {"version": VERSION, "jobs": self.worker.state(), "peak_memory_mib": round(peak_memory_mib())}, None

    def _weights(self, params: dict[str, Any]) -> tuple[Any, None]:
        from backend.weights.manifest import load_manifest, locate

        check_parameters(params, {})
        rows = [
            {"id": e.id, "method": e.method, "bytes": e.bytes, "licence": e.licence, "attribution": e.attribution,
             "bundled": e.bundled, "present": locate(e).is_file()}
            for e in load_manifest().values()
        ]  # fmt: skip
        return {"weights": rows}, None

    def _shutdown(self, params: dict[str, Any]) -> tuple[Any, Answer]:
        check_parameters(params, {})
        return {}, partial(setattr, self, "stopping", True)


def main(methods: Mapping[str, str] = METHODS, tracker: Tracker | None = None) -> int:
    """Serve until stdin ends or `shutdown`; ends the process itself. 2 after a broken frame."""
    output = os.fdopen(take_stdout(), "wb")
    sys.dont_write_bytecode = True
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    faulthandler.enable()
    lower_priority()
    log.info("serving, version %s, python %s", VERSION, sys.version.split()[0])
    server = Server(output, methods, tracker)
    code = 0
    # A buffered reader of our own: sys.stdin's lock would block the interpreter's end.
    with os.fdopen(os.dup(0), "rb") as stream:
        while not server.stopping:
            try:
                body = wire.read_frame(stream)
            except wire.FramingError as broken:
                log.error("broken frame: %s", broken)
                server.send(wire.error(None, wire.PARSE_ERROR, str(broken)))
                code = 2
                break
            except OSError:
                break
            if body is None:
                break
            server.handle(body)
        tidy = server.worker.stop(TIDY_SECONDS)
        log.info("ending%s", "" if tidy else ", a job was still running")
        # No waiting for threads: native code may run for long, and the parent may be gone.
        os._exit(code)
