"""How long placing an asset takes against Blender's own glTF importer: run by a Python that has bpy.

    python -m tests.blender.import_ratio [--json FILE]

Same content (10k triangles, UVs, 1024 texture, armature, weights, one action), both warm, in turn, from files to a
view layer that is up to date; median of 7. Exits with 1 where the ratio or the longest time breaks its limit.
"""

from __future__ import annotations

import argparse
import json
import logging
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import bpy

from backend.asset.gltf import write_gltf
from backend.asset.write import write_asset
from blender_addon.scene.asset_file import read_asset_file
from blender_addon.scene.place import place_asset
from tests.asset.creature import make_creature
from tests.promise import own_garbage_only

ROUNDS = 7
RATIO_LIMIT = 0.9
SECONDS_LIMIT = 0.5


def measure(place: Callable[[], object]) -> tuple[float, float]:
    """Seconds of one import into an empty file: by the clock, and of this process's own work."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    start, work = time.perf_counter(), time.process_time()
    place()
    bpy.context.view_layer.update()
    return time.perf_counter() - start, time.process_time() - work


def compare(folder: Path) -> dict[str, float | str]:
    """Medians, the ratio, and our longest times: by the clock, and of work alone (which a busy machine doesn't stretch)."""
    creature = make_creature()
    write_asset(creature, folder / "creature.safetensors")
    write_gltf(creature, folder / "creature.glb")
    ways: dict[str, Callable[[], object]] = {
        "menagerie": lambda: place_asset(bpy.context, read_asset_file(folder / "creature.safetensors")),
        "gltf": lambda: bpy.ops.import_scene.gltf(filepath=str(folder / "creature.glb")),
    }
    for place in ways.values():
        measure(place)  # warm: modules and caches
    runs: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    with own_garbage_only():
        for _ in range(ROUNDS):
            for name, place in ways.items():
                runs[name].append(measure(place))
    medians = {name: statistics.median(clock for clock, _ in times) for name, times in runs.items()}
    return {
        "blender": bpy.app.version_string,
        "menagerie_s": medians["menagerie"],
        "gltf_s": medians["gltf"],
        "ratio": medians["menagerie"] / medians["gltf"],
        "longest_s": max(clock for clock, _ in runs["menagerie"]),
        "longest_work_s": max(work for _, work in runs["menagerie"]),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args()
    logging.disable(logging.INFO)
    with tempfile.TemporaryDirectory() as folder:
        result = compare(Path(folder))
    text = json.dumps(result, indent=1)
    print(text)
    if chosen.json is not None:
        chosen.json.write_text(text + "\n")
    return 0 if float(result["ratio"]) <= RATIO_LIMIT and float(result["longest_s"]) <= SECONDS_LIMIT else 1


if __name__ == "__main__":
    raise SystemExit(main())
