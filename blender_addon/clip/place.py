"""A clip's result on a creature that stands in the scene: its motion as an action at the scene's rate, the camera's path, and the clip
behind it. All begin at the first frame of the scene's range, which is made longer where it is too short.

Of an earlier result only actions whose keys the artist has not changed are filled anew.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import bpy
import numpy as np

from .. import compat
from ..control import ik
from ..retarget.rig import Rig
from ..retarget.rotations import Array, continuous, rotation_part, to_quaternions
from ..scene import motion as poses
from ..scene import view
from ..scene.asset_file import AssetFile, Motion
from ..scene.creature import NUMBER, ROLE, Creature, parts
from ..scene.place import SPOT, remember_view, stand_at_spot
from . import action as actions
from . import cycle, movie, timing
from .keys import Channel, Keys, Moves, Tolerance, Track, away_by, every_key, reduce_keys, thin, turned_by

HALF_A_PIXEL = 0.5
"""By how much a camera's reduced keys may move what is seen."""

NOT_SHOWN = "Blender can't play this clip behind the creature."
FOLDER_RATE = 24.0
"""Frames a second of a folder of frames, where none are asked for: the backend's own rule."""


@dataclass(frozen=True)
class Wishes:
    """How the artist wants the motion. every: a key at every frame; else as few as hold it within `angle` (radians a bone) and `place`
    (share of the body's length, feet and root); loop: its cycle as well."""

    every: bool = False
    angle: float = np.radians(1.0)
    place: float = 0.005
    loop: bool = False


@dataclass(frozen=True)
class Clip:
    """Where the motion is from. path: a movie or a folder of frames; start: the second at which the motion begins; fps: of a folder's
    frames, which say nothing of it; still: a picture of its first frame, for what Blender can't show, None for none."""

    path: Path
    start: float = 0.0
    fps: float = 0.0
    still: Path | None = None


def scene_rate(scene: bpy.types.Scene) -> float:
    """Frames a second."""
    return float(scene.render.fps / scene.render.fps_base)


def rig_of(asset: AssetFile) -> Rig:
    """The asset's skeleton at rest."""
    y = (asset.tails - asset.heads).astype(np.float64)
    y /= np.maximum(np.linalg.norm(y, axis=1, keepdims=True), 1e-9)
    rest = np.tile(np.eye(4), (len(y), 1, 1))
    rest[:, :3] = np.stack([np.cross(y, asset.z_axes), y, asset.z_axes, asset.heads], -1)
    rest[:, :3, :3] = rotation_part(rest)
    return Rig(asset.bone_names, asset.parents, rest, asset.tails.astype(np.float64))


def body_length(rig: Rig) -> float:
    """Withers to tail base, or the whole skeleton's extent where there are none, in the armature's units."""
    if {"neck.001", "hips"} <= set(rig.names):
        behind = rig.index["tail.001" if "tail.001" in rig.index else "hips"]
        return float(np.linalg.norm(rig.heads[rig.index["neck.001"]] - rig.heads[behind]))
    return float(np.ptp(rig.heads, axis=0).max()) or 1.0


def at_scene_rate(motion: Motion, scene: bpy.types.Scene) -> tuple[Array, Array, Moves]:
    """-> the scene's frames (n,), where they lie in the motion (n,), and the motion at them."""
    rate = scene_rate(scene)
    frames = timing.whole_frames(len(motion.rotations), motion.fps, rate, scene.frame_start)
    places = timing.places_of(frames, motion.fps, rate)
    turns = timing.resampled_turns(motion.rotations, places)
    return frames, places, Moves(turns, timing.resampled(motion.root_translations, places), rate)


def keys_for(rig: Rig, moves: Moves, wishes: Wishes) -> Keys:
    """As many keys as the artist wants."""
    if wishes.every:
        return every_key(moves)
    return reduce_keys(rig, moves, Tolerance(wishes.angle, wishes.place * body_length(rig)))


