"""The animal that is clicked on: a photo, clicks and perhaps an earlier mask in, a mask out.

With the optional SAM 2 set every click counts, beside the animal too, and each answer is the next one's start, as SAM 2 was
trained. Without it a click chooses among the things that the bundled network finds. What was worked out of a photo is kept for the
next click. Work goes on a small copy (`mask.WORKING_SIDE`); masks come in its size and are stretched to the photo where they are used.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.special import expit

from backend.errors import MenagerieError
from backend.observe import sam2
from backend.observe.hiera import Embedding
from backend.observe.mask import ISLAND_SHARE, LARGEST_SHARE, LEVEL, find_mask, fit_edges, working_size
from backend.observe.prompts import LOGIT_SIDE
from backend.observe.refine import shrink
from backend.types import FloatArray, Image, Mask, Progress, no_progress

CERTAINTY = 8.0
"""Logit of an earlier mask's pixels: of 2, 4, 8 and 16 the one after which a click beside the animal takes away most surely."""
GROUND = 128
"""Grey behind what a cut-out leaves transparent: the colours hidden there mean nothing."""
TOUCH = 3
"""Pixels of the logits by which two things may be apart and still touch."""
WHOLE, WHOLE_MARGIN = 3, 0.03
"""The last mask is the whole thing, which is what is wanted of an animal: it is taken where its expected IoU is this near the best."""
SET = "The SAM 2 set can be installed from a file in the add-on's preferences."


@dataclass(frozen=True)
class Click:
    """x, y: as shares of the photo's width and height, from its upper left corner; positive: on the animal, or beside it."""

    x: float
    y: float
    positive: bool


@dataclass
class _Chain:
    """Where the last answer stopped. start: bytes of the earlier mask it began with; logits: (256, 256)."""

    start: bytes
    clicks: tuple[Click, ...]
    logits: FloatArray


