"""Pictures of a turntable -> an endless GIF, for the add-on (Blender writes none).

    python -m backend.media.gif FOLDER TARGET [--fps N]

FOLDER holds PNG files of one size, taken in the order of their names. One palette serves all pictures, so that
still parts do not flicker.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from PIL import Image as Picture

PALETTE_PICTURES = 12
"""From how many pictures, spread over the turn, the palette is made."""

PALETTE_SIDE = 192


def find_palette(pictures: Sequence[Picture.Image]) -> Picture.Image:
    """A palette image of 256 colours that suits all the pictures."""
    chosen = pictures[:: max(1, len(pictures) // PALETTE_PICTURES)]
    sheet = Picture.new("RGB", (PALETTE_SIDE, PALETTE_SIDE * len(chosen)))
    for row, picture in enumerate(chosen):
        sheet.paste(picture.resize((PALETTE_SIDE, PALETTE_SIDE)), (0, row * PALETTE_SIDE))
    return sheet.quantize(256, method=Picture.Quantize.MEDIANCUT)


def write_gif(files: Sequence[Path], target: Path, fps: float) -> None:
    """Each picture once, in order, for 1/fps seconds (GIF counts in hundredths). Raises ValueError without pictures."""
    if not files:
        raise ValueError("there are no pictures")
    pictures = []
    for file in files:
        with Picture.open(file, formats=["PNG"]) as opened:
            pictures.append(opened.convert("RGB"))
    palette = find_palette(pictures)
    indexed = [picture.quantize(palette=palette, dither=Picture.Dither.FLOYDSTEINBERG) for picture in pictures]
    duration = 10 * max(2, round(100 / fps))
    indexed[0].save(target, format="GIF", save_all=True, append_images=indexed[1:], duration=duration, loop=0, optimize=False)


def main(argv: Sequence[str]) -> int:
    """The command of the module's docstring. -> exit status."""
    parser = argparse.ArgumentParser(prog="python -m backend.media.gif")
    parser.add_argument("folder", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("--fps", type=float, default=24)
    args = parser.parse_args(argv)
    try:
        write_gif(sorted(args.folder.glob("*.png")), args.target, args.fps)
    except (OSError, ValueError) as reason:
        print(reason, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
