#!/usr/bin/env python3
"""Set-up and the project's commands. Needs only a Python from 3.9 on; finds or installs the rest.

    python3 build.py demo [PHOTO] [--quality fast|fine]   a photo -> out/demo: .blend, .glb, overlay, turntable
    python3 build.py test [-- PYTEST ARGUMENTS]           linters and every test, in every environment
    python3 build.py extension [--out FOLDER]             the installable zip, validated by Blender's own tool
    python3 build.py archive                              the wheels of a set-up, for machines without a network
    python3 build.py gui-test [-- --release R --walk W]   what an artist does, in real windows (Debian, root)
    python3 build.py setup                                only make the environments
    python3 build.py lock                                 compile the hash-locked requirements anew

Environments stand beside this file: `.venv` (the backend), `.venv-bpy-4.2`, `-4.5`, `-5.0` and `-5.2` (Blender as a module).
Each step of a set-up leaves a stamp in its environment and is not repeated until what it depends on changes.
"""

from __future__ import annotations

import argparse
import ctypes.util
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

ROOT = Path(__file__).resolve().parent
BACKEND = ROOT / ".venv"
BLENDER = {version: ROOT / f".venv-bpy-{version}" for version in ("4.2", "4.5", "5.0", "5.2")}
REQUIREMENTS = ROOT / "backend" / "requirements"
TORCH_TABLE = ROOT / "blender_addon" / "link" / "torch_index.json"
NODE, OUT = ROOT / "build", ROOT / "out"
SAMPLE = ROOT / "tests" / "photos" / "horse.png"
PYTHON, GLTF_VALIDATOR, UV = "3.11", "2.0.0-dev.3.10", "0.13.8"
BLENDER_PYTHON = {"4.2": PYTHON, "4.5": PYTHON, "5.0": PYTHON, "5.2": "3.13"}
"""The one Python that each Blender as a module is built for."""
WINDOW_LIBRARIES = "libx11-6 libxrender1 libxfixes3 libxi6 libxkbcommon0 libsm6 libgl1 libegl1 libgomp1 libxxf86vm1".split()
"""What the bpy module loads; without libegl1 a render ends the process."""
TEST_LIBRARIES = ["libusb-1.0-0"]
"""What Open3D, the benchmark's yardstick, loads beside them."""
PYTHON_LINES = {"darwin": "brew install python@{}", "win32": "winget install --id Python.Python.{}"}
OTHER_LINE = "python3 -m venv ~/.uv && ~/.uv/bin/pip install uv && ~/.uv/bin/uv python install {}"
"""What installs a Python where the system has no package of it; `find_python` looks where each puts it."""
PLATFORMS = {
    "Linux": ["manylinux_2_28_x86_64", "manylinux_2_27_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64"],
    "Windows": ["win_amd64"],
    "macOS": ["macosx_14_0_arm64", "macosx_12_0_arm64", "macosx_11_0_arm64"],
}
"""Where an artist's set-up must find every wheel of runtime.txt."""
LIMIT_SECONDS = 1500
"""Of the demo; a hung Blender is ended."""

seconds: dict[str, float] = {}


class Stop(Exception):
    """A sentence for the person; ends the command."""


@contextmanager
def stage(name: str) -> Iterator[None]:
    """Announce a stage and keep its seconds."""
    print(f"== {name}", flush=True)
    start = time.monotonic()
    yield
    seconds[name] = seconds.get(name, 0.0) + time.monotonic() - start


def run(command: Sequence[object], env: dict[str, str] | None = None, limit: float | None = None) -> None:
    """Run from the project's folder; raises `Stop` where the command fails or runs past its limit."""
    words = [str(word) for word in command]
    try:
        status = subprocess.run(words, cwd=ROOT, env={**os.environ, **(env or {})}, timeout=limit).returncode
    except FileNotFoundError:
        raise Stop(f"{words[0]} is not installed.") from None
    except subprocess.TimeoutExpired:
        raise Stop(f"{' '.join(words)} took longer than {limit:.0f} s and was ended.") from None
    if status:
        raise Stop(f"{' '.join(words)} failed with status {status}.")


def succeeds(command: Sequence[object]) -> bool:
    """Whether a command runs and ends well; its output is not shown."""
    try:
        return subprocess.run([str(word) for word in command], cwd=ROOT, capture_output=True).returncode == 0
    except OSError:
        return False


# --- System packages and the interpreter ---


def is_root() -> bool:
    """Whether apt-get may be called."""
    return hasattr(os, "geteuid") and os.geteuid() == 0 and shutil.which("apt-get") is not None


