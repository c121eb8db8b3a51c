"""A creature stood up in one photo, then made to explain it.

`stand_up` places it and reads once more what the outline says of feet and tail; `explain` fits it as the quality asks. Frames as in
`fitting.evidence`.
"""

from __future__ import annotations

from typing import NamedTuple

from backend.methods.fauna.fitting import fit as fitting
from backend.methods.fauna.fitting.bare_tail import cover_tail
from backend.methods.fauna.fitting.coat import Coat
from backend.methods.fauna.fitting.creature import Creature, Parameters
from backend.methods.fauna.fitting.evidence import Evidence
from backend.methods.fauna.fitting.feet import cover_feet
from backend.methods.fauna.fitting.readings import Standing
from backend.methods.fauna.fitting.viewpoint import Choice, Solution
from backend.methods.fauna.model import Perception
from backend.methods.fauna.sight import Sight
from backend.methods.request import Request
from backend.types import Progress


class Stood(NamedTuple):
    """p: the creature's parameters, aligned; best: the hypothesis kept; evidence: the joints as they were read at last."""

    p: Parameters
    best: int
    evidence: Evidence


def stand_up(
    creature: Creature, choice: Choice, sight: Sight, coat: Coat, request: Request, progress: Progress, ablate: str = ""
) -> Stood:  # fmt: skip
    """The creature under the best hypothesis, feet and tail read again; `fine` tries the rival's view too. What is read again for it
    replaces the hypothesis' solution in `choice`."""
    seen, evidence = sight.seen, sight.evidence
    fine, best, options = request.quality == "fine" and ablate != "fit", choice.best, choice.options

    def settle_briefly(q: Parameters, evidence: Evidence) -> Parameters:
        return fitting.fit(creature, q, evidence, progress, (0.38, 0.4), request.seed, coat, fitting.BRIEF) if fine else q

    p = begin(creature, options[best], seen)
    if ablate == "fit":
        return Stood(p, best, evidence)
    p = fitting.align(creature, p, evidence)
    if ablate != "joints":
        held = ablate == "articulation"
        now = cover_feet(creature, Standing(p, options[best], evidence), sight.heat, seen.girth[0], settle_briefly, held)
        p, options[best], evidence = cover_tail(creature, now, seen.girth[0], settle_briefly, held)
    if fine and choice.rival is not None:
        other = fitting.align(creature, begin(creature, options[choice.rival], seen), evidence)
        p, other = (settle_briefly(q, evidence) for q in (p, other))
        if fitting.mismatch(creature, other, evidence) < fitting.mismatch(creature, p, evidence):
            best, p = choice.rival, other
    return Stood(p, best, evidence)


def explain(creature: Creature, choice: Choice, sight: Sight, coat: Coat, request: Request, progress: Progress, ablate: str) -> Stood:
    """The creature aligned (`fast`) or fitted (`fine`)."""
    p, best, evidence = stand_up(creature, choice, sight, coat, request, progress, ablate)
    if ablate == "fit":
        return Stood(p, best, evidence)
    if request.quality == "fine":
        p = fitting.fit(creature, p, evidence, progress, (0.4, 0.74), request.seed, coat, fitting.stages_without(ablate))
    elif evidence.pins is not None:
        p = fitting.fit(creature, p, evidence, progress, (0.4, 0.74), request.seed, coat, fitting.ABOUT_PINS)
    return Stood(p, best, evidence)


def begin(creature: Creature, option: Solution, seen: Perception) -> Parameters:
    """A hypothesis' solution as the parameters that a fit starts from."""
    return creature.start(option.rotation, option.translation, option.angles, option.rest, seen.girth[0])
