"""Passages: clips of animated animals pasted over a photograph of a place, the camera still or turning, with the exact masks.

Enters 0 A.D.'s archive, scenes and a seed; leaves `Passage`s of 640 x 384 pixels: a `Clip` in memory, the cover of the animal that is
meant in each frame, and the homographies of the place. The place is a picture at infinity and the camera turns about its own centre, so
that they are exact; the animal goes through it at the pace of its gait. Others may cross before or behind it, something in the place may
stand before it. Only animals of validation.json play: the bundled networks never saw them.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage
from scipy import ndimage

from backend.data.images import View, camera_turn, place_camera, random_light
from backend.data.raster import Coat, draw
from backend.data.stage import Figure, build_figure, build_stage, pose_figure
from backend.data.variety import identity
from backend.data.zero_ad import Archive
from backend.types import ByteArray, Clip, FloatArray, Image

WIDTH, HEIGHT = 640, 384
FPS = 24.0
SPRITE = 384
"""Pixels of the square in which an animal is drawn."""
FOCAL = 1.1 * WIDTH
TURN, SHAKE = 0.16, 0.004
"""Radians by which a turning camera turns to either side, and by which a hand shakes."""
NOISE, QUALITY = 2.0, 88
SHADOW = 0.35


@dataclass(frozen=True)
class Role:
    """One animal's part. length: of its picture's square over the frame's width; start, end: its middle at the first and last frame,
    as shares of the frame's width and height (of the first frame's view); away: it faces right instead of left."""

    animal: str
    motion: str
    length: float
    start: tuple[float, float]
    end: tuple[float, float]
    away: bool = False
    azimuth: float = 75.0


@dataclass(frozen=True)
class Script:
    """front: index of the scene; camera: still, turning, or held by a hand; others: (role, whether it passes in front); post: whether
    something stands before the animal."""

    name: str
    role: Role
    camera: str = "still"
    others: tuple[tuple[Role, bool], ...] = ()
    post: bool = False
    frames: int = 60


@dataclass(frozen=True)
class Passage:
    """masks: (t, h, w) uint8, 0 where it isn't seen; background: (t, 3, 3) float64, the first frame's pixels to frame k's."""

    name: str
    clip: Clip
    masks: ByteArray
    background: NDArray[np.float64]


SCRIPTS = (
    Script("wolf walks", Role("wolf", "wolf_walk", 0.5, (0.8, 0.6), (0.25, 0.62))),
    Script("lioness runs, camera turns", Role("animal_lioness", "lion_run", 0.45, (0.75, 0.6), (-0.15, 0.6)), "turning"),
    Script("zebu walks, from the hand", Role("zebu", "bovidae_walk", 0.55, (0.3, 0.55), (0.65, 0.6), True), "hand"),
    Script("pony trots behind a post", Role("pony", "pony_trot", 0.5, (0.85, 0.58), (0.2, 0.58)), post=True),
    Script("camel stands, camera turns", Role("camel", "camel_idle_02", 0.6, (0.5, 0.52), (0.5, 0.52), azimuth=50.0), "turning"),
    Script("rhino walks, small", Role("rhino", "rhino_walk", 0.3, (0.3, 0.66), (0.55, 0.66), True, 60.0), "turning"),
    Script("wolf, a camel behind", Role("wolf", "wolf_walk", 0.45, (0.75, 0.68), (0.3, 0.68)),
           others=((Role("camel", "camel_walk", 0.6, (0.1, 0.5), (0.8, 0.5), True), False),)),
    Script("zebu, a pony before", Role("zebu", "bovidae_walk_relax", 0.6, (0.6, 0.52), (0.45, 0.52)), "hand",
           others=((Role("pony", "pony_trot", 0.42, (-0.3, 0.7), (1.3, 0.7), True), True),)),
)  # fmt: skip


@lru_cache(4)
def _figure(source: Path, name: str) -> Figure:
    return build_figure(build_stage(Archive(source), name), identity())