def install_system(packages: Sequence[str]) -> None:
    """apt-get as root; otherwise `Stop` with the line to run."""
    line = "apt-get install -y --no-install-recommends " + " ".join(packages)
    if not is_root():
        raise Stop(f"Some system packages are missing. Run this line, or your system's own for them, and start again:\n  sudo {line}")
    with stage("system packages: " + " ".join(packages)):
        quiet = {"DEBIAN_FRONTEND": "noninteractive"}
        if not succeeds(line.split()):
            run(["apt-get", "update", "-q"], env=quiet)
            run(line.split(), env=quiet)


def ensure_libraries(packages: Sequence[str]) -> None:
    """Shared libraries by their Debian names; a Linux without dpkg is asked for the library itself."""
    if not sys.platform.startswith("linux"):
        return
    if shutil.which("dpkg-query"):
        query = ["dpkg-query", "-W", "-f", "${Package} ${db:Status-Status}\n", *packages]
        shown = subprocess.run(query, capture_output=True, text=True).stdout
        missing = [name for name in packages if f"{name} installed" not in shown.splitlines()]
    else:
        missing = [name for name in packages if ctypes.util.find_library(name[3:].rsplit("-", 1)[0].rstrip("0123456789")) is None]
    if missing:
        install_system(missing)


def find_python(version: str) -> str:
    """An interpreter of this version that can make environments. Raises `Stop` with the line that installs one."""
    good = ["-c", f"import sys, venv, ensurepip; sys.exit('%d.%d' % sys.version_info[:2] != '{version}')"]
    found = [sys.executable]
    found += [str(Path(folder) / f"python{version}") for folder in os.environ.get("PATH", "").split(os.pathsep) if folder]
    places = [f".pyenv/versions/{version}.*/bin/python", f".local/share/uv/python/cpython-{version}.*/bin/python{version}"]
    places += [f"AppData/Local/Programs/Python/Python{version.replace('.', '')}/python.exe"]
    found += [str(path) for place in places for path in sorted(Path.home().glob(place), reverse=True)]
    found += [f"/opt/homebrew/bin/python{version}", f"/usr/local/bin/python{version}"]
    for path in dict.fromkeys(found):
        if os.path.exists(path) and succeeds([path, *good]):
            return path
    packages = [f"python{version}", f"python{version}-venv"]
    if is_root():
        with suppress(Stop):  # a system without these packages: the last line says how else
            install_system(packages)
        if succeeds([f"/usr/bin/python{version}", *good]):
            return f"/usr/bin/python{version}"
    elif succeeds(["apt-cache", "show", packages[1]]):
        install_system(packages)
    line = PYTHON_LINES.get(sys.platform, OTHER_LINE).format(version)
    raise Stop(f"Python {version} with venv is needed. Run this line and start again:\n  {line}")


def python_of(folder: Path) -> Path:
    """The interpreter of an environment."""
    return folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


# --- Environments ---


def digest(*parts: object) -> str:
    """One hash over files (their bytes) and anything else (its text)."""
    total = hashlib.sha256()
    for part in parts:
        total.update(part.read_bytes() if isinstance(part, Path) else str(part).encode())
    return total.hexdigest()


def ensure_environment(folder: Path, version: str = PYTHON) -> Path:
    """A virtual environment at `folder`, made anew where its interpreter is gone. -> its interpreter."""
    python = python_of(folder)
    if not python.exists():
        base = find_python(version)
        with stage(f"{folder.name}: new environment"):
            shutil.rmtree(folder, ignore_errors=True)
            run([base, "-m", "venv", folder])
    return python


def step(folder: Path, name: str, key: str, work: Callable[[], None]) -> None:
    """Do `work` unless the environment's stamp says that it was done for the same key."""
    stamp = folder / "stamps" / name
    if stamp.is_file() and stamp.read_text() == key:
        return
    with stage(f"{folder.name}: {name}"):
        work()
    stamp.parent.mkdir(exist_ok=True)
    stamp.write_text(key)


def install(folder: Path, name: str, version: str = PYTHON) -> None:
    """Install requirements/<name>.txt, every file checked against its hash."""
    file = REQUIREMENTS / f"{name}.txt"
    pip = [python_of(folder), "-m", "pip", "install", "-qq", "--disable-pip-version-check", "--only-binary", ":all:"]
    step(folder, name, digest(file, version), lambda: run([*pip, "--require-hashes", "-r", file]))


def install_torch() -> None:
    """torch, the CPU build: from the indexes that pip knows, else from PyTorch's own."""
    table = json.loads(TORCH_TABLE.read_text())
    pip = [python_of(BACKEND), "-m", "pip", "install", "-qq", "--disable-pip-version-check", "--no-deps"]
    plain = f"torch=={table['version']}"
    if not sys.platform.startswith("linux"):
        run([*pip, plain])
    elif not succeeds([*pip, f"{plain}+cpu"]):
        run([*pip, plain, "--index-url", f"{table['index']}/{table['builds']['cpu']}"])


