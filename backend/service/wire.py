"""JSON-RPC 2.0 over a byte stream, framed by `Content-Length` as language servers do.

What enters: a binary stream; what leaves: `Call` (with id) and `Notice` (without), and bytes to write.
The other side is trusted to be ours but not to be whole: every limit is checked before memory is spent.
A frame that cannot be delimited raises `FramingError` (the stream is lost); a frame that can be delimited
but not understood raises `MessageError`, which carries the JSON-RPC error to send back.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, BinaryIO

PROTOCOL = 1
"""Version of methods, parameters and notifications; `initialize` compares it."""

FRAME_LIMIT = 1 << 20
"""Bytes of one message's body; larger data goes by file in the job's folder."""

DEPTH_LIMIT = 32
"""Nesting of arrays and objects in one message."""

HEADER_LINE_LIMIT = 256
HEADER_LINES_LIMIT = 8
ID_LIMIT = 64

PARSE_ERROR = -32700
INVALID_REQUEST = -32600
METHOD_NOT_FOUND = -32601
INVALID_PARAMS = -32602
INTERNAL_ERROR = -32603
APPLICATION_ERROR = -32000
"""The error's `data` then holds `MenagerieError.to_wire()`."""

_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
_BRACKET = re.compile(rb"[\[\]{}]")


class FramingError(Exception):
    """The stream holds something that is no frame; nothing after it can be trusted."""


class MessageError(Exception):
    """A frame that is no valid message. code: JSON-RPC code; request_id: of the message, None if unknown."""

    def __init__(self, code: int, message: str, request_id: str | int | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.request_id = request_id


@dataclass(frozen=True)
class Call:
    """A request that wants an answer. params: always an object; positional parameters are refused."""

    id: str | int
    method: str
    params: dict[str, Any]


@dataclass(frozen=True)
class Notice:
    """A request without id: nobody waits for an answer."""

    method: str
    params: dict[str, Any]


def read_frame(stream: BinaryIO) -> bytes | None:
    """The next frame's body, None at a clean end of the stream. Raises `FramingError`."""
    length: int | None = None
    for count in range(HEADER_LINES_LIMIT + 1):
        line = stream.readline(HEADER_LINE_LIMIT)
        if not line:
            if count == 0:
                return None
            raise FramingError("the stream ended inside a header")
        if not line.endswith(b"\r\n"):
            raise FramingError("a header line is too long or has no CR LF")
        if line == b"\r\n":
            break
        name, colon, value = line[:-2].partition(b":")
        if not colon:
            raise FramingError("a header line has no colon")
        if name.strip().lower() == b"content-length":
            digits = value.strip()
            if length is not None or not re.fullmatch(rb"[0-9]{1,8}", digits):
                raise FramingError("Content-Length is repeated or no number")
            length = int(digits)
    else:
        raise FramingError("too many header lines")
    if length is None:
        raise FramingError("Content-Length is missing")
    if length > FRAME_LIMIT:
        raise FramingError(f"a frame of {length} bytes is over the limit of {FRAME_LIMIT}")
    body = b""
    while len(body) < length:
        part = stream.read(length - len(body))
        if not part:
            raise FramingError("the stream ended inside a frame")
        body += part
    return body


def _depth(body: bytes) -> int:
    """Deepest nesting, counted before parsing so that the parser never recurses on hostile input."""
    deepest = depth = 0
    for bracket in _BRACKET.finditer(_STRING.sub(b"", body)):
        if bracket.group() in b"[{":
            depth += 1
            deepest = max(deepest, depth)
        else:
            depth -= 1
    return deepest


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("a key is repeated")
    return result


def parse(body: bytes) -> Call | Notice:
    """One frame's body -> message. Raises `MessageError`."""
    if _depth(body) > DEPTH_LIMIT:
        raise MessageError(PARSE_ERROR, f"nested deeper than {DEPTH_LIMIT}")
    try:
        message = json.loads(body.decode("utf-8"), parse_constant=_no_constant, object_pairs_hook=_unique)
    except ValueError as error:
        raise MessageError(PARSE_ERROR, f"not JSON: {error}") from error
    if not isinstance(message, dict):
        raise MessageError(INVALID_REQUEST, "a message is one object; batches are not spoken here")
    request_id = message.get("id")
    known = isinstance(request_id, (str, int)) and not isinstance(request_id, bool) and len(str(request_id)) <= ID_LIMIT
    if "id" in message and not known:
        raise MessageError(INVALID_REQUEST, "id must be a short string or a whole number")
    if message.get("jsonrpc") != "2.0":
        raise MessageError(INVALID_REQUEST, "jsonrpc must be \"2.0\"", request_id)
    method, params = message.get("method"), message.get("params", {})
    if not isinstance(method, str) or set(message) - {"jsonrpc", "id", "method", "params"}:
        raise MessageError(INVALID_REQUEST, "a request has jsonrpc, method, params and id, and nothing else", request_id)
    if not isinstance(params, dict):
        raise MessageError(INVALID_PARAMS, "params must be an object", request_id)
    return Notice(method, params) if request_id is None else Call(request_id, method, params)


def frame(message: dict[str, Any]) -> bytes:
    """message with `jsonrpc` added -> header and body. Raises `ValueError` on NaN or over `FRAME_LIMIT`."""
    body = json.dumps({"jsonrpc": "2.0", **message}, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode("utf-8")
    if len(body) > FRAME_LIMIT:
        raise ValueError(f"a message of {len(body)} bytes is over the limit of {FRAME_LIMIT}")
    return b"Content-Length: %d\r\n\r\n" % len(body) + body


def result(request_id: str | int, value: Any) -> bytes:
    """The frame that answers a call."""
    return frame({"id": request_id, "result": value})


def error(request_id: str | int | None, code: int, message: str, data: dict[str, str] | None = None) -> bytes:
    """The frame that refuses a call; request_id None where the call could not be read."""
    body: dict[str, Any] = {"code": code, "message": message}
    if data is not None:
        body["data"] = data
    return frame({"id": request_id, "error": body})


def notice(method: str, params: dict[str, Any]) -> bytes:
    """The frame of a notification."""
    return frame({"method": method, "params": params})
