"""What a scored clip looks like: a strip of frames with the way of its feet, and a moving picture of clip beside creature.

Enters a `ScoredClip`. Leaves a PNG (six frames: the clip, the creature over it, its side with its bones; below, of each foot how far
forward and how high it is through time, the true one grey, the creature's coloured, bars where they stand), and a GIF (the clip, the
creature through the clip's camera, the creature from its side over a ruled ground that stays where it is).
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage
from PIL import ImageDraw

from backend.data.clip_truth import feet
from backend.evaluate.clip_creature import at_frame
from backend.evaluate.clip_road import frame_files
from backend.evaluate.clips import ScoredClip, rest_lengths
from backend.evaluate.creature_views import FLESH, GREY, draw_bones, draw_creature, overlay_mask, posed_surface, project
from backend.evaluate.motion_scores import find_contacts, forward_of
from backend.evaluate.sheet import CELL, LINE
from backend.evaluate.surfaces import view_turn
from backend.media.gif import write_gif
from backend.media.photo import read_photo
from backend.rig.template import load_quadruped
from backend.service.overlay import visible_photo
from backend.types import ByteArray, Camera

Array = NDArray[np.float64]

FRAMES = 6
PLOT = 90
"""Pixels high."""
TRUE, OWN = (150, 150, 150), {"L": (200, 60, 40), "R": (40, 90, 200)}
SIDE_HEIGHT = 240
"""Pixels of a GIF's pictures."""
RULES = 0.5
"""Body lengths between the lines of the ruled ground."""
STEADY = 12
"""Frames over which the camera at the creature's side evens out its way."""


def draw_strip(scored: ScoredClip, target: Path) -> None:
    """Write the PNG."""
    count, files = len(scored.points), frame_files(scored.folder)
    cells: list[list[ByteArray]] = [[], [], []]
    for number in np.linspace(0, count - 1, FRAMES).astype(int):
        photo = visible_photo(read_photo(files[scored.frames.start + number]))
        creature = at_frame(scored.asset, int(number))
        for row, picture in zip(cells, (photo, overlay_mask(creature, photo)[1], draw_bones(creature)), strict=True):
            row.append(picture)
    heights = [max(_reduced(picture).height for picture in row) for row in cells]
    plots = draw_feet(scored, CELL * FRAMES)
    sheet = PillowImage.new("RGB", (CELL * FRAMES, LINE + sum(heights) + plots.height), (255, 255, 255))
    numbers = "  ".join(f"{name} {value:.3f}" for name, value in scored.row.items() if isinstance(value, float))
    ImageDraw.Draw(sheet).text((3, 2), f"{scored.row['clip']}  {numbers}"[:220], fill=(0, 0, 0))
    top = LINE
    for row, height in zip(cells, heights, strict=True):
        for column, picture in enumerate(row):
            sheet.paste(_reduced(picture), (column * CELL, top))
        top += height
    sheet.paste(plots, (0, top))
    target.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(target)


def _reduced(picture: ByteArray) -> PillowImage.Image:
    image = PillowImage.fromarray(picture)
    image.thumbnail((CELL, CELL))
    return image


def draw_feet(scored: ScoredClip, width: int) -> PillowImage.Image:
    """One row a foot: on the left how far forward its tip is, on the right how high, over the clip's time; both in the truth's world, the
    way of the true pelvis's mean pace taken off. Bars below: when it truly stands (grey) and when the creature's does."""
    count, template = len(scored.points), load_quadruped()
    true, own = feet(scored.truth.points[scored.frames]).astype(np.float64), feet(scored.aligned).astype(np.float64)
    ahead = forward_of(scored.truth.points[scored.frames]).mean(0)
    pelvis = scored.truth.points[scored.frames, template.point_index["pelvis"]] @ ahead
    pace = np.linspace(pelvis[0], pelvis[-1], count)[:, None]
    stands = scored.truth.contacts[scored.frames], find_contacts(scored.points, scored.truth.fps, rest_lengths(scored.asset)[0])
    picture = PillowImage.new("RGB", (width, PLOT * len(template.legs)), (255, 255, 255))
    draw = ImageDraw.Draw(picture)
    columns = [(true @ ahead - pace, own @ ahead - pace), (true[..., 1], own[..., 1])]
    for number, leg in enumerate(template.legs):
        top, colour = PLOT * number, OWN[leg.side]
        draw.text((3, top + 2), leg.name, fill=(0, 0, 0))
        for column, (known, found) in enumerate(columns):
            left, right = width * column / 2 + 60, width * (column + 1) / 2 - 10
            low, high = min(known.min(), found.min()), max(known.max(), found.max(), known.min() + 1e-6)
            across = left + (right - left) * np.arange(count) / max(count - 1, 1)
            for line, shade in ((known, TRUE), (found, colour)):
                down = top + PLOT - 18 - (PLOT - 28) * (line[:, number] - low) / (high - low)
                draw.line(list(zip(across.tolist(), down.tolist(), strict=True)), fill=shade, width=2)
            for bar, (contacts, shade) in enumerate(zip(stands, (TRUE, colour), strict=True)):
                for k in np.flatnonzero(contacts[:, number]):
                    draw.rectangle([across[k] - 1, top + PLOT - 12 + 5 * bar, across[k] + 3, top + PLOT - 9 + 5 * bar], fill=shade)
    return picture