def give_motion(context: bpy.types.Context, creature: Creature, asset: AssetFile, clip: Clip, wishes: Wishes) -> list[str]:
    """The asset's first motion on the creature, with camera and clip -> sentences for the artist. Assigned where the armature plays
    nothing of the artist's."""
    scene, rig = context.scene, creature.armature
    motion = asset.motions[0]
    frames, places, moves = at_scene_rate(motion, scene)
    bones = rig_of(asset)
    said = []
    action, fresh = action_for(rig, actions.CLIP, f"{rig.name} clip")
    actions.write_motion(action, rig, asset.bone_names, int(frames[0]), moves, keys_for(bones, moves, wishes))
    actions.sign(action, first=int(frames[0]), fps=motion.fps, every=wishes.every, angle=wishes.angle, place=wishes.place)
    playing = rig.animation_data.action if rig.animation_data is not None else None
    if playing is None or (playing.get(ROLE) == actions.CLIP and not fresh):
        ik.follow_channels(context, rig)
        compat.assign_action(rig, action)
    elif playing != action:
        said.append(f"{rig.name} goes on playing {playing.name}; the clip's motion is {action.name}.")
    if wishes.loop and add_cycle(rig, action, bones, moves, wishes) is None:
        said.append("No step repeats in this motion, so there is no cycle.")
    if creature.camera is not None:
        move_camera(creature.camera, asset, motion, frames, places, wishes)
    if creature.photo is not None:
        if not show_clip(scene, creature, asset, clip, motion, frames):
            said.append(NOT_SHOWN)
        movie.show_now(context, creature.photo)
    scene.frame_end = max(scene.frame_end, int(frames[-1]))
    return said


def action_for(owner: bpy.types.Object, role: str, name: str) -> tuple[bpy.types.Action, bool]:
    """The owner's action in this role where the artist has not changed it, else a new one -> it, and whether it is new beside another."""
    number = owner.get(NUMBER)
    own = [action for action in bpy.data.actions if action.get(ROLE) == role and number is not None and action.get(NUMBER) == number]
    same = next((action for action in own if actions.untouched(action)), None)
    return (same, False) if same is not None else (actions.new_action(name, role, number), bool(own))


def add_cycle(rig: bpy.types.Object, action: bpy.types.Action, bones: Rig, moves: Moves, wishes: Wishes) -> bpy.types.Action | None:
    """The loop in a motion as an action of its own, None where there is none. bones: the armature's that move, in the moves' order."""
    loop = cycle.find_loop(bones, moves)
    if loop is None:
        return None
    made, _ = action_for(rig, actions.CYCLE, f"{action.name} cycle")
    first = round(action.frame_range[0])
    actions.write_motion(made, rig, bones.names, first, loop.moves, keys_for(bones, loop.moves, wishes))
    actions.sign(made, first=first, alike=round(loop.alike, 3), gap=round(loop.gap, 4), start=first + loop.start)
    return made


def move_camera(
    camera: bpy.types.Object, asset: AssetFile, motion: Motion, frames: Array, places: Array, wishes: Wishes
) -> None:
    """Let the camera go the clip's way; one that the artist has moved or animated stays."""
    old = camera.animation_data.action if camera.animation_data is not None else None
    if old is not None:
        if old.get(ROLE) != actions.CAMERA or not actions.untouched(old):
            return
        camera.animation_data_clear()
        if old.users <= old.use_fake_user:
            bpy.data.actions.remove(old)
        view.aim_camera(camera, asset)
        stand_at_spot(camera)
        remember_view(camera)
    elif motion.cameras is not None and not stands_as_given(camera, asset):
        return
    if motion.cameras is None:
        return
    flip = np.diag([1.0, -1.0, -1.0, 1.0])
    stood = np.linalg.inv(flip @ motion.cameras.astype(np.float64))
    turns = continuous(timing.resampled_turns(to_quaternions(stood[:, :3, :3]), places))
    spots = timing.resampled(stood[:, :3, 3], places) + np.array(camera.get(SPOT, (0.0, 0.0, 0.0)))
    tracks = camera_keys(asset, turns, spots, wishes)
    camera.rotation_mode = "QUATERNION"
    action = actions.new_action(f"{camera.name} clip", actions.CAMERA, camera.get(NUMBER))
    home = compat.curve_home(action, camera)
    for path, track in zip(("rotation_quaternion", "location"), tracks, strict=True):
        actions.write_track(home, path, "Object Transforms", int(frames[0]), track, wishes.every)
    actions.sign(action, first=int(frames[0]), fps=motion.fps)
    compat.assign_action(camera, action)


def stands_as_given(camera: bpy.types.Object, asset: AssetFile) -> bool:
    """Whether the camera is where the asset has it: else the artist has moved it, or hung it on something."""
    given = np.array(view.camera_matrix(asset))
    given[:3, 3] += camera.get(SPOT, (0.0, 0.0, 0.0))
    return camera.parent is None and bool(np.abs(np.array(camera.matrix_basis) - given).max() < 1e-4 * max(1.0, np.abs(given).max()))


