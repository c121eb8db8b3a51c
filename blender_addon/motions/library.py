"""The bundle of ready motions: `quadruped.safetensors` beside this file enters, checked numpy arrays leave.

Blender's frame (+Z up, the animal faces -Y), body length 1. The file's maker is `backend.data.ready_motions`. It is ours, but read
as carefully as an asset file: every length, index and number is checked before it is used. Errors: asset_damaged, asset_version.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from ..scene.asset_file import (
    Array,
    AssetError,
    Damage,
    good_float,
    good_name,
    in_range,
    need,
    parse_object,
    split_container,
    units,
)  # fmt: skip

HERE = Path(__file__).parent
BUNDLE = HERE / "quadruped.safetensors"
SCHEMA = 1
MAX_BYTES, MAX_BONES, MAX_MOTIONS, MAX_FRAMES = 8 << 20, 256, 256, 10_000
MAX_LENGTH = 100.0
"""Of any coordinate, in body lengths."""
ENTRY = {"name", "label", "kind", "family", "clip", "skeleton", "seconds", "speed"}
KEYS = {"schema", "content", "credit", "licence", "bones", "feet", "skeletons", "motions"}


@dataclass(frozen=True)
class Skeleton:
    """Rest pose of a motion's own animal. names (b,); parents (b,), -1 for the root, before their children; heads, tails, z_axes (b, 3);
    limits (b, 3, 2): radians about each bone's own X, Y, Z."""

    names: tuple[str, ...]
    parents: Array
    heads: Array
    tails: Array
    z_axes: Array
    limits: Array


@dataclass(frozen=True)
class ReadyMotion:
    """One cycle that runs in place: frame t is frame 0 again.

    rotations (t, b, 4) wxyz in the bones' rest axes; hips (t, 3) of the hips' head from where it rests; contacts (t, 4) of the feet
    front left, front right, hind left, hind right; seconds of the cycle; speed: forward, body lengths a second.
    """

    name: str
    label: str
    kind: str
    family: str
    animal: str
    skeleton: Skeleton
    seconds: float
    speed: float
    rotations: Array
    hips: Array
    contacts: Array

    @property
    def picture(self) -> Path:
        """Its thumbnail."""
        return HERE / f"{self.name}.png"


@dataclass(frozen=True)
class Library:
    """credit and licence hold for every motion."""

    credit: str
    licence: str
    motions: dict[str, ReadyMotion]


@cache
def load() -> Library:
    """The bundled motions, read once. Raises AssetError."""
    try:
        need(BUNDLE.stat().st_size <= MAX_BYTES, "it is far too large")
        data = BUNDLE.read_bytes()
    except OSError as error:
        raise AssetError("asset_damaged", f"{BUNDLE.name} cannot be read: {error.strerror or error}.") from error
    except Damage as damage:
        raise AssetError("asset_damaged", f"{BUNDLE.name} is damaged: {damage}.") from damage
    return decode(data)


def decode(data: bytes) -> Library:
    """The motions in a bundle's bytes. Raises AssetError."""
    try:
        arrays, text = split_container(data)
        metadata = parse_object(text, "metadata")
        version = metadata.get("schema")
        if type(version) is int and version != SCHEMA:
            raise AssetError("asset_version", f"{BUNDLE.name} has schema {version}; this version reads {SCHEMA}.", "Reinstall Menagerie.")
        check_metadata(metadata)
        check_arrays(arrays, metadata)
        return gather(arrays, metadata)
    except Damage as damage:
        raise AssetError("asset_damaged", f"{BUNDLE.name} is damaged: {damage}.", "Reinstall Menagerie.") from damage


