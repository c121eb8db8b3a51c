"""Reader of the animals of the game 0 A.D. (Wildfire Games, CC-BY-SA-3.0) from its archive public.zip.

Enters the archive's path; leave skinned meshes (PMD), animation clips (PSA), skins (DDS) and actors (XML), already in
the object frame: right-handed, +Y up, the animal faces +Z. The files are left-handed, +Y up, facing -Z after X is
negated; both steps together (negate X, half a turn about Y) are one reflection, z -> -z. The files' faces are clockwise
seen from outside in their own frame, so the reflection alone makes them counter-clockwise.

`reserved.json` beside this file lists the animals set aside for acceptance: asking for one raises `ReservedAnimal`.
Units are the game's (metres, roughly). Rotation matrices act on column vectors.
"""

from __future__ import annotations

import io
import json
import struct
import xml.etree.ElementTree as ElementTree
import zipfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage

from backend.types import ByteArray, FloatArray, IntArray

DEFAULT_ARCHIVE = Path("/usr/share/games/0ad/mods/public/public.zip")
"""Where Debian's package `0ad-data` puts it."""

MESHES = "art/meshes/"
CLIPS = "art/animation/"
SKINS = "art/textures/skins/"
ACTORS = "art/actors/"
VARIANTS = "art/variants/"
NO_BONE = 255


class ReservedAnimal(ValueError):
    """The asked-for mesh, skin or actor belongs to an animal that is set aside for acceptance."""


class UnreadableArchive(ValueError):
    """The archive, or a file in it, is absent or not what its name says."""


@dataclass(frozen=True)
class SkinnedMesh:
    """One mesh as the game holds it: not welded, possibly of several components, not closed.

    vertices, normals: (v, 3); uvs: (v, 2), origin at the skin's lower left; faces: (f, 3), counter-clockwise outside;
    bones, weights: (v, 4), index 0 with weight 0 where unused, rows sum to 1; bind: (b, 4, 4) absolute bone matrices.
    """

    vertices: FloatArray
    normals: FloatArray
    uvs: FloatArray
    faces: IntArray
    bones: IntArray
    weights: FloatArray
    bind: FloatArray


@dataclass(frozen=True)
class BoneClip:
    """An animation. frames: (t, b, 4, 4) absolute bone matrices; seconds: of one frame as the file says."""

    name: str
    frames: FloatArray
    seconds: float


@dataclass(frozen=True)
class Actor:
    """What an actor names, over all its variants: mesh and skin file names, clips as (action, file name), prop actors."""

    name: str
    meshes: tuple[str, ...]
    skins: tuple[str, ...]
    clips: tuple[tuple[str, str], ...]
    props: tuple[str, ...]


@cache
def reserved() -> dict[str, Any]:
    """The committed list of reserved animals."""
    return dict(json.loads((Path(__file__).parent / "reserved.json").read_text("utf-8")))


def is_reserved(name: str) -> bool:
    """True for a mesh, skin or actor of a reserved animal; the folder and the ending do not count."""
    stem = PurePosixPath(name).name.split(".")[0].lower()
    return stem in reserved()["meshes"] or any(word in stem for word in reserved()["words"])


def refuse_reserved(name: str) -> None:
    """Raise `ReservedAnimal` if `name` is one."""
    if is_reserved(name):
        raise ReservedAnimal(f"{name} belongs to an animal that is reserved for acceptance (data/reserved.json)")


class Archive:
    """The open archive. Names are as actors give them, for instance `skeletal/wolf.dae`."""

    def __init__(self, path: Path = DEFAULT_ARCHIVE) -> None:
        if not path.is_file():
            raise UnreadableArchive(f"no archive at {path}; install the package 0ad-data or give the path of its public.zip")
        try:
            self.zip = zipfile.ZipFile(path)
        except zipfile.BadZipFile as fault:
            raise UnreadableArchive(f"{path} is not a zip archive") from fault
        self.names = frozenset(self.zip.namelist())

    def _read(self, name: str) -> bytes:
        if name not in self.names:
            raise UnreadableArchive(f"the archive has no {name}")
        return self.zip.read(name)

    def mesh(self, name: str) -> SkinnedMesh:
        """`skeletal/X.dae` -> mesh. Raises ReservedAnimal, UnreadableArchive."""
        refuse_reserved(name)
        return parse_mesh(self._read(f"{MESHES}{name}.cached.pmd"))

    def clip(self, name: str) -> BoneClip:
        """`quadraped/X.dae` -> clip. Clips are free, whoever else uses them."""
        return parse_clip(PurePosixPath(name).stem, self._read(f"{CLIPS}{name}.cached.psa"))

    def skin(self, name: str) -> ByteArray:
        """`skeletal/X.png` -> (h, w, 4) uint8 sRGB + alpha, row 0 at the top (v = 1)."""
        refuse_reserved(name)
        picture = PillowImage.open(io.BytesIO(self._read(f"{SKINS}{name}.cached.dds")))
        return np.ascontiguousarray(np.asarray(picture.convert("RGBA"))[::-1])

    def actors(self, folder: str = "fauna/") -> list[str]:
        """Names of the folder's actors that may be read, sorted."""
        start, end = ACTORS + folder, ".xml"
        names = (n[len(ACTORS) : -len(end)] for n in self.names if n.startswith(start) and n.endswith(end))
        return sorted(n for n in names if not is_reserved(n))

    def actor(self, name: str) -> Actor:
        """`fauna/wolf` -> actor with the files its variants name followed. Reserved ones among those are left out."""
        refuse_reserved(name)
        found: dict[str, list[Any]] = {"mesh": [], "skin": [], "clip": [], "prop": []}
        self._collect(f"{ACTORS}{name}.xml", found, set())
        free = [[n for n in dict.fromkeys(found[kind]) if not is_reserved(n)] for kind in ("mesh", "skin", "prop")]
        return Actor(name, tuple(free[0]), tuple(free[1]), tuple(dict.fromkeys(found["clip"])), tuple(free[2]))

    def _collect(self, path: str, found: dict[str, list[Any]], seen: set[str]) -> None:
        if path in seen or path not in self.names:
            return
        seen.add(path)
        for element in ElementTree.fromstring(self._read(path)).iter():
            text = (element.text or "").strip()
            if element.tag == "mesh" and text:
                found["mesh"].append(text)
            elif element.tag == "texture" and element.get("name") == "baseTex":
                found["skin"].append(element.get("file", ""))
            elif element.tag == "animation" and element.get("file"):
                found["clip"].append((element.get("name", "").lower(), element.get("file")))
            elif element.tag == "prop" and element.get("actor"):
                found["prop"].append(element.get("actor"))
            if element.tag == "variant" and element.get("file"):
                self._collect(VARIANTS + str(element.get("file")), found, seen)


