"""The door: `python -m backend COMMAND ...`.

Each command loads only what it needs. Failures are printed as a sentence and a remedy on stderr with exit status 1;
130 after an interrupt. stdout carries a command's result only (`serve`: the protocol).
"""

from __future__ import annotations

import argparse
import os
import sys
import time
import traceback
from collections.abc import Callable
from itertools import zip_longest
from pathlib import Path
from typing import Any

from backend import VERSION
from backend.errors import CODES, MenagerieError
from backend.service.seconds_left import SecondsLeft
from backend.types import ByteArray

BAR_WIDTH = 28
"""Characters of the progress bar."""


def keep_kernels_in_environment() -> None:
    """Let numba cache its compiled kernels inside the virtual environment, where set-up has compiled them."""
    if sys.prefix != sys.base_prefix:
        os.environ.setdefault("NUMBA_CACHE_DIR", str(Path(sys.prefix) / "kernels"))


def let_threads_sleep() -> None:
    """Have torch's threads sleep while they wait for each other, unless the person has chosen otherwise; before torch is loaded.

    By default they spin, and on a busy machine (Blender beside us) take the processor from the very thread they wait for: beside two
    busy processes a photo then takes twice the time. On an idle machine there is no difference.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


class Bar:
    """A `types.Progress` on stderr: a bar on a terminal, a line a stage elsewhere."""

    def __init__(self) -> None:
        self._start = time.monotonic()
        self._left = SecondsLeft()
        self._stage = ""
        self._live = sys.stderr.isatty()

    def expect(self, seconds: float) -> None:
        """What the work is estimated to take from now on."""
        self._left.expect(seconds)

    def __call__(self, stage: str, fraction: float, preview: ByteArray | None = None) -> None:
        seconds = time.monotonic() - self._start
        if self._live:
            known = self._left.at(fraction)
            left = f"{known:4.0f} s left" if known is not None and fraction < 1 else ""
            done = round(BAR_WIDTH * fraction)
            sys.stderr.write(f"\r[{'#' * done}{'.' * (BAR_WIDTH - done)}] {fraction:4.0%} {stage:<16}{left:<14}")
            if fraction >= 1:
                sys.stderr.write("\n")
            sys.stderr.flush()
        elif stage != self._stage:
            print(f"{seconds:6.1f} s  {fraction:4.0%}  {stage}", file=sys.stderr, flush=True)
        self._stage = stage


def reconstruct(argv: list[str]) -> int:
    """A photo, or several of one animal -> asset, glTF, mask, overlay and report in a folder."""
    parser = argparse.ArgumentParser(prog="python -m backend reconstruct", description=reconstruct.__doc__)
    parser.add_argument("photo", type=Path, nargs="+", help="several: of one animal; the creature gets the first one's pose and camera")
    parser.add_argument("--out", type=Path, required=True, help="the folder of the result, made if absent")
    parser.add_argument(
        "--mask", type=Path, action="append", help="a picture that covers the animal, otherwise alpha or the matting network; given again: "
        "the next photo's"
    )
    parser.add_argument("--method", default="fauna")
    parser.add_argument("--quality", choices=["fast", "fine"], default="fast")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--viewpoint", type=int, choices=range(4), help="one of the four hypotheses instead of the best")
    parser.add_argument("--flip-heading", action="store_true", help="the animal faces the other way")
    parser.add_argument("--swap-legs", action="store_true", help="swap left and right legs")
    parser.add_argument("--name", help="the creature's name; the photo's by default")
    parser.add_argument("--pins", type=Path, help='a JSON file of joints put right by hand, {"hock.L": [x, y], ...} in the photo\'s pixels')
    args = parser.parse_args(argv)
    from backend.service.joints import read_pins
    from backend.service.reconstruct import Further
    from backend.service.reconstruct import reconstruct as run

    bar, masks = Bar(), args.mask or []
    if len(masks) > len(args.photo):
        raise MenagerieError("bad_request", "There are more masks than photos.", "Give each photo one, in the photos' order.")
    (photo, mask), *others = zip_longest(args.photo, masks)
    report = run(
        photo, args.out, mask=mask, others=[Further(*other) for other in others], method=args.method, quality=args.quality,
        seed=args.seed, viewpoint=args.viewpoint, flip_heading=args.flip_heading, swap_legs=args.swap_legs, name=args.name,
        pins=None if args.pins is None else read_pins(args.pins), progress=bar, expect=bar.expect,
    )  # fmt: skip
    return told(args.out, report)


def animate(argv: list[str]) -> int:
    """A clip -> asset with a motion, glTF, a movie of the creature over the clip and report in a folder."""
    parser = argparse.ArgumentParser(prog="python -m backend animate", description=animate.__doc__)
    parser.add_argument("clip", type=Path, help="a movie, an animated GIF, WebP or PNG, or a folder of frames")
    parser.add_argument("--out", type=Path, required=True, help="the folder of the result, made if absent")
    parser.add_argument("--start", type=float, default=0.0, help="seconds of the clip at which the stretch begins")
    parser.add_argument("--end", type=float, help="seconds at which it ends; the clip's end by default")
    parser.add_argument("--fps", type=float, help="frames a second to keep; all by default (of a folder: its rate, 24 by default)")
    parser.add_argument("--stride", type=int, default=1, help="keep each so-many-th frame only")
    parser.add_argument("--mask-dir", type=Path, help="a folder of masks of the animal, one for each frame kept, in order")
    parser.add_argument("--method", default="fauna")
    parser.add_argument("--camera", choices=["auto", "still", "moving"], default="auto", help="whether the camera stood still")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--name", help="the creature's name; the clip's by default")
    args = parser.parse_args(argv)
    from backend.service.animate import Choices
    from backend.service.animate import animate as run

    bar = Bar()
    choices = Choices(args.start, args.end, args.fps, args.stride, args.mask_dir, args.method, args.camera, args.seed)
    return told(args.out, run(args.clip, args.out, choices, name=args.name, progress=bar, expect=bar.expect))


def told(out: Path, report: dict[str, Any]) -> int:
    """Print what a job's report says. -> exit status."""
    for warning in report["warnings"]:
        print(f"note: {warning}", file=sys.stderr)
    for file in report["files"]:
        print(out / file)
    print(f"{report['seconds_total']:.1f} s, peak memory {report['peak_memory_mib']} MiB", file=sys.stderr)
    return 0


