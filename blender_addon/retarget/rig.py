"""What a rig and a clip are, for the transfer: plain arrays, no Blender.

All of a rig is in its armature's own space. Tails are read for chain ends alone, and only where they are known to be joints:
importers invent tails and rolls. Bones stand in any order that has parents before children.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from .rotations import Array, rotation_part, to_matrices


@dataclass(frozen=True, eq=False)
class Rig:
    """An armature at rest.

    names: b strings; parents (b,): -1 for none, before their children; rest (b, 4, 4): columns X, Y, Z and head of each bone;
    tails (b, 3) or None where there are none to speak of; up (3,): the world's up in armature space;
    limits (b, 3, 2) or None: radians about the bone's own X, Y, Z (Rx Ry Rz), infinite where there is none;
    connected (b,) or None: bones that cannot move from their parent's tail.
    """

    names: tuple[str, ...]
    parents: Array
    rest: Array
    tails: Array | None = None
    up: Array = field(default_factory=lambda: np.array([0.0, 0.0, 1.0]))
    limits: Array | None = None
    connected: Array | None = None

    @property
    def heads(self) -> Array:
        """(b, 3) joints."""
        return self.rest[:, :3, 3]

    @property
    def axes(self) -> Array:
        """(b, 3, 3) rest rotations."""
        return rotation_part(self.rest)

    @property
    def index(self) -> dict[str, int]:
        """Name -> bone."""
        return {name: bone for bone, name in enumerate(self.names)}

    def children(self, bone: int) -> list[int]:
        """The bones that hang on this one."""
        return np.flatnonzero(self.parents == bone).tolist()

    def ancestors(self, bone: int) -> list[int]:
        """From the bone's parent up to the top."""
        found = []
        while (bone := int(self.parents[bone])) >= 0:
            found.append(bone)
        return found


@dataclass(frozen=True, eq=False)
class Clip:
    """A motion as it was seen. seconds (t,): of each frame, the first 0; poses (t, b, 4, 4): of the rig's bones in armature space;
    places (t, 4, 4): the armature object's own place in the world, None where it stands still."""

    name: str
    seconds: Array
    poses: Array
    places: Array | None = None


def pose_clip(rig: Rig, name: str, fps: float, rotations: Array, locations: Array | None = None, places: Array | None = None) -> Clip:
    """A clip from channels: rotations (t, b, 4) wxyz in each bone's rest axes, locations (t, 3) of the first bone in armature
    space; the asset file's `Motion` and a pose bone's `rotation_quaternion` are exactly these."""
    basis = to_matrices(rotations)
    axes, heads = rig.axes, rig.heads
    poses = np.tile(np.eye(4), (*rotations.shape[:2], 1, 1))
    for bone, parent in enumerate(rig.parents):
        if parent < 0:
            poses[:, bone, :3, :3] = axes[bone] @ basis[:, bone]
            poses[:, bone, :3, 3] = heads[bone]
            if locations is not None and bone == 0:
                poses[:, bone, :3, 3] += locations
            continue
        delta = poses[:, parent, :3, :3] @ axes[parent].T
        poses[:, bone, :3, :3] = delta @ axes[bone] @ basis[:, bone]
        poses[:, bone, :3, 3] = poses[:, parent, :3, 3] + delta @ (heads[bone] - heads[parent])
    return Clip(name, np.arange(len(rotations)) / fps, poses, places)
