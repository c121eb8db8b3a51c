"""Errors a person can act on.

Every failure that reaches an artist is a `MenagerieError`: a stable code (for tests and the wire), one
sentence that says what happened, and one that says what to do. Anything else that escapes is a defect and
is reported at the process boundary under the code `internal`.
"""

from __future__ import annotations

CODES: dict[str, str] = {
    "photo_unreadable": "Save the photo as PNG or JPEG and choose it again.",
    "photo_too_large": "Use a smaller copy of the photo.",
    "photo_unsupported": "Save the photo as PNG or JPEG and choose it again.",
    "clip_unreadable": "Save the clip as MP4 (H.264) and choose it again.",
    "clip_unsupported": "Save the clip as MP4 (H.264) and choose it again.",
    "clip_too_large": "Use a smaller copy of the clip.",
    "clip_too_long": "Choose a shorter stretch of the clip, or fewer frames a second.",
    "clip_too_short": "Choose a clip, or a longer stretch of it.",
    "mask_unreadable": "Paint or load a mask of the same size as the photo.",
    "no_animal": "Choose a photo with one animal clearly in view, or paint its mask.",
    "several_animals": "Click on the one animal you want with Pick Animal, or paint its mask.",
    "weights_missing": "Install the add-on again: its bundled weights are not there.",
    "weights_damaged": "Install the add-on again: a weights file has changed since it was made.",
    "weights_download": "Check the connection and try the download again; it goes on where it stopped.",
    "backend_missing": "Open the add-on's preferences and press Set Up.",
    "backend_killed": "Try again; the backend has been started afresh.",
    "backend_mismatch": "Open the add-on's preferences and press Update Backend.",
    "protocol": "Try again; if it happens again, use Copy Diagnostics in the preferences.",
    "disk_full": "Free some disk space, or choose another output folder.",
    "not_writable": "Choose an output folder that you can write to.",
    "no_memory": "Close other programs, or use a smaller photo.",
    "asset_damaged": "Reconstruct the photo again: the result file is not whole.",
    "asset_version": "Update Menagerie: the result was written by another version.",
    "bad_request": "Check the settings and try again.",
    "cancelled": "Nothing was changed.",
    "internal": "Use Copy Diagnostics in the preferences and report the problem.",
}
"""Code -> default remedy. The set of codes is part of the wire's contract."""


class MenagerieError(Exception):
    """A failure with a stable code, a sentence and a remedy.

    code: a key of `CODES`; sentence: what happened, for a person; remedy: what to do (default per code).
    """

    def __init__(self, code: str, sentence: str, remedy: str | None = None) -> None:
        if code not in CODES:
            raise ValueError(f"unknown error code {code!r}")
        super().__init__(sentence)
        self.code = code
        self.sentence = sentence
        self.remedy = CODES[code] if remedy is None else remedy

    def to_wire(self) -> dict[str, str]:
        """The JSON form: code, sentence, remedy."""
        return {"code": self.code, "sentence": self.sentence, "remedy": self.remedy}


class Cancelled(MenagerieError):
    """Raised by `progress` when the person has asked to stop."""

    def __init__(self) -> None:
        super().__init__("cancelled", "The job was cancelled.")
