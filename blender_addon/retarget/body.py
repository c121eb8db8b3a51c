"""The target in motion: a turn and a joint for each bone and frame, in armature space, until they become channels.

A bone that has no parent hangs on the bone of the body that it would hang on (a thigh on the hips), so that rigs whose legs or
spine stand alone move as one; Blender then gets a location for it.
"""

from __future__ import annotations

import numpy as np

from .parts import Parts, holder_of, split
from .rig import Rig
from .rotations import Array, apply, from_angles, to_angles, transposed

CARRIERS = ("hips", "spine", "neck", "head")
"""The part whose first bone has the body's place, the first that is mapped."""


class Body:
    """rig, parts: the target's mapped ones; turns (t, b, 3, 3), heads (t, b, 3): filled by the transfer."""

    def __init__(self, rig: Rig, parts: Parts, count: int) -> None:
        self.rig, self.parts = rig, parts
        self.rest_heads, self.axes = rig.heads.copy(), rig.axes
        self.part_of = {rig.index[name]: part for part, names in parts.items() for name in names}
        self.holders = np.array([self._holder(bone) for bone in range(len(rig.names))])
        self.order = order_of(self.holders)
        self.carrier = next((rig.index[parts[part][0]] for part in CARRIERS if part in parts), self.order[0] if not self.part_of
                            else next(bone for bone in self.order if bone in self.part_of))  # fmt: skip
        self.mover = self._mover()
        self.carried = np.array([self.mover in (bone, *self._held_by(bone)) for bone in range(len(rig.names))])
        self.turns = np.tile(np.eye(3), (count, len(rig.names), 1, 1))
        self.heads = np.tile(self.rest_heads, (count, 1, 1))
        self.place = np.tile(self.rest_heads[self.carrier], (count, 1))

    @property
    def root(self) -> int:
        """The bone that takes the travel: the root part's, else the top bone over the body; -1 where the body has none over it."""
        if "root" in self.parts:
            return self.rig.index[self.parts["root"][0]]
        above = self.rig.ancestors(self.mover)
        return above[-1] if above and above[-1] not in self.part_of else -1

    def mapped_holder(self, bone: int) -> int:
        """The nearest bone above this one that the map moves, -1 for none."""
        return next((above for above in self._held_by(bone) if above in self.part_of), -1)

    def follow_holder(self, bone: int) -> None:
        """An unmapped bone turns with what it hangs on."""
        if self.holders[bone] >= 0:
            self.turns[:, bone] = self.turns[:, self.holders[bone]]

    def pose(self, local: Array) -> None:
        """Turns from local rotations (t, b, 3, 3) in the bones' rest axes, against their parents."""
        for bone in self.order:
            self.turns[:, bone] = self._parent_turns(bone) @ self.axes[bone] @ local[:, bone] @ self.axes[bone].T

    def settle(self) -> None:
        """Joints from turns: the carrier stands at `place` (t, 3), what it carries hangs on it."""
        for bone in self.order:
            holder = self.holders[bone]
            if bone not in self.part_of:
                self.follow_holder(bone)
            if holder >= 0:
                self.heads[:, bone] = self.heads[:, holder] + self.turns[:, holder] @ (self.rest_heads[bone] - self.rest_heads[holder])
            else:
                self.heads[:, bone] = self.rest_heads[bone]
        self.heads[:, self.carried] += (self.place - self.heads[:, self.carrier])[:, None]

    def carry(self, turns: Array, moves: Array) -> None:
        """Puts the travel into the root: turns (t, 3, 3), moves (t, 3) from its rest. What it carries stays where it is."""
        root = self.root
        if root == self.mover:  # a body that is connected to its root moves only with it
            return
        for bone in self.order:
            if bone == root:
                self.turns[:, bone], self.heads[:, bone] = turns, self.rest_heads[bone] + moves
            elif root >= 0 and not self.carried[bone] and root in self._held_by(bone):
                holder = self.holders[bone]
                self.turns[:, bone] = self.turns[:, holder]
                self.heads[:, bone] = self.heads[:, holder] + self.turns[:, holder] @ (self.rest_heads[bone] - self.rest_heads[holder])

    def keep_limits(self) -> None:
        """Turns back into the limits what is beyond them, against the parent; what hangs on it keeps its direction if it can."""
        limits = self.rig.limits
        for bone in self.order:
            if bone not in self.part_of:
                self.follow_holder(bone)
            elif limits is not None and np.isfinite(limits[bone]).any() and self.part_of[bone] not in ("root", "hips"):
                angles = to_angles(self.basis(bone))
                inside = np.clip(angles, limits[bone, :, 0], limits[bone, :, 1])
                late = np.flatnonzero((inside != angles).any(-1))
                if len(late):
                    axes = self.axes[bone]
                    self.turns[late, bone] = self._parent_turns(bone)[late] @ axes @ from_angles(inside[late]) @ axes.T

    def basis(self, bone: int) -> Array:
        """(t, 3, 3): the bone's rotation in its own rest axes, against its parent."""
        return self.axes[bone].T @ transposed(self._parent_turns(bone)) @ self.turns[:, bone] @ self.axes[bone]

    def location(self, bone: int) -> Array:
        """(t, 3): how far its head is from where its parent would have it, in its rest axes."""
        parent = int(self.rig.parents[bone])
        if parent < 0:
            return (self.heads[:, bone] - self.rest_heads[bone]) @ self.axes[bone]
        held = self.heads[:, parent] + self.turns[:, parent] @ (self.rest_heads[bone] - self.rest_heads[parent])
        return apply(transposed(self.turns[:, parent]), self.heads[:, bone] - held) @ self.axes[bone]

    def movers(self) -> list[int]:
        """Bones that need a location: what carries the body, and mapped bones that have no parent."""
        alone = [bone for bone in self.part_of if self.rig.parents[bone] < 0 and self.holders[bone] >= 0]
        return sorted({self.mover, *alone, *([self.root] if self.root >= 0 else [])})

    def _parent_turns(self, bone: int) -> Array:
        parent = int(self.rig.parents[bone])
        return self.turns[:, parent] if parent >= 0 else np.broadcast_to(np.eye(3), self.turns[:, bone].shape)

    def _holder(self, bone: int) -> int:
        """Its parent, or for a mapped bone without one what it hangs on in a body, -1 for none."""
        parent, part = int(self.rig.parents[bone]), self.part_of.get(bone)
        if parent >= 0 or part is None:
            return parent
        names = self.parts[part]
        place = names.index(self.rig.names[bone])
        if place:
            return self.rig.index[names[place - 1]]
        above = holder_of(part, self.parts)
        # The head hangs on the neck's last bone, a shoulder on the spine's last; a tail on the hips or, without them, the spine's first.
        return -1 if above is None else self.rig.index[self.parts[above][0 if split(part)[0] == "tail" else -1]]

    def _held_by(self, bone: int) -> list[int]:
        """From the bone's holder up."""
        found: list[int] = []
        while (bone := int(self.holders[bone])) >= 0 and bone not in found:
            found.append(bone)
        return found

    def _mover(self) -> int:
        """The carrier, or where it is connected to its parent the first bone above that can move."""
        bone, connected = self.carrier, self.rig.connected
        while connected is not None and connected[bone] and self.rig.parents[bone] >= 0:
            bone = int(self.rig.parents[bone])
        return bone


def order_of(holders: Array) -> list[int]:
    """All bones, those that hold before those that are held."""
    depth = {}
    for bone in range(len(holders)):
        path = [bone]
        while (above := int(holders[path[-1]])) >= 0 and above not in path:
            path.append(above)
        depth[bone] = len(path)
    return sorted(range(len(holders)), key=lambda bone: (depth[bone], bone))
