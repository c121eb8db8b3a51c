"""The transfer, whole: a clip of one rig and a bone map enter, channels for another rig leave.

    result = solve(source_rig, clip, target_rig, guess_map(source_rig, target_rig), Options())

The source is brought into the target's axes by the way both bodies face (not by how their armatures are built), so whatever an
importer has turned or scaled falls away; lengths are scaled by the legs'. What leaves are `pose_bone.rotation_quaternion` and
`location` as Blender wants them. A bone that nothing is mapped to keeps its rest pose.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from . import feet
from .body import Body
from .bone_map import BoneMap, check_map
from .contacts import find_contacts, flat, ground_velocity, levels
from .frames import body_axes, chain_of, leg_length, limb_paths, proportions, references, segment_frame, trunk_length
from .parts import Parts, match_scheme
from .rig import Clip, Rig
from .rotations import Array, apply, continuous, rotation_part, shortest_turn, to_quaternions, transposed, unit
from .transfer import Span, source_spans, target_turn
from .travel import Travel, find_travel

SAME_BUILD = 0.05
"""Largest difference of the logarithms of limbs' proportions at which two rigs are one animal in two rest poses."""
UPRIGHT = 0.5
"""Cosine of the angle to the world's up within which a source's own up counts as up."""
STANDS_AT_ZERO = 0.25
"""Leg lengths within which the lowest foot joint (a knuckle, perhaps) is taken to stand on the armature's own ground plane."""
MEETING = 0.05
"""Bone lengths from a tail to the child's head at which they are one joint."""
SAME_TAILS = 0.02
"""Share by which two rigs of the same bone names may differ in the lengths of their end bones and still be one skeleton."""


@dataclass(frozen=True)
class Options:
    """How to transfer. stance: "source" (every bone points where the source's points), "own" (the target keeps the way it stands and
    takes over the turns), "auto" (the source's for one animal in two rest poses and for people, else its own);
    root: "bone", "object" or "in_place", where the travel goes; feet: "off", "auto" or "always", whether contacts are held;
    add_travel: let a clip that walks on the spot travel; limits: keep joints within the target's limits;
    loop: the last frame is the first again, None to find out."""

    stance: str = "auto"
    root: str = "bone"
    feet: str = "auto"
    add_travel: bool = False
    limits: bool = True
    loop: bool | None = None


@dataclass(frozen=True, eq=False)
class Result:
    """Channels. seconds (t,); rotations (t, b, 4) wxyz in rest axes, signs continuous; locations: bone -> (t, 3) in its rest axes, of
    the bones that move; moves (t, 4, 4) or None: the armature object's own motion in its space before; moved (b,): bones that
    the map moves; contacts: "front.L" ... -> (t,) where that foot stands; ground (3,): velocity of the ground in armature space, not 0
    where the motion is on the spot; scale: the target's length over the source's; stance: "source" or "own"; loop: taken as one."""

    seconds: Array
    rotations: Array
    locations: dict[int, Array]
    moves: Array | None
    moved: Array
    contacts: dict[str, Array]
    ground: Array
    scale: float
    stance: str
    loop: bool


@dataclass(frozen=True, eq=False)
class Seen:
    """The source in the target's axes, its own lengths. rig: at rest; parts: its mapped ones; heads (t, b, 3), turns (t, b, 3, 3);
    object_turns (t, 3, 3), object_moves (t, 3): the armature object's part in them; leg: length; floor: height; up (3,)."""

    rig: Rig
    parts: Parts
    heads: Array
    turns: Array
    object_turns: Array
    object_moves: Array
    leg: float
    floor: float
    up: Array


