"""A tiny archive in 0 A.D.'s formats, written from nothing: one bone, one triangle, one clip, one skin, one actor."""

from __future__ import annotations

import io
import struct
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

TRIANGLE = ((0.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
"""In the file's own left-handed frame; clockwise seen from its outside, -x."""
ACTOR = """<actor version="1"><group><variant file="quadraped/base.xml"><mesh>skeletal/hare.dae</mesh>
<textures><texture file="skeletal/hare.png" name="baseTex"/></textures></variant>
<variant><textures><texture file="skeletal/animal_fox_red.png" name="baseTex"/></textures></variant></group></actor>"""
VARIANT = """<variant><animations><animation file="quadraped/hare_walk.dae" name="Walk"/></animations></variant>"""


def mesh_bytes(bind: tuple[float, ...] = (0, 2, 3, 0, 0, 0, 1)) -> bytes:
    """A PMD of version 4. bind: translation and quaternion xyzw of the one bone."""
    body = struct.pack("<2I", 3, 1)
    for corner in TRIANGLE:
        body += struct.pack("<3f3f2f", *corner, -1, 0, 0, 0.25, 0.75) + bytes([0, 255, 255, 255]) + struct.pack("<4f", 1, 0, 0, 0)
    body += struct.pack("<I3H", 1, 0, 1, 2) + struct.pack("<I7f", 1, *bind) + struct.pack("<I", 0)
    return b"PSMD" + struct.pack("<2I", 4, len(body)) + body


def clip_bytes(frames: list[tuple[float, ...]]) -> bytes:
    """A PSA of version 1 with one bone. frames: translation and quaternion xyzw each."""
    name = b"walk"
    body = struct.pack("<I", len(name)) + name + struct.pack("<f2I", 40.0, 1, len(frames))
    body += b"".join(struct.pack("<7f", *f) for f in frames)
    return b"PSSA" + struct.pack("<2I", 1, len(body)) + body


def write_archive(path: Path) -> Path:
    """An archive with the free animal `hare` and the reserved `fox`."""
    picture = np.zeros((4, 4, 4), np.uint8)
    picture[:, :, 0] = 200
    picture[:, :, 3] = 255
    buffer = io.BytesIO()
    Image.fromarray(picture, "RGBA").save(buffer, "DDS")
    quarter = np.sqrt(0.5)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("art/meshes/skeletal/hare.dae.cached.pmd", mesh_bytes())
        archive.writestr("art/meshes/skeletal/fox.dae.cached.pmd", mesh_bytes())
        archive.writestr("art/meshes/skeletal/cut.dae.cached.pmd", mesh_bytes()[:60])
        frames: list[tuple[float, ...]] = [(0, 2, 3, 0, 0, 0, 1), (0, 2, 3, 0, quarter, 0, quarter)]
        archive.writestr("art/animation/quadraped/hare_walk.dae.cached.psa", clip_bytes(frames))
        archive.writestr("art/textures/skins/skeletal/hare.png.cached.dds", buffer.getvalue())
        archive.writestr("art/actors/fauna/hare.xml", ACTOR)
        archive.writestr("art/actors/fauna/fox_red.xml", ACTOR)
        archive.writestr("art/variants/quadraped/base.xml", VARIANT)
    return path
