"""Make a training set: shapes with signed distances and points, pictures with their truth.

Enters 0 A.D.'s archive; leaves a folder:
  shapes.npz        names, species, split (S,), points (S, 42, 3) float32 rest points, scales (S, b, 3) the variation,
                    partner, share (S,): the animal that it is drawn to and how far (see `blends`; "" and 0 for none),
                    surface (S, 4000, 3) float32: points spread over the rest skin
  canonical_sdf.npy (S, 31, 121, 121) float16, positive inside (see `distances`): of the shapes on one mean skeleton (see `canonical`)
  canonical.npz     names, points (42, 3) of that skeleton, girths (S, b, 2): logarithms of the shapes' over its own (see `girths`)
  images_rgb.npy    (N, 256, 256, 3) uint8; images_mask.npy (N, 256, 256) uint8
  truth.npz         shape (N,), object_to_camera (N, 4, 4) OpenCV, fov (N,) radians, points (N, 42, 3) posed, object frame, seen (N, 42, 2)
                    where they are in the picture, in [-1, 1], y down, visibility (N, 42),
                    rotations (N, b, 4) wxyz by `rig.solve`, azimuth, elevation (N,) radians, pose (N,) clip and frame,
                    split (N,): train, val (species with relatives in training), family (without)
In training's pictures, and only there, necks and tails are turned further than in the clips (`variety.random_turns`), and some
animals lie, sit or crouch (`folding.random_fold`).
Everything follows from the seed: picture i has its own generator, whatever the number of workers.
"""

from __future__ import annotations

import json
import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from backend.data import quadrupeds, variety
from backend.data.blends import MeanSkeleton, Measures, blend_offset, blend_scales, canonical_skin
from backend.data.canonical import carrying_weights
from backend.data.distances import SHAPE, signed_distance_grid
from backend.data.girths import mean_girths, measure_girths, relative_girths
from backend.data.images import random_view, take_picture
from backend.data.stage import Figure, Stage, build_figure, build_stage
from backend.data.variety import Variation
from backend.data.zero_ad import Archive
from backend.rig.solve import solve_pose
from backend.rig.template import load_quadruped
from backend.shape.sampling import sample_surface
from backend.types import FloatArray

SEED_SHAPES, SEED_IMAGES = 1, 2
CHUNK = 64
BLENDED = 0.6
"""Share of the variants that are drawn toward another animal."""
SHARES = (0.15, 0.65)
"""How far, at random."""
SURFACE_POINTS = 4000
"""Kept of each shape's rest skin."""


@dataclass(frozen=True)
class ShapePlan:
    """One shape to make. number: counts all shapes; variation: number of the animal's own variant, 0 as it is."""

    number: int
    name: str
    variation: int
    split: str


@dataclass(frozen=True)
class Shape:
    """What is kept of one: measures, points on its surface (n, 3), scales (b, 3), the animal that it was drawn to and how far."""

    measures: Measures
    surface: FloatArray
    scales: FloatArray
    partner: str
    share: float


@dataclass(frozen=True)
class Base:
    """The animals as they are: mean skeleton, measures by name, where each stands among the shapes, and who may be drawn to whom."""

    mean: MeanSkeleton
    measures: dict[str, Measures]
    numbers: dict[str, int]
    partners: dict[str, tuple[str, ...]]


def validation_sets() -> dict[str, tuple[str, ...]]:
    """validation.json: split -> mesh names."""
    found = json.loads((Path(__file__).parent / "validation.json").read_text("utf-8"))
    return {"val": tuple(found["val"]), "family": tuple(found["family"])}


