"""Blender in a real window: a Debian with its Blender in a folder, a virtual screen, and `walk.py` inside.

    python3 tests/gui/window.py --zip EXTENSION.zip --python BACKEND_PYTHON [--out FOLDER]

Root on Debian only (debootstrap, chroot, mounts in a namespace of their own, so that nothing stays mounted). The
folder, about 1.6 GB, is made once. Writes what `walk.py` saw, and a picture of the window, into FOLDER.
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
CHROOT = ROOT / "build" / "window"
RELEASE = "trixie"
PACKAGES = """blender xvfb xdotool imagemagick libgl1-mesa-dri libegl1 libgomp1 python3-numpy python3-cattr python3-requests""".split()
SCREEN = ":31"
LIMIT_SECONDS = 600


def run(*command: object, **variables: str) -> None:
    """Run a command; ends this program where it fails."""
    done = subprocess.run([str(word) for word in command], env={**os.environ, **variables})
    if done.returncode:
        sys.exit(f"{command[0]} failed with status {done.returncode}")


def mounts(binds: list[Path]) -> str:
    """Shell lines that mount what the chroot needs, for a namespace of its own."""
    inside = shlex.quote(str(CHROOT))
    lines = [f"mount -t proc proc {inside}/proc", f"mount --rbind /dev {inside}/dev", f"mount -t tmpfs tmpfs {inside}/tmp"]
    for bind in binds:
        target = str(CHROOT) + str(bind)
        Path(target).mkdir(parents=True, exist_ok=True)
        lines.append(f"mount --bind {shlex.quote(str(bind))} {shlex.quote(target)}")
    return "\n".join(lines)


def enter(script: str, binds: list[Path]) -> None:
    """Run a shell script inside the chroot."""
    whole = f"set -e\n{mounts(binds)}\nexec chroot {shlex.quote(str(CHROOT))} /bin/bash -ec {shlex.quote(script)}"
    run("timeout", "-k", "10", LIMIT_SECONDS * 2, "unshare", "--mount", "/bin/bash", "-c", whole)


def make_chroot() -> None:
    """A minimal Debian with Blender in a folder, once."""
    stamp = CHROOT / "menagerie-ready"
    if stamp.is_file() and stamp.read_text() == " ".join(PACKAGES):
        return
    if not CHROOT.is_dir():
        tools = ROOT / "build" / "debootstrap"
        tools.mkdir(parents=True, exist_ok=True)
        subprocess.run(["apt-get", "download", "debootstrap"], cwd=tools, check=True)
        run("dpkg", "-x", glob.glob(f"{tools}/debootstrap_*.deb")[0], tools)
        partial = CHROOT.with_name("window.partial")
        shutil.rmtree(partial, ignore_errors=True)
        script = tools / "usr" / "sbin" / "debootstrap"
        run(script, "--variant=minbase", RELEASE, partial, DEBOOTSTRAP_DIR=str(tools / "usr" / "share" / "debootstrap"))
        partial.rename(CHROOT)
    for name in ("/etc/resolv.conf", *glob.glob("/etc/apt/apt.conf.d/*proxy*")):
        if os.path.exists(name):
            shutil.copyfile(name, str(CHROOT) + name)
    enter("DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends " + " ".join(PACKAGES), [])
    stamp.write_text(" ".join(PACKAGES))


def base_of(python: Path) -> Path:
    """The folder of the interpreter that a virtual environment stands on; the chroot needs it at the same place."""
    settings = (python.parent.parent / "pyvenv.cfg").read_text().splitlines()
    home = next(line.split("=", 1)[1].strip() for line in settings if line.startswith("home"))
    base = Path(home).resolve().parent
    if base == Path("/usr"):
        sys.exit("The backend's environment stands on the system's Python, which the chroot's Debian doesn't have; use pyenv's.")
    return base


def main() -> int:
    """The command of the module's docstring. -> exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--zip", type=Path, required=True)
    parser.add_argument("--python", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=ROOT / "out" / "gui")
    args = parser.parse_args()
    if os.geteuid() != 0 or not shutil.which("unshare") or not shutil.which("apt-get"):
        sys.exit("A real window needs root on a Debian: it is made with debootstrap in a folder.")
    out = args.out.resolve()
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    make_chroot()
    walk = ["blender", "--factory-startup", "--enable-event-simulate", "--window-geometry", "0", "0", "1280", "800"]
    walk += ["--python-exit-code", "3", "--python", str(ROOT / "tests/gui/walk.py")]
    walk += ["--", str(args.zip.resolve()), str(args.python.absolute()), str(ROOT), str(out)]
    script = f"""
export HOME=/tmp/home DISPLAY={SCREEN} LIBGL_ALWAYS_SOFTWARE=1 BLENDER_USER_RESOURCES=/tmp/home/blender
mkdir -p $HOME
Xvfb {SCREEN} -screen 0 1280x800x24 +extension GLX >/dev/null 2>&1 &
sleep 2
status=0
timeout -k 10 {LIMIT_SECONDS} {shlex.join(walk)} >{shlex.quote(str(out))}/blender.log 2>&1 || status=$?
kill %1
exit $status
"""
    enter(script, list(dict.fromkeys([ROOT, base_of(args.python), args.zip.resolve().parent, out])))
    seen = json.loads((out / "seen.json").read_text())
    for name, result in seen.items():
        print(f"{'passed' if result['good'] else 'FAILED'}  {name}: {result['note']}")
    return 0 if seen and all(result["good"] for result in seen.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
