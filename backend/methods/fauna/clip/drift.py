"""What optical flow says of a motion, as terms of its fit: joints, and the creature's skin, go from frame to frame as the picture does.

Enters: `Looks`, and a creature's track for its skin. Leaves: terms. Only steps are compared, never places: those are for what is seen of
joints and outlines to say, which errs alike from frame to frame and so takes a swing for too short.
"""

from __future__ import annotations

from copy import copy

import torch
from torch import Tensor

from backend.methods.fauna.clip.flow import flow_at, read_field
from backend.methods.fauna.clip.looks import Looks
from backend.methods.fauna.clip.posed import Posed
from backend.methods.fauna.clip.track import Track, in_crops
from backend.methods.fauna.fitting.evidence import project
from backend.methods.fauna.fitting.silhouette import RENDER_SIZE, clip_of
from backend.render.cpu import rasterize
from backend.rig.template import Template

HERE = torch.zeros(3)
"""Crops are the clip's camera, turned: it stands where it is."""
REACH = 0.02
"""Half widths a frame at which a step is believed by half."""
LIKE_READ = 0.07
"""Half widths a frame by which flow may differ from how a joint is read to go, over three frames, and count half: it was another leg's."""
ABOUT = 0.045
"""Half widths about a joint within which the skin goes as the joint does."""
HIDDEN, BESIDE, BEHIND = 0.12, 0.25, 0.1
"""A joint is hidden by the other side's where that is nearer to the viewer and within HIDDEN half widths, or, of those that lie under skin
of the trunk, within BESIDE, and BEHIND object units nearer."""
UNDER_SKIN = ("scapula", "shoulder", "elbow", "hip", "knee")
TRUNK = ("pelvis", "spine", "chest", "withers")
UNSURE = 0.02
"""Weight of a step that is as the motion has it, against those that the flow says, each of up to 1."""
SAMPLES = 200
"""Pixels of a frame whose skin is followed."""
FEWEST = 8
"""Samples of a frame's legs, or of all else, from which on either counts whole."""


class JointDrift:
    """Squared steps of the joints off the flow about them, robust, a sum over the frames; by how surely they were seen."""

    def __init__(self, looks: Looks, template: Template) -> None:
        step, known = flow_at(looks.flow, looks.seen, ABOUT)
        shown = known & ~hidden(looks, template)
        self.step = step[:-1]  # (t - 1, P, 2)
        unlike = (self.step - steps_read(looks)).norm(dim=-1)
        self.weight = shown[:-1] * looks.confidence[:-1] * looks.confidence[1:] / (1 + (unlike / LIKE_READ) ** 4)
        self.turn, self.focal, self.flow = looks.turn[:-1], looks.focal[:-1, None, None], looks.flow
        self.template = template
        self.trunk = torch.tensor([name.startswith(TRUNK) for name in template.points])
        # Not the toes' tips: the flow about them is drawn to the stillness behind the animal.
        self.knuckles = torch.tensor([leg.points[-2] for leg in template.legs])

    def __getitem__(self, frames: slice) -> JointDrift:
        """That of some frames, one after another."""
        part = copy(self)
        steps = slice(frames.start, frames.stop - 1)
        part.step, part.weight, part.turn, part.focal = self.step[steps], self.weight[steps], self.turn[steps], self.focal[steps]
        return part

    def gone(self, there: Tensor) -> Tensor:
        """Points in the clip's camera (t, P, 3) -> (t - 1, P, 2) how far they go to the next frame, in the first one's crop."""
        return project(there[1:], self.turn, HERE, self.focal) - project(there[:-1], self.turn, HERE, self.focal)

    def __call__(self, points: Tensor, view: Tensor, place: Tensor) -> Tensor:
        """Posed points (t, P, 3), view (t, 3, 3) and place (t, 3) in the clip's camera -> ()."""
        gone = self.gone(points @ view.transpose(1, 2) + place[:, None])
        return (off(gone, self.step, self.weight).sum(-1) / self.weight.sum(-1).clamp_min(1e-3)).sum()

    def feet_missed(self, points: Tensor, view: Tensor, place: Tensor) -> Tensor:
        """(t - 1, 4, 3) in the clip's camera: what feet's steps from the body lack in a motion, by the flow; zeros where it tells nothing.
        Standing feet are read to go back by 0.8 of what they do (median of 28 clips), by the flow 0.95."""
        there = points @ view.transpose(1, 2) + place[:, None]
        depth = (there[1:] @ self.turn.transpose(1, 2))[..., 2:]
        missed = self.steps_at(there) - self.gone(there)
        missed = torch.cat([missed * depth / self.focal, torch.zeros_like(depth)], -1) @ self.turn  # (t - 1, P, 3)
        body = weighted(missed[:, self.trunk], self.weight[:, self.trunk])
        return weighted(missed[:, self.knuckles, None], self.weight[:, self.knuckles, None]) - body[:, None]


    def steps_at(self, there: Tensor) -> Tensor:
        """(t - 1, P, 2) the flow's steps where feet and trunk are in the picture, points there (t, P, 3) in the clip's camera."""
        step, some = self.step.clone(), torch.cat([torch.nonzero(self.trunk)[:, 0], self.knuckles])
        places = project(there[:-1], self.turn, HERE, self.focal)[:, some]
        found, known = flow_at(self.flow, places, ABOUT)
        step[:, some] = torch.where(known[..., None], found, step[:, some])
        return step


