"""Add IK, Remove IK, and what an Update does to it: the artist's pose enters and stays.

`rig` makes and removes, `snap` lays the controls onto the pose.
"""

from __future__ import annotations

import bpy

from . import rig as rigs
from . import snap
from .channels import refresh


def add_ik(context: bpy.types.Context, rig: bpy.types.Object) -> None:
    """Builds the controls onto the pose that is seen, switched on. Raises LinkError bad_request and leaves nothing behind."""
    snap.look(context, rig)
    rigs.check_free(rig)
    try:
        rigs.build_controls(context, rig)
        snap.to_ik(context, rig, rigs.limbs_of(rig))
    except BaseException:  # an interrupt too: nothing half made stays, and the reason goes on
        rigs.dismantle(context, rig)
        raise


def remove_ik(context: bpy.types.Context, rig: bpy.types.Object) -> None:
    """Takes the controls away; the pose that is seen stays, in the FK channels. Raises LinkError bad_request."""
    rigs.check_editable(rig)
    snap.straighten_bends(rig, snap.look(context, rig))
    snap.to_fk(context, rig, rigs.limbs_of(rig))
    rigs.dismantle(context, rig)
    refresh(context, rig)


def follow_channels(context: bpy.types.Context, rig: bpy.types.Object) -> None:
    """Limbs on IK go to FK: an action of the bones' own channels shows only there."""
    if rigs.has_controls(rig):
        snap.to_fk(context, rig, rigs.limbs_of(rig))


def refit(context: bpy.types.Context, rig: bpy.types.Object, follow: bool) -> None:
    """After the creature's bones got another rest pose: the controls stand there anew.

    follow: the pose is ours and has followed, so the controls lie onto it. Else the artist's channels and keys stay."""
    rigs.refit_controls(context, rig)
    if follow and snap.is_shown(context, rig):
        snap.lay_onto_channels(context, rig, rigs.limbs_of(rig))
