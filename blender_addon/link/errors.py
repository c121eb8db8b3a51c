"""The add-on's own errors, in the wire's form: code, sentence, remedy.

The codes are those of the backend; what the backend reports arrives in the same form and is shown alike.
"""

from __future__ import annotations

REMEDIES: dict[str, str] = {
    "backend_missing": "Open the add-on's preferences and press Set Up.",
    "backend_killed": "Try again; the backend has been started afresh.",
    "backend_mismatch": "Open the add-on's preferences and press Update Backend.",
    "protocol": "Try again; if it happens again, use Copy Diagnostics in the preferences.",
    "cancelled": "Nothing was changed.",
    "disk_full": "Free some disk space, or choose another output folder.",
    "not_writable": "Choose a folder that you can write to.",
    "asset_version": "Update Menagerie: the result was written by another version.",
    "asset_damaged": "Reconstruct the photo again: the result file is not whole.",
    "bad_request": "Check the settings and try again.",
    "mask_unreadable": "Paint or load a mask of the same size as the photo.",
    "photo_unreadable": "Save the photo as PNG or JPEG and choose it again.",
    "weights_download": "Check the connection and try the download again.",
    "internal": "Use Copy Diagnostics in the preferences and report the problem.",
}


class LinkError(Exception):
    """A failure with a stable code, a sentence and a remedy."""

    def __init__(self, code: str, sentence: str, remedy: str | None = None) -> None:
        super().__init__(sentence)
        self.code, self.sentence = code, sentence
        self.remedy = REMEDIES[code] if remedy is None else remedy
        self.output = ""
        """What a failed program printed, for the log and for `environment.found_by_doctor`."""

    def to_wire(self) -> dict[str, str]:
        """The form in which errors are kept and shown."""
        return {"code": self.code, "sentence": self.sentence, "remedy": self.remedy}