def draw_gif(scored: ScoredClip, target: Path) -> None:
    """Write the moving picture, as fast as the clip."""
    files, sides = frame_files(scored.folder), side_cameras(scored)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        pages = []
        for number in range(len(scored.points)):
            photo = visible_photo(read_photo(files[scored.frames.start + number]))
            creature = at_frame(scored.asset, number)
            grey = np.full_like(photo, GREY)
            through = draw_creature(creature, creature.camera, grey)
            side = draw_creature(creature, sides[number], draw_ground(sides[number], scored))
            parts = [PillowImage.fromarray(part) for part in (photo, through, side)]
            parts = [part.resize((round(part.width * SIDE_HEIGHT / part.height), SIDE_HEIGHT)) for part in parts]
            page = PillowImage.new("RGB", (sum(part.width for part in parts), SIDE_HEIGHT))
            left = 0
            for part in parts:
                page.paste(part, (left, 0))
                left += part.width
            pages.append(Path(folder) / f"{number:04}.png")
            page.save(pages[-1])
        write_gif(pages, target, scored.truth.fps)


def side_cameras(scored: ScoredClip) -> list[Camera]:
    """Of each frame, a camera that goes along at the creature's left side and sees all of it."""
    middles, sizes = [], []
    for number in range(len(scored.points)):
        vertices = posed_surface(at_frame(scored.asset, number)).vertices
        middles.append((vertices.max(0) + vertices.min(0)) / 2)
        sizes.append(float(np.linalg.norm(np.ptp(vertices, axis=0))))
    ahead = forward_of(scored.points).mean(0)
    turn = view_turn(float(np.degrees(np.arctan2(ahead[0], ahead[2]))) + 90, 8)
    path, size = smooth(np.array(middles, np.float64)), max(sizes)
    cameras = []
    for middle in path:
        pose = np.eye(4, dtype=np.float32)
        pose[:3, :3], pose[:3, 3] = turn, -turn @ middle + [0, 0, 3.0 * size]
        cameras.append(Camera(SIDE_HEIGHT * 3 // 2, SIDE_HEIGHT, 2.9 * SIDE_HEIGHT, pose))
    return cameras


def smooth(path: Array) -> Array:
    """(t, 3) evened out over STEADY frames, its ends where they are."""
    half = min(STEADY, len(path) - 1)
    if half < 1:
        return path
    padded = np.concatenate([2 * path[0] - path[half:0:-1], path, 2 * path[-1] - path[-2 : -half - 2 : -1]])
    weights = np.hanning(2 * half + 3)[1:-1]
    return np.stack([np.convolve(column, weights / weights.sum(), "valid") for column in padded.T], -1)


def draw_ground(camera: Camera, scored: ScoredClip) -> ByteArray:
    """The creature's ground with lines across its way, as the camera sees them, on grey."""
    picture = PillowImage.new("RGB", (camera.width, camera.height), (GREY,) * 3)
    draw = ImageDraw.Draw(picture)
    ahead = forward_of(scored.points).mean(0)
    ahead /= np.linalg.norm(ahead)
    aside, body = np.array([ahead[2], 0, -ahead[0]]), rest_lengths(scored.asset)[0]
    pelvis = scored.points[:, load_quadruped().point_index["pelvis"]]
    across = float((pelvis @ aside).mean())
    reach = pelvis @ ahead / (RULES * body)
    for step in range(int(reach.min()) - 8, int(reach.max()) + 9):
        ends = np.array([ahead * step * RULES * body + aside * (across + side * 0.6 * body) for side in (-1, 1)])
        depth = ends @ camera.object_to_camera[2, :3] + camera.object_to_camera[2, 3]
        if (depth > 0).all():
            (x, y), (u, v) = project(ends, camera)
            draw.line([(x, y), (u, v)], fill=(FLESH - 40,) * 3, width=1)
    return np.asarray(picture)
