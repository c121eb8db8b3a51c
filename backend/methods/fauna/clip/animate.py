"""The road from a clip to an asset: see every frame, find the animal, follow it, stand it on the ground, paint it.

Object frame and units until `asset.place`.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from backend import VERSION
from backend.asset.place import place
from backend.methods.fauna.clip.character import consensus, find_character
from backend.methods.fauna.clip.drift import JointDrift
from backend.methods.fauna.clip.feet import feet_of
from backend.methods.fauna.clip.follow import follow
from backend.methods.fauna.clip.legs import tell_apart
from backend.methods.fauna.clip.looks import Looks, clip_focal, look_through
from backend.methods.fauna.clip.painting import paint_from
from backend.methods.fauna.clip.plant import plant
from backend.methods.fauna.clip.posed import Posed
from backend.methods.fauna.clip.stage import put_on_stage, through_gaps
from backend.methods.fauna.clip.track import Told, Track, begin, in_crops, solve_track
from backend.methods.fauna.clip.views import choose_views
from backend.methods.fauna.clip.windows import by_windows, kept_near
from backend.methods.fauna.clip.world import Standing, World, find_world, upward
from backend.methods.fauna.config import BUNDLED
from backend.methods.fauna.fitting.silhouette import RENDER_SIZE, overlap, picture
from backend.methods.fauna.model import Fauna
from backend.methods.fauna.networks import WEIGHTS, load_networks
from backend.methods.request import ClipRequest, Result
from backend.render.threads import torch_threads
from backend.rig.kinematics import pose_points
from backend.rig.rotations import euler_to_matrix
from backend.types import Asset, Camera, Cost, Motion, Pose, Progress
from backend.weights import manifest_hash

SECONDS, SECONDS_PER_FRAME = 25.0, 1.0
"""Of a clip whose masks are given."""
MEMORY_MIB, MEMORY_MIB_PER_FRAME = 700.0, 0.05
SOLVED_AGAIN = 3
"""Rounds of the joints alone, each from the ground that the last one has found."""
ROUNDS, STEPS = 2, 200
"""Of `follow`, likewise."""


def estimate_clip(request: ClipRequest) -> Cost:
    """Seconds and memory, as `python -m backend benchmark` finds them on two cores."""
    frames = len(request.clip.times)
    return Cost(SECONDS + SECONDS_PER_FRAME * frames, MEMORY_MIB + MEMORY_MIB_PER_FRAME * frames)


@torch_threads(1)
def animate(request: ClipRequest, progress: Progress) -> Result:
    """One clip -> asset with its motion, and scores. Raises `MenagerieError` and `Cancelled`.

    On one thread: two take 1.4 times as long to compare outlines, and come to other last bits.
    """
    torch.manual_seed(request.seed)
    progress("networks", 0.01)
    networks = load_networks()
    model = networks.model
    focal = clip_focal(request)
    seen = look_through(networks, request, focal, progress, (0.02, 0.3))
    times = request.clip.times[seen.numbers.numpy()]
    progress("views", 0.3)
    start = choose_views(model, seen, consensus(seen).rest)
    looks = tell_apart(model, seen, start)
    known = consensus(looks)
    progress("motion", 0.32)
    steady = camera_turns(request, looks, focal)
    drift = JointDrift(looks, model.template)
    track, world = solve_joints_of_clip(model, looks, drift, begin(looks, start, known.rest), times, steady, request, progress)
    character = find_character(model, looks, track, known, request, focal, progress, (0.36, 0.55))
    posed = Posed.of(character.creature)
    track = replace(track, angles=posed.take_over(track.angles, pose_track(track)))
    track, world = stand(posed, looks, drift, track, world.way, times, steady, request, progress)
    progress("texture", 0.9)
    rows = [key.row for key in character.keys]
    with torch.no_grad():
        vertices = posed.vertices(posed.transforms(track.angles[rows]))
    mesh, texture = paint_from(character.creature, character.mesh, looks, track, vertices, rows, request, focal, progress, (0.9, 0.97))
    staged = put_on_stage(character.creature, character.skeleton, track, world)
    staged = through_gaps(staged, seen.numbers.numpy(), len(request.clip.times))
    moves = world.moving or bool((staged.cameras != staged.cameras[0]).any())  # one that only pans goes nowhere
    camera = Camera(request.clip.width, request.clip.height, float(focal), staged.cameras[0])
    motion = Motion(
        request.name, float(request.clip.fps), staged.rotations, staged.root_translations,
        cameras=staged.cameras if moves else None,
    )  # fmt: skip
    pose = Pose(staged.rotations[0], staged.root_translations[0])
    asset = place(
        Asset(request.name, mesh, character.skeleton, character.skin, texture, camera, pose, (motion,), provenance=provenance(request))
    )
    progress("done", 0.99)
    return Result(asset, {"iou": mean_overlap(posed, looks, track), "camera_moves": float(moves)})


def camera_turns(request: ClipRequest, looks: Looks, focal: float) -> Tensor:
    """(t, 3, 3): each frame's camera axes -> the first frame's, from the background's homographies; the identity where there are none."""
    if request.background is None or request.camera == "still":
        return torch.eye(3).expand(len(looks), 3, 3).clone()
    lens = np.array([[focal, 0, request.clip.width / 2], [0, focal, request.clip.height / 2], [0, 0, 1]])
    chosen = request.background[looks.numbers.numpy()].astype(np.float64)
    chosen = chosen @ np.linalg.inv(chosen[0])
    turns = np.linalg.inv(lens) @ chosen @ lens  # first frame's rays -> frame k's
    u, _, vt = np.linalg.svd(turns / np.cbrt(np.linalg.det(turns))[:, None, None])
    return torch.from_numpy(np.swapaxes(u @ vt, 1, 2).astype(np.float32))


