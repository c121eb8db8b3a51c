"""Where Blender breaks under Rigify's rigs, none is made; everywhere else one is."""

from __future__ import annotations

import bpy
import pytest

from blender_addon import compat
from blender_addon.control.rigify import make
from blender_addon.link.errors import LinkError
from blender_addon.scene.creature import control_rig_of
from blender_addon.scene.place import place_asset
from tests.blender.creatures import empty_blender, read_creature


@pytest.mark.blender5
def test_rigify_is_used_where_blender_holds_and_refused_by_name_where_not() -> None:
    empty_blender()
    rig = place_asset(bpy.context, read_creature()).armature
    before = {thing.name for thing in bpy.data.objects}
    if compat.RIGIFY_HOLDS:
        assert control_rig_of(rig) is None
        make.make_control_rig(bpy.context, rig)
        assert control_rig_of(rig) is not None
        return
    with pytest.raises(LinkError) as caught:
        make.make_control_rig(bpy.context, rig)
    assert caught.value.code == "rigify_unsafe" and "4.5" in caught.value.remedy
    assert {thing.name for thing in bpy.data.objects} == before
