"""How long a retarget and bake of 300 frames on 40 bones takes: run by a Python that has bpy.

    python -m tests.blender.retarget_speed [--json FILE]

Two armatures of the common skeleton with six bones more, of other proportions; source sampled, map guessed, transferred with feet held,
baked. Warm, median of 5, by the clock and as this process's own work. Exits with 1 where the median by the clock breaks its limit.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path

import bpy
import numpy as np

from blender_addon.retarget import baking, sampling
from blender_addon.retarget.guess import guess_map
from blender_addon.retarget.solve import Options, solve
from blender_addon.scene import motion as motions
from blender_addon.scene.armature import edit_mode
from blender_addon.scene.asset_file import Motion
from blender_addon.scene.place import place_asset
from tests.blender.creatures import empty_blender, read_creature

FRAMES, BONES, ROUNDS = 300, 40, 5
SECONDS_LIMIT = 1.0


def forty_bones(name: str, stretched: float) -> bpy.types.Object:
    """A creature's armature with bones added on its head, its shins longer by a factor."""
    rig = place_asset(bpy.context, read_creature(), None, name).armature
    with edit_mode(bpy.context, rig):
        bones = rig.data.edit_bones
        for number in range(BONES - len(bones)):
            extra = bones.new(f"whisker.{number:03d}")
            extra.head, extra.tail = bones["head"].tail, bones["head"].tail + bones["ear.L"].vector
            extra.parent = bones["head"]
        for toe in ("toe.L", "toe.R"):
            bones[toe].head.z *= stretched
    return rig


def lively_action(rig: bpy.types.Object) -> bpy.types.Action:
    """Every bone turns in every frame."""
    names = [bone.name for bone in rig.data.bones]
    half = 0.1 * np.sin(np.linspace(0, 40, FRAMES)[:, None, None] + np.arange(len(names))[None, :, None])
    axes = np.random.default_rng(0).normal(size=(1, len(names), 3))
    turns = half * axes / np.linalg.norm(axes, axis=-1, keepdims=True)
    rotations = np.concatenate([np.sqrt(1 - (turns**2).sum(-1, keepdims=True)), turns], -1).astype(np.float32)
    action = bpy.data.actions.new("lively")
    motion = Motion("lively", 24.0, False, rotations, np.zeros((FRAMES, 3), np.float32))
    motions.write_curves(action, rig, names, 1.0 + np.arange(FRAMES), motion)
    return action


def measure() -> dict[str, float | str]:
    """Medians of the whole and of its steps, seconds by the clock; work: of this process alone."""
    empty_blender()
    source, target = forty_bones("source", 1.0), forty_bones("target", 0.8)
    action = lively_action(source)
    runs: dict[str, list[float]] = {"sample": [], "solve": [], "bake": [], "total": [], "work": []}
    for _ in range(ROUNDS + 1):
        times, work = [time.perf_counter()], time.process_time()
        played = sampling.sample_action(bpy.context, source, action)
        times.append(time.perf_counter())
        rig = sampling.read_rig(target)
        result = solve(played.rig, played.clip, rig, guess_map(played.rig, rig), Options())
        times.append(time.perf_counter())
        baking.write_action(target, rig, played, result, "baked")
        times.append(time.perf_counter())
        for name, seconds in zip(runs, [*np.diff(times).tolist(), times[-1] - times[0], time.process_time() - work], strict=True):
            runs[name].append(seconds)
    assert len(rig.names) == BONES and len(played.frames) == FRAMES
    return {"blender": bpy.app.version_string, **{f"{name}_s": statistics.median(values[1:]) for name, values in runs.items()}}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args()
    result = measure()
    text = json.dumps(result, indent=1)
    print(text)
    if chosen.json is not None:
        chosen.json.write_text(text + "\n")
    return 0 if float(result["total_s"]) <= SECONDS_LIMIT else 1


if __name__ == "__main__":
    raise SystemExit(main())
