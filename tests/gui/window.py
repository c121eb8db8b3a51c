r"""Blender in a real window: a Debian with its Blender in a folder, a virtual screen, and `walk.py` inside.

    python3 tests/gui/window.py --zip EXTENSION.zip --python BACKEND_PYTHON \
        [--release trixie|sid] [--walk made-up|creature|features] [--out FOLDER]

Root on Debian only (debootstrap, chroot, mounts in a namespace of their own, so that nothing stays mounted). A
release's folder, about 1.6 GB, is made once. Writes what `walk.py` saw, and a picture of the window after each step,
into FOLDER/RELEASE/WALK. Without a release or walk every one has its turn.
"""

from __future__ import annotations

import argparse
import glob
import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
WALKS = ("made-up", "creature", "features")
"""Of `walk.py`."""
RELEASES = {"trixie": ":31", "sid": ":32"}
"""Debian's releases that carry Blender, 4.3 in trixie and 5.2 or later in sid, with the virtual screen of each."""
PACKAGES = """blender xvfb xdotool imagemagick libgl1-mesa-dri libegl1 libgomp1 python3-numpy python3-cattr python3-requests""".split()
LIMIT_SECONDS = 2700


def run(*command: object, **variables: str) -> None:
    """Run a command; ends this program where it fails."""
    done = subprocess.run([str(word) for word in command], env={**os.environ, **variables})
    if done.returncode:
        sys.exit(f"{command[0]} failed with status {done.returncode}")


def mounts(chroot: Path, binds: list[Path]) -> str:
    """Shell lines that mount what the chroot needs, for a namespace of its own."""
    inside = shlex.quote(str(chroot))
    lines = [f"mount -t proc proc {inside}/proc", f"mount --rbind /dev {inside}/dev"]
    lines += [f"mount -t tmpfs tmpfs {inside}/{folder}" for folder in ("tmp", "home")]
    for bind in binds:
        target = shlex.quote(str(chroot) + str(bind))
        lines.append(f"mkdir -p {target}\nmount --bind {shlex.quote(str(bind))} {target}")
    return "\n".join(lines)


def enter(chroot: Path, script: str, binds: list[Path]) -> None:
    """Run a shell script inside the chroot."""
    whole = f"set -e\n{mounts(chroot, binds)}\nexec chroot {shlex.quote(str(chroot))} /bin/bash -ec {shlex.quote(script)}"
    run("timeout", "-k", "10", LIMIT_SECONDS + 300, "unshare", "--mount", "/bin/bash", "-c", whole)


def make_chroot(release: str) -> Path:
    """A minimal Debian with Blender in a folder, once. -> the folder."""
    chroot = ROOT / "build" / f"window-{release}"
    stamp = chroot / "menagerie-ready"
    if stamp.is_file() and stamp.read_text() == " ".join(PACKAGES):
        return chroot
    if not chroot.is_dir():
        tools = ROOT / "build" / "debootstrap"
        tools.mkdir(parents=True, exist_ok=True)
        subprocess.run(["apt-get", "download", "debootstrap"], cwd=tools, check=True)
        run("dpkg", "-x", glob.glob(f"{tools}/debootstrap_*.deb")[0], tools)
        partial = chroot.with_suffix(".partial")
        shutil.rmtree(partial, ignore_errors=True)
        script = tools / "usr" / "sbin" / "debootstrap"
        run(script, "--variant=minbase", release, partial, DEBOOTSTRAP_DIR=str(tools / "usr" / "share" / "debootstrap"))
        partial.rename(chroot)
    for name in ("/etc/resolv.conf", *glob.glob("/etc/apt/apt.conf.d/*proxy*")):
        if os.path.exists(name):
            shutil.copyfile(name, str(chroot) + name)
    enter(chroot, "DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends " + " ".join(PACKAGES), [])
    stamp.write_text(" ".join(PACKAGES))
    return chroot


def base_of(environment: Path) -> Path:
    """The folder of the interpreter that a virtual environment stands on; the chroot needs it at the same place."""
    settings = (environment / "pyvenv.cfg").read_text().splitlines()
    home = next(line.split("=", 1)[1].strip() for line in settings if line.startswith("home"))
    base = Path(home).resolve().parent
    if base == Path("/usr"):
        sys.exit("The backend's environment stands on the system's Python, which the chroot's Debian doesn't have; use pyenv's.")
    return base


def walk(name: str, release: str, file: Path, python: Path, out: Path) -> bool:
    """One walk in one release. out: the folder of its own. -> whether every check held."""
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    chroot, screen = make_chroot(release), RELEASES[release]
    command = ["blender", "--factory-startup", "--enable-event-simulate", "--window-geometry", "0", "0", "1280", "800"]
    command += ["--python-exit-code", "3", "--python", str(ROOT / "tests/gui/walk.py")]
    command += ["--", name, str(file), str(python), str(ROOT), str(out)]
    log = shlex.quote(str(out / "blender.log"))
    script = f"""
export HOME=/home/artist DISPLAY={screen} LIBGL_ALWAYS_SOFTWARE=1 BLENDER_USER_RESOURCES=/home/artist/blender
mkdir -p $HOME
Xvfb {screen} -screen 0 1280x800x24 +extension GLX >/dev/null 2>&1 &
sleep 2
timeout -k 10 {LIMIT_SECONDS} {shlex.join(command)} >{log} 2>&1 || true
kill %1
"""
    environment = python.parent.parent
    enter(chroot, script, list(dict.fromkeys([ROOT, environment.resolve(), base_of(environment), file.parent, out])))
    written = out / "seen.json"
    seen = json.loads(written.read_text()) if written.is_file() else {"Blender lives": {"good": False, "note": f"see {log}"}}
    print(f"-- {release}, {name}")
    for finding, result in seen.items():
        print(f"{'passed' if result['good'] else 'FAILED'}  {finding}: {result['note']}", flush=True)
    return all(result["good"] for result in seen.values())


def main() -> int:
    """The command of the module's docstring. -> exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--zip", type=Path, required=True)
    parser.add_argument("--python", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=ROOT / "out" / "gui")
    parser.add_argument("--release", choices=sorted(RELEASES), action="append")
    parser.add_argument("--walk", choices=WALKS, action="append")
    args = parser.parse_args()
    if os.geteuid() != 0 or not shutil.which("unshare") or not shutil.which("apt-get"):
        sys.exit("A real window needs root on a Debian: it is made with debootstrap in a folder.")
    good = True
    for release in args.release or RELEASES:
        for name in args.walk or WALKS:
            out = args.out.resolve() / release / name
            good = walk(name, release, args.zip.resolve(), args.python.absolute(), out) and good
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
