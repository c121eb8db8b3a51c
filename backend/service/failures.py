"""What escaped -> an error a person can act on. Used at the process boundary only.

Operating-system and library failures that have a cause the person can remove become coded errors here, so that
no room below needs to know what a full disk looks like through each library.
"""

from __future__ import annotations

import errno
import re

from backend.errors import MenagerieError

_FULL = {errno.ENOSPC, errno.EDQUOT} if hasattr(errno, "EDQUOT") else {errno.ENOSPC}
_REFUSED = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EISDIR}
# safetensors (Rust) reports the number in its text only.
_RUST_NUMBER = re.compile(r"os error (\d+)")
_NO_MEMORY = ("alloc", "out of memory", "enough memory")


def as_error(escaped: BaseException) -> MenagerieError:
    """Any exception -> `MenagerieError`; an unknown one becomes `internal` with its type and first line."""
    if isinstance(escaped, MenagerieError):
        return escaped
    text = str(escaped)
    if isinstance(escaped, MemoryError) or (isinstance(escaped, RuntimeError) and any(word in text.lower() for word in _NO_MEMORY)):
        return MenagerieError("no_memory", "There is not enough memory for this job.")
    number = escaped.errno if isinstance(escaped, OSError) else None
    found = _RUST_NUMBER.search(text)
    if number is None and found:
        number = int(found.group(1))
    if number in _FULL:
        return MenagerieError("disk_full", "The disk is full.")
    if number == errno.ENOMEM:
        return MenagerieError("no_memory", "There is not enough memory for this job.")
    if number in _REFUSED:
        return MenagerieError("not_writable", "The output folder can't be written to.")
    line = text.strip().splitlines()[0] if text.strip() else ""
    return MenagerieError("internal", f"Something went wrong inside Menagerie ({type(escaped).__name__}: {line[:200]}).")