def solve(source: Rig, clip: Clip, target: Rig, bone_map: BoneMap, options: Options | None = None) -> Result:
    """Raises bone_map.MapError."""
    options = Options() if options is None else options
    check_map(bone_map, source, target)
    pairs = [pair for pair in bone_map.pairs if pair.source and pair.target]
    theirs, ours = {pair.part: pair.source for pair in pairs}, {pair.part: pair.target for pair in pairs}
    body = Body(target, ours, len(clip.seconds))
    axes = body_axes(target, ours)
    sizes = leg_length(source, theirs, ours), leg_length(target, ours, theirs)
    if None in sizes:
        sizes = trunk_length(source, theirs, ours) or 1.0, trunk_length(target, ours, theirs) or 1.0
    seen = see(source, clip, theirs, axes, float(sizes[0]))
    scale = float(sizes[1]) / float(sizes[0])
    own = stance_of(source, theirs, target, ours, options) == "own"
    floor = floor_height(target, ours, axes[:, 2], float(sizes[1]))
    transfer_turns(body, seen, own, axes)
    if options.limits:
        body.keep_limits()
    place(body, seen, scale, own, floor)
    body.settle()
    loop = feet.loops(seen.turns) if options.loop is None else options.loop
    contacts, velocity = hold_feet(body, seen, scale, own, floor, loop, clip.seconds, options)
    if contacts and options.limits:
        body.keep_limits()
        body.settle()
    travel = find_travel(seen.rig, theirs, seen.heads, seen.turns, seen.object_turns, seen.object_moves, seen.up, seen.leg, clip.seconds)
    travel = Travel(travel.turns, travel.moves * scale)
    if options.add_travel:
        gained = -clip.seconds[:, None] * velocity
        body.place = body.place + gained
        travel = replace(travel, moves=travel.moves + gained)
        body.settle()
        velocity = np.zeros(3)
    return channels(body, travel, contacts, velocity, scale, own, loop, clip.seconds, axes[:, 2], options)


def see(rig: Rig, clip: Clip, parts: Parts, axes: Array, leg: float) -> Seen:
    """The source as the target's axes (3, 3) have it. The armature object's place at the first frame is its ground: only what moves
    after that moves; if it stands about upright there, the world's up is up."""
    into = axes @ body_axes(rig, parts).T
    poses = clip.poses
    object_turns, object_moves = np.tile(np.eye(3), (len(poses), 1, 1)), np.zeros((len(poses), 3))
    if clip.places is not None:
        first = clip.places[0].copy()
        up = body_axes(rig, parts)[:, 2]
        shown = rotation_part(first) @ up
        if shown[2] > UPRIGHT:
            first[:3, :3] = shortest_turn(shown, np.array([0.0, 0.0, 1.0])) @ first[:3, :3]
        moves = np.linalg.inv(first) @ clip.places
        poses = moves[:, None] @ poses
        object_turns, object_moves = into @ rotation_part(moves) @ into.T, moves[:, :3, 3] @ into.T
    turns = into @ (rotation_part(poses) @ transposed(rig.axes)) @ into.T
    heads = poses[..., :3, 3] @ into.T
    rest = np.tile(np.eye(4), (len(rig.names), 1, 1))
    rest[:, :3, :3], rest[:, :3, 3] = into @ rig.axes, rig.heads @ into.T
    still = Rig(rig.names, rig.parents, rest, None if rig.tails is None else rig.tails @ into.T, axes[:, 2])
    floor = floor_height(still, parts, axes[:, 2], leg)
    return Seen(still, parts, heads, turns, object_turns, object_moves, leg, floor, axes[:, 2])


def stance_of(source: Rig, theirs: Parts, target: Rig, ours: Parts, options: Options) -> str:
    """Which rule the transfer follows."""
    if options.stance != "auto":
        return options.stance
    schemes = [match_scheme(rig) for rig in (source, target)]
    if any(found is not None and found[0].person for found in schemes):
        return "source"
    here, there = proportions(source, theirs, ours), proportions(target, ours, theirs)
    return "source" if here.shape == there.shape and (not len(here) or np.abs(here - there).max() < SAME_BUILD) else "own"


def floor_height(rig: Rig, parts: Parts, up: Array, leg: float) -> float:
    """Height of the ground at rest: the armature's own plane where feet stand about on it, else the lowest foot joint's."""
    feet_heights = [path[-1] @ up for path in limb_paths(rig, parts).values()]
    if not feet_heights:
        return 0.0
    lowest = float(min(feet_heights))
    return 0.0 if abs(lowest) < STANDS_AT_ZERO * leg else lowest


