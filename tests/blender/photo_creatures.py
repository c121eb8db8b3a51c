"""The creatures of the sample photos, made once by the real backend: what tests of rigs must hold on more than a made-up animal.

They are kept under `build/`, in a folder named for the code and weights that made them, so that another state makes them anew.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from functools import lru_cache
from pathlib import Path

from blender_addon.scene.asset_file import AssetFile, read_asset_file

ROOT = Path(__file__).parents[2]
PHOTOS = ROOT / "tests" / "photos"
PYTHON = ROOT / ".venv" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
KEPT = ROOT / "build" / "photo-creatures"
NAMES = tuple(sorted(path.stem for path in PHOTOS.glob("*.png")))
"""The twelve photos."""
PROGRAM = """
import sys
from pathlib import Path
from backend.service.reconstruct import reconstruct
photos, out, *names = sys.argv[1:]
for name in names:
    if not (Path(out) / name / "report.json").is_file():
        reconstruct(Path(photos) / f"{name}.png", Path(out) / name)
"""


@lru_cache
def made_by() -> str:
    """One hash over what decides the creatures: the backend's code, its templates and weights."""
    total = hashlib.sha256()
    for path in sorted((ROOT / "backend").rglob("*")):
        if path.suffix in (".py", ".json", ".safetensors") and "__pycache__" not in path.parts:
            total.update(path.relative_to(ROOT).as_posix().encode() + path.read_bytes())
    return total.hexdigest()[:16]


def photo_creatures(*names: str) -> dict[str, AssetFile]:
    """Name -> the `fast` creature of that photo, of all twelve where none is named. The first call takes five seconds a photo."""
    wanted, folder = names or NAMES, KEPT / made_by()
    missing = [name for name in wanted if not (folder / name / "report.json").is_file()]
    if missing:
        subprocess.run([PYTHON, "-c", PROGRAM, PHOTOS, folder, *missing], cwd=ROOT, check=True, stdout=sys.stderr)
    return {name: read_asset_file(folder / name / "asset.safetensors") for name in wanted}
