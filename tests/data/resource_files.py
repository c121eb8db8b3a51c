"""Qt resource files made by hand, whole or damaged on purpose."""

from __future__ import annotations

import struct
import zlib


def qt_resources(files: dict[str, bytes], version: int = 3, deflate: tuple[str, ...] = ()) -> bytes:
    """An .rcc file of `files` in one folder, "pictures". deflate: names whose bytes are compressed."""
    header = 20 + (4 if version >= 3 else 0)
    names, places = b"", {}
    for name in ["pictures", *files]:
        places[name] = len(names)
        names += struct.pack(">HI", len(name), 0) + name.encode("utf-16-be")
    data, starts = b"", {}
    for name, content in files.items():
        held = struct.pack(">I", len(content)) + zlib.compress(content) if name in deflate else content
        starts[name] = len(data)
        data += struct.pack(">I", len(held)) + held
    time = b"" if version == 1 else bytes(8)
    tree = struct.pack(">IHII", 0, 2, 1, 1) + time  # the root: one child, node 1
    tree += struct.pack(">IHII", places["pictures"], 2, len(files), 2) + time
    for name in files:
        tree += struct.pack(">IHHHI", places[name], 1 if name in deflate else 0, 0, 1, starts[name]) + time
    at_data, at_names, at_tree = header, header + len(data), header + len(data) + len(names)
    flags = struct.pack(">I", 0) if version >= 3 else b""
    return b"qres" + struct.pack(">4I", version, at_tree, at_data, at_names) + flags + data + names + tree
