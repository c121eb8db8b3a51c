"""How well 0 A.D.'s clips come over to other species: run in the backend's environment, with the game's archive.

    python -m tests.retarget.across_species --source public.zip [--creature DIR/asset.safetensors ...] [--json FILE]

For every clip and target: the swing of the legs' joints against the source's (ranges of the angles between segments, seen from the side),
the way of the feet fore and aft in leg lengths, contacts found anew on the target against the source's, joints past their limits,
feet below the ground, and how far standing feet slide. Without creatures the rig tests' made-up animals are the targets. Exits with 1
where a limit below is broken.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from backend.asset.read import read_asset
from backend.data.zero_ad import DEFAULT_ARCHIVE, Archive
from tests.retarget.animals import Array, posed_by, rig_of, rotations, skeleton
from tests.retarget.core import core
from tests.retarget.zero_ad_rigs import load_clip, load_rig

contacts, feet, frames, guess, parts, solve = (core(name) for name in ("contacts", "feet", "frames", "guess", "parts", "solve"))

CLIPS = (
    ("wolf", "wolf_walk"), ("wolf", "wolf_run"), ("horse_celtic", "horse_walk"), ("horse_celtic", "horse_trot"),
    ("horse_celtic", "horse_gallop"), ("wolfhound", "wolfhound_walk"), ("deer_mesh", "deer_walk_01"), ("camel", "camel_walk"),
    ("giraffe_adult", "giraffe_adult_walk"),
)  # fmt: skip
SWING = 0.2
"""Share by which a joint's swing may differ."""
SWING_SHARE, TIMING_SHARE = 0.9, 0.9
"""Of joints within SWING, and of contacts that begin and end within one frame."""
SINK, SLIDE = 0.01, 0.01
"""Leg lengths below the ground, and that a standing foot goes."""
STEMS = (("front_thigh", "front_shin", "front_foot", "front_toe"), ("thigh", "shin", "foot", "toe"))


def side_angles(joints: Array) -> Array:
    """(t, n, 3) joints of a leg -> (t, n - 1) angles seen from the side: the first segment's own, then each against the last."""
    along = np.diff(joints, axis=1)
    own = np.unwrap(np.arctan2(along[..., 1], -along[..., 2]), axis=0)
    return np.concatenate([own[:, :1], np.diff(own, axis=1)], 1)


def paths_of(rig: Any, body: dict[str, tuple[str, ...]], heads: Array) -> dict[str, Array]:
    """Leg -> (t, n, 3) joints, thigh to toe."""
    out = {}
    for kind, stems in (("front", STEMS[0]), ("hind", STEMS[1])):
        for side in "LR":
            bones = [rig.index[body[f"{stem}.{side}"][0]] for stem in stems if f"{stem}.{side}" in body]
            out[f"{kind}.{side}"] = heads[:, bones]
    return out