def solve_joints_of_clip(
    model: Fauna, looks: Looks, drift: JointDrift, rough: Track, times: NDArray[np.float64], steady: Tensor, request: ClipRequest,
    progress: Progress, span: tuple[float, float] = (0.32, 0.36),
) -> tuple[Track, World]:  # fmt: skip
    """The joints alone: smooth first, then with the ground that the feet tell of. Proportions are those of the first window."""
    world: World | None = None
    track = rough
    for number in range(1 + SOLVED_AGAIN):

        def solve(part: slice, start: Track, held: Track | None, world: World | None = world, number: int = number) -> Track:
            ground = None if world is None else Standing(world[part], model.template, request.clip.fps)
            first = held is None
            given = start if first or held is None else replace(start, rest=held.rest)
            tell = told(progress, "motion", *share(span, number, 1 + SOLVED_AGAIN, part, len(looks)))
            kept = partial(kept_near, held)
            return solve_track(model, looks[part], given, times[part], ground, kept, drift[part], proportions=first, told=tell)

        track = by_windows(track, solve, request.folder, f"joints-{number}", mark(request))
        world = look_down(pose_track(track), track, steady, request, drift)
    assert world is not None
    return track, world


def stand(
    posed: Posed, looks: Looks, drift: JointDrift, track: Track, way: NDArray[np.float64], times: NDArray[np.float64], steady: Tensor,
    request: ClipRequest, progress: Progress, span: tuple[float, float] = (0.55, 0.9),
) -> tuple[Track, World]:  # fmt: skip
    """Follow the clip with feet that stand, as the ground comes to be known better; plant them at last. way (t, 3): the body's over the
    ground, as the joints alone tell it: in the settled creature's poses feet step too short until its outlines have been compared."""
    template, fps = posed.creature.model.template, request.clip.fps
    what = mark(request) + hashlib.sha256(posed.creature.vertices.numpy().tobytes()).hexdigest()
    for number in range(ROUNDS):
        world = look_down(posed_points(posed, track), track, steady, request, drift, way)

        def followed(part: slice, start: Track, held: Track | None, world: World = world, number: int = number) -> Track:
            tell = told(progress, "follow", *share(span, number, ROUNDS + 1, part, len(looks)))
            ground = Standing(world[part], template, fps)
            return follow(posed, looks[part], start, times[part], STEPS, request.seed, tell, ground, partial(kept_near, held))

        track = by_windows(track, followed, request.folder, f"follow-{number}", what)
    world = look_down(posed_points(posed, track), track, steady, request, drift, way)

    def planted(part: slice, start: Track, held: Track | None) -> Track:
        tell = told(progress, "follow", *share(span, ROUNDS, ROUNDS + 1, part, len(looks)))
        ground = Standing(world[part], template, fps)
        return plant(posed, looks[part], start, times[part], ground, partial(kept_near, held), tell)

    return by_windows(track, planted, request.folder, "plant", what), world


