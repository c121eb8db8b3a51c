"""What a photo says of one crop, and what is believed before: the terms that `viewpoint` and `fit` both lower.

Image positions in [-1, 1], y down; camera frame OpenCV; the crop's focal length is in half widths. Every term takes any leading axes,
one value for each: hypotheses are weighed side by side.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from backend.rig.template import Template

OUT_OF_PLANE = 3.0
"""Weight of turns about a bone's Y and Z against those about its hinge X."""
FREE_LIFT = 0.3
"""How high a foot may be lifted at no cost, object units (a leg is about 1.3)."""
TILT = 0.2
"""Weight of the camera's tilt against its heading."""
SEEN_REACH = 0.1
"""Half widths at which a seen point is believed by half."""
LIFTED_REACH = 0.25
"""Object units at which a lifted point is believed by half."""
SIZES = (0.6, 1.6)
"""Of the creature over the lifted points."""
PINNED_SOFT = 0.1
"""Half widths within which a pinned point's pull eases off."""
EAR_STIFFNESS, TAIL_STIFFNESS = 10.0, 4.0
"""How much harder than other points an ear's and a tail's are to move: free ones fill whatever else is missing."""


@dataclass(frozen=True)
class Pins:
    """Where the artist has put points. points: (k,) their numbers; places: (k, 2) image positions."""

    points: Tensor
    places: Tensor


@dataclass(frozen=True)
class Evidence:
    """What the photo says about one crop.

    mask: (s, s) share of the animal, s = RENDER_SIZE; seen: (P, 2) positions of the template's points; confidence: (P,);
    lifted: (P, 3) where they lie in space, about their mean, camera axes; lifted_confidence: (P,); focal: crop focal length in half
    widths; limits: (n, 3, 2) rad, the bones' limits; sideways: (n,) how much a bone should stay in its own plane (legs and trunk swing
    about X; one picture says little of the rest); pins: what is known for certain. seen, confidence, lifted and lifted_confidence may have
    leading axes, and focal be (..., 1, 1): a clip's frames at once.
    """

    mask: Tensor
    seen: Tensor
    confidence: Tensor
    lifted: Tensor
    lifted_confidence: Tensor
    focal: float | Tensor
    limits: Tensor
    sideways: Tensor
    pins: Pins | None = None


def project(points: Tensor, rotation: Tensor, translation: Tensor, focal: float | Tensor) -> Tensor:
    """Object points (..., n, 3) -> crop positions (..., n, 2) in [-1, 1], y down; rotation (..., 3, 3), translation (..., 3); focal:
    one for all, or (..., 1, 1)."""
    camera = points @ rotation.transpose(-1, -2) + translation[..., None, :]
    return focal * camera[..., :2] / camera[..., 2:].clamp_min(0.1)


def limit_excess(angles: Tensor, limits: Tensor) -> Tensor:
    """Squared radians of the angles (..., n, 3) beyond the bones' limits, summed."""
    return ((limits[..., 0] - angles).clamp_min(0).square() + (angles - limits[..., 1]).clamp_min(0).square()).sum((-2, -1))


def pose_prior(angles: Tensor, start: Tensor, evidence: Evidence) -> Tensor:
    """Squared radians from the network's answer, out-of-plane ones `OUT_OF_PLANE` times, and those of sideways bones from rest."""
    axes = angles.new_tensor([1.0, OUT_OF_PLANE, OUT_OF_PLANE])
    sideways = (angles[..., 1:].square().sum(-1) * evidence.sideways).sum(-1)
    return ((angles - start).square() * axes).sum((-2, -1)) + OUT_OF_PLANE * sideways


def turn_prior(turn: Tensor) -> Tensor:
    """Squared radians from the network's viewpoint; a tilt counts less than a change of heading.

    The network knows well which way an animal faces and less how far the camera looks down; tilts that cost as much as
    heading made the hips roll and all legs lean instead.
    """
    return (turn.square() * turn.new_tensor([TILT, 1.0, TILT])).sum(-1)


def lift_excess(points: Tensor, template: Template) -> Tensor:
    """Squared height of the feet above the lowest one, beyond `FREE_LIFT`: of posed points (..., P, 3), object frame.

    A hidden leg can point at the viewer for all the picture says; animals seldom do that.
    """
    feet = [i for i, name in enumerate(template.points) if name.startswith(("front_tip", "hind_tip"))]
    height = points[..., feet, 1]
    return (height - height.amin(-1, keepdim=True) - FREE_LIFT).clamp_min(0).square().sum(-1)


@dataclass(frozen=True)
class Trunk:
    """Balls that lie within the trunk, one under each point of SPINE. drop (5,): of the middle under its point; radius (5,)."""

    drop: Tensor
    radius: Tensor


SPINE = ("pelvis", "spine1", "spine2", "spine3", "chest")
LOWER_LEGS = ("wrist", "front_knuckle", "front_tip", "hock", "hind_knuckle", "hind_tip")
SKIN_DEEP = 0.9
"""Share of a ball's radius that counts as inside: a folded leg lies against the belly."""


