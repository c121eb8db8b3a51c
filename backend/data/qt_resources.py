"""Reader of Qt's binary resource files (.rcc), in which Debian's gcompris-qt-data holds its photographs.

Enters a file that may come from anywhere; leave the names in it and, one at a time, their bytes. Layout, big-endian, after qtbase's
rcc.cpp and qresource.cpp: "qres", u32 version (1-3), u32 offsets of tree, data and names, from version 3 u32 flags; a tree node is u32
name, u16 flags, then for a folder u32 count and u32 first child, for a file u16 territory, u16 language, u32 data, and from version 2 u64
time; a name is u16 length, u32 hash, UTF-16; data are u32 length and bytes, those deflated with their full length in front. Nothing that
the file says is believed: every offset is checked, every node is visited once, and deflated bytes grow to a bound.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

from backend.errors import MenagerieError

MAGIC = b"qres"
VERSIONS = (1, 2, 3)
FOLDER, DEFLATED, ZSTD = 2, 1, 4
MAX_BYTES = 256 << 20
"""Of the whole file."""
MAX_NODES = 20_000
MAX_DEPTH = 32
MAX_ENTRY = 32 << 20
"""Bytes of one file in it, once inflated."""


@dataclass(frozen=True)
class _Entry:
    flags: int
    data: int


class QtResources:
    """The files in an .rcc file. names: their paths, `folder/file`, sorted. Raises bad_request where it isn't a whole one."""

    def __init__(self, path: Path) -> None:
        self.name = path.name
        try:
            if path.stat().st_size > MAX_BYTES:
                raise MenagerieError("bad_request", f"{self.name} is far too large for a resource file.")
            self._bytes = path.read_bytes()
        except OSError as fault:
            raise MenagerieError("bad_request", f"{self.name} cannot be read: {fault.strerror or fault}.") from fault
        try:
            self._entries = self._read_tree()
        except (struct.error, ValueError) as fault:
            raise MenagerieError("bad_request", f"{self.name} is no whole Qt resource file: {fault}.") from fault
        self.names = tuple(sorted(self._entries))

    def read(self, name: str) -> bytes:
        """One file's bytes. Raises KeyError for a name that isn't there, bad_request for damaged or compressed beyond what is read here."""
        entry = self._entries[name]
        try:
            (length,) = self._unpack(">I", entry.data)
            data = self._slice(entry.data + 4, length)
            if entry.flags & ZSTD:
                raise ValueError(f"{name} is compressed with Zstandard, which isn't read here")
            if not entry.flags & DEFLATED:
                return data
            return _inflate(data)
        except (struct.error, ValueError, zlib.error) as fault:
            raise MenagerieError("bad_request", f"{self.name} is damaged: {fault}.") from fault

    def _read_tree(self) -> dict[str, _Entry]:
        if self._slice(0, 4) != MAGIC:
            raise ValueError("it doesn't begin with qres")
        version, tree, data, names = self._unpack(">4I", 4)
        if version not in VERSIONS:
            raise ValueError(f"version {version} is not known")
        size = 14 if version == 1 else 22
        entries: dict[str, _Entry] = {}
        seen = {0}
        waiting = [(0, "", 0)]
        while waiting:
            node, path, depth = waiting.pop()
            at = tree + node * size
            name, flags = self._unpack(">IH", at)
            if node:
                path += ("/" if path else "") + self._read_name(names + name)
            if not flags & FOLDER:
                (offset,) = self._unpack(">I", at + 10)
                entries[path] = _Entry(flags, data + offset)
                continue
            count, first = self._unpack(">2I", at + 6)
            if count > MAX_NODES - len(seen) or depth >= MAX_DEPTH:
                raise ValueError("its tree is too large")
            children = range(first, first + count)
            if not seen.isdisjoint(children):
                raise ValueError("its tree is not a tree")
            seen.update(children)
            waiting += [(child, path, depth + 1) for child in children]
        return entries

    def _read_name(self, at: int) -> str:
        (length,) = self._unpack(">H", at)
        return self._slice(at + 6, 2 * length).decode("utf-16-be")

    def _unpack(self, layout: str, at: int) -> tuple[int, ...]:
        return struct.unpack_from(layout, self._bytes, at)

    def _slice(self, at: int, length: int) -> bytes:
        if at + length > len(self._bytes):
            raise ValueError("it is cut short")
        return self._bytes[at : at + length]


def _inflate(data: bytes) -> bytes:
    """Deflated bytes with their full length (u32) in front. Raises ValueError, zlib.error, struct.error."""
    (length,) = struct.unpack_from(">I", data)
    if length > MAX_ENTRY:
        raise ValueError("a file in it is too large")
    stream = zlib.decompressobj()
    out = stream.decompress(data[4:], length + 1)
    if len(out) != length or not stream.eof:
        raise ValueError("a file in it is not as long as it says")
    return out
