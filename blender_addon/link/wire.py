"""The add-on's side of the wire: JSON-RPC 2.0 over pipes, framed by `Content-Length`.

Enters the backend's stdout; leaves dicts. The backend is ours, yet its output is read with the same limits as it
reads ours: a frame of 1 MiB, a depth of 32. Anything else raises `BrokenWire` and the process is ended.
"""

from __future__ import annotations

import json
import re
from typing import Any, BinaryIO

PROTOCOL = 1
FRAME_LIMIT = 1 << 20
DEPTH_LIMIT = 32
HEADER_LINE_LIMIT = 256
HEADER_LINES_LIMIT = 8

_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
_BRACKET = re.compile(rb"[\[\]{}]")


class BrokenWire(Exception):
    """The stream holds something that is no message."""


def read_message(stream: BinaryIO) -> dict[str, Any] | None:
    """The next message, None at the stream's end. Raises `BrokenWire`."""
    body = _read_body(stream)
    if body is None:
        return None
    deepest = depth = 0
    for bracket in _BRACKET.finditer(_STRING.sub(b"", body)):
        depth += 1 if bracket.group() in b"[{" else -1
        deepest = max(deepest, depth)
    if deepest > DEPTH_LIMIT:
        raise BrokenWire(f"nested deeper than {DEPTH_LIMIT}")
    try:
        message = json.loads(body.decode("utf-8"))
    except ValueError as error:
        raise BrokenWire(f"not JSON: {error}") from error
    if not isinstance(message, dict) or message.get("jsonrpc") != "2.0":
        raise BrokenWire("not a JSON-RPC 2.0 message")
    return message


def _read_body(stream: BinaryIO) -> bytes | None:
    length: int | None = None
    for count in range(HEADER_LINES_LIMIT + 1):
        line = stream.readline(HEADER_LINE_LIMIT)
        if not line and count == 0:
            return None
        if not line.endswith(b"\r\n"):
            raise BrokenWire("a header line is cut or too long")
        if line == b"\r\n":
            break
        name, _, value = line[:-2].partition(b":")
        if name.strip().lower() == b"content-length":
            if length is not None or not re.fullmatch(rb" *[0-9]{1,8}", value):
                raise BrokenWire("Content-Length is repeated or no number")
            length = int(value)
    if length is None or length > FRAME_LIMIT:
        raise BrokenWire("Content-Length is missing or over the limit")
    body = stream.read(length)
    if len(body) != length:
        raise BrokenWire("the stream ended inside a frame")
    return body


def frame(message: dict[str, Any]) -> bytes:
    """A message, `jsonrpc` added -> header and body."""
    body = json.dumps({"jsonrpc": "2.0", **message}, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode("utf-8")
    if len(body) > FRAME_LIMIT:
        raise ValueError(f"a message of {len(body)} bytes is over the limit")
    return b"Content-Length: %d\r\n\r\n" % len(body) + body