def inscribed_balls(vertices: Tensor, points: Tensor, template: Template) -> Trunk:
    """Of a rest mesh (V, 3) with its rest points (P, 3): under each point of the spine, the largest ball that no vertex enters."""
    spine = points[[template.point_index[name] for name in SPINE]]  # (5, 3)
    drop = torch.linspace(0, 1.0, 21)
    tried = spine[:, None] - drop[:, None] * torch.tensor([0.0, 1.0, 0.0])  # (5, 21, 3)
    nearest = torch.cdist(tried.flatten(0, 1), vertices).amin(1).unflatten(0, tried.shape[:2])
    # Below the belly too there is room; the first hollow from the spine on is the trunk.
    within = tried[..., 1] > vertices[:, 1].mean() - 0.6 * (vertices[:, 1].mean() - vertices[:, 1].min())
    best = torch.where(within, nearest, 0.0).argmax(1)
    return Trunk(drop[best], nearest[torch.arange(len(SPINE)), best])


def legs_inside(points: Tensor, trunk: Trunk, template: Template) -> Tensor:
    """Squared depth at which lower legs of posed points (..., P, 3) lie within the trunk, summed."""
    at = template.point_index
    spine = points[..., [at[name] for name in SPINE], :]
    ahead = points[..., at["chest"], :] - points[..., at["pelvis"], :]
    left = points[..., at["hip.L"], :] - points[..., at["hip.R"], :] + points[..., at["scapula.L"], :] - points[..., at["scapula.R"], :]
    up = torch.nn.functional.normalize(torch.linalg.cross(ahead, left), dim=-1)
    middle = spine - trunk.drop[:, None] * up[..., None, :]  # (..., 5, 3)
    lower = points[..., [i for i, name in enumerate(template.points) if name.startswith(LOWER_LEGS)], :]
    gap = (lower[..., :, None, :] - middle[..., None, :, :]).square().sum(-1).clamp_min(1e-8).sqrt()
    return (SKIN_DEEP * trunk.radius - gap).clamp_min(0).square().sum((-2, -1))


def joint_residual(image: Tensor, evidence: Evidence, reach: float = SEEN_REACH) -> Tensor:
    """Robust (Geman-McClure-like) distance of image points (..., P, 2) to the seen ones, weighted by confidence.

    reach: half widths at which a seen point is believed by half; what lies farther hardly pulls.
    """
    gap = (image - evidence.seen).square().sum(-1)
    return (evidence.confidence * gap / (gap + reach**2)).sum(-1) / evidence.confidence.sum(-1).clamp_min(1e-3)


def pin_residual(image: Tensor, evidence: Evidence) -> Tensor | float:
    """How far image points (..., P, 2) lie from where they are pinned, half widths, summed: however far, a pin pulls."""
    if evidence.pins is None:
        return 0.0
    gap = (image[..., evidence.pins.points, :] - evidence.pins.places).square().sum(-1)
    return ((gap + PINNED_SOFT**2).sqrt() - PINNED_SOFT).sum(-1)


def lifted_residual(points: Tensor, rotation: Tensor, evidence: Evidence) -> Tensor:
    """Robust distance of posed points (..., P, 3), object frame, turned by rotation (..., 3, 3), to the lifted ones; 0 to 1.

    Both about their means; the lifted ones take the size that fits best, for a picture doesn't tell it.
    """
    turned = points @ rotation.transpose(-1, -2)
    turned = turned - turned.mean(-2, keepdim=True)
    lifted, weight = evidence.lifted, evidence.lifted_confidence
    size = (turned * lifted).sum((-2, -1)) / lifted.square().sum((-2, -1)).clamp_min(1e-6)
    gap = (turned - size.clamp(*SIZES)[..., None, None] * lifted).square().sum(-1)
    return (weight * gap / (gap + LIFTED_REACH**2)).sum(-1) / weight.sum(-1).clamp_min(1e-3)


def stiffness(template: Template) -> Tensor:
    """(H,) how hard the rest points are to move, in half form."""
    centre = [TAIL_STIFFNESS if name.startswith("tail") and name != "tail0" else 1.0 for name in template.centre_points]
    paired = [EAR_STIFFNESS if name.startswith("ear") else 1.0 for name in template.paired_points]
    return torch.cat([torch.tensor(centre).repeat_interleave(2), torch.tensor(paired).repeat_interleave(3)])


def bone_limits(template: Template) -> Tensor:
    """(n, 3, 2) radians of the deforming bones."""
    return torch.tensor([bone.limits for bone in template.bones if bone.deform], dtype=torch.float32)


def sideways_stiffness(template: Template) -> Tensor:
    """(n,) of the deforming bones: 0 for neck, head, ears and tail, which turn to the side, 1 for trunk and legs.

    The hips carry everything: what they turn is the camera's to turn.
    """
    share = {"neck and head": 0.0, "tail": 0.0}
    return torch.tensor([10.0 if bone.name == "hips" else share.get(bone.group, 1.0) for bone in template.bones if bone.deform])
