"""The clip's one animal: what all frames say of its shape, brought together, then fitted to a few of them at once.

Enters: `Looks`, and a `Track` that stands about right. Leaves: a settled `Creature`, the asset's own mesh, skeleton and weights, and the
chosen frames as they see it. The bank is asked once, with the frames' mean code.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from backend.media.crop import crop_camera
from backend.methods.descent import Adam
from backend.methods.fauna.clip.looks import CROP_FILL, Looks
from backend.methods.fauna.clip.track import Track, in_crops
from backend.methods.fauna.clip.views import evidence_of, some_of
from backend.methods.fauna.config import BUNDLED
from backend.methods.fauna.fitting.coat import Coat
from backend.methods.fauna.fitting.creature import Creature, Parameters
from backend.methods.fauna.fitting.evidence import Evidence
from backend.methods.fauna.fitting.fit import SHAPE, STAGES, VIEW, Explained, Stage, align, trunk_of
from backend.methods.fauna.fitting.silhouette import RENDER_SIZE, preview
from backend.methods.fauna.glances import composed
from backend.methods.fauna.model import Fauna
from backend.methods.fauna.settle import settle
from backend.methods.fauna.shape import instance_mesh
from backend.methods.request import ClipRequest
from backend.rig.skeleton import build_skeleton, skeleton_points, uncurl_tail
from backend.rig.weights import skin_weights
from backend.types import Mesh, Progress, Skeleton, Skin

TRIANGLES = 7000
KEYS = 5
"""Frames that the shape is fitted to."""
FITTED = (
    Stage(100, VIEW | SHAPE, code=True, free=False, colour=False),
    Stage(60, STAGES[-1].rates, code=True, free=True, colour=False),
)
"""Steps of one frame each, the frames in turn."""
SHARED = ("points", "girth", "code", "free")
"""Parameters that all frames have in common."""


@dataclass(frozen=True)
class Consensus:
    """What all frames say: code (C,), feature (F,), light (F,), rest (P, 3), girth (n, 2)."""

    code: Tensor
    feature: Tensor
    light: Tensor
    rest: Tensor
    girth: Tensor


def consensus(looks: Looks) -> Consensus:
    """Means over the frames, by how surely their joints were seen."""
    return agree(looks.confidence, looks.code, looks.feature, looks.light, looks.rest, looks.girth)


def agree(confidence: Tensor, code: Tensor, feature: Tensor, light: Tensor, rest: Tensor, girth: Tensor) -> Consensus:
    """The same of any pictures: each with its joints' confidence (t, P)."""
    weight = confidence.mean(1)
    weight = weight / weight.sum().clamp_min(1e-6)

    def mean(values: Tensor) -> Tensor:
        return (values * weight.view(-1, *[1] * (values.ndim - 1))).sum(0)

    return Consensus(mean(code), mean(feature), mean(light), uncurl_tail(mean(rest)), mean(girth))


def key_frames(looks: Looks, count: int = KEYS) -> list[int]:
    """Rows of the frames that show most: of each of `count` stretches the one whose joints were seen most surely."""
    sure = looks.confidence.mean(1)
    parts = torch.arange(len(looks)).tensor_split(min(count, len(looks)))
    return [int(part[sure[part].argmax()]) for part in parts]


@dataclass
class Key:
    """A frame that the shape is fitted to. row: in the looks."""

    row: int
    p: Parameters
    evidence: Evidence
    coat: Coat


@dataclass(frozen=True)
class Character:
    """mesh, skeleton, skin: the asset's, object units; creature: the same; keys: the frames that it was fitted to, in its pose there."""

    mesh: Mesh
    skeleton: Skeleton
    skin: Skin
    creature: Creature
    keys: list[Key]


