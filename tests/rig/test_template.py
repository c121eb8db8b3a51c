"""The template, its names and index maps."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.rig.names import NameParts, mirror_name, parse_name
from backend.rig.template import levels_of, load_quadruped


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("tail.002", NameParts("tail", 2, "")),
        ("ear.L", NameParts("ear", None, "L")),
        ("front_toe.R", NameParts("front_toe", None, "R")),
        ("part.001.L", NameParts("part", 1, "L")),
        ("spine1", NameParts("spine1", None, "")),
    ],
)
def test_a_name_is_parsed_into_its_parts_and_back(name: str, parts: NameParts) -> None:
    assert parse_name(name) == parts
    assert str(parts) == name


@given(st.from_regex(r"[a-z_]+(\.[0-9]{3})?(\.[LR])?", fullmatch=True))
def test_mirroring_a_name_twice_gives_it_back(name: str) -> None:
    assert mirror_name(mirror_name(name)) == name


def test_an_empty_name_is_refused() -> None:
    with pytest.raises(ValueError, match="not a bone's name"):
        parse_name("")


def test_points_stand_centre_then_left_then_right() -> None:
    template = load_quadruped()
    assert len(template.points) == 42
    assert all(name.endswith(".L") for name in template.points[template.left_points])
    assert all(name.endswith(".R") for name in template.points[template.right_points])
    assert template.points[:16] == template.centre_points


def test_mirror_maps_are_involutions_that_keep_the_hierarchy() -> None:
    template = load_quadruped()
    bones, points = template.mirror_bones, template.mirror_points
    assert (bones[bones] == np.arange(len(bones))).all() and (points[points] == np.arange(42)).all()
    inner = template.parents >= 0
    assert (bones[template.parents[inner]] == template.parents[bones][inner]).all()


def test_every_point_rides_on_a_bone_that_touches_it_and_levels_cover_the_bones() -> None:
    template = load_quadruped()
    for point, bone in zip(template.points, template.point_bones, strict=True):
        assert point in (template.bones[bone].head, template.bones[bone].tail)
    assert sorted(np.concatenate(template.levels)) == list(range(len(template.bones)))
    with pytest.raises(ValueError, match="before its parent"):
        levels_of(np.array([-1, 2, 0]))


def test_a_leg_is_four_connected_bones_under_chest_or_hips() -> None:
    template = load_quadruped()
    assert [leg.name for leg in template.legs] == ["front.L", "front.R", "hind.L", "hind.R"]
    for leg in template.legs:
        for above, below in zip(leg.bones, leg.bones[1:], strict=False):
            assert template.parents[below] == above and template.bones[below].connected
        top = template.parents[leg.bones[0]] if leg.girdle is None else template.parents[leg.girdle]
        assert template.bone_names[top] == ("chest" if leg.front else "hips")


def test_limits_are_radians_around_the_rest_pose() -> None:
    limits = load_quadruped().limits
    assert limits.shape == (len(load_quadruped().bones), 3, 2)
    assert (limits[..., 0] < 0).all() and (limits[..., 1] > 0).all() and np.abs(limits).max() <= np.pi