def plan_shapes(variants: int, held_out: dict[str, tuple[str, ...]]) -> list[ShapePlan]:
    """Every animal as it is, then variants of the training animals, each rig getting the square root of its meshes' share."""
    plans: list[ShapePlan] = []
    away = {name: split for split, names in held_out.items() for name in names}
    for name in quadrupeds.names():
        plans.append(ShapePlan(len(plans), name, 0, away.get(name, "train")))
    rigs: dict[str, list[str]] = {}
    for name in quadrupeds.names():
        if name not in away:
            rigs.setdefault(quadrupeds.catalogue()["meshes"][name]["rig"], []).append(name)
    wanted = {rig: np.sqrt(len(names)) for rig, names in rigs.items()}
    made = {rig: len(names) for rig, names in rigs.items()}
    next_variant: dict[str, int] = {}
    while sum(made.values()) < variants:
        rig = min(rigs, key=lambda r: made[r] / wanted[r])
        names = rigs[rig]
        name = names[(made[rig] - len(names)) % len(names)]
        next_variant[name] = next_variant.get(name, 0) + 1
        plans.append(ShapePlan(len(plans), name, next_variant[name], "train"))
        made[rig] += 1
    return plans


def prepare(
    source: Path, out: Path, images: int, variants: int, seed: int, held_out: tuple[str, ...] | None = None, size: int = 256,
    workers: int = 2, validation: int = 1000,
) -> None:  # fmt: skip
    """Write the set into `out`.

    images: training pictures; variants: training shapes in all; validation: pictures of the held-out animals, in all.

    held_out: mesh names kept from training; None takes validation.json, an empty tuple trains on every free animal.
    Raises UnreadableArchive, ReservedAnimal.
    """
    out.mkdir(parents=True, exist_ok=True)
    (out / "features.json").unlink(missing_ok=True)  # those of earlier pictures
    job = _plan_job(source, out, images, validation, variants, seed, size, held_out)
    plans, total = list(job.plans), job.total
    np.lib.format.open_memmap(out / "canonical_sdf.npy", "w+", np.float16, (len(plans), *SHAPE)).flush()
    np.lib.format.open_memmap(out / "images_rgb.npy", "w+", np.uint8, (total, size, size, 3)).flush()
    np.lib.format.open_memmap(out / "images_mask.npy", "w+", np.uint8, (total, size, size)).flush()
    own = [p for p in plans if p.variation == 0]
    with _workers(workers, job) as pool:
        found = list(pool.map(_measure_animal, [p.number for p in own], chunksize=2))
    base = _base(own, found)
    job = replace(job, base=base)
    with _workers(workers, job) as pool:
        # Animals first: the variants are drawn toward their distances.
        shapes = list(pool.map(_make_shape, [p.number for p in own], chunksize=2))
        shapes += pool.map(_make_shape, [p.number for p in plans if p.variation], chunksize=4)
        _write_shapes(out, plans, shapes, base)
        # Pictures of one animal stand together in a worker's queue, so that few stages are held at once.
        order = np.argsort([_shape_of(job, i) for i in range(total)], kind="stable")
        chunks = [order[k : k + CHUNK].tolist() for k in range(0, total, CHUNK)]
        truths = [t for group in pool.map(_make_images, chunks) for t in group]
    truths.sort(key=lambda t: int(t["image"]))
    _write_truth(out, plans, shapes, truths)


def _workers(count: int, job: _Job) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(count, mp_context=multiprocessing.get_context("spawn"), initializer=_start_worker, initargs=(job,))


def _base(plans: list[ShapePlan], found: list[Measures]) -> Base:
    """The mean skeleton is the mean over rigs, each the mean of its animals: ten cattle don't outweigh a bear.

    It leaves out the animals of validation.json even where they are trained on, so that weights learnt without them can learn on.
    """
    rig_of = {name: str(mesh["rig"]) for name, mesh in quadrupeds.catalogue()["meshes"].items()}
    away = {name for names in validation_sets().values() for name in names}
    train: dict[str, list[int]] = {}
    for i, plan in enumerate(plans):
        if plan.name not in away:
            train.setdefault(rig_of[plan.name], []).append(i)
    points = np.mean([np.mean([found[i].points for i in group], 0) for group in train.values()], 0).astype(np.float32)
    girths = mean_girths(np.stack([mean_girths(np.stack([found[i].girths for i in group])) for group in train.values()]))
    taught = [plan.name for plan in plans if plan.split == "train"]
    free = [name for rig in dict.fromkeys(rig_of[name] for name in taught) for name in taught if rig_of[name] == rig]
    partners = {name: tuple(other for other in free if rig_of[other] != rig_of[name]) for name in free}
    return Base(
        MeanSkeleton(points, girths), {p.name: m for p, m in zip(plans, found, strict=True)}, {p.name: p.number for p in plans}, partners
    )