def mark(request: ClipRequest) -> str:
    """What a stored window depends on beside its own track."""
    return f"{VERSION} {request.seed} {request.camera} {request.clip.fps}"


@torch.no_grad()
def pose_track(track: Track) -> Tensor:
    """(t, P, 3) posed points of a track, on its own rest points."""
    root = torch.eye(3).expand(len(track.angles), 1, 3, 3)
    return pose_points(track.rest[None], torch.cat([root, euler_to_matrix(track.angles)], 1))


@torch.no_grad()
def posed_points(posed: Posed, track: Track) -> Tensor:
    """(t, P, 3) posed points of the settled creature."""
    return posed.points(posed.transforms(track.angles))


def share(span: tuple[float, float], number: int, rounds: int, part: slice, count: int) -> tuple[float, float]:
    """Where a window of `count` frames begins and ends on the bar, in one of so many rounds."""
    size = (span[1] - span[0]) / rounds
    begins = span[0] + size * number
    return begins + size * part.start / count, begins + size * part.stop / count


def told(progress: Progress, stage: str, begin: float, end: float) -> Told:
    """What `follow` calls, within a stretch of the bar."""
    return lambda done, view: progress(stage, begin + (end - begin) * done, view)


def look_down(
    points: Tensor, track: Track, steady: Tensor, request: ClipRequest, drift: JointDrift, way: NDArray[np.float64] | None = None
) -> World:
    """What stands still about the feet of posed points (t, P, 3). way (t, 3): the body's, where it is known."""
    view, place_ = steady @ track.rotation, (steady @ track.translation[..., None])[..., 0]
    missed = drift.feet_missed(points, track.rotation, track.translation) @ steady[:-1].transpose(1, 2)
    feet = feet_of(points, view, place_, track.rest, drift.template, missed)
    world = find_world(feet, upward(view), request.clip.fps, request.camera, request.background is not None, way)
    return replace(world, steady=world.steady @ steady.double().numpy())


def mean_overlap(posed: Posed, looks: Looks, track: Track) -> float:
    """Mean over the frames of the silhouettes' overlap with the masks, in the crops."""
    total = 0.0
    with torch.no_grad():
        rotation, translation = in_crops(looks, track.rotation, track.translation)
        for k in range(len(looks)):
            vertices = posed.vertices(posed.transforms(track.angles[k : k + 1]))[0] @ rotation[k].T + translation[k]
            cover = picture(vertices, posed.creature.faces, float(looks.focal[k]), RENDER_SIZE)[1] > 0.5
            total += float(overlap(cover.float(), (looks.mask[k] > 127).float()))
    return total / len(looks)


def provenance(request: ClipRequest) -> dict[str, object]:
    """What made the asset: no time, path or machine."""
    return {
        "method": "fauna",
        "preset": BUNDLED.preset,
        "weights": {name: manifest_hash(name) for name in WEIGHTS},
        "input_sha256": request.clip.sha256,
        "frames": len(request.clip.times),
        "fps": float(request.clip.fps),
        "camera": request.camera,
        "seed": request.seed,
        "versions": {"menagerie": VERSION, "torch": str(torch.__version__), "numpy": np.__version__},
    }