def ensure_backend(development: bool) -> Path:
    """The backend's environment with its kernels compiled. -> its interpreter."""
    python = ensure_environment(BACKEND)
    install(BACKEND, "runtime")
    step(BACKEND, "torch", digest(TORCH_TABLE, PYTHON), install_torch)
    if development:
        ensure_libraries(WINDOW_LIBRARIES + TEST_LIBRARIES)
        install(BACKEND, "development")
    kernels = [path for path in sorted((ROOT / "backend").rglob("*.py")) if b"numba" in path.read_bytes()]
    step(BACKEND, "kernels", digest(*kernels), lambda: run([python, "-m", "backend", "doctor", "--warm"]))
    return python


def ensure_blender(version: str) -> Path:
    """The environment of one Blender. -> its interpreter."""
    ensure_libraries(WINDOW_LIBRARIES)
    python = ensure_environment(BLENDER[version], BLENDER_PYTHON[version])
    install(BLENDER[version], f"blender-{version}", BLENDER_PYTHON[version])
    return python


def ensure_gltf_validator() -> None:
    """Khronos' validator under build/node_modules."""
    if not (shutil.which("node") and shutil.which("npm")):
        install_system(["nodejs", "npm"])
    NODE.mkdir(exist_ok=True)
    npm = [shutil.which("npm"), "install", "--silent", "--no-audit", "--no-fund", "--prefix", NODE]
    step(NODE, "gltf-validator", GLTF_VALIDATOR, lambda: run([*npm, f"gltf-validator@{GLTF_VALIDATOR}"]))


# --- The extension ---

LEFT_OUT = {"__pycache__", ".mypy_cache", ".ruff_cache"}
STORED = {".safetensors", ".png"}


def extension_files() -> dict[str, Path]:
    """Name inside the zip -> file: the add-on at the top, the backend, the weights and their list beside it."""
    files = {"weights_manifest.json": ROOT / "weights_manifest.json", "LICENSE": ROOT / "LICENSE"}
    for folder, prefix in ((ROOT / "blender_addon", ""), (ROOT / "backend", "backend/")):
        for path in folder.rglob("*"):
            inside = path.relative_to(folder)
            if path.is_file() and path.suffix != ".pyc" and not LEFT_OUT & set(inside.parts) and not inside.name.startswith("."):
                files[prefix + inside.as_posix()] = path
    return {name: path for name, path in files.items() if path.is_file()}


def write_extension(folder: Path) -> Path:
    """Write the zip: sorted names, fixed dates and modes, so that equal files make equal bytes. -> its path."""
    manifest = (ROOT / "blender_addon" / "blender_manifest.toml").read_text(encoding="utf-8").splitlines()
    version = next(line.split('"')[1] for line in manifest if line.startswith("version"))
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"menagerie-{version}.zip"
    partial = target.with_suffix(".partial")
    with zipfile.ZipFile(partial, "w") as archive:
        for name, path in sorted(extension_files().items()):
            info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            info.create_system = 3
            info.external_attr = 0o100644 << 16
            info.compress_type = zipfile.ZIP_STORED if path.suffix in STORED else zipfile.ZIP_DEFLATED
            archive.writestr(info, path.read_bytes(), compresslevel=9)
    os.replace(partial, target)
    return target


def validate_extension(file: Path, python: Path) -> None:
    """Ask Blender's own extension tool; raises `Stop` with what it says."""
    tools = sorted(python.parent.parent.glob("**/site-packages/bpy/*/scripts/addons_core/bl_pkg/cli/blender_ext.py"))
    if not tools:
        raise Stop("Blender's extension tool is not where it was expected.")
    run([python, tools[0], "validate", file])


# --- Commands ---


def command_setup(args: argparse.Namespace) -> None:
    ensure_backend(development=True)
    for version in BLENDER:
        ensure_blender(version)
    ensure_gltf_validator()


def command_demo(args: argparse.Namespace) -> None:
    photo = args.photo.resolve()
    if not photo.is_file():
        raise Stop(f"There is no photo at {photo}.")
    backend, blender, target = ensure_backend(development=False), ensure_blender("4.5"), OUT / "demo"
    with stage("demo: photo to .blend, .glb, overlay and turntable"):
        words = [photo, "--out", target, "--quality", args.quality, "--python", backend]
        # A user folder of its own: the person's Blender settings stay out of it, and untouched.
        run([blender, "-m", "blender_addon.demo", *words], {"BLENDER_USER_RESOURCES": str(ROOT / "build" / "user")}, LIMIT_SECONDS)
    for name, duration in json.loads((target / "seconds.json").read_text()).items():
        seconds[f"  {name}"] = duration
    print("\nWritten:", *(target / name for name in ("creature.blend", "creature.glb", "overlay.png", "turntable.mp4")), sep="\n  ")


