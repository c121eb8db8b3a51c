"""Clips with truth: an animal of 0 A.D. walks, runs, grazes before a photographer's camera, and everything about it is known.

    python -m backend.data.clips PUBLIC_ZIP OUT [--scenes PLACES] [--only NAME ...]
    python -m backend.data.clips PUBLIC_ZIP --list

--list prints which clips each animal that isn't reserved can play, for further shots.
Enters: the game's archive and `clips.json`, the list of shots that validation looks at. Leaves a folder a shot:
  frames/0000.png ...   RGBA, the animal cut out; with --scenes RGB, over a photograph of a place, and masks/0000.png beside them
  truth.npz, truth.json what is known about it, see `clip_truth`
World: right-handed, +Y up, ground y = 0, body length 1 (withers to tail base at rest), the animal heads for +Z.
Equal archive, list and seed give equal pixels.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage

from backend.data import quadrupeds
from backend.data.clip_backgrounds import hang_backdrop
from backend.data.clip_cameras import Shot, film
from backend.data.clip_motion import ClipMotion, Play, read_motion
from backend.data.clip_truth import read_truth, write_truth
from backend.data.images import SUPERSAMPLING, random_coat, random_light
from backend.data.quadrupeds import DIAGONAL
from backend.data.raster import Coat, Light, draw
from backend.data.scenes import read_scenes
from backend.data.zero_ad import Archive
from backend.types import ByteArray, FloatArray

FPS = 24.0
KINDS = {
    "walk": "walk", "pace": "walk", "trot": "trot", "canter": "run", "gallop": "run", "run": "run", "feed": "graze", "gather": "graze",
    "attack": "attack", "idle": "idle",
}  # fmt: skip
"""What a game's clip's name holds -> what the animal does in it; the first that fits counts."""
NOISE = (0.0, 3.0)
"""Of the sensor, in 255ths."""


@dataclass(frozen=True)
class Plan:
    """One shot of clips.json. kind: walk, trot, run, idle, graze, attack; seed: of coat, light, hand and noise."""

    name: str
    animal: str
    clip: str
    kind: str
    play: Play
    shot: Shot
    seed: int


@cache
def listed() -> tuple[Plan, ...]:
    """The shots of clips.json."""
    found = json.loads((Path(__file__).parent / "clips.json").read_text("utf-8"))
    return tuple(read_plan({**found["every"], **entry}) for entry in found["shots"])


def read_plan(entry: dict[str, Any]) -> Plan:
    """An entry of the list -> the plan."""
    play = Play(**{key: entry[key] for key in ("frames", "start", "seconds", "travels") if key in entry})
    shot = Shot(**{"kind": entry["camera"], **{key: entry[key] for key in Shot.__dataclass_fields__ if key in entry and key != "kind"}})
    return Plan(entry["name"], entry["animal"], entry["clip"], entry["kind"], play, shot, entry["seed"])


def playable(archive: Archive) -> dict[str, dict[str, list[str]]]:
    """Animal -> what it does -> names of the clips that are made for its bones."""
    found: dict[str, dict[str, list[str]]] = {}
    for animal in quadrupeds.names():
        bones = len(archive.mesh(f"skeletal/{animal}.dae").bind)
        for path in quadrupeds.clips_and_skins(archive, animal)[0]:
            name = PurePosixPath(path).stem
            kind = next((kind for word, kind in KINDS.items() if word in name), None)
            if kind is not None and archive.clip(path).frames.shape[1] == bones:
                found.setdefault(animal, {}).setdefault(kind, []).append(name)
    return found


def make_clip(archive: Archive, plan: Plan, folder: Path, scene: ByteArray | None = None) -> None:
    """Write one clip into `folder`, made if absent. scene: (h, w, 3), the place behind the animal; None cuts it out.

    Raises as `quadrupeds.load` and `clip_motion.read_motion`.
    """
    animal = quadrupeds.load(archive, plan.animal)
    motion = read_motion(animal, archive.clip(f"quadraped/{plan.clip}.dae"), plan.play, FPS)
    rng = np.random.default_rng(plan.seed)
    skins = tuple(np.ascontiguousarray(quadrupeds.skin_image(archive, skin)[..., :3]) for skin in animal.skins)
    coat, light = random_coat(skins, rng), random_light(np.eye(3, dtype=np.float32), rng)
    cameras = film(motion.vertices, plan.shot, FPS, rng)
    backdrop = None if scene is None else hang_backdrop(scene, cameras, motion.vertices, plan.shot, rng)
    (folder / "frames").mkdir(parents=True, exist_ok=True)
    if backdrop is not None:
        (folder / "masks").mkdir(exist_ok=True)
    rest = motion.rest_vertices * np.float32(DIAGONAL / np.linalg.norm(np.ptp(motion.rest_vertices, axis=0)))
    looks = Looks(animal.faces, animal.uvs, motion.index, rest, coat, light, float(rng.uniform(*NOISE)))
    for number, picture in enumerate(paint_frames(motion, cameras, plan.shot, looks, rng)):
        if backdrop is None:
            PillowImage.fromarray(picture, "RGBA").save(folder / "frames" / f"{number:04}.png")
        else:
            PillowImage.fromarray(backdrop.paste(picture, number)).save(folder / "frames" / f"{number:04}.png")
            PillowImage.fromarray(picture[..., 3]).save(folder / "masks" / f"{number:04}.png")
    facts = {
        "name": plan.name, "animal": plan.animal, "species": animal.species, "clip": plan.clip, "kind": plan.kind, "fps": FPS,
        "width": plan.shot.width, "height": plan.shot.height, "focal_px": plan.shot.focal_px, "camera": plan.shot.kind,
        "shake": plan.shot.shake, "azimuth": plan.shot.azimuth, "elevation": plan.shot.elevation, "cut_out": backdrop is None,
        "seed": plan.seed,
    }  # fmt: skip
    write_truth(folder, facts, motion, animal.faces, cameras, None if backdrop is None else backdrop.homographies)


@dataclass(frozen=True)
class Looks:
    """What is the same in every frame. light: in world axes; rest (v, 3): the skin at rest, as large as pictures for training have it,
    for the coat's pattern."""

    faces: NDArray[np.int32]
    uvs: FloatArray
    index: NDArray[np.int64]
    rest: FloatArray
    coat: Coat
    light: Light
    noise: float


