"""The transfer, whole: a clip of one rig and a bone map enter, channels for another rig leave.

    result = solve(source_rig, clip, target_rig, guess_map(source_rig, target_rig), Options())

The source is brought into the target's axes by the way both bodies face (not by how their armatures are built), so whatever an
importer has turned or scaled falls away; lengths are scaled by the legs'. What leaves are `pose_bone.rotation_quaternion` and
`location` as Blender wants them. A bone that nothing is mapped to keeps its rest pose.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from .body import Body
from .bone_map import BoneMap, check_map
from .feet import hold
from .frames import body_axes, chain_of, leg_length, proportions, references, segment_frame, tips_agree, trunk_length
from .ground import Seen, floor_height, ground_of, hung_feet, pair_feet
from .laps import Lap, find_lap
from .parts import Parts, match_scheme
from .rig import Clip, Rig
from .rotations import Array, apply, continuous, rotation_part, shortest_turn, to_quaternions, transposed
from .transfer import Span, source_spans, target_turn
from .travel import Travel, find_travel

SAME_BUILD = 0.05
"""Largest difference of the logarithms of limbs' proportions at which two rigs are one animal in two rest poses."""
UPRIGHT = 0.5
"""Cosine of the angle to the world's up within which a source's own up counts as up."""


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
    where the motion is on the spot; scale: the target's length over the source's; stance: "source" or "own"; lap: how the frames
    follow each other."""

    seconds: Array
    rotations: Array
    locations: dict[int, Array]
    moves: Array | None
    moved: Array
    contacts: dict[str, Array]
    ground: Array
    scale: float
    stance: str
    lap: Lap

    @property
    def loop(self) -> bool:
        """Whether the last frame is the first again."""
        return self.lap.closed


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
    pairs_of_feet = pair_feet(body, seen, own)
    feet = hung_feet(body, pairs_of_feet, axes[:, 0], own, options.limits)
    if options.limits:
        body.keep_limits()
    place(body, seen, scale, own, floor)
    body.settle()
    contacts, velocity = {}, np.zeros(3)
    lap = find_lap(seen.turns, clip.seconds, seen.travels, options.loop)
    if feet and (options.feet != "off" or options.add_travel):
        found = ground_of(body, seen, pairs_of_feet, lap, scale, own, floor, options.feet == "always")
        velocity = found.velocity
        if options.feet != "off":
            velocity = hold(body, feet, found, lap, seen.leg * scale)
            contacts = {pair.name: lap.whole(found.stands)[:, number] for number, pair in enumerate(pairs_of_feet)}
            if options.limits:
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
    return channels(body, travel, contacts, velocity, scale, own, lap, clip.seconds, axes[:, 2], options)


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


def channels(
    body: Body, travel: Travel, contacts: dict[str, Array], velocity: Array, scale: float, own: bool, lap: Lap, seconds: Array, up: Array,
    options: Options,
) -> Result:  # fmt: skip
    """Turns and joints as what Blender keys; the travel goes where it was asked to."""
    moves, count = None, len(body.turns)
    across = travel.moves - (travel.moves @ up)[:, None] * up
    if options.root == "in_place":
        body.heads[:, body.carried] -= across[:, None]
        travel = replace(travel, moves=travel.moves - across)
    elif options.root == "object":
        origin = body.rest_heads[body.root] if body.root >= 0 else np.zeros(3)
        moves = np.tile(np.eye(4), (count, 1, 1))
        moves[:, :3, :3] = travel.turns
        moves[:, :3, 3] = origin + travel.moves - travel.turns @ origin
        back = transposed(travel.turns)
        body.heads[:, body.carried] = apply(back[:, None], body.heads[:, body.carried] - moves[:, None, :3, 3])
        body.turns = back[:, None] @ body.turns
        travel = Travel(np.tile(np.eye(3), (count, 1, 1)), travel.moves * 0.0)
    body.carry(travel.turns, travel.moves)
    rotations = np.zeros((count, len(body.rig.names), 4))
    rotations[..., 0] = 1
    moved = np.zeros(len(body.rig.names), bool)
    for bone in {*body.part_of, *([body.root] if body.root >= 0 else [])}:
        rotations[:, bone] = to_quaternions(body.basis(bone))
        moved[bone] = True
    locations = {bone: body.location(bone) for bone in body.movers()}
    return Result(
        seconds, continuous(rotations), locations, moves, moved, contacts, velocity, scale, "own" if own else "source", lap
    )
