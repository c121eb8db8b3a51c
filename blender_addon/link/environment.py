"""The backend's private environment: made, renamed into place, checked by `doctor`; never Blender's own Python.

    <folder>/environment/python/            a virtual environment
    <folder>/environment/units/<key>/       a copy of `backend/` and its weights, one a version
    <folder>/environment/state.json         which unit is in use; written last, so without it nothing is set up

Everything is made in `environment.new` and swapped in; `doctor` then runs where it will be used, since compiled kernels are
found by their source's path. The old one stays until that has passed, and comes back otherwise, after a crash too
(`standing.py`). No bpy here: a `SetUp` runs in a thread of its own and is watched through its plain attributes. Packages come
hash-locked through pip (`requirements/runtime.txt`), torch in its exact version from PyTorch's own index (`torch_index.json`),
or both from an archive of wheels, without any network.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import shutil
import subprocess
import sys
import threading
import zipfile
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import LinkError
from .process import clean_environment, quiet_flags
from .standing import BROKEN, bring_back, hold, python_of, read_state, write_state

OLDEST, NEWEST = (3, 11), (3, 13)
NAMES = ("python3.13", "python3.12", "python3.11", "python3", "python")
TABLE = Path(__file__).with_name("torch_index.json")
PROBE = "import sys, venv, ensurepip; print(sys.version_info[0], sys.version_info[1], sys.prefix)"
PIP_VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")
ARCHIVE_LIMIT = 8 << 30
PLAN = {"python": 0.02, "packages": 0.05, "torch": 0.3, "backend": 0.85, "doctor": 0.87, "kernels": 0.95}
"""Stage -> where in the bar it starts."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Table:
    """torch's exact version and where it comes from. index: address; builds: device -> folder of the index."""

    version: str
    index: str
    builds: dict[str, str]


def torch_table() -> Table:
    """The one place where torch's address stands."""
    return Table(**json.loads(TABLE.read_text(encoding="utf-8")))


class Stopped(Exception):
    """The person asked to stop."""


def find_interpreters(picked: str = "") -> list[Path]:
    """Candidates in order: the picked one alone, else Blender's own, then those on the PATH."""
    if picked:
        return [Path(picked)]
    found = [Path(sys.executable)] if sys.executable else []
    found += [Path(path) for name in NAMES if (path := shutil.which(name))]
    return list(dict.fromkeys(found))