def check_metadata(metadata: dict[str, Any]) -> None:
    """Keys, kinds and bounds of what is not an array."""
    need(set(metadata) == KEYS and type(metadata["schema"]) is int and metadata["content"] == "motions", "it holds no motions")
    bones, animals, motions = (metadata[key] for key in ("bones", "skeletons", "motions"))
    need(all(isinstance(metadata[key], str) and len(metadata[key]) < 1000 for key in ("credit", "licence")), "it has no credit")
    need(isinstance(bones, list) and 1 <= len(bones) <= MAX_BONES and all(map(good_name, bones)), "its bones' names are not usable")
    need(len(set(bones)) == len(bones), "two bones have one name")
    need(isinstance(animals, list) and len(animals) <= MAX_MOTIONS and all(map(good_name, animals)), "its skeletons have no names")
    need(isinstance(motions, list) and 1 <= len(motions) <= MAX_MOTIONS, "its motions are not a list")
    for motion in motions:
        need(isinstance(motion, dict) and set(motion) == ENTRY, "a motion is not described")
        need(all(good_name(motion[key]) for key in ("name", "label", "kind", "family", "clip")), "a motion has no usable name")
        need(motion["name"].replace("_", "").isalnum(), "a motion's name is no file's")
        need(type(motion["skeleton"]) is int and 0 <= motion["skeleton"] < len(animals), "a motion has no skeleton")
        need(good_float(motion["seconds"], 0.05, 600.0) and good_float(motion["speed"], 0.0, MAX_LENGTH), "a motion has no speed")
    need(len({motion["name"] for motion in motions}) == len(motions), "two motions have one name")


def check_arrays(arrays: dict[str, Array], metadata: dict[str, Any]) -> None:
    """Exactly the schema's arrays, in its types and shapes, finite and bounded."""
    bones = len(metadata["bones"])
    expected: dict[str, tuple[str, tuple[int, ...]]] = {"parents": ("i4", (bones,)), "limits": ("f4", (bones, 3, 2))}
    for number in range(len(metadata["skeletons"])):
        expected |= {f"skeleton.{number}.{what}": ("f4", (bones, 3)) for what in ("heads", "tails", "z_axes")}
    for number in range(len(metadata["motions"])):
        turns = arrays.get(f"motion.{number}.rotations")
        need(turns is not None and turns.ndim == 3 and 2 <= len(turns) <= MAX_FRAMES, "a motion is empty or too long")
        shapes = {"rotations": ("f4", (len(turns), bones, 4)), "hips": ("f4", (len(turns), 3)), "contacts": ("b1", (len(turns), 4))}
        expected |= {f"motion.{number}.{what}": shape for what, shape in shapes.items()}
    need(set(arrays) == set(expected), "arrays are missing or not of this schema")
    for name, (kind, shape) in expected.items():
        need(arrays[name].dtype == np.dtype(kind) and arrays[name].shape == shape, f"{name} has another type or shape")
        need(kind != "f4" or bool((np.abs(arrays[name]) <= MAX_LENGTH).all()), f"{name} holds a number that is not usable")
    need(bool((arrays["parents"] < np.arange(bones)).all()) and in_range(arrays["parents"] + 1, bones), "a bone stands before its parent")


def gather(arrays: dict[str, Array], metadata: dict[str, Any]) -> Library:
    """Checked arrays and metadata under their names."""
    names = tuple(metadata["bones"])
    skeletons = []
    for number in range(len(metadata["skeletons"])):
        heads, tails, z_axes = (arrays[f"skeleton.{number}.{what}"] for what in ("heads", "tails", "z_axes"))
        need(bool((np.linalg.norm(tails - heads, axis=1) > 1e-6).all()) and units(z_axes), "a bone has no length or no axis")
        skeletons.append(Skeleton(names, arrays["parents"], heads, tails, z_axes, arrays["limits"]))
    motions = {}
    for number, entry in enumerate(metadata["motions"]):
        rotations = arrays[f"motion.{number}.rotations"]
        need(units(rotations), "a rotation is none")
        motions[entry["name"]] = ReadyMotion(
            entry["name"], entry["label"], entry["kind"], entry["family"], metadata["skeletons"][entry["skeleton"]],
            skeletons[entry["skeleton"]], entry["seconds"], entry["speed"], rotations, arrays[f"motion.{number}.hips"],
            arrays[f"motion.{number}.contacts"],
        )  # fmt: skip
    return Library(metadata["credit"], metadata["licence"], motions)