def batch(argv: list[str]) -> int:
    """A folder of photos -> a folder of results; goes on after a restart, on this machine or a Ray cluster."""
    from backend.service.batch.command import main

    return main(argv)


def train(argv: list[str]) -> int:
    """Train bundled weights: `train METHOD ...`, or `train mask ...`, the animal decoder."""
    if argv[:1] == ["mask"]:
        from backend.training.mask.command import main as train_mask

        return train_mask(argv[1:])
    if argv[:1] != ["fauna"]:
        raise MenagerieError("bad_request", "train needs a method's name or mask.", "Use: python -m backend train fauna --help")
    from backend.methods.fauna.training.command import main

    return main(argv[1:])


def evaluate(argv: list[str]) -> int:
    """Tables of quality: `evaluate METHOD ...`."""
    from backend.evaluate.command import main

    return main(argv)


def benchmark(argv: list[str]) -> int:
    """Seconds of each stage, and the rasteriser against others'."""
    from backend.benchmark.command import main

    return main(argv)


def weights(argv: list[str]) -> int:
    """List, check, download or convert weights: `weights [list | verify | fetch ID | convert NAME]`."""
    from backend.weights.command import main

    return main(argv, Bar())


def serve(argv: list[str]) -> int:
    """Speak JSON-RPC on stdin and stdout, as the add-on's child."""
    argparse.ArgumentParser(prog="python -m backend serve", description=serve.__doc__).parse_args(argv)
    from backend.service.serve import main

    return main()


def doctor(argv: list[str]) -> int:
    """Check this environment and print what was found as JSON."""
    from backend.service.doctor import main

    return main(argv)


COMMANDS: dict[str, Callable[[list[str]], int]] = {
    "reconstruct": reconstruct,
    "animate": animate,
    "batch": batch,
    "train": train,
    "evaluate": evaluate,
    "benchmark": benchmark,
    "weights": weights,
    "serve": serve,
    "doctor": doctor,
}


def main(argv: list[str]) -> int:
    """Run one command. -> exit status."""
    listing = "\n".join(f"  {name:<12} {(command.__doc__ or '').splitlines()[0]}" for name, command in COMMANDS.items())
    parser = argparse.ArgumentParser(
        prog="python -m backend", description=f"Menagerie's backend {VERSION}.", epilog=f"commands:\n{listing}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("--version", action="version", version=VERSION)
    parser.add_argument("command", choices=list(COMMANDS), metavar="COMMAND")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="see: python -m backend COMMAND --help")
    args = parser.parse_args(argv)
    keep_kernels_in_environment()
    let_threads_sleep()
    try:
        return COMMANDS[args.command](args.arguments)
    except KeyboardInterrupt:
        print("\nStopped. Nothing was changed.", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # Whoever read the list has seen enough; Python would complain again when it closes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 0
    except Exception as escaped:  # noqa: BLE001  (the process boundary: everything is re-reported)
        from backend.service.failures import as_error

        failure = as_error(escaped)
        if failure.code == "internal":
            traceback.print_exception(escaped)
        print(f"\nerror [{failure.code}]: {failure.sentence}\n{failure.remedy or CODES[failure.code]}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