def unit_files(carried: Path) -> dict[str, Path]:
    """Relative name -> file of everything that makes a unit."""
    files = {"weights_manifest.json": carried / "weights_manifest.json"}
    for path in sorted((carried / "backend").rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            files[path.relative_to(carried).as_posix()] = path
    return files


def hash_files(files: dict[str, Path]) -> str:
    """Twelve hex digits over names and bytes."""
    digest = hashlib.sha256()
    for name, path in sorted(files.items()):
        digest.update(name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:12]


class SetUp:
    """One set-up, in its own thread. Read stage, line, fraction, done, error; call `cancel`.

    folder: the extension's user folder; carried: holds `backend/` and `weights_manifest.json`; device: cpu or cuda;
    archive: a zip of wheels, or None to download; picked: an interpreter chosen by the person.
    """

    def __init__(
        self, folder: Path, carried: Path, version: str, *, device: str = "cpu", archive: Path | None = None, picked: str = "",
        requirements: Path | None = None, finished: Callable[[], None] | None = None,
    ) -> None:  # fmt: skip
        self.stage, self.line, self.fraction = "waiting", "", 0.0
        self.done = False
        self.error: dict[str, str] | None = None
        self._folder, self._carried, self._version = folder, carried, version
        self._device, self._archive, self._picked = device, archive, picked
        self._requirements = requirements or carried / "backend" / "requirements" / "runtime.txt"
        self._finished = finished
        self._stop = threading.Event()
        self._process: subprocess.Popen[str] | None = None
        self._thread = threading.Thread(target=self._run, name="menagerie-set-up", daemon=True)

    def start(self) -> SetUp:
        """Begin; returns at once."""
        self._thread.start()
        return self

    def cancel(self) -> None:
        """Stop; what was set up before stays in use."""
        self._stop.set()
        process = self._process
        if process is not None:
            process.kill()

    def wait(self, seconds: float) -> bool:
        """For tests and background mode: True if it ended in time."""
        self._thread.join(seconds)
        return self.done

    # -- the steps ----------------------------------------------------------------------------------------------

    def _run(self) -> None:
        staging = self._folder / "environment.new"
        try:
            with hold(self._folder):
                try:
                    bring_back(self._folder)
                    self._make(staging)
                finally:
                    self._tidy()
        except Stopped:
            self.error = LinkError("cancelled", "The set-up was stopped.").to_wire()
        except LinkError as error:
            self.error = error.to_wire()
        except OSError as error:
            full = error.errno is not None and "space" in (error.strerror or "").lower()
            code, sentence = ("disk_full", "The disk is full.") if full else ("not_writable", f"The set-up failed: {error.strerror}.")
            self.error = LinkError(code, sentence).to_wire()
        except Exception as error:  # noqa: BLE001  (the thread's boundary: re-reported)
            log.exception("set-up failed")
            self.error = LinkError("internal", f"The set-up failed ({type(error).__name__}).").to_wire()
        finally:
            self.done = True
            if self._finished is not None:
                self._finished()

    def _tidy(self) -> None:
        """Remove what no one needs any more: of this set-up, and of those that ended with their Blender."""
        left = [self._folder / "environment.new", self._folder / "environment.wheels", *self._folder.glob(BROKEN + "*")]
        if read_state(self._folder):
            left.append(self._folder / "environment.old")
        for path in left:
            shutil.rmtree(path, ignore_errors=True)

    def _make(self, staging: Path) -> None:
        files = unit_files(self._carried)
        key = f"{self._version}-{hash_files(files)}"
        wanted = hashlib.sha256(self._requirements.read_bytes() + TABLE.read_bytes()).hexdigest()
        current = self._folder / "environment"
        state = read_state(self._folder)
        new = {"version": self._version, "unit": key, "requirements": wanted, "device": self._device}
        if state and state["requirements"] == wanted and state["device"] == self._device and python_of(current).exists():
            self._update_unit(current, files, state, new)
            return
        shutil.rmtree(staging, ignore_errors=True)
        staging.mkdir(parents=True)
        base = self._find_python()
        self._call([base, "-E", "-s", "-m", "venv", staging / "python"])
        self._install(python_of(staging))
        self._copy_unit(files, staging / "units" / key)
        old = self._folder / "environment.old"
        shutil.rmtree(old, ignore_errors=True)
        if current.exists():
            os.replace(current, old)
        try:
            os.replace(staging, current)
            self._prove(python_of(current), current / "units" / key)
        except BaseException:  # a cancel too: the old environment comes back, and the reason goes on
            shutil.rmtree(current, ignore_errors=True)
            if old.exists():
                os.replace(old, current)
            raise
        write_state(current, new)
        shutil.rmtree(old, ignore_errors=True)
        self._begin("done", 1.0)

    def _update_unit(self, current: Path, files: dict[str, Path], state: dict[str, Any], new: dict[str, Any]) -> None:
        """The packages fit already: only the backend's code and weights are exchanged."""
        unit = current / "units" / new["unit"]
        if not unit.exists():
            self._copy_unit(files, unit)
        try:
            self._prove(python_of(current), unit)
        except BaseException:  # a cancel too: no half unit stays, and the reason goes on
            if new["unit"] != state["unit"]:
                shutil.rmtree(unit, ignore_errors=True)
            raise
        write_state(current, new)
        for other in (current / "units").iterdir():
            if other != unit:
                shutil.rmtree(other, ignore_errors=True)
        self._begin("done", 1.0)

    def _find_python(self) -> Path:
        self._begin("python")
        for candidate in find_interpreters(self._picked):
            try:
                words = self._call([candidate, "-E", "-s", "-c", PROBE]).split(maxsplit=2)
            except LinkError:
                continue
            if OLDEST <= (int(words[0]), int(words[1])) <= NEWEST:
                return candidate
        raise LinkError(
            "backend_missing", "No Python from 3.11 to 3.13 with its `venv` module was found.",
            "Install Python 3.11, or choose its program in the preferences under Python.",
        )  # fmt: skip

    def _install(self, python: Path) -> None:
        pip: list[Any] = [python, "-E", "-s", "-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--no-compile"]
        source: list[Any] = []
        if self._archive is not None:
            wheels = self._folder / "environment.wheels"
            unpack_wheels(self._archive, wheels)
            source = ["--no-index", "--find-links", wheels]
        self._begin("packages")
        self._call([*pip, "--only-binary", ":all:", "--require-hashes", "-r", self._requirements, *source])
        self._begin("torch")
        table = torch_table()
        if self._archive is None:
            source = ["--index-url", f"{table.index}/{table.builds[self._device]}"]
        # The CPU build needs nothing that isn't locked already; the CUDA build brings its libraries from the same index.
        alone = ["--no-deps"] if self._device == "cpu" else []
        self._call([*pip, *alone, f"torch=={table.version}", *source])

    def _copy_unit(self, files: dict[str, Path], unit: Path) -> None:
        self._begin("backend")
        partial = unit.with_name(unit.name + ".new")
        shutil.rmtree(partial, ignore_errors=True)
        for name, path in files.items():
            self._check()
            target = partial / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
        os.replace(partial, unit)

    def _prove(self, python: Path, unit: Path) -> None:
        """A whole job, which compiles its kernels; then those that it had no need of."""
        self._begin("doctor")
        try:
            self._call([python, *BACKEND_FLAGS, "doctor"], cwd=unit)
        except LinkError as error:
            raise found_by_doctor(error) from error
        self._begin("kernels")
        self._call([python, *BACKEND_FLAGS, "doctor", "--warm"], cwd=unit)

    # -- running things -----------------------------------------------------------------------------------------

    def _begin(self, stage: str, fraction: float | None = None) -> None:
        self._check()
        self.stage, self.line = stage, ""
        self.fraction = PLAN[stage] if fraction is None else fraction

    def _check(self) -> None:
        if self._stop.is_set():
            raise Stopped

    def _call(self, command: list[Any], cwd: Path | None = None) -> str:
        """Run a program, showing its lines -> its output. Raises `LinkError` with what its last lines mean, `Stopped`."""
        self._check()
        variables = {name: value for name, value in os.environ.items() if name.upper() in PIP_VARIABLES or name.startswith("PIP_")}
        variables["HF_HUB_OFFLINE"] = "1"
        process = subprocess.Popen(
            [str(word) for word in command], cwd=cwd, env=clean_environment(variables), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, encoding="utf-8", errors="replace", **quiet_flags(),
        )  # fmt: skip
        self._process = process
        if self._stop.is_set():
            process.kill()
        lines: deque[str] = deque(maxlen=400)
        later = [start for start in PLAN.values() if start > self.fraction]
        end = min(later, default=1.0)
        assert process.stdout is not None
        with process.stdout:
            for line in process.stdout:
                lines.append(line.rstrip())
                self.line = line.strip()[:120]
                # How many lines will come is unknown: each takes the bar a little of the rest.
                self.fraction += 0.03 * (end - self.fraction)
        status = process.wait()
        self._process = None
        self._check()
        output = "\n".join(lines)
        if status:
            log.warning("%s failed with %d:\n%s", command[0], status, output)
            raise meaning(output)
        return output


BACKEND_FLAGS = ("-E", "-s", "-B", "-X", "utf8", "-m", "backend")


def unpack_wheels(archive: Path, folder: Path) -> None:
    """A zip of wheels -> a flat folder of them. Only names are taken from it, never paths. Raises `LinkError`."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    bad = LinkError("backend_missing", "The offline archive can't be read.", "Choose a zip of the wheels that the set-up lists.")
    try:
        with zipfile.ZipFile(archive) as opened:
            members = [member for member in opened.infolist() if re.fullmatch(r"[A-Za-z0-9_.+!-]+\.whl", Path(member.filename).name)]
            if not members or sum(member.file_size for member in members) > ARCHIVE_LIMIT:
                raise bad
            for member in members:
                with opened.open(member) as source, (folder / Path(member.filename).name).open("wb") as target:
                    shutil.copyfileobj(source, target, 1 << 20)
    except (zipfile.BadZipFile, FileNotFoundError) as error:
        raise bad from error


def meaning(output: str) -> LinkError:
    """What a failed program's output means for a person."""
    text = output.lower()
    retry = "Check the connection and press Set Up again; nothing was changed."
    if "no space left" in text or "not enough space" in text:
        return LinkError("disk_full", "The disk is full.", "Free some disk space and press Set Up again.")
    if "do not match the hashes" in text or "hashes are required" in text:
        return LinkError("backend_missing", "A package differs from the one that was locked, and was refused.", retry)
    if "permission denied" in text or "access is denied" in text:
        return LinkError("not_writable", "The extension's folder can't be written to.")
    if any(word in text for word in ("no matching distribution", "max retries", "connection", "temporary failure", "ssl", "timed out")):
        return LinkError("backend_missing", "A package could not be found or downloaded.", retry)
    last = next((line for line in reversed(output.splitlines()) if line.strip()), "no message")
    sentence = f"A step of the set-up failed: {last.strip()[:160]}"
    error = LinkError("backend_missing", sentence, "Press Set Up again, or use Copy Diagnostics.")
    error.output = output
    return error


def found_by_doctor(error: LinkError) -> LinkError:
    """The first problem in doctor's report, or the error as it came."""
    start = error.output.find("{")
    try:
        problem = json.loads(error.output[start:])["problems"][0] if start >= 0 else None
    except (ValueError, KeyError, IndexError):
        problem = None
    if not isinstance(problem, dict):
        return error
    sentence = f"The new backend did not pass its check: {problem.get('sentence', 'no reason')}"
    return LinkError("backend_missing", sentence, str(problem.get("remedy", error.remedy)))