def command_test(args: argparse.Namespace) -> None:
    command_setup(args)
    from tests.everything import run_all

    words = [word for word in args.arguments if word != "--"]
    endings = run_all(python_of(BACKEND), {version: python_of(folder) for version, folder in BLENDER.items()}, words)
    seconds.update((ending.run.name, ending.seconds) for ending in endings)
    failed = [ending.run.name for ending in endings if not ending.good]
    if failed:
        raise Stop("Failed: " + ", ".join(failed) + ".")


def command_extension(args: argparse.Namespace) -> None:
    python = ensure_blender("4.5")
    with stage("zip"):
        file = write_extension(args.out.resolve())
    with stage("validation"):
        validate_extension(file, python)
    print(f"\n{file}\n{file.stat().st_size / 2**20:.1f} MiB, sha256 {digest(file)}")


def command_archive(args: argparse.Namespace) -> None:
    python, folder, table = ensure_environment(BACKEND), ROOT / "build" / "archive", json.loads(TORCH_TABLE.read_text())
    shutil.rmtree(folder, ignore_errors=True)
    pip = [python, "-m", "pip", "download", "-qq", "--only-binary", ":all:", "--no-deps", "-d", folder]
    with stage(f"wheels for this system and Python {PYTHON}"):
        run([*pip, "--require-hashes", "-r", REQUIREMENTS / "runtime.txt"])
        run([*pip, f"torch=={table['version']}", "--index-url", f"{table['index']}/{table['builds']['cpu']}"])
    print(shutil.make_archive(str(OUT / f"menagerie-wheels-{sys.platform}-{PYTHON}"), "zip", folder))


def command_gui_test(args: argparse.Namespace) -> None:
    backend = ensure_backend(development=False)
    with stage("tests in a real window"):
        words = [word for word in args.arguments if word != "--"]
        run([sys.executable, ROOT / "tests" / "gui" / "window.py", "--python", backend, "--zip", write_extension(OUT), *words])


def command_lock(args: argparse.Namespace) -> None:
    folder = ROOT / "build" / "lock"
    python = ensure_environment(folder)
    run([python, "-m", "pip", "install", "-qq", f"uv=={UV}"])
    # No index is named and no host written: the hashes alone decide which files are good.
    compiler = [python.parent / "uv", "pip", "compile", "-q", "--no-config", "--no-header", "--no-emit-index-url", "--generate-hashes"]
    compiler += ["--universal", "--only-binary", ":all:"]
    versions = {"runtime": PYTHON, "development": PYTHON, **{f"blender-{name}": version for name, version in BLENDER_PYTHON.items()}}
    for name, version in versions.items():
        with stage(f"lock {name}"):
            source, target = REQUIREMENTS / f"{name}.in", REQUIREMENTS / f"{name}.txt"
            run([*compiler, "--python-version", version, source.relative_to(ROOT), "-o", target.relative_to(ROOT)])
    pip = [python, "-m", "pip", "install", "-qq", "--dry-run", "--no-deps", "--only-binary", ":all:", "--target", folder / "none"]
    for system, tags in PLATFORMS.items():
        for version in ("3.11", "3.13"):
            with stage(f"wheels for {system}, Python {version}"):
                places = [word for tag in tags for word in ("--platform", tag)]
                run([*pip, *places, "--python-version", version, "--require-hashes", "-r", REQUIREMENTS / "runtime.txt"])


def main(argv: Sequence[str]) -> int:
    """Run one command and print how long each stage took. -> exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    demo = commands.add_parser("demo", help="a photo -> out/demo")
    demo.add_argument("photo", nargs="?", type=Path, default=SAMPLE)
    demo.add_argument("--quality", choices=["fast", "fine"], default="fine")
    demo.set_defaults(work=command_demo)
    test = commands.add_parser("test", help="linters and every test")
    test.add_argument("arguments", nargs=argparse.REMAINDER)
    test.set_defaults(work=command_test)
    extension = commands.add_parser("extension", help="the installable zip")
    extension.add_argument("--out", type=Path, default=OUT)
    extension.set_defaults(work=command_extension)
    window = commands.add_parser("gui-test", help="real windows, driven by mouse and keyboard")
    window.add_argument("arguments", nargs=argparse.REMAINDER)
    window.set_defaults(work=command_gui_test)
    for name, work in {"archive": command_archive, "setup": command_setup, "lock": command_lock}.items():
        commands.add_parser(name).set_defaults(work=work)
    args = parser.parse_args(argv)
    start = time.monotonic()
    try:
        args.work(args)
    except Stop as reason:
        print(f"\n{reason}", file=sys.stderr)
        return 1
    finally:
        print("\nSeconds:")
        for name, duration in seconds.items():
            print(f"  {duration:7.1f}  {name}")
        print(f"  {time.monotonic() - start:7.1f}  in all", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