def _write_shapes(out: Path, plans: list[ShapePlan], shapes: list[Shape], base: Base) -> None:
    meshes = quadrupeds.catalogue()["meshes"]
    names = np.array([p.name if p.variation == 0 else f"{p.name}+{p.variation}" for p in plans])
    np.savez(
        out / "shapes.npz",
        names=names,
        species=np.array([meshes[p.name]["species"] for p in plans]),
        split=np.array([p.split for p in plans]),
        points=np.stack([s.measures.points for s in shapes]),
        surface=np.stack([s.surface for s in shapes]),
        scales=np.stack([s.scales for s in shapes]),
        partner=np.array([s.partner for s in shapes]),
        share=np.array([s.share for s in shapes], np.float32),
    )
    girths = relative_girths(np.stack([s.measures.girths for s in shapes]), base.mean.girths)
    np.savez(out / "canonical.npz", names=names, points=base.mean.points, girths=girths)


def _write_truth(out: Path, plans: list[ShapePlan], shapes: list[Shape], truths: list[dict[str, Any]]) -> None:
    shape = np.array([t["shape"] for t in truths])
    points = np.stack([t["points"] for t in truths])
    rotations = np.zeros((len(truths), len(load_quadruped().bones), 4), np.float32)
    for number in np.unique(shape):
        where = shape == number
        rotations[where] = solve_pose(shapes[number].measures.points, points[where])[0]
    per_picture = ("object_to_camera", "fov", "seen", "visibility", "azimuth", "elevation")
    columns: dict[str, Any] = {key: np.stack([t[key] for t in truths]) for key in per_picture}
    np.savez(
        out / "truth.npz", shape=shape.astype(np.int32), points=points, rotations=rotations, pose=np.array([t["pose"] for t in truths]),
        split=np.array([plans[s].split for s in shape]), **columns,
    )  # fmt: skip


@dataclass(frozen=True)
class _Job:
    source: str
    out: str
    plans: tuple[ShapePlan, ...]
    images: int
    total: int
    seed: int
    size: int
    base: Base | None = None


_current: list[_Job] = []


def _start_worker(job: _Job) -> None:
    _current[:] = [job]
    _stage.cache_clear()


def _plan_job(
    source: Path, out: Path, images: int, validation: int, variants: int, seed: int, size: int, held_out: tuple[str, ...] | None
) -> _Job:
    """What the workers share."""
    away = validation_sets() if held_out is None else {"val": held_out, "family": ()}
    plans = plan_shapes(variants, away)
    total = images + (validation if any(p.split != "train" for p in plans) else 0)
    return _Job(str(source), str(out), tuple(plans), images, total, seed, size)


@lru_cache(1)
def _archive(source: str) -> Archive:
    return Archive(Path(source))


@lru_cache(3)
def _stage(name: str) -> Stage:
    return build_stage(_archive(_current[0].source), name)


@lru_cache(8)
def _figure_of(number: int) -> Figure:
    return _design(number)[0]


def _design(number: int) -> tuple[Figure, Variation, str, float]:
    """-> the figure of a shape, its variation, and the animal that it is drawn to, how far."""
    job = _current[0]
    plan = job.plans[number]
    stage = _stage(plan.name)
    if plan.variation == 0:
        same = variety.identity()
        return build_figure(stage, same), same, "", 0.0
    assert job.base is not None
    rng = np.random.default_rng([job.seed, SEED_SHAPES, number])
    varied = variety.random_variation(rng)
    others = job.base.partners[plan.name]
    if not others or rng.random() >= BLENDED:
        return build_figure(stage, varied), varied, "", 0.0
    partner, share = others[int(rng.integers(len(others)))], float(rng.uniform(*SHARES))
    scales = varied.scales * blend_scales(job.base.measures[plan.name], job.base.measures[partner], share)
    drawn = Variation(scales.astype(np.float32))
    return build_figure(stage, drawn, _offset(plan.name, partner, share)), drawn, partner, share