class Clicker:
    """Answers the clicks on one photo after another, in one thread. network: another SAM 2 than the installed one."""

    def __init__(self, network: sam2.Sam2 | None = None) -> None:
        self._network = network
        self.working_photo = Image(np.zeros((1, 1, 3), np.uint8))
        """The small copy of the photo that was looked at last."""
        self.photo_size = (1, 1)
        """Width and height of that photo itself."""
        self._embedding: Embedding | None = None
        self._chain: _Chain | None = None

    @property
    def takes_negative(self) -> bool:
        """Whether clicks beside the animal count."""
        return self._embedding is not None

    def knows(self, sha256: str) -> bool:
        """Whether `look` was last shown the photo whose file has this hash, with all that is installed."""
        return bool(sha256) and self.working_photo.sha256 == sha256 and (self.takes_negative or not sam2.is_installed())

    def look(self, photo: Image, progress: Progress = no_progress) -> None:
        """Take another photo, and work out what every click on it will need. Raises `weights_damaged`."""
        height, width = photo.rgb.shape[:2]
        self.photo_size = width, height
        size = working_size(width, height)
        rgb, alpha = np.asarray(shrink(photo.rgb, *size), np.uint8), None
        if photo.alpha is not None:
            alpha = np.asarray(shrink(photo.alpha, *size), np.uint8)
            rgb = (GROUND + (rgb.astype(np.int16) - GROUND) * (alpha[..., None] / 255)).astype(np.uint8)
        self.working_photo = Image(rgb, alpha, sha256=photo.sha256)
        self._embedding = self._chain = None
        if self._network is None and sam2.is_installed():
            progress("networks", 0.1)
            self._network = sam2.load_sam2()
        if self._network is not None:
            progress("see", 0.3)
            self._embedding = sam2.embed(self._network, rgb, lambda: progress("see", 0.3))

    def answer(self, clicks: tuple[Click, ...], earlier: Mask | None = None, progress: Progress = no_progress) -> Mask:
        """-> (h, w) float32 in [0, 1] of the working picture. clicks: all of them, in order; earlier: (h, w), what they correct.

        Raises `no_animal` where nothing is found there, `weights_missing` for what only the SAM 2 set can do, `Cancelled`.
        """
        progress("mask", 0.8)
        if self._network is None or self._embedding is None:
            return self._choose(clicks)
        if earlier is None and not clicks[0].positive:
            earlier = self._find_automatic()
        logits = self._follow(clicks, earlier, progress)
        height, width = self.working_photo.rgb.shape[:2]
        coarse = expit(np.asarray(shrink(logits, width, height), np.float32))
        kept = keep_meant(coarse > LEVEL, clicks)
        if not kept.any():
            raise MenagerieError("no_animal", "Nothing is left of the animal after these clicks.", "Click on the animal itself.")
        mask = fit_edges(coarse, kept, self.working_photo.rgb, self.working_photo.rgb)
        if self.working_photo.alpha is not None:
            mask *= self.working_photo.alpha * np.float32(1 / 255)
        return mask

    def _find_automatic(self) -> Mask:
        """What a first click beside the animal corrects."""
        try:
            return find_mask(self.working_photo)
        except MenagerieError as error:
            raise MenagerieError(error.code, error.sentence, "Click on the animal first.") from error

    def _choose(self, clicks: tuple[Click, ...]) -> Mask:
        """Without SAM 2: the things that were clicked on, of those that stand out."""
        if not all(click.positive for click in clicks):
            raise MenagerieError("weights_missing", "A click beside the animal needs the SAM 2 set, which is not installed.", SET)
        try:
            return np.maximum.reduce([find_mask(self.working_photo, at=(click.x, click.y)) for click in clicks])
        except MenagerieError as error:
            if error.code == "no_animal":
                remedy = f"Click on an animal that stands out, or paint its mask. {SET}"
                raise MenagerieError("no_animal", error.sentence, remedy) from error
            raise

    def _follow(self, clicks: tuple[Click, ...], earlier: Mask | None, progress: Progress) -> FloatArray:
        """The logits after the last click, from where the last answer stopped if these clicks go on from there."""
        start = b"" if earlier is None else earlier.tobytes()
        chain = self._chain
        if chain is not None and chain.start == start and chain.clicks == clicks[: len(chain.clicks)]:
            logits: FloatArray | None = chain.logits
            done = len(chain.clicks)
        else:
            logits, done = self._begin(clicks[0], earlier), 0
        for count in range(done + 1, len(clicks) + 1):
            progress("mask", 0.8)
            logits = self._ask(clicks[:count], logits)
        assert logits is not None
        self._chain = _Chain(start, clicks, logits)
        return logits

    def _begin(self, first: Click, earlier: Mask | None) -> FloatArray | None:
        """The logits that the first click corrects. None where there is nothing to correct: the earlier mask is empty, or of everything,
        or the click is on another thing, which doesn't touch it."""
        if earlier is None:
            return None
        share = (earlier > LEVEL).mean()
        if not 0 < share < LARGEST_SHARE:
            return None
        small = np.asarray(shrink(earlier, LOGIT_SIDE, LOGIT_SIDE), np.float32)
        if first.positive:
            alone = ndimage.binary_dilation(self._ask((first,), None) > 0, iterations=TOUCH)
            if not (alone & (small > LEVEL)).any():
                return None
        logits: FloatArray = np.float32(CERTAINTY) * (2 * small - 1)
        return logits

    def _ask(self, clicks: tuple[Click, ...], earlier: FloatArray | None) -> FloatArray:
        """SAM 2's answer to these clicks: (256, 256) logits. earlier: its last one's, or a mask's."""
        assert self._network is not None and self._embedding is not None
        places = np.array([(click.x, click.y) for click in clicks], np.float32)
        found = sam2.answer(self._network, self._embedding, places, [click.positive for click in clicks], earlier)
        logits: FloatArray = found.logits[choose_mask(found.quality) if len(clicks) == 1 and earlier is None else 0]
        return logits


def choose_mask(quality: FloatArray) -> int:
    """Which of the four masks a single click means: it may mean a part, and the network says how sure it is of each. quality: (4,)."""
    best = 1 + int(quality[1:].argmax())
    return WHOLE if quality[WHOLE] >= quality[best] - WHOLE_MARGIN else best


def keep_meant(inside: NDArray[np.bool_], clicks: tuple[Click, ...]) -> NDArray[np.bool_]:
    """The components that are no specks (`mask.ISLAND_SHARE`) or were clicked on: (h, w) -> (h, w)."""
    labels, count = ndimage.label(inside, structure=np.ones((3, 3), int))
    if count == 0:
        return inside
    height, width = inside.shape
    areas = np.bincount(labels.ravel(), minlength=count + 1)
    areas[0] = 0
    kept = areas >= ISLAND_SHARE * areas.max()
    for click in clicks:
        if click.positive:
            kept[labels[min(height - 1, int(click.y * height)), min(width - 1, int(click.x * width))]] = True
    kept[0] = False
    chosen: NDArray[np.bool_] = kept[labels]
    return chosen