def measure(source: Any, clip: Any, target: Any) -> dict[str, Any]:
    """One clip on one target."""
    found = guess.guess_map(source, target)
    theirs, ours = {p.part: p.source for p in found.pairs}, {p.part: p.target for p in found.pairs}
    result = solve.solve(source, clip, target, found, solve.Options())
    poses = posed_by(target, result)
    leg = frames.leg_length(target, ours, theirs)
    up = np.array([0.0, 0.0, 1.0])
    here, there = paths_of(target, ours, poses[..., :3, 3]), paths_of(source, theirs, clip.poses[..., :3, 3])
    swings, ways = [], []
    for name, path in here.items():
        before, after = side_angles(there[name]), side_angles(path)
        swings += (np.ptp(after, axis=0) / np.maximum(np.ptp(before, axis=0), np.radians(5))).tolist()
        ways.append(np.ptp(path[:, -1, 1] - path[:, 0, 1]) / np.ptp(there[name][:, -1, 1] - there[name][:, 0, 1]) / result.scale)
    # The target's contacts, found anew from its own joints.
    tips = tip_paths(target, poses)
    velocity = result.ground
    lap, knuckles = result.lap, poses[..., :3, 3][:, toe_bones(target)]
    way = poses[-1, target.index["hips"], :3, 3] - poses[0, target.index["hips"], :3, 3]
    on_target = contacts.Feet(lap.cut(tips), lap.cut(knuckles), rest_tips(target), way / clip.seconds[-1], np.zeros(3), up, leg)
    anew = lap.whole(contacts.find_gait(on_target, lap, ground=velocity)[1])
    hits = total = 0
    slide = 0.0
    for number, stands in enumerate(result.contacts.values()):
        found = lap.runs(lap.cut(anew[:, number]))
        for start, length in lap.runs(lap.cut(stands)):
            total += 2
            hits += near(start, [begin for begin, _ in found], lap) + near(start + length, [begin + count for begin, count in found], lap)
            stood = tips[lap.frames(start, length), number] - velocity * lap.times(start, length)[:, None]
            slide = max(slide, float(np.linalg.norm(stood - stood[0], axis=1).max()) / leg)
    angles = rotations.to_angles(rotations.to_matrices(result.rotations))
    past = np.maximum(target.limits[..., 0] - angles, angles - target.limits[..., 1])
    past[:, [target.index["root"], target.index["hips"]]] = 0
    return {
        "stance": result.stance,
        "swings_within": float(np.mean(np.abs(np.array(swings) - 1) <= SWING)),
        "swing_median": float(np.median(swings)),
        "feet_way": float(np.mean(ways)),
        "timing_within": hits / max(total, 1),
        "contacts": total // 2,
        "past_limits_degrees": float(np.degrees(np.maximum(past, 0).max())),
        "sink": float(max(0.0, -tips[..., 2].min() / leg)),
        "slide": slide,
    }


def near(frame: int, others: list[int], lap: Any) -> bool:
    """Whether one of the frames is this one or beside it, over the seam too."""
    count = lap.count if lap.round else 10**9
    return any(min((frame - other) % count, (other - frame) % count) <= 1 for other in others)


def rest_tips(target: Any) -> Array:
    """(4,) heights of the toes' tips at rest, legs in the order of contacts."""
    return np.array([target.tails[bone, 2] for bone in toe_bones(target)])


def tip_paths(target: Any, poses: Array) -> Array:
    """(t, 4, 3) of the toes' tips."""
    bones = toe_bones(target)
    return np.stack([(poses[:, b] @ np.linalg.inv(target.rest[b]) @ np.append(target.tails[b], 1))[:, :3] for b in bones], 1)


def toe_bones(target: Any) -> list[int]:
    return [target.index[f"{toe}.{side}"] for toe in ("front_toe", "toe") for side in "LR"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", type=Path, default=DEFAULT_ARCHIVE)
    parser.add_argument("--creature", type=Path, action="append", default=[])
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args()
    targets = {path.parent.name: rig_of(read_asset(path).skeleton) for path in chosen.creature}
    targets = targets or {build: rig_of(skeleton(build)) for build in ("horse", "low", "thin", "bear")}
    archive = Archive(chosen.source)
    rows = []
    for mesh, name in CLIPS:
        source, clip = load_rig(archive, mesh), load_clip(archive, name)
        for label, target in targets.items():
            rows.append({"clip": name, "target": label, **measure(source, clip, replace(target, limits=parts.limits_of(target.names)))})
            print(json.dumps(rows[-1]))
    total = {
        "swings_within": float(np.mean([row["swings_within"] for row in rows])),
        "timing_within": float(np.average([row["timing_within"] for row in rows], weights=[row["contacts"] + 1e-9 for row in rows])),
        **{key: float(max(row[key] for row in rows)) for key in ("past_limits_degrees", "sink", "slide")},
    }
    print(json.dumps({"all": total}, indent=1))
    if chosen.json is not None:
        chosen.json.write_text(json.dumps({"rows": rows, "all": total}, indent=1) + "\n", encoding="utf-8")
    holds = (
        total["swings_within"] >= SWING_SHARE, total["timing_within"] >= TIMING_SHARE, total["past_limits_degrees"] <= 1e-3,
        total["sink"] <= SINK, total["slide"] <= SLIDE,
    )  # fmt: skip
    return 0 if all(holds) else 1


if __name__ == "__main__":
    raise SystemExit(main())
