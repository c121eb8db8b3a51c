"""Optional weights from a Hugging Face repository: only when asked for, licence first, resumable, hash before use.

Enters an id of the list; leaves the verified file where `manifest.locate` says. `HF_ENDPOINT` names another server
(a mirror, a test's). A download that was cut goes on where it stopped; a file with another hash is removed, never opened.
Where the list has no revision, the one that was served is written beside the file as `revision.txt`.
"""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path
from typing import Any

from backend.errors import MenagerieError
from backend.types import Progress, no_progress
from backend.weights.manifest import MANIFEST, Entry, find_entry, locate, verify

DEFAULT_ENDPOINT = "https://huggingface.co"
PRIVACY = {"HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_IMPLICIT_TOKEN": "1"}
"""Set before the library is imported: it sends nothing but the request for the file."""


def licence_text(entry: Entry) -> str:
    """What the person agrees to, one paragraph."""
    way = "are made from a file that you have; nothing is downloaded" if entry.parts else "are downloaded; nothing else is sent or received"
    return (
        f"{entry.id}: {entry.attribution}. Licence: {entry.licence}. From {entry.source}. {entry.bytes / (1 << 20):.0f} MiB {way}."
    )


def fetch(id: str, *, accept_licence: bool, progress: Progress = no_progress, manifest: Path = MANIFEST) -> Path:
    """Download, or go on downloading, the optional weights `id`. -> the verified file.

    accept_licence: the person has seen `licence_text` and agreed; without it `bad_request` is raised. Raises
    `weights_download` (no connection, cut, not there), `weights_damaged` (another hash), `disk_full`, `Cancelled`.
    """
    entry = find_entry(id, manifest)
    target = locate(entry, manifest)
    if entry.bundled:
        verify(entry, target)
        return target
    if entry.parts:
        remedy = f"It is had from {entry.source}; then run: python -m backend weights convert {id} --source FILE"
        raise MenagerieError("bad_request", f"The weights {id} come from a file, not from a download.", remedy)
    if not accept_licence:
        raise MenagerieError("bad_request", f"The licence of {id} has not been accepted.", licence_text(entry))
    if target.is_file() and target.stat().st_size == entry.bytes:
        verify(entry, target)
        return target
    progress("download", 0.0)
    folder = target.parent / "incoming"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if shutil.disk_usage(folder).free < entry.bytes * 1.05:
            raise MenagerieError("disk_full", f"There is not enough room for {id} in {target.parent}.")
        arrived, revision = _download(entry, folder, progress)
        try:
            verify(entry, arrived)
        except MenagerieError as error:
            arrived.unlink(missing_ok=True)
            raise MenagerieError("weights_damaged", f"The downloaded weights {id} are not the listed file; they were removed.") from error
        os.replace(arrived, target)
        if not entry.revision:
            (target.parent / "revision.txt").write_text(revision + "\n", encoding="ascii")
        shutil.rmtree(folder, ignore_errors=True)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise MenagerieError("disk_full", f"The disk is full: {id} could not be kept.") from error
        raise MenagerieError("weights_download", f"The weights {id} could not be downloaded.") from error
    progress("download", 1.0)
    return target


def _download(entry: Entry, folder: Path, progress: Progress) -> tuple[Path, str]:
    """-> the file, not yet verified, and the revision that was served."""
    for name, value in PRIVACY.items():
        os.environ.setdefault(name, value)
    # Imported here: nothing that an artist does without this button touches a network library.
    from huggingface_hub import get_hf_file_metadata, hf_hub_url
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, HTTPError
    from huggingface_hub.file_download import http_get

    endpoint = os.environ.get("HF_ENDPOINT") or DEFAULT_ENDPOINT
    # hf_hub_download drops what it has when it is cut; a file of our own, named after what it should become, stays.
    partial = folder / f"{entry.sha256}.part"
    try:
        url = hf_hub_url(
            entry.repository, entry.file, repo_type=entry.repository_type, revision=entry.revision or "main", endpoint=endpoint
        )  # fmt: skip
        facts = get_hf_file_metadata(url, token=False, endpoint=endpoint)
        if facts.size is not None and facts.size != entry.bytes:
            raise MenagerieError("weights_damaged", f"The server's file for {entry.id} has {facts.size} bytes, not {entry.bytes}.")
        with partial.open("ab") as stream:
            have = stream.tell()
            if have > entry.bytes:
                stream.truncate(have := 0)
            http_get(facts.location, stream, resume_size=have, expected_size=entry.bytes, tqdm_class=_meter(entry, progress))
            stream.flush()
            os.fsync(stream.fileno())
    except HfHubHTTPError as error:
        gone = error.response is not None and error.response.status_code == 404
        reason = "is not at the listed place any more" if gone else "could not be downloaded"
        raise MenagerieError("weights_download", f"The file of {entry.id} {reason}.") from error
    except (HTTPError, HFValidationError) as error:
        raise MenagerieError("weights_download", f"The connection was lost while {entry.id} was downloaded.") from error
    return partial, facts.commit_hash or "unknown"


def _meter(entry: Entry, progress: Progress) -> Any:
    """A silent progress bar class that reports to `progress`, so that a cancelled job leaves the download."""
    from huggingface_hub.utils import tqdm

    class Meter(tqdm):
        def __init__(self, *args: Any, **options: Any) -> None:
            self.arrived = float(options.get("initial") or 0)
            super().__init__(*args, **{**options, "disable": True})

        def update(self, n: float | None = 1) -> None:
            self.arrived += n or 0
            progress("download", min(1.0, self.arrived / entry.bytes))

    return Meter