def weighted(values: Tensor, weight: Tensor) -> Tensor:
    """(..., n, 3), (..., n) -> (..., 3): the mean of what is known, nothing where nothing is."""
    return (values * weight[..., None]).sum(-2) / (weight.sum(-1, keepdim=True) + UNSURE)


def hidden(looks: Looks, template: Template) -> Tensor:
    """(t, P) joints before which the other side's lies."""
    other = torch.as_tensor(template.mirror_points)
    apart = (looks.seen - looks.seen[:, other]).norm(dim=-1)
    behind = looks.lifted[..., 2] - looks.lifted[:, other, 2]
    under = torch.tensor([name.startswith(UNDER_SKIN) for name in template.points])
    return (behind > 0) & ((apart < HIDDEN) | (under & (apart < BESIDE) & (behind > BEHIND)))


def steps_read(looks: Looks) -> Tensor:
    """(t - 1, P, 2) how far joints are read to go to the next frame, in the first one's crop: the mean of the steps before, there and
    after."""
    rays = torch.cat([looks.seen / looks.focal[:, None, None], torch.ones_like(looks.seen[..., :1])], -1) @ looks.turn  # clip's camera
    first = torch.arange(len(looks) - 1)
    before, after = (first - 1).clamp_min(0), (first + 2).clamp_max(len(looks) - 1)
    turn, focal = looks.turn[:-1], looks.focal[:-1, None, None]
    return (project(rays[after], turn, HERE, focal) - project(rays[before], turn, HERE, focal)) / (after - before)[:, None, None]


def off(gone: Tensor, step: Tensor, weight: Tensor) -> Tensor:
    """How far steps (..., 2) are off the flow's, robust, weighted, (...)."""
    square = (gone - step).square().sum(-1)
    return weight * square / (square + REACH**2)


class SkinDrift:
    """Squared steps of the skin off the flow, robust, a sum over the frames: points of the creature's surface that its track shows at some
    of the animal's pixels, of the legs and of all else alike."""

    def __init__(self, posed: Posed, looks: Looks, track: Track, seed: int) -> None:
        creature, count = posed.creature, len(looks) - 1
        dice = torch.Generator().manual_seed(seed)
        legs = torch.tensor(["leg" in bone.group for bone in creature.model.template.bones])
        self.turn, self.focal = looks.turn[:-1], looks.focal[:-1, None, None]
        self.rest, self.skin = torch.zeros(count, SAMPLES, 3), torch.zeros(count, SAMPLES, creature.dense.shape[1])
        self.step, self.weight = torch.zeros(count, SAMPLES, 2), torch.zeros(count, SAMPLES)
        with torch.no_grad():
            rotation, translation = in_crops(looks, track.rotation, track.translation)
            transforms = posed.transforms(track.angles)
            for k in range(count):
                camera = posed.vertices(transforms[k : k + 1])[0] @ rotation[k].T + translation[k]
                shown = rasterize(clip_of(camera, float(looks.focal[k])), creature.faces, (RENDER_SIZE, RENDER_SIZE))[0]
                place, step = read_field(looks.flow, k)
                pixel = ((place + 1) / 2 * RENDER_SIZE).long()
                what = shown[pixel[:, 1], pixel[:, 0]]
                some = torch.nonzero(what[:, 3] > 0).flatten()
                some = some[torch.randperm(len(some), generator=dice)[:SAMPLES]]
                if not len(some):
                    continue
                corners = creature.faces[what[some, 3].long() - 1].long()
                share = torch.stack([what[some, 0], what[some, 1], 1 - what[some, 0] - what[some, 1]], 1)[..., None]
                number = len(some)
                self.rest[k, :number] = (creature.vertices[corners] * share).sum(1)
                self.skin[k, :number] = (creature.dense[corners] * share).sum(1)
                self.step[k, :number] = step[some]
                limb = legs[self.skin[k, :number].argmax(1)]
                self.weight[k, :number] = torch.where(limb, 1 / limb.sum().clamp_min(FEWEST), 1 / (~limb).sum().clamp_min(FEWEST))

    def __call__(self, transforms: Tensor, view: Tensor, place: Tensor) -> Tensor:
        """Bones' transforms from rest (t, b, 4, 4), view and place as for `JointDrift` -> ()."""
        here, there = (self.at(transforms[part], view[part], place[part]) for part in (slice(None, -1), slice(1, None)))
        return off(there - here, self.step, self.weight).sum()

    def at(self, transforms: Tensor, view: Tensor, place: Tensor) -> Tensor:
        """(t - 1, n, 2) where the points are seen in those poses."""
        moved = (self.skin @ transforms.flatten(2)).unflatten(-1, (4, 4))  # (t - 1, n, 4, 4)
        points = (moved[..., :3, :3] @ self.rest[..., None])[..., 0] + moved[..., :3, 3]
        return project(points @ view.transpose(1, 2) + place[:, None], self.turn, HERE, self.focal)
