"""A small archive of what training reads of 0 A.D.'s large one: 3 GB become 15 MB, small enough for a GPU machine without a network.

    python -m backend.data.pack PUBLIC_ZIP OUT_ZIP

Enters the archive; leaves a zip in the same layout with the catalogue's meshes, clips and skins (CC-BY-SA-3.0, 0 A.D. © Wildfire Games),
the same bytes every time. Reserved animals are refused on the way in, so they can't be in it.
"""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path

from backend.data import quadrupeds
from backend.data.zero_ad import Archive

EPOCH = (1980, 1, 1, 0, 0, 0)


class _Recording(Archive):
    """Keeps the names of what was read."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.read: set[str] = set()

    def _read(self, name: str) -> bytes:
        self.read.add(name)
        return super()._read(name)


def pack(source: Path, target: Path, animals: tuple[str, ...] | None = None) -> int:
    """Write `target`; animals: of the catalogue, None for all. -> number of files. Raises UnreadableArchive, ReservedAnimal."""
    archive = _Recording(source)
    for name in quadrupeds.names() if animals is None else animals:
        clips, skins = quadrupeds.clips_and_skins(archive, name)
        archive.mesh(f"skeletal/{name}.dae")
        for clip in clips:
            archive.clip(clip)
        for skin in skins:
            archive.skin(skin)
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as out:
        for name in sorted(archive.read):
            entry = zipfile.ZipInfo(name, EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            out.writestr(entry, archive.zip.read(name))
    return len(archive.read)


if __name__ == "__main__":
    print(pack(Path(sys.argv[1]), Path(sys.argv[2])), "files")
