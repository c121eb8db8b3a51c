"""From the source's turns to the target's: for every mapped bone, by the directions from joint to joint and each limb's plane.

A bone's *turn* is the rotation from its rest to its pose, in the axes of its armature's space. With a frame made from rest joints on
either rig (F, from `frames.segment_frame`), two rules: the *source's stance*, every bone points where the source's points,
E = D F_s F_t^T; and the target's *own stance*, every bone turns against the bone it hangs on as the source's does, each in its own
frame, E = E_p C^T D_p^T D C with C = F_s F_t^T: a giraffe that walks like a wolf still carries its own neck.
Neither asks for a tail or a roll. Chains of different counts meet by shares of their length.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .frames import Chain, segment_frame
from .rotations import Array, apply, nearest_rotation, shortest_turn, transposed, unit


@dataclass(frozen=True, eq=False)
class Span:
    """What one target bone follows. turn (t, 3, 3): the source's there; frame (3, 3): the source's rest frame F_s, None where no
    joint says which way the bone points."""

    turn: Array
    frame: Array | None


def posed_joints(chain: Chain, heads: Array, turns: Array) -> Array:
    """(t, n + 1, 3) where the chain's joints are. heads (t, b, 3), turns (t, b, 3, 3) of all the source's bones."""
    if chain.follower >= 0:
        end = heads[:, chain.follower]
    else:
        last = chain.bones[-1]
        end = heads[:, last] + turns[:, last] @ (chain.joints[-1] - chain.joints[-2])
    return np.concatenate([heads[:, list(chain.bones)], end[:, None]], 1)


def source_spans(chain: Chain, into: Chain, references: Array, heads: Array, turns: Array) -> list[Span]:
    """For each bone of the target's chain what it follows on the source's. references (n, 3) of the source's bones."""
    posed = posed_joints(chain, heads, turns)
    directed = chain.known and into.known
    if len(chain.bones) == len(into.bones):
        return [
            directed_span(
                turns[:, bone], chain.joints[number + 1] - chain.joints[number], posed[:, number + 1] - posed[:, number],
                references[number], directed or number + 1 < len(chain.bones),
            )
            for number, bone in enumerate(chain.bones)
        ]  # fmt: skip
    shares, wanted = chain.shares, into.shares
    return [
        stretch(chain, shares, wanted[number], wanted[number + 1], references, posed, turns) for number in range(len(into.bones))
    ]


def stretch(chain: Chain, shares: Array, start: float, end: float, references: Array, posed: Array, turns: Array) -> Span:
    """The piece of a chain between two shares of its length: the mean turn of its bones, and the chord of its posed joints."""
    overlap = np.clip(np.minimum(shares[1:], end) - np.maximum(shares[:-1], start), 0, None)
    if overlap.sum() <= 1e-9:
        overlap[min(int(np.searchsorted(shares, start, "right")) - 1, len(overlap) - 1)] = 1.0
    overlap = overlap / overlap.sum()
    used = np.flatnonzero(overlap > 1e-6)
    bones = [chain.bones[number] for number in used]
    turn = turns[:, bones[0]] if len(bones) == 1 else nearest_rotation(np.einsum("n,tnij->tij", overlap[used], turns[:, bones]))
    rest = along_chain(chain.joints[None], shares, end)[0] - along_chain(chain.joints[None], shares, start)[0]
    now = along_chain(posed, shares, end) - along_chain(posed, shares, start)
    return directed_span(turn, rest, now, unit(overlap @ references), True)


def along_chain(joints: Array, shares: Array, share: float) -> Array:
    """(t, n, 3) joints at (n,) shares -> (t, 3) the point at one share."""
    number = int(np.clip(np.searchsorted(shares, share, "right") - 1, 0, len(shares) - 2))
    width = shares[number + 1] - shares[number]
    part = (share - shares[number]) / width if width > 0 else 0.0
    return joints[:, number] * (1 - part) + joints[:, number + 1] * part


def directed_span(turn: Array, rest: Array, now: Array, reference: Array, directed: bool) -> Span:
    """turn (t, 3, 3), corrected by the least rotation so that it takes the rest direction (3,) to the posed ones (t, 3)."""
    if not directed or np.linalg.norm(rest) < 1e-9:
        return Span(turn, None)
    # A joint need not ride on the bone it ends (legs without parents, stretched spines): what is seen is where it is.
    return Span(shortest_turn(apply(turn, rest), now) @ turn, segment_frame(rest, reference))


def target_turn(
    span: Span, frame: Array | None, own: bool, above: tuple[Array, Array, Array] | None
) -> tuple[Array, Array]:
    """-> the target bone's turn E (t, 3, 3) and its C (3, 3). frame: F_t, or None; own: keeps its own stance;
    above: E, D and C of the mapped bone it hangs on, None at the top."""
    if span.frame is not None and frame is not None:
        correction = span.frame @ frame.T
    else:
        correction = np.eye(3) if above is None else above[2]
    if not own:
        return span.turn @ correction, correction
    if above is None:
        return span.turn, np.eye(3)
    turn, source_turn, _ = above
    return turn @ correction.T @ transposed(source_turn) @ span.turn @ correction, correction