def tips_agree(source: Rig, target: Rig) -> bool:
    """Whether the tails of both rigs' chain ends are joints: their schemes say so, or they are one skeleton by names and lengths."""
    if source.tails is None or target.tails is None:
        return False
    if all(tips_known(rig) for rig in (source, target)):
        return True
    if set(source.names) != set(target.names) or not (tails_meet(source) and tails_meet(target)):
        return False
    there = source.index
    lengths = [np.linalg.norm(rig.tails - rig.heads, axis=1) for rig in (source, target)]  # type: ignore[operator]
    ratios = lengths[1] / np.maximum(lengths[0][[there[name] for name in target.names]], 1e-9)
    return bool(np.abs(ratios / np.median(ratios) - 1).max() < SAME_TAILS)


def tips_known(rig: Rig) -> bool:
    """Whether the rig's scheme says that the tails of chain ends are joints, and no importer has invented its tails."""
    found = match_scheme(rig)
    return found is not None and found[0].tips and tails_meet(rig)


def tails_meet(rig: Rig) -> bool:
    """Whether most bones that have children end where one of them begins."""
    if rig.tails is None:
        return False
    gaps = []
    for bone in range(len(rig.names)):
        below = rig.heads[rig.children(bone)]
        if len(below):
            length = np.linalg.norm(rig.tails[bone] - rig.heads[bone])
            gaps.append(np.linalg.norm(below - rig.tails[bone], axis=1).min() / max(length, 1e-9))
    return bool(gaps) and float(np.median(gaps)) < MEETING


def transfer_turns(body: Body, seen: Seen, own: bool, axes: Array) -> None:
    """Fills the body's turns from the source's. The root stays: it only carries."""
    tips = tips_agree(seen.rig, body.rig)
    chains = {part: chain_of(seen.rig, seen.parts, part, tips) for part in seen.parts if part != "root"}
    into = {part: chain_of(body.rig, body.parts, part, tips) for part in body.parts if part != "root"}
    across = references(seen.rig, seen.parts, chains, axes[:, 0], own)
    ours = references(body.rig, body.parts, into, axes[:, 0], own)
    spans: dict[int, Span] = {}
    frames: dict[int, Array] = {}
    for part, chain in into.items():
        found = source_spans(chains[part], chain, across[part], seen.heads, seen.turns)
        for number, (bone, span) in enumerate(zip(chain.bones, found, strict=True)):
            spans[bone] = span
            along = chain.joints[number + 1] - chain.joints[number]
            upright = own and part == "hips"  # a pelvis that lies flatter still turns about the body's own axes
            if span.frame is not None and np.linalg.norm(along) > 0 and not upright:
                frames[bone] = segment_frame(along, ours[part][number])
    above: dict[int, tuple[Array, Array, Array]] = {}
    for bone in body.order:
        if bone not in spans:
            body.follow_holder(bone)
            continue
        held = above.get(body.mapped_holder(bone))
        turn, correction = target_turn(spans[bone], frames.get(bone), own, held)
        body.turns[:, bone] = turn
        above[bone] = (turn, spans[bone].turn, correction)


def place(body: Body, seen: Seen, scale: float, own: bool, floor: float) -> None:
    """Puts the body's carrier where the source's is, in the target's lengths, counted from either one's rest; in the source's stance
    its height counts from the ground, since the rest poses may stand differently."""
    part = body.part_of.get(body.carrier)
    if part is None:
        return
    bone = seen.rig.index[seen.parts[part][0]]
    rest, here = seen.rig.heads[bone], body.rest_heads[body.carrier]
    body.place = here + scale * (seen.heads[:, bone] - rest)
    if not own:
        body.place = body.place + ((floor + scale * (rest @ seen.up - seen.floor)) - here @ seen.up) * seen.up