def paint_frames(
    motion: ClipMotion, cameras: FloatArray, shot: Shot, looks: Looks, rng: np.random.Generator
) -> Iterator[ByteArray]:
    """-> (h, w, 4) of each frame, its colours not multiplied by alpha."""
    side = max(shot.width, shot.height)
    top, left = (side - shot.height) // 2, (side - shot.width) // 2
    part = (slice(top, top + shot.height), slice(left, left + shot.width))
    for skin, camera in zip(motion.vertices, cameras, strict=True):
        turn = camera[:3, :3]
        light = replace(looks.light, direction=turn @ looks.light.direction, up=np.ascontiguousarray(turn[:, 1]))
        seen = skin @ turn.T + camera[:3, 3]
        fine = shot.focal_px * SUPERSAMPLING, side * SUPERSAMPLING
        colour, cover, _ = draw(seen, looks.faces, looks.index, looks.rest, looks.uvs, *fine, looks.coat, light)
        share, total = halve(cover)[part], halve(colour)[part]
        own = total / np.maximum(share, 1 / 8)[..., None] * 255
        own = own + rng.standard_normal((*share.shape, 3), np.float32) * looks.noise
        pixels = np.concatenate([own * (share > 0)[..., None], share[..., None] * 255], -1)
        yield np.rint(pixels.clip(0, 255)).astype(np.uint8)


def halve(fine: FloatArray) -> FloatArray:
    """(2 s, 2 s, ...) -> (s, s, ...), means of four."""
    return np.asarray((fine[::2, ::2] + fine[1::2, ::2] + fine[::2, 1::2] + fine[1::2, 1::2]) * np.float32(0.25))


def main(argv: list[str] | None = None) -> int:
    """The command of the module's docstring. -> exit status."""
    parser = argparse.ArgumentParser(prog="python -m backend.data.clips", description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("source", type=Path)
    parser.add_argument("out", type=Path, nargs="?")
    parser.add_argument("--list", action="store_true", help="what each animal can play")
    parser.add_argument("--scenes", type=Path, help="gcompris-qt-data's folder, or its explore_monuments.rcc")
    parser.add_argument("--only", nargs="*", default=[], help="names of clips.json")
    args = parser.parse_args(argv)
    archive = Archive(args.source)
    if args.list:
        for animal, kinds in playable(archive).items():
            print(f"{animal}: " + "; ".join(f"{kind} {', '.join(names)}" for kind, names in kinds.items()))
        return 0
    if args.out is None:
        parser.error("OUT is missing")
    places = [] if args.scenes is None else list(read_scenes(args.scenes, "evaluation").values())
    for number, plan in enumerate(listed()):
        if not args.only or plan.name in args.only:
            make_clip(archive, plan, args.out / plan.name, places[number % len(places)] if places else None)
            facts = read_truth(args.out / plan.name).facts
            pace = f"{facts['speed']:.2f} body lengths a second"
            print(f"{plan.name}: {facts['frames']} frames, {pace}, standing feet slide by {facts['slide']:.2%} of a leg", flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
