"""Rigs and clips of 0 A.D.'s free animals for the retargeting core, from the game's own archive: rigs and motions that somebody drew.

Blender's frame: +Z up; all face -Y but the sheep. Meshes and clips come through `backend.data.zero_ad` alone, which refuses what is
reserved; hierarchy and names from the archive's skeleton files.
"""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.data import quadrupeds
from backend.data.zero_ad import Archive, refuse_reserved
from backend.frames import OBJECT_TO_BLENDER
from tests.retarget.core import core

rigs = core("rig")

SKELETONS = {
    "wolf": "wolf", "wolfhound": "wolfhound", "bear": "ursidae_armature", "cattle": "bovidae_skeleton", "zebu": "bovidae_skeleton",
    "elephant": "elephantidae_asian", "horse": "horse", "giraffe": "giraffe", "lion": "horse_old", "boar": "boar", "pig": "boar",
    "camel": "camelus", "deer": "deer", "rabbit": "deer", "rhino": "rhino", "sheep": "sheep",
}  # fmt: skip
"""Rig of `backend/data/quadrupeds.json` -> file under art/skeletons."""


def bones_of(archive: Archive, rig: str) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    """Names and parents (b,), -1 for none, in the order of meshes and clips."""
    names: list[str] = []
    parents: list[int] = []

    def walk(element: ElementTree.Element, parent: int) -> None:
        here = len(names)
        names.append(str(element.get("name")))
        parents.append(parent)
        for child in element.findall("bone"):
            walk(child, here)

    root = ElementTree.fromstring(archive.zip.read(f"art/skeletons/{SKELETONS[rig]}.xml"))
    for bone in next(root.iter("skeleton")).findall("bone"):
        walk(bone, -1)
    return tuple(names), np.array(parents)


def load_rig(archive: Archive, mesh: str) -> Any:
    """The `Rig` that a mesh of the catalogue is bound to."""
    refuse_reserved(mesh)
    names, parents = bones_of(archive, quadrupeds.catalogue()["meshes"][mesh]["rig"])
    bind = archive.mesh(f"skeletal/{mesh}.dae").bind.astype(np.float64)
    return rigs.Rig(names[: len(bind)], parents[: len(bind)], to_blender(bind))


def load_clip(archive: Archive, name: str) -> Any:
    """A `Clip`, name as "wolf_walk"."""
    clip = archive.clip(f"quadraped/{name}.dae")
    frames = to_blender(clip.frames.astype(np.float64))
    return rigs.Clip(name, np.arange(len(frames)) * clip.seconds, frames)


def to_blender(matrices: NDArray[np.float64]) -> NDArray[np.float64]:
    """(..., 4, 4) object frame -> Blender's."""
    turned = matrices.copy()
    turned[..., :3, :] = OBJECT_TO_BLENDER.astype(np.float64) @ matrices[..., :3, :]
    return turned