def _offset(name: str, partner: str, share: float) -> FloatArray:
    base = _current[0].base
    assert base is not None
    grids = np.load(Path(_current[0].out) / "canonical_sdf.npy", mmap_mode="r")
    pair = np.array(grids[base.numbers[name]]), np.array(grids[base.numbers[partner]])
    figure, skin = _canonical_of(name)
    return blend_offset(figure, skin, base.mean, base.measures[name], pair, share)


@lru_cache(2)
def _canonical_of(name: str) -> tuple[Figure, FloatArray]:
    """The animal as it is, and its skin on the mean skeleton."""
    base = _current[0].base
    assert base is not None
    figure = build_figure(_stage(name), variety.identity())
    return figure, canonical_skin(base.mean, figure, base.measures[name])


def _measure(figure: Figure) -> Measures:
    return Measures(figure.points, measure_girths(figure.points, figure.vertices, figure.stage.animal.faces, carrying_weights(figure)))


def _measure_animal(number: int) -> Measures:
    return _measure(_figure_of(number))


def _make_shape(number: int) -> Shape:
    """Write the shape's canonical distances; -> what else is kept of it."""
    base = _current[0].base
    assert base is not None
    figure, variation, partner, share = _design(number)
    measures = _measure(figure)
    skin = canonical_skin(base.mean, figure, measures)
    grids = np.lib.format.open_memmap(Path(_current[0].out) / "canonical_sdf.npy", "r+")
    grids[number] = signed_distance_grid(skin, figure.stage.animal.faces)
    grids.flush()
    points = sample_surface(figure.vertices, figure.stage.animal.faces, np.random.default_rng(0), SURFACE_POINTS)
    return Shape(measures, points.astype(np.float32), variation.scales, partner, share)


def _shape_of(job: _Job, image: int) -> int:
    """Training pictures take any training shape; held-out ones take turns, eight azimuths each time round."""
    if image < job.images:
        train = [p.number for p in job.plans if p.split == "train"]
        rng = np.random.default_rng([job.seed, SEED_IMAGES, image])
        return int(train[int(rng.integers(len(train)))])
    held = [p.number for p in job.plans if p.split != "train"]
    return held[(image - job.images) // 8 % len(held)]


def _make_images(images: list[int]) -> list[dict[str, Any]]:
    return list(_pictures(images))


def _pictures(images: list[int]) -> Iterator[dict[str, Any]]:
    job = _current[0]
    rgb = np.lib.format.open_memmap(Path(job.out) / "images_rgb.npy", "r+")
    masks = np.lib.format.open_memmap(Path(job.out) / "images_mask.npy", "r+")
    for image in images:
        number = _shape_of(job, image)
        figure = _figure_of(number)
        rng = np.random.default_rng([job.seed, SEED_IMAGES, image, 1])
        frame = int(rng.choice(len(figure.stage.shares), p=figure.stage.shares))
        if image < job.images:
            view = random_view(rng)
        else:
            octant = (image - job.images) % 8
            view = random_view(rng, np.radians(45 * octant + rng.uniform(-22.5, 22.5)), np.radians(rng.uniform(-10, 40)))
        picture = take_picture(figure, frame, view, rng, job.size, turned=image < job.images)
        rgb[image], masks[image] = picture.rgb, picture.mask
        yield {
            "image": image, "shape": number, "points": picture.points, "object_to_camera": picture.object_to_camera,
            "seen": picture.seen, "visibility": picture.visibility, "fov": np.float32(view.fov), "azimuth": np.float32(view.azimuth),
            "elevation": np.float32(view.elevation), "pose": figure.stage.names[frame],
        }  # fmt: skip
