"""Sizes, weights and gates of the `paper` preset, the published ones beside those that fit a run on two cores.

The published run has 900,000 iterations of 6 images and opens its gates at fixed iterations; here a gate is a share of the run. Lengths
are in object units: the world box spans +-1.8, an animal is two units high (see `pictures.apparent_place`), and the ellipsoid that
training starts from is as high as a trunk, 1.2, and 2.4 long.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from backend.errors import MenagerieError
from backend.methods.fauna.config import FaunaConfig

PAPER_SIZES = FaunaConfig(
    preset="paper",
    encoder="efficientnet_lite0",
    grid=16,
    token_channels=64,
    key_channels=64,
    head_channels=96,
    query_dim=1280,
    code_dim=64,
    feature_dim=128,
    half_extent=1.8,
    shape_frequencies=5,
    fine_frequencies=6,
    hidden=128,
    ellipsoid_radius=1 / 6,
    articulation_blocks=2,
)
"""The published network, narrower, and with no harmonic finer than two cells of its grid."""

SWITCHES = ("hypotheses", "distance", "features", "gates")
"""What `--without` can take away."""


@dataclass(frozen=True)
class Gates:
    """When each part of the recipe begins, as shares of the run; the published shares stand behind each.

    Three stages: viewpoint and base shape; articulation; instance deformation on the finer grid.
    """

    shape: float = 0.03
    """The base shape learns (0): before, viewpoints learn from the ellipsoid. A shape that learns before them shrinks to what all
    pictures have in common, and viewpoints collapse onto its axis; the published run has time to come back from there."""
    one_species: float = 0.2
    """A batch holds one species (0). Before, it holds all of them, on the mean of their codes: each species for itself may take its head
    for its tail, and what is common learns first which is which."""
    sharpen: tuple[float, float] = (0.03, 0.1)
    """From where to where hypotheses turn from equally probable to what their logits say (0.004, 0.011)."""
    best_of: tuple[float, float] = (0.3, 0.5)
    """From where to where the share of pictures rises that take their most probable hypothesis (0.007, not found). Two that differ
    in depth alone are nearly equal at first: taking the better one then fixes what is still a matter of chance."""
    articulation: float = 0.15
    """Bones turn (0.022). Legs that no bone can move are in one place too seldom to grow."""
    attach_legs: float = 0.25
    """Legs follow the body's bones (0.067)."""
    discriminator: tuple[float, float] = (0.3, 0.6)
    """From where to where the mask discriminator takes part (0.089, 0.333)."""
    stiff_legs: float = 0.6
    """Legs swing about one axis alone (0.333)."""
    fine_grid: float = 0.55
    """The tetrahedral grid gets finer (0.556)."""
    deformation: float = 0.8
    """Instances deform (0.889)."""


OPEN_GATES = Gates(0.0, 0.0, (0.0, 0.0), (0.0, 0.0), 0.0, 0.0, (0.0, 1.0), 0.0, 0.0, 0.0)
"""Everything from the first step: the ablation of the gates."""


@dataclass(frozen=True)
class Weights:
    """Weights of the loss. Published: mask 100, distance 1000, Eikonal 0.1, angles 0.2, deformation 10, logit 1, adversarial 0.1, R1 10."""

    mask: float = 100.0
    """Mean square difference of rendered mask and mask."""
    distance: float = 250.0
    """Rendered mask times the distance to the mask, in sides of the picture. A quarter of the published weight: in a short run more
    than that keeps legs, whose place differs from picture to picture, from growing at all."""
    feature: float = 4.0
    """Square difference of the 16 components within both masks, in units of their variance, per pixel of the mask."""
    eikonal: float = 0.1
    angles: float = 1.0
    """Against bones that turn the body about instead of the viewpoint."""
    deformation: float = 10.0
    logit: float = 20.0
    """The logits regress differences here (`viewpoint.logit_loss`), which are small."""
    adversarial: float = 0.1
    penalty: float = 10.0
    score_feature: float = 4.0
    """Weight of the features in what a logit regresses."""
    score_shape: float = 0.1
    """Weight of mask and distance terms there (on top of their own); published 0.05. An outline hardly tells an animal that comes from
    one that goes: at 0.3 it drowns the features, which do."""


