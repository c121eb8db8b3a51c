"""Ready motions: chosen clips of 0 A.D. on the template's skeleton, as the add-on bundles them.

    python -m backend.data.ready_motions PUBLIC_ZIP OUT

Enters: the game's archive and `ready_motions.json`. Leaves in OUT: `quadruped.safetensors` (each source animal's skeleton at rest,
body length 1, Blender's frame; each motion's local rotations wxyz, the hips' places, the contacts of its four feet, speed and
length of a cycle), a small picture of each motion, drawn here, and the credit. Same archive and versions, same bytes.

The 42 anatomical points ride on the game's rig (`quadrupeds`); `rig.solve` turns them into rotations of our bones. A game's clip
runs in place and its feet slide: `gait` finds the speed that they slide least at, `footing` makes them stand.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from backend.asset.container import Arrays, pack
from backend.asset.write import write_whole
from backend.data import footing, gait, quadrupeds, thumbnails
from backend.data.zero_ad import Archive
from backend.frames import object_to_blender
from backend.rig.kinematics import matrix_to_quaternion, pose_matrices, quaternion_to_matrix
from backend.rig.skeleton import body_length, build_skeleton, rest_matrices, skeleton_points
from backend.rig.solve import solve_pose
from backend.rig.template import load_quadruped
from backend.types import Skeleton

Array = NDArray[np.float64]

CREDIT = "0 A.D. © Wildfire Games"
LICENCE = "CC-BY-SA-3.0"
SCHEMA = 1
BUNDLE = "quadruped.safetensors"


@dataclass(frozen=True)
class Choice:
    """An entry of ready_motions.json. seconds: of one cycle, 0 as the clip has it."""

    name: str
    label: str
    kind: str
    family: str
    animal: str
    clip: str
    frames: int
    travels: bool
    seconds: float = 0.0


@dataclass(frozen=True)
class ReadyMotion:
    """One cycle on its own skeleton, object frame, body length 1, running in place.

    rotations (t, b, 4) wxyz in the bones' rest axes, the root's the identity; hips (t, 3): of the hips' head from where it rests;
    contacts (t, 4), feet in the template's order of legs; seconds of the cycle; speed: forward, body lengths a second.
    """

    choice: Choice
    skeleton: Skeleton
    rotations: Array
    hips: Array
    contacts: NDArray[np.bool_]
    seconds: float
    speed: float


@cache
def choices() -> tuple[Choice, ...]:
    """ready_motions.json."""
    text = (Path(__file__).parent / "ready_motions.json").read_text("utf-8")
    return tuple(Choice(**entry) for entry in json.loads(text)["motions"])


def stand_up(points: NDArray[np.floating]) -> tuple[Skeleton, float, Array]:
    """(42, 3) rest points of an animal -> its skeleton, body length 1, standing on y = 0 with the root at the origin under the pelvis;
    the scale, and what is then taken from every point (3,)."""
    scale = 1 / float(body_length(torch.from_numpy(points.astype(np.float64))))
    unit = points.astype(np.float64) * scale
    root = build_skeleton(unit.astype(np.float32)).heads[0].astype(np.float64)
    return build_skeleton((unit - root).astype(np.float32)), scale, root


def make_motion(choice: Choice, rest_points: NDArray[np.floating], posed: NDArray[np.floating], frame_seconds: float) -> ReadyMotion:
    """Rest points (42, 3) and those of a clip (n, 42, 3), in one frame and scale, +Y up -> the motion. Raises ValueError."""
    skeleton, scale, root = stand_up(rest_points)
    points, period = gait.close_loop(np.asarray(posed, np.float64) * scale - root, choice.frames)
    seconds = choice.seconds or period * frame_seconds
    rotations, hips = fit_points(skeleton, points)
    rest = rest_matrices(skeleton)
    toes = footing.feet()[0]
    lengths = np.linalg.norm(skeleton.tails[toes].astype(np.float64) - skeleton.heads[toes], axis=1)
    grounds = skeleton.tails[toes, 1].astype(np.float64)
    tips, knuckles = standing(rest, lengths, rotations, hips)
    if choice.travels:
        speed, contacts = gait.find_gait(tips, knuckles, grounds, seconds)
    else:
        speed, contacts = 0.0, gait.find_stands(tips, grounds, seconds)
    wanted = tips + gait.stance_shifts(tips, contacts, speed, seconds)
    wanted[..., 1] = np.where(contacts, grounds, np.maximum(wanted[..., 1], grounds))
    steps = footing.Steps(contacts, wanted, knuckles - tips)
    rotations, hips = footing.place_feet(rest, lengths, rotations, hips, steps, grounds)
    return ReadyMotion(choice, skeleton, rotations, hips, contacts, seconds, speed)


def fit_points(skeleton: Skeleton, points: Array) -> tuple[Array, Array]:
    """Points (t, 42, 3), body length 1 -> rotations (t, b, 4) with the root at rest, places of the hips (t, 3) from where they rest.

    The heading of the whole cycle becomes +Z and its middle x = z = 0; what turns and sways within it is the hips'.
    """
    rotations, placement = solve_pose(skeleton_points(skeleton), points)
    heading = placement[:, :3, 2].mean(0)
    c, s = heading[[2, 0]] / np.hypot(heading[0], heading[2])
    back = np.array([[c, 0, -s], [0, 1, 0], [s, 0, c]])  # the mean heading to +Z
    hips = load_quadruped().bone_index["hips"]
    frame = rest_matrices(skeleton)[hips, :3, :3]
    local = quaternion_to_matrix(torch.from_numpy(rotations[:, hips])).numpy()
    turned = frame.T @ (back @ placement[:, :3, :3]) @ frame @ local
    rotations[:, hips] = matrix_to_quaternion(torch.from_numpy(turned)).numpy()
    pelvis = points[:, load_quadruped().point_index["pelvis"]] @ back.T
    places = pelvis - skeleton.heads[hips]
    places[:, [0, 2]] -= places[:, [0, 2]].mean(0)
    return footing.within_limits(rotations), places


def standing(rest: Array, lengths: Array, rotations: Array, hips: Array) -> tuple[Array, Array]:
    """Tips and knuckles (t, 4, 3) of the feet in a pose, object frame. Arguments as `footing.place_feet`."""
    turns = quaternion_to_matrix(torch.from_numpy(rotations))
    posed = pose_matrices(torch.from_numpy(rest)[None], turns, torch.from_numpy(hips))
    tips, knuckles = footing.foot_points(posed, torch.from_numpy(lengths))
    return tips.numpy(), knuckles.numpy()


def read_motion(archive: Archive, choice: Choice) -> ReadyMotion:
    """The motion from the game's archive. Raises as `quadrupeds.load` and `make_motion`."""
    animal = quadrupeds.load(archive, choice.animal)
    clip = archive.clip(f"quadraped/{choice.clip}.dae")
    matrices = quadrupeds.skin_matrices(animal, clip)
    posed = np.stack([quadrupeds.posed_points(animal, each) for each in matrices])
    return make_motion(choice, animal.points, posed, clip.seconds)