def make_key(model: Fauna, looks: Looks, row: int, creature: Creature, track: Track, known: Consensus, request: ClipRequest,
             focal: float) -> Key:  # fmt: skip
    """A frame with its picture, as its track has it. focal: the clip's, pixels."""
    one = some_of(evidence_of(model, looks), torch.tensor([row]))
    single = {name: getattr(one, name)[0] for name in ("seen", "confidence", "lifted", "lifted_confidence")}
    evidence = replace(one, mask=looks.mask[row].float() / 255, focal=float(looks.focal[row]), **single)
    rotation, translation = in_crops(looks[[row]], track.rotation[[row]], track.translation[[row]])
    p = creature.start(rotation[0], translation[0], track.angles[row], track.rest, known.girth)
    number = int(looks.numbers[row])
    image, cover = request.clip.read(number), request.mask(number)
    crop = crop_camera(cover, (request.clip.width, request.clip.height), focal, CROP_FILL)
    picture, inside = composed(image, cover, crop, BUNDLED.image_size)
    return Key(row, p, evidence, Coat(model, looks.light[row : row + 1], picture, inside, RENDER_SIZE))


def find_character(
    model: Fauna, looks: Looks, track: Track, known: Consensus, request: ClipRequest, focal: float, progress: Progress,
    span: tuple[float, float],
) -> Character:  # fmt: skip
    """The shape that explains the key frames, and its rig."""
    low, high = span
    progress("shape", low)
    mesh, canonical = instance_mesh(model, known.code, known.feature, known.rest, known.girth, TRIANGLES)
    skeleton = build_skeleton(canonical)
    skin = skin_weights(mesh, skeleton, fitted=False)
    creature = Creature(model, mesh, skin, torch.from_numpy(skeleton_points(skeleton)), known.code)
    keys = [make_key(model, looks, row, creature, track, known, request, focal) for row in key_frames(looks)]
    begin_alike(creature, keys)
    fit_together(creature, keys, request.seed, progress, (low + 0.1 * (high - low), low + 0.7 * (high - low)))
    progress("rig", low + 0.7 * (high - low))
    mesh, skeleton, skin, settled, _ = settle(creature, replace(keys[0].p), use_free=True, use_code=True)
    return Character(mesh, skeleton, skin, settled, keys)


def begin_alike(creature: Creature, keys: list[Key]) -> None:
    """Place each key and find one change of girth for all (`fit.align`), then let them share their shape."""
    for key in keys:
        key.p = align(creature, key.p, key.evidence)
    girth = torch.stack([key.p.girth for key in keys]).median(0).values
    for key in keys:
        key.p.girth = girth
    for name in SHARED:
        for key in keys:
            setattr(key.p, name, getattr(keys[0].p, name))


def fit_together(
    creature: Creature, keys: list[Key], seed: int, progress: Progress, span: tuple[float, float], stages: tuple[Stage, ...] = FITTED
) -> None:
    """One shape and every key's view and pose, in place: `fit.fit` with the frames in turn."""
    explained = [Explained(creature, key.p, key.evidence, seed, key.coat, stages[0]) for key in keys]
    total, done = sum(stage.steps for stage in stages), 0
    for stage in stages:
        shared = {name: getattr(keys[0].p, name).detach().requires_grad_(True) for name in SHARED if name in stage.rates}
        own = [name for name in stage.rates if name not in SHARED]
        for key in keys:
            for name, value in shared.items():
                setattr(key.p, name, value)
            for name in own:
                setattr(key.p, name, getattr(key.p, name).detach().requires_grad_(True))
        groups = [{"params": [value], "rate": stage.rates[name]} for name, value in shared.items()]
        groups += [{"params": [getattr(key.p, name) for key in keys], "rate": stage.rates[name]} for name in own]
        optimizer = Adam([{**group, "lr": group["rate"]} for group in groups])
        trunk = trunk_of(creature, keys[0].p, stage)
        for step in range(stage.steps):
            for group in optimizer.param_groups:
                group["lr"] = group["rate"] * (1 - 0.7 * step / stage.steps)
            turn = step % len(keys)
            energy, coverage = explained[turn].energy(keys[turn].p, stage, trunk)
            optimizer.zero_grad()
            keys[turn].coat.optimizer.zero_grad()
            energy.backward()
            optimizer.step()
            keys[turn].coat.optimizer.step()
            done += 1
            if done % 5 == 0:
                progress("fit", span[0] + (span[1] - span[0]) * done / total, preview(coverage, keys[turn].evidence.mask))
    for key in keys:
        for name in ("turn", "shift", "angles", *SHARED):
            setattr(key.p, name, getattr(key.p, name).detach())
