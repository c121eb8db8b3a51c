"""Poses set by hand over an action, kept through a render.

After any render Blender evaluates the artist's scene anew, as after a frame change: what was moved by hand and not keyed falls back to
its action. So the channels of everything animated are taken down before and given back after.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import bpy

CHANNELS = ("location", "rotation_quaternion", "rotation_euler", "rotation_axis_angle", "scale")


@contextmanager
def kept_by_hand(context: bpy.types.Context) -> Iterator[None]:
    """Around renders: the scene's animated objects and their bones stand afterwards as they stood before."""
    layer = context.view_layer
    stood = {holder.as_pointer(): [tuple(getattr(holder, name)) for name in CHANNELS] for holder in animated(layer)}
    try:
        yield
    finally:
        if stood:
            layer.update()  # now it happens
            for holder in animated(layer):
                for name, value in zip(CHANNELS, stood.get(holder.as_pointer(), ()), strict=False):
                    if tuple(getattr(holder, name)) != value:
                        setattr(holder, name, value)
            layer.update()


def animated(layer: bpy.types.ViewLayer) -> Iterator[bpy.types.Object | bpy.types.PoseBone]:
    """Objects with animation, and their bones. One that has just been deleted is still listed, as None."""
    for thing in layer.objects:
        if thing is not None and thing.animation_data is not None:
            yield thing
            yield from thing.pose.bones if thing.pose is not None else ()