@dataclass(frozen=True)
class Recipe:
    """One run."""

    steps: int = 3000
    batch: int = 12
    """Pictures a step (published 6)."""
    seed: int = 0
    species: tuple[str, ...] = ("horse", "cattle", "elephant", "lion", "deer", "bear")
    """Keys of `pictures.SPECIES`."""
    pictures: int = 700
    """Training pictures a species, at most."""
    side: int = 64
    """Pixels of a rendered picture."""
    cells: tuple[int, int] = (40, 48)
    """Cells an axis of the tetrahedral grid, before and after `Gates.fine_grid`. At 24 a leg is narrower than two cells."""
    rates: dict[str, float] = field(default_factory=lambda: {"shape": 1e-3, "view": 1e-3, "bones": 3e-4, "deformation": 3e-4})
    """Adam's (published: 1e-3 for what a category shares, which is the shape, and 1e-4 for what an image adds, over 300 times as many
    steps)."""
    discriminator_rate: float = 2e-4
    elevation: float = 10.0
    """Degrees from above that a photographer's camera has. Learnt, it runs away (published: by the forward direction's y), and with it
    goes what tells an animal that comes from one that goes: which end is lower in the picture."""
    best_share: float = 0.8
    """Largest share of pictures that take their most probable hypothesis; the others draw one by its probability."""
    by_score: float = 0.5
    """How much a picture's own losses count in its hypotheses' probabilities beside what the logits say (published: the logits alone),
    until `Gates.best_of` begins; none when it ends. They know from the first step what the logits have yet to learn; the logits know from
    other pictures what one alone doesn't show."""
    sharpest: float = 30.0
    """Inverse temperature of the hypotheses' softmax at the end of `Gates.sharpen`, from 1 (published 10)."""
    uniform: float = 0.2
    """Share of the uniform distribution in the hypotheses' probabilities at the end (all of it at the beginning, as published, which ends
    without). What no picture shows never learns its features, and so is never chosen."""
    jitter: float = 0.5
    """The grid's random shift in y and z, in cells either way."""
    gates: Gates = field(default_factory=Gates)
    weights: Weights = field(default_factory=Weights)
    without: tuple[str, ...] = ()
    """Parts of the recipe that are switched off: `SWITCHES`."""


def switch_off(recipe: Recipe, parts: tuple[str, ...]) -> Recipe:
    """The recipe without some of its parts. Raises `bad_request` for a part that can't be taken away."""
    unknown = sorted(set(parts) - set(SWITCHES))
    if unknown:
        raise MenagerieError("bad_request", f"The recipe has no part {unknown[0]!r}.", f"Choose from: {', '.join(SWITCHES)}.")
    weights, gates = recipe.weights, recipe.gates
    if "distance" in parts:
        weights = replace(weights, distance=0.0)
    if "features" in parts:
        # With nothing but the mask left to tell hypotheses apart, it counts fully.
        weights = replace(weights, feature=0.0, score_feature=0.0, score_shape=1.0)
    if "gates" in parts:
        gates = OPEN_GATES
    return replace(recipe, weights=weights, gates=gates, without=tuple(sorted(set(parts))))


@dataclass(frozen=True)
class Open:
    """Which gates are open at one step."""

    shape: bool
    one_species: bool
    best: float
    """Share of pictures that take their most probable hypothesis."""
    by_score: float
    """Weight of a picture's own losses in its hypotheses' probabilities."""
    sharpness: float
    """Inverse temperature of the hypotheses' softmax."""
    uniform: float
    """Share of the uniform distribution in the hypotheses' probabilities."""
    articulation: bool
    attach_legs: bool
    discriminator: bool
    stiff_legs: bool
    deformation: bool
    cells: int


def open_gates(recipe: Recipe, step: int) -> Open:
    """The gates at a step in [0, recipe.steps)."""
    gates, share = recipe.gates, step / recipe.steps
    sharp, best = _ramp(share, gates.sharpen), _ramp(share, gates.best_of)
    return Open(
        shape=share >= gates.shape,
        one_species=share >= gates.one_species,
        best=recipe.best_share * best,
        by_score=recipe.by_score * (1 - best),
        sharpness=1.0 + (recipe.sharpest - 1.0) * sharp,
        uniform=1.0 - (1.0 - recipe.uniform) * sharp,
        articulation=share >= gates.articulation,
        attach_legs=share >= gates.attach_legs,
        discriminator=gates.discriminator[0] <= share < gates.discriminator[1],
        stiff_legs=share >= gates.stiff_legs,
        deformation=share >= gates.deformation,
        cells=recipe.cells[share >= gates.fine_grid],
    )


def _ramp(share: float, between: tuple[float, float]) -> float:
    """0 before, 1 after, straight in between."""
    begin, end = between
    return 1.0 if share >= end else max(0.0, (share - begin) / (end - begin))