def natural_coat(figure: Figure) -> Coat:
    """The first of an animal's own skins."""
    return Coat(figure.stage.skins[0], np.eye(3, 4, dtype=np.float32), np.zeros((0, 5), np.float32), np.zeros(6, np.float32))


def draw_sprites(source: Path, role: Role, rng: np.random.Generator) -> tuple[list[FloatArray], FloatArray]:
    """One cycle of a motion: pictures (s, s, 4) in [0, 1], colour times cover, cover; and the ground below, (2,) pixels."""
    figure = _figure(source, role.animal)
    frames = [i for i, name in enumerate(figure.stage.names) if name.rsplit(":", 1)[0] == role.motion]
    if not frames:
        raise ValueError(f"{role.animal} has no motion {role.motion}")
    posed = [pose_figure(figure, frame)[0] for frame in frames]
    view = View(float(np.radians(-role.azimuth if role.away else role.azimuth)), 0.08, 0.0, 0.9, (0.0, 0.0))
    camera = place_camera(np.concatenate(posed), view, SPRITE)
    coat, light = natural_coat(figure), random_light(camera_turn(view), rng)
    animal = figure.stage.animal
    fine = 2 * SPRITE
    focal = fine / 2 / np.tan(view.fov / 2)
    sprites, lowest = [], 0.0
    for vertices in posed:
        seen = (vertices @ camera[:3, :3].T + camera[:3, 3]).astype(np.float32)
        colour, cover, _ = draw(seen, animal.faces, figure.stage.index, figure.vertices, animal.uvs, focal, fine, coat, light)
        full = np.concatenate([colour * cover[..., None], cover[..., None]], -1)
        sprites.append(np.asarray(cv2.resize(full.astype(np.float32), (SPRITE, SPRITE), interpolation=cv2.INTER_AREA), np.float32))
        lowest = max(lowest, float(np.flatnonzero(sprites[-1][..., 3].any(1))[-1]))
    return sprites, np.array([SPRITE / 2, lowest], np.float32)


