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
    """Around renders: animated objects in what the windows show, and their bones, stand afterwards as they stood before."""
    layers = shown_layers(context)
    stood = {holder.as_pointer(): [tuple(getattr(holder, name)) for name in CHANNELS] for holder in animated(layers)}
    try:
        yield
    finally:
        if stood:
            update(layers)  # now it happens
            for holder in animated(layers):
                for name, value in zip(CHANNELS, stood.get(holder.as_pointer(), ()), strict=False):
                    if tuple(getattr(holder, name)) != value:
                        setattr(holder, name, value)
            update(layers)


def shown_layers(context: bpy.types.Context) -> list[bpy.types.ViewLayer]:
    """The windows' view layers and the context's: a timer has no window of its own."""
    found = [window.view_layer for window in context.window_manager.windows]
    if context.view_layer is not None and context.view_layer not in found:
        found.append(context.view_layer)
    return found


def animated(layers: list[bpy.types.ViewLayer]) -> Iterator[bpy.types.Object | bpy.types.PoseBone]:
    """Objects with animation, and their bones. One that has just been deleted is still listed, as None."""
    for layer in layers:
        for thing in layer.objects:
            if thing is not None and thing.animation_data is not None:
                yield thing
                yield from thing.pose.bones if thing.pose is not None else ()


def update(layers: list[bpy.types.ViewLayer]) -> None:
    """Evaluate what has been tagged."""
    for layer in layers:
        layer.update()
