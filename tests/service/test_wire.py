"""Framing and messages: what is ours goes through unchanged, everything else is refused before memory is spent."""

from __future__ import annotations

import io
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.service import wire


def body_of(data: bytes) -> bytes:
    body = wire.read_frame(io.BytesIO(data))
    assert body is not None
    return body


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=20), lambda inner: st.lists(inner, max_size=3), max_leaves=8
)


@settings(max_examples=50, deadline=None)
@given(st.dictionaries(st.text(max_size=8), JSON_VALUES, max_size=4))
def test_a_call_survives_the_wire(params: dict[str, object]) -> None:
    message = wire.parse(body_of(wire.frame({"id": 7, "method": "status", "params": params})))
    assert message == wire.Call(7, "status", params)


def test_frames_follow_each_other_and_the_end_is_clean() -> None:
    stream = io.BytesIO(wire.notice("a", {"photo": "Löwe im Grünen 狮.jpg"}) + wire.notice("b", {}))
    names = []
    while (body := wire.read_frame(stream)) is not None:
        message = wire.parse(body)
        assert isinstance(message, wire.Notice)
        names.append(message.method)
    assert names == ["a", "b"]


@pytest.mark.parametrize(
    "data",
    [
        b"Content-Length: 10\r\n\r\n{}",
        b"Content-Length: -2\r\n\r\n{}",
        b"Content-Length: 2\nX: y\n\n{}",
        b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
        b"Content-Length: 99999999\r\n\r\n{}",
        b"Content-Length: 1048577\r\n\r\n{}",
        b"Content-Length: 123456789012\r\n\r\n{}",
        b"Content-Type: x\r\n\r\n{}",
        b"no colon\r\n\r\n{}",
        b"A" * 5000,
        b"A: b\r\n" * 50 + b"\r\n",
        b"\x00\xff\xfe" * 10,
        b"Content-Length: 2",
    ],
)
def test_a_broken_frame_ends_the_stream(data: bytes) -> None:
    with pytest.raises(wire.FramingError):
        wire.read_frame(io.BytesIO(data))


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{", wire.PARSE_ERROR),
        (b"\xff\xfe", wire.PARSE_ERROR),
        (b"[" * 100_000, wire.PARSE_ERROR),
        (b'{"a":' * 33 + b"1" + b"}" * 33, wire.PARSE_ERROR),
        (b'{"jsonrpc":"2.0","id":1,"id":2,"method":"x"}', wire.PARSE_ERROR),
        (b'{"jsonrpc":"2.0","id":1,"method":"x","params":{"a":NaN}}', wire.PARSE_ERROR),
        (b"[]", wire.INVALID_REQUEST),
        (b"3", wire.INVALID_REQUEST),
        (b'{"jsonrpc":"2.0","id":null,"method":"x"}', wire.INVALID_REQUEST),
        (b'{"jsonrpc":"2.0","id":true,"method":"x"}', wire.INVALID_REQUEST),
        (b'{"jsonrpc":"2.0","id":1.5,"method":"x"}', wire.INVALID_REQUEST),
        (b'{"jsonrpc":"1.0","id":1,"method":"x"}', wire.INVALID_REQUEST),
        (b'{"jsonrpc":"2.0","id":1,"method":3}', wire.INVALID_REQUEST),
        (b'{"jsonrpc":"2.0","id":1,"method":"x","other":1}', wire.INVALID_REQUEST),
        (b'{"jsonrpc":"2.0","id":1,"method":"x","params":[1]}', wire.INVALID_PARAMS),
    ],
)
def test_a_bad_message_is_refused_with_its_code(body: bytes, code: int) -> None:
    with pytest.raises(wire.MessageError) as refusal:
        wire.parse(body)
    assert refusal.value.code == code


def test_brackets_inside_strings_are_no_depth() -> None:
    message = wire.parse(json.dumps({"jsonrpc": "2.0", "method": "x", "params": {"a": "[{" * 100 + '\\"'}}).encode())
    assert isinstance(message, wire.Notice)


def test_too_large_a_message_is_not_written() -> None:
    with pytest.raises(ValueError, match="over the limit"):
        wire.notice("progress", {"text": "x" * wire.FRAME_LIMIT})