def hold_feet(
    body: Body, seen: Seen, scale: float, own: bool, floor: float, loop: bool, seconds: Array, options: Options
) -> tuple[dict[str, Array], Array]:
    """-> contacts by leg, and the ground's velocity (3,) in the target's lengths."""
    legs = feet.find_legs(body, seen.rig, seen.parts, tips_known(seen.rig), tips_known(body.rig), seen.up)
    if not legs or (options.feet == "off" and not options.add_travel):
        return {}, np.zeros(3)
    bones, reaches = [leg.seen for leg in legs], np.array([leg.reach for leg in legs])
    carrier = seen.rig.index[seen.parts[body.part_of[body.carrier]][0]]
    paths, middle = seen.heads[:, bones] + apply(seen.turns[:, bones], reaches), seen.heads[:, carrier]
    rests = (seen.rig.heads[bones] + reaches) @ seen.up
    velocity = ground_velocity(paths, middle, rests, seen.up, seen.leg, seconds)
    if options.feet == "off":
        return {}, velocity * scale
    stands = find_contacts(paths, middle, rests, seen.up, seen.leg, seconds, velocity, options.feet == "always")
    if loop:  # the first and the last frame are one
        stands[[0, -1]] = stands[0] | stands[-1]
    leg_size = seen.leg * scale
    over, lowest = levels(paths, rests, seen.up, seen.leg)
    velocity = velocity * scale
    if own:
        standing = np.array([leg.tip if leg.rolls else body.rest_heads[leg.joint] for leg in legs]) @ seen.up - floor
        points = np.stack([feet.held_point(body, leg) for leg in legs], 1)
        if velocity.any() and len(seconds) > 2 and stands.any():  # on the spot the ground may run as fast as these legs walk
            fast = np.gradient(points, seconds, axis=0)[stands].mean(0) @ unit(velocity)
            velocity = unit(velocity) * np.clip(fast, 0.5 * np.linalg.norm(velocity), 2 * np.linalg.norm(velocity))
        if stands.any():  # and legs of other proportions carry the body at another height
            lack = (standing + floor - points @ seen.up)[stands].mean()
            body.place = body.place + np.clip(lack, -feet.SINK * leg_size, feet.SINK * leg_size) * seen.up
            body.settle()
    else:
        standing = scale * (rests + lowest - seen.floor)
    ground = feet.Ground(
        seen.up, velocity, floor, stands, scale * np.where(stands, np.maximum(over, 0), 0), np.maximum(standing, 0),
        flat(body.place[-1] - body.place[0], seen.up) - (seconds[-1] - seconds[0]) * velocity if loop else None,
    )  # fmt: skip
    feet.hold(body, legs, ground, leg_size, seconds)
    return {leg.name: stands[:, number] for number, leg in enumerate(legs)}, velocity


def channels(
    body: Body, travel: Travel, contacts: dict[str, Array], velocity: Array, scale: float, own: bool, loop: bool, seconds: Array,
    up: Array, options: Options,
) -> Result:  # fmt: skip
    """Turns and joints as what Blender keys; the travel goes where it was asked to."""
    moves = None
    across = travel.moves - (travel.moves @ up)[:, None] * up
    if options.root == "in_place":
        body.heads[:, body.carried] -= across[:, None]
        travel = replace(travel, moves=travel.moves - across)
    elif options.root == "object":
        origin = body.rest_heads[body.root] if body.root >= 0 else np.zeros(3)
        moves = np.tile(np.eye(4), (len(seconds), 1, 1))
        moves[:, :3, :3] = travel.turns
        moves[:, :3, 3] = origin + travel.moves - travel.turns @ origin
        back = transposed(travel.turns)
        body.heads[:, body.carried] = apply(back[:, None], body.heads[:, body.carried] - moves[:, None, :3, 3])
        body.turns = back[:, None] @ body.turns
        travel = Travel(np.tile(np.eye(3), (len(seconds), 1, 1)), travel.moves * 0.0)
    body.carry(travel.turns, travel.moves)
    rotations = np.zeros((len(seconds), len(body.rig.names), 4))
    rotations[..., 0] = 1
    moved = np.zeros(len(body.rig.names), bool)
    for bone in {*body.part_of, *([body.root] if body.root >= 0 else [])}:
        rotations[:, bone] = to_quaternions(body.basis(bone))
        moved[bone] = True
    locations = {bone: body.location(bone) for bone in body.movers()}
    return Result(
        seconds, continuous(rotations), locations, moves, moved, contacts, velocity, scale, "own" if own else "source", loop
    )