def encode_motions(motions: Sequence[ReadyMotion]) -> bytes:
    """The bundle's bytes; motions of one animal share its skeleton."""
    animals = list(dict.fromkeys(motion.choice.animal for motion in motions))
    template = load_quadruped()
    arrays: Arrays = {"parents": template.parents.astype(np.int32), "limits": template.limits.astype(np.float32)}
    for number, animal in enumerate(animals):
        skeleton = next(motion.skeleton for motion in motions if motion.choice.animal == animal)
        for what in ("heads", "tails", "z_axes"):
            arrays[f"skeleton.{number}.{what}"] = object_to_blender(getattr(skeleton, what))
    entries = []
    for number, motion in enumerate(motions):
        choice = motion.choice
        arrays[f"motion.{number}.rotations"] = motion.rotations.astype(np.float32)
        arrays[f"motion.{number}.hips"] = object_to_blender(motion.hips.astype(np.float32))
        arrays[f"motion.{number}.contacts"] = motion.contacts
        entries.append({
            "name": choice.name, "label": choice.label, "kind": choice.kind, "family": choice.family, "clip": choice.clip,
            "skeleton": animals.index(choice.animal), "seconds": round(motion.seconds, 6), "speed": round(motion.speed, 6),
        })  # fmt: skip
    metadata: dict[str, Any] = {
        "schema": SCHEMA, "content": "motions", "credit": CREDIT, "licence": LICENCE, "bones": list(motions[0].skeleton.names),
        "feet": [leg.name for leg in template.legs], "skeletons": animals, "motions": entries,
    }  # fmt: skip
    return pack(arrays, json.dumps(metadata, sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=False))


def write(archive: Archive, out: Path, chosen: Sequence[Choice]) -> None:
    """Bundle and pictures into the folder `out`, made if absent."""
    torch.set_num_threads(1)  # sums in one order, whatever the machine
    out.mkdir(parents=True, exist_ok=True)
    motions = []
    for choice in chosen:
        motions.append(read_motion(archive, choice))
        write_whole(thumbnails.draw(archive, choice.animal, choice.clip, choice.kind), out / f"{choice.name}.png")
        print(f"{choice.name}: {motions[-1].seconds:.2f} s a cycle, {motions[-1].speed:.2f} body lengths a second", flush=True)
    write_whole(encode_motions(motions), out / BUNDLE)


if __name__ == "__main__":
    write(Archive(Path(sys.argv[1])), Path(sys.argv[2]), choices())