def bone_matrices(translations: NDArray[Any], quaternions: NDArray[Any]) -> FloatArray:
    """File translations (..., 3) and quaternions xyzw (..., 4) -> (..., 4, 4) in the object frame (z reflected)."""
    x, y, z, w = np.moveaxis(quaternions / np.linalg.norm(quaternions, axis=-1, keepdims=True), -1, 0)
    # Reflecting z turns a rotation's axis by the pseudovector rule: (x, y, z) -> (-x, -y, z).
    x, y = -x, -y
    out = np.zeros((*translations.shape[:-1], 4, 4))
    out[..., 0, :3] = np.stack([1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)], -1)
    out[..., 1, :3] = np.stack([2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)], -1)
    out[..., 2, :3] = np.stack([2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)], -1)
    out[..., :3, 3] = translations * (1, 1, -1)
    out[..., 3, 3] = 1
    return out.astype(np.float32)


def parse_mesh(data: bytes) -> SkinnedMesh:
    """PMD version 4 (3 too) -> mesh in the object frame. Raises UnreadableArchive."""
    if data[:4] != b"PSMD" or len(data) < 20:
        raise UnreadableArchive("not a PMD mesh")
    version, _, count, sets = struct.unpack_from("<4I", data, 4)
    if version not in (3, 4):
        raise UnreadableArchive(f"PMD version {version} is not known")
    sets = sets if version == 4 else 1
    at = 20 if version == 4 else 16
    row = np.dtype([("p", "<3f4"), ("n", "<3f4"), ("uv", "<f4", (sets, 2)), ("bones", "u1", 4), ("weights", "<4f4")])
    try:
        table = np.frombuffer(data, row, count, at)
        at += row.itemsize * count
        (face_count,) = struct.unpack_from("<I", data, at)
        faces = np.frombuffer(data, "<u2", face_count * 3, at + 4).reshape(-1, 3)  # (f, 3)
        at += 4 + face_count * 6
        (bone_count,) = struct.unpack_from("<I", data, at)
        bind = np.frombuffer(data, "<f4", bone_count * 7, at + 4).reshape(-1, 7)  # (b, 7)
    except (struct.error, ValueError) as fault:
        raise UnreadableArchive("the PMD mesh is cut short") from fault
    used = table["bones"] != NO_BONE
    weights = np.where(used, table["weights"], 0)
    total = weights.sum(1, keepdims=True)
    weights = np.where(total > 0, weights / np.maximum(total, 1e-12), [1, 0, 0, 0])
    flip = np.array([1, 1, -1], np.float32)
    uvs = table["uv"][:, 0] * (1, -1) + (0, 1)
    return SkinnedMesh(
        np.ascontiguousarray(table["p"] * flip, np.float32),
        np.ascontiguousarray(table["n"] * flip, np.float32),
        np.ascontiguousarray(uvs, np.float32),
        np.ascontiguousarray(faces, np.int32),
        np.where(used, table["bones"], 0).astype(np.int32),
        weights.astype(np.float32),
        bone_matrices(bind[:, :3], bind[:, 3:]),
    )


def parse_clip(name: str, data: bytes) -> BoneClip:
    """PSA version 1 -> clip in the object frame. Raises UnreadableArchive."""
    if data[:4] != b"PSSA":
        raise UnreadableArchive(f"{name} is not a PSA animation")
    try:
        (length,) = struct.unpack_from("<I", data, 12)
        milliseconds, bones, frames = struct.unpack_from("<f2I", data, 16 + length)
        table = np.frombuffer(data, "<f4", frames * bones * 7, 28 + length).reshape(frames, bones, 7)  # (t, b, 7)
    except (struct.error, ValueError) as fault:
        raise UnreadableArchive(f"the PSA animation {name} is cut short") from fault
    return BoneClip(name, bone_matrices(table[..., :3], table[..., 3:]), milliseconds / 1000)