def camera_keys(asset: AssetFile, turns: Array, spots: Array, wishes: Wishes) -> tuple[Track, Track]:
    """Tracks of the camera's turns (n, 4) and places (n, 3): what is seen moves by half a pixel at most."""
    if wishes.every:
        made = every_key(Moves(turns[:, None], spots, 1.0))
        return made.turns[0], made.places
    channels = Channel(turns, False), Channel(spots, False)
    depth = view.plane_depth(asset) / view.BEHIND
    thin(channels[0], HALF_A_PIXEL / asset.focal_px, turned_by)
    thin(channels[1], HALF_A_PIXEL / asset.focal_px * depth, away_by)
    return channels[0].track, channels[1].track


def build_plane(creature: Creature, asset: AssetFile, clip: Clip) -> Creature:
    """The creature with a plane for its clip; without one where Blender can't show it."""
    found = load_clip(clip, asset, f"{creature.armature.name} movie") if creature.camera is not None else None
    if found is None:
        return creature
    plane = view.build_photo_plane(found[0], creature.camera, asset, f"{creature.armature.name} clip")
    plane[ROLE], plane[NUMBER] = "photo", creature.armature[NUMBER]
    creature.collection.objects.link(plane)
    preview = movie.first_picture(found[0])
    for pose in (creature.photo_pose, creature.rest_pose):
        if pose is not None:
            poses.set_preview(pose, preview)
    return replace(creature, photo=plane)


def load_clip(clip: Clip, asset: AssetFile, name: str) -> tuple[bpy.types.Image, float, Array] | None:
    """What `movie.load_movie` gives, of the first frame where Blender can't show the clip."""
    shape = asset.width / asset.height
    found = movie.load_movie(clip.path, name, shape)
    return movie.load_movie(clip.still, name) if found is None and clip.still is not None else found


def show_clip(scene: bpy.types.Scene, creature: Creature, asset: AssetFile, clip: Clip, motion: Motion, frames: Array) -> bool:
    """The clip on the creature's plane, in sync; False where Blender can't show it."""
    plane = creature.photo
    assert plane is not None
    old = plane.data
    found = load_clip(clip, asset, old.name if old is not None else f"{creature.armature.name} movie")
    if found is None:
        return False
    image, rate, numbers = found
    view.fit_photo_plane(plane, image, asset)
    if isinstance(old, bpy.types.Image) and old.users == 0:
        bpy.data.images.remove(old)
    movie.show_in_sync(plane, frames, clip.start, rate or clip.fps or FOLDER_RATE, scene_rate(scene), numbers)
    return len(numbers) > 1 or clip.still is None


@dataclass(frozen=True)
class Moving:
    """A clip's result, to be put onto its creature."""

    asset: AssetFile
    clip: Clip
    wishes: Wishes

    def on_new(self, context: bpy.types.Context, creature: Creature, said: list[str]) -> Creature:
        """A creature that was just made gets its plane and moves; said: gets sentences for the artist."""
        creature = build_plane(creature, self.asset, self.clip)
        if creature.photo is None:
            said.append(NOT_SHOWN)
        said += self.on(context, creature)
        return creature

    def on(self, context: bpy.types.Context, creature: Creature) -> list[str]:
        """The creature moves -> sentences for the artist."""
        return give_motion(context, creature, self.asset, self.clip, self.wishes)


def asked(
    path: str, settings: dict[str, Any], placing: dict[str, Any], report: dict[str, Any], still: Path | None = None
) -> tuple[Clip, Wishes]:
    """What a plan says of a clip: settings of the wire, and of placing; report: the job's, which knows where the motion really begins."""
    frames = report.get("frames") or {}
    start = frames.get("start", settings.get("start")) if isinstance(frames, dict) else settings.get("start")
    clip = Clip(Path(path), float(start or 0.0), float(settings.get("fps") or 0.0), still)
    known = {key: placing[key] for key in ("every", "angle", "place", "loop") if key in placing}
    return clip, Wishes(**known)


def clip_creatures() -> list[bpy.types.Object]:
    """Armatures that have a clip's motion."""
    return [rig for rig in parts("armature") if clip_action(rig) is not None]


def clip_action(rig: bpy.types.Object | None) -> bpy.types.Action | None:
    """The clip's motion of an armature: the one that it plays, else the newest."""
    number = rig.get(NUMBER) if rig is not None else None
    if number is None:
        return None
    own = [action for action in bpy.data.actions if action.get(ROLE) == actions.CLIP and action.get(NUMBER) == number]
    playing = rig.animation_data.action if rig.animation_data is not None else None
    return playing if playing in own else next(reversed(own), None)
