"""What the two published 3D-Fauna checkpoints were trained to do, and from which iteration on.

The files hold tensors and `total_iter` alone; the rest is their configuration: 3DAnimals' `config/model/fauna.yaml` at 6b3a6ff, and the
demo Space's `ckpts/configs.yml` with what its `app.py` sets. The released code asks `total_iter` anew at every forward pass.
"""

from __future__ import annotations

from dataclasses import dataclass

LEVEL_UNTIL = 20_000
"""Before it, the animal's forward direction has no y, and no bone turns."""
HINGED_AFTER = 300_000
"""After it, legs swing about x alone (`bones20_pose.constrain`)."""
UNIFORM_UNTIL = 2_000
"""From here, over as many iterations again, the viewpoints' probabilities go from uniform to predicted."""


@dataclass(frozen=True)
class Release:
    """One checkpoint's configuration.

    translation_range: of `FaunaConfig`; attached_from, deformed_from: the first iterations at which legs hang on the body and the
    instance deformation is used; rectified: whether the deformation network's feature goes through its first ReLU; hosts: the body
    bones on which the four legs hang, None for the nearest in z.
    """

    translation_range: tuple[float, float, float]
    attached_from: int
    deformed_from: int
    rectified: bool
    hosts: tuple[int, int, int, int] | None


RELEASES = {
    "3DAnimals": Release((0.2, 0.2, 0.5), attached_from=60_000, deformed_from=800_000, rectified=True, hosts=None),
    "demo": Release((0.5, 0.5, 0.5), attached_from=60_001, deformed_from=500_000, rectified=False, hosts=(3, 6, 6, 3)),
}


@dataclass(frozen=True)
class Gates:
    """What is on at one iteration.

    level: forward directions have no y; articulated: bones turn; attached: legs follow the body's bones; hinged: the legs' final
    constraints; deformed: the instance deformation; temperature and uniform: of the viewpoints' probabilities
    (1 - uniform) softmax(-logit / temperature) + uniform / 4.
    """

    level: bool
    articulated: bool
    attached: bool
    hinged: bool
    deformed: bool
    temperature: float
    uniform: float


def gates(release: Release, total_iter: int) -> Gates:
    """The gates of a checkpoint after `total_iter` iterations."""
    return Gates(
        level=total_iter < LEVEL_UNTIL,
        articulated=total_iter >= LEVEL_UNTIL,
        attached=total_iter >= release.attached_from,
        hinged=total_iter > HINGED_AFTER,
        deformed=total_iter >= release.deformed_from,
        temperature=1 / min(max(total_iter / 1000, 1), 10),
        uniform=min(max(2 - total_iter / UNIFORM_UNTIL, 0), 1),
    )