def turn_camera(kind: str, frames: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """(t, 3, 3): from the place's picture, its middle at the origin, to each frame's pixels."""
    along = np.linspace(-1, 1, frames)
    angles = np.zeros((frames, 3))
    if kind == "turning":
        angles[:, 0] = TURN * np.sin(along * np.pi / 2)
    if kind in ("turning", "hand"):
        shake = ndimage.gaussian_filter1d(rng.standard_normal((frames, 3)), 4.0, axis=0, mode="nearest")
        angles += SHAKE * (4.0 if kind == "hand" else 1.0) * shake * [1, 1, 0.7]
    intrinsics = np.array([[FOCAL, 0, WIDTH / 2], [0, FOCAL, HEIGHT / 2], [0, 0, 1.0]])
    flat = np.diag([1 / FOCAL, 1 / FOCAL, 1.0])
    return np.stack([intrinsics @ cv2.Rodrigues(np.array([a[1], a[0], a[2]]))[0] @ flat for a in angles])


def _over(place: FloatArray, layer: FloatArray) -> FloatArray:
    return np.asarray(layer[..., :3] + place * (1 - layer[..., 3:]), np.float32)


def _put(sprite: FloatArray, role: Role, share: float, first: NDArray[np.float64], view: NDArray[np.float64]) -> FloatArray:
    """An animal's picture as frame k sees it: (h, w, 4). share: of its way; first, view: the place to the first and to this frame."""
    middle = (1 - share) * np.array(role.start) + share * np.array(role.end)
    scale = role.length * WIDTH / SPRITE
    place = np.array([[scale, 0, middle[0] * WIDTH - scale * SPRITE / 2], [0, scale, middle[1] * HEIGHT - scale * SPRITE / 2], [0, 0, 1]])
    seen = cv2.warpPerspective(sprite, view @ np.linalg.inv(first) @ place, (WIDTH, HEIGHT), flags=cv2.INTER_LINEAR)
    return np.asarray(seen, np.float32)


def _post(scene: FloatArray, first: NDArray[np.float64], view: NDArray[np.float64], x: float) -> FloatArray:
    """A post of the place's own stuff in the middle of the view: (h, w, 4)."""
    width = 26
    layer = np.zeros((HEIGHT, WIDTH, 4), np.float32)
    left = int(x * WIDTH)
    stuff = scene[-HEIGHT:, :width] if scene.shape[0] >= HEIGHT else cv2.resize(scene[:, :width], (width, HEIGHT))
    shade = np.linspace(1.0, 0.55, width, dtype=np.float32)[None, :, None]
    layer[:, left : left + width] = np.concatenate([stuff[:HEIGHT] * shade, np.ones((HEIGHT, width, 1), np.float32)], -1)
    return np.asarray(cv2.warpPerspective(layer, view @ np.linalg.inv(first), (WIDTH, HEIGHT), flags=cv2.INTER_LINEAR), np.float32)


def _record(picture: FloatArray, rng: np.random.Generator) -> ByteArray:
    noisy = picture * 255 + rng.standard_normal(picture.shape, np.float32) * NOISE
    buffer = io.BytesIO()
    PillowImage.fromarray(np.clip(np.rint(noisy), 0, 255).astype(np.uint8)).save(buffer, "JPEG", quality=QUALITY)
    return np.asarray(PillowImage.open(buffer).convert("RGB"))


def make_passage(source: Path, script: Script, scene: ByteArray, seed: int) -> Passage:
    """Draw a passage. source: 0 A.D.'s public.zip; scene: (h, w, 3). Raises as `data.quadrupeds.load`."""
    rng = np.random.default_rng([seed, *script.name.encode()])
    views = turn_camera(script.camera, script.frames, rng)
    place = scene.astype(np.float32) / np.float32(255)
    scale = max(1.0, 1.6 * HEIGHT / place.shape[0], 1.6 * WIDTH / place.shape[1])
    place = np.asarray(np.clip(cv2.resize(place, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC), 0, 1), np.float32)
    middle = np.array([[1, 0, -place.shape[1] / 2], [0, 1, -place.shape[0] / 2], [0, 0, 1]])
    # main last of those behind, first of those in front
    behind = [role for role, front in script.others if not front]
    front = [role for role, front in script.others if front]
    roles = [*behind, script.role, *front]
    sprites = [draw_sprites(source, role, rng) for role in roles]
    frames, masks = [], np.zeros((script.frames, HEIGHT, WIDTH), np.uint8)
    for k, view in enumerate(views):
        seen = cv2.warpPerspective(place, view @ middle, (WIDTH, HEIGHT), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
        picture = np.asarray(seen, np.float32)
        share = k / max(1, script.frames - 1)
        cover = np.zeros((HEIGHT, WIDTH), np.float32)
        for role, (cycle, ground) in zip(roles, sprites, strict=True):
            shadow = np.zeros((SPRITE, SPRITE, 4), np.float32)
            cv2.ellipse(shadow, (int(ground[0]), int(ground[1]) - 4), (SPRITE // 3, SPRITE // 28), 0, 0, 360, (0, 0, 0, SHADOW), -1)
            soft = np.asarray(cv2.GaussianBlur(shadow, (0, 0), 5), np.float32)
            picture = _over(picture, _put(soft, role, share, views[0], view))
            layer = _put(cycle[k % len(cycle)], role, share, views[0], view)
            picture = _over(picture, layer)
            cover = layer[..., 3] if role is script.role else cover * (1 - layer[..., 3])
        if script.post:
            layer = _post(place, views[0], view, 0.5)
            picture, cover = _over(picture, layer), cover * (1 - layer[..., 3])
        masks[k] = np.rint(cover * 255)
        frames.append(_record(picture, rng))
    numbers = np.arange(len(frames), dtype=np.int32)
    clip = Clip(WIDTH, HEIGHT, FPS, numbers / FPS, numbers, lambda k: Image(frames[k]), sha256=f"{seed} {script.name}")
    return Passage(script.name, clip, masks, np.stack([view @ np.linalg.inv(views[0]) for view in views]))
