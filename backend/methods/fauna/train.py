"""Train the bundled preset from rendered truth.

    python -m backend train fauna --data DIR --out DIR [--steps N] [--shape-steps N] [--seed N]

DIR holds what `backend.data.prepare` wrote (or is filled from 0 A.D.'s archive with --source). Three stages, each
resumed where it stopped: the frozen encoder's features are stored; the base SDF learns the rest shapes as an
auto-decoder (one code a shape, all on one mean skeleton), whose codes start at the shapes' principal components
and start the bank's values by k-means; then everything learns together from the pictures. The checkpoint is
safetensors; what is shipped is `--export FILE` in fp16.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import time
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from scipy.cluster.vq import kmeans2
from torch import Tensor
from torch.nn import functional

from backend.methods.fauna import losses
from backend.methods.fauna.config import BUNDLED
from backend.methods.fauna.model import Fauna, Perception
from backend.methods.fauna.samples import Batch, DistanceGrids, Samples, restyle, store_features
from backend.rig.kinematics import pose_points
from backend.rig.rotations import euler_to_matrix
from backend.weights.manifest import MANIFEST, register

SAVE_SECONDS = 180
CODE_NORM, CODE_RATE = 0.6, 5e-4
"""Mean length of the codes that the auto-decoder starts from, and how fast they may leave there."""
CATEGORY = 0.5
"""Weight of the rest shape that the bank's code alone gives, over the one with the instance's feature."""


def save(path: Path, model: Fauna, optimizer: torch.optim.Optimizer | None, extra: dict[str, Tensor], note: dict[str, object]) -> None:
    """Write model, optimiser and extra tensors as one safetensors file, whole or not at all."""
    tensors = {f"model.{k}": v.contiguous() for k, v in model.state_dict().items()}
    tensors.update({f"extra.{k}": v.contiguous() for k, v in extra.items()})
    if optimizer is not None:
        for i, state in optimizer.state_dict()["state"].items():
            tensors.update({f"optimizer.{i}.{k}": torch.as_tensor(v).contiguous() for k, v in state.items()})
    partial = path.with_suffix(".partial")
    save_file(tensors, partial, metadata={"note": json.dumps(note, sort_keys=True)})
    os.replace(partial, path)


def restore(path: Path, model: Fauna, optimizer: torch.optim.Optimizer | None, data: str) -> dict[str, Tensor]:
    """Load what `save` wrote; returns the extra tensors. Raises ValueError where it was learnt from other samples than `data`."""
    with safe_open(path, "pt") as file:
        if json.loads(file.metadata()["note"])["data"] != data:
            raise ValueError(f"{path} was learnt from other shapes: go on with their folder, or begin in another --out")
    tensors = load_file(path)
    model.load_state_dict({k[6:]: v for k, v in tensors.items() if k.startswith("model.")})
    if optimizer is not None:
        state = optimizer.state_dict()
        moments: dict[int, dict[str, Tensor]] = {}
        for key, value in tensors.items():
            if key.startswith("optimizer."):
                _, i, name = key.split(".")
                moments.setdefault(int(i), {})[name] = value
        state["state"] = moments
        optimizer.load_state_dict(state)
    return {k[6:]: v for k, v in tensors.items() if k.startswith("extra.")}


def principal_codes(grids: DistanceGrids, shapes: np.ndarray, dim: int) -> Tensor:
    """Scores (len(shapes), dim) of the shapes' clamped distances (every second node) on their principal components.

    A code drawn at random says nothing of the shape it comes to stand for, and no bank could find it: here like shapes begin
    alike. Scaled to a mean norm of CODE_NORM.
    """
    fields = np.stack([np.asarray(grids.grids[s][::2, ::2, ::2], np.float32).ravel() for s in shapes]).clip(-losses.CLAMP, losses.CLAMP)
    fields -= fields.mean(0)
    spread, axes = np.linalg.eigh((fields @ fields.T).astype(np.float64))
    order = np.argsort(-spread)[:dim]
    scores = axes[:, order] * np.sqrt(spread[order].clip(0))  # (s, <= dim)
    codes = np.zeros((len(shapes), dim), np.float32)
    codes[:, : scores.shape[1]] = scores * (CODE_NORM / max(float(np.linalg.norm(scores, axis=1).mean()), 1e-9))
    return torch.from_numpy(codes)


def learn_shapes(model: Fauna, grids: DistanceGrids, shapes: np.ndarray, path: Path, steps: int, seed: int) -> Tensor:
    """Auto-decoder: the base SDF and one code a shape. shapes: indices to learn from; -> codes (S, code_dim) of all."""
    codes = torch.nn.Parameter(torch.zeros(len(grids.grids), model.config.code_dim))
    network = model.netBase.netShape
    optimizer = torch.optim.Adam([{"params": network.parameters(), "lr": 1e-3}, {"params": [codes], "lr": CODE_RATE}])
    step, started, saved = 0, time.perf_counter(), time.perf_counter()
    if path.exists():
        extra = restore(path, model, optimizer, grids.fingerprint)
        step = int(extra["step"])
        codes.data.copy_(extra["codes"])
    else:
        codes.data[shapes] = principal_codes(grids, shapes, model.config.code_dim)
    rng = np.random.default_rng(seed + step)
    while step < steps:
        for group, base in zip(optimizer.param_groups, (1e-3, CODE_RATE), strict=True):
            group["lr"] = base * 0.5 * (1 + math.cos(math.pi * step / steps))
        chosen = rng.choice(shapes, 12)
        pairs = [grids.sample(int(s), 768, rng) for s in chosen]
        points = torch.from_numpy(np.stack([p for p, _ in pairs]))  # (12, 768, 3)
        truth = torch.from_numpy(np.stack([v for _, v in pairs]))
        code = codes[torch.from_numpy(chosen)]
        loss = losses.sdf_loss(network(points, code), truth)
        total = loss + 1e-3 * code.square().sum(-1).mean()
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        step += 1
        if step % 100 == 0:
            print(f"shapes {step}/{steps} sdf {loss.item():.4f} {time.perf_counter() - started:.0f} s", flush=True)
        if time.perf_counter() - saved > SAVE_SECONDS or step == steps:
            extra = {"codes": codes.detach(), "step": torch.tensor(step)}
            save(path, model, optimizer, extra, {"stage": "shapes", "data": grids.fingerprint})
            saved = time.perf_counter()
    return codes.detach()


def start_bank(model: Fauna, samples: Samples, codes: Tensor, seed: int) -> None:
    """Values from k-means of the shapes' codes; keys from the mean query of the pictures nearest each value."""
    index = np.sort(np.random.default_rng(seed).choice(samples.train, min(4000, len(samples.train)), replace=False))
    pooled = torch.from_numpy(np.asarray(samples.taps["pooled"][index])).float()
    model.netInstance.netEncoder.query_mean.copy_(pooled.mean(0))  # type: ignore[operator]
    own = codes[torch.from_numpy(samples.truth["shape"][index].astype(np.int64))]
    centres, _ = kmeans2(own.numpy(), model.config.bank_size, seed=seed, minit="++")
    values = torch.from_numpy(centres.astype(np.float32))
    nearest = torch.cdist(own, values).argmin(-1)
    query = functional.normalize(pooled - pooled.mean(0), dim=-1)
    keys = torch.zeros(model.config.bank_size, model.config.query_dim).index_add(0, nearest, query)
    with torch.no_grad():
        model.netBase.memory_bank.copy_(values)
        model.netBase.memory_bank_keys.copy_(functional.normalize(keys, dim=-1))
    fold = model.netInstance.netRest.fold(samples.rest[samples.truth["shape"][index].astype(np.int64)])
    model.netInstance.netRest.mean[: fold.shape[1]].copy_(fold.mean(0))  # type: ignore[index]
    model.canonical.copy_(samples.canonical)  # type: ignore[operator]


def start_heads(model: Fauna, path: Path) -> None:
    """Take over what does not depend on the bank's codes from an earlier checkpoint."""
    skipped = ("netBase.", "netInstance.netDeform.", "netInstance.netRest.", "canonical")
    earlier = {k[6:]: v for k, v in load_file(path).items() if k.startswith("model.") and not k[6:].startswith(skipped)}
    _, unexpected = model.load_state_dict(earlier, strict=False)
    if unexpected:
        raise ValueError(f"{path} is of another model: {unexpected[:3]}")


def batch_losses(
    model: Fauna, batch: Batch, codes: Tensor, grids: DistanceGrids, rng: np.random.Generator
) -> tuple[dict[str, Tensor], Perception]:
    """Every term of the bundled preset, weighted; `sum` them."""
    with torch.autocast("cpu", torch.bfloat16):  # the heads' convolutions: 1.6 times faster, same scores
        seen = model.perceive(restyle(batch.taps)).float()
    rows = torch.arange(len(batch.shape))
    _, _, quadrant = losses.true_view(batch.rotation)
    turn, logit, place = losses.viewpoint_losses(seen.viewpoints, batch.rotation, batch.translation, quadrant)
    camera_points = batch.points @ batch.rotation.transpose(1, 2) + batch.translation[:, None]
    image_points = model.project(camera_points)
    heat = losses.heat_loss(seen.heat, seen.seen, image_points, batch.visible)

    own = codes[batch.shape]
    code = (seen.code - own).square().mean() / own.var(0).mean()
    few = rng.choice(len(batch.shape), min(10, len(batch.shape)), replace=False)
    pairs = [grids.sample(int(batch.shape[i]), 512, rng) for i in few]
    points = torch.from_numpy(np.stack([p for p, _ in pairs]))
    truth = torch.from_numpy(np.stack([v for _, v in pairs]))
    points.requires_grad_(True)
    distance = model.netBase.netShape(points, seen.code[torch.from_numpy(few)])
    sdf = losses.sdf_loss(distance, truth)
    # The instance's own displacement: one Newton step brings a true surface point x onto the base surface at
    # b = x - f n; the network learns b -> x (normals and b detached).
    (normal,) = torch.autograd.grad(distance.sum(), points, retain_graph=True)
    with torch.no_grad():
        normal = normal / normal.square().sum(-1, keepdim=True).clamp_min(0.04)
        gap = ((truth - distance)[..., None] * normal).clamp(-0.15, 0.15)  # moves the base level set to the true one
        close = (truth.abs() < 0.06).float()
    moved = model.netInstance.netDeform(points.detach(), seen.feat_key[torch.from_numpy(few)]) * model.config.deformation_scale
    deform = ((moved + gap).square().sum(-1) * close).sum() / close.sum().clamp_min(1)

    # The code alone is to say what the category looks like; the instance's feature adds to it.
    category, stout = model.netInstance.netRest(seen.code, None)
    rest = (seen.rest - batch.rest).abs().sum(-1).mean() + CATEGORY * (category - batch.rest).abs().sum(-1).mean()
    girth = (seen.girth - batch.girth).abs().mean() + CATEGORY * (stout - batch.girth).abs().mean()
    chosen = seen.viewpoints.rotation[rows, quadrant]
    angles = model.articulate(seen, chosen, seen.viewpoints.translation)
    local = euler_to_matrix(angles)
    bones = (local - batch.rotations[:, 1:]).square().sum((2, 3)).mean()
    root = torch.eye(3).expand(len(rows), 1, 3, 3)
    posed = pose_points(seen.rest, torch.cat([root, local], 1))  # (B, P, 3)
    posed_gap = (posed - batch.points).abs().sum(-1).mean()
    through = posed @ chosen.transpose(1, 2) + seen.viewpoints.translation[:, None]
    overlay = (model.project(through) - image_points).abs().sum(-1).clamp(max=1).mean()
    terms = {
        "turn": 2 * turn, "logit": 0.3 * logit, "place": 2 * place, "heat": 2 * heat, "code": 0.3 * code, "sdf": 8 * sdf,
        "deform": 4 * deform, "rest": rest, "girth": 2 * girth, "bones": 0.5 * bones, "posed": posed_gap, "overlay": 2 * overlay,
    }  # fmt: skip
    return terms, seen


@torch.no_grad()
def validate(model: Fauna, samples: Samples, limit: int = 512) -> dict[str, float]:
    """On species never trained: quadrant accuracy, heading, PCK@0.1 of seen and of posed points, errors of the rest shape."""
    model.eval()
    index = samples.validation[:: max(1, len(samples.validation) // limit)]
    rows: list[dict[str, float]] = []
    for part in np.array_split(index, max(1, len(index) // 64)):
        batch = samples.batch(part)
        seen = model.perceive(batch.taps)
        best = seen.viewpoints.logits.argmin(-1)
        n = torch.arange(len(part))
        chosen = seen.viewpoints.rotation[n, best]
        local = euler_to_matrix(model.articulate(seen, chosen, seen.viewpoints.translation))
        posed = pose_points(seen.rest, torch.cat([torch.eye(3).expand(len(part), 1, 3, 3), local], 1))
        image = model.project(posed @ chosen.transpose(1, 2) + seen.viewpoints.translation[:, None])
        truth = model.project(batch.points @ batch.rotation.transpose(1, 2) + batch.translation[:, None])
        side = (truth.amax(1) - truth.amin(1)).amax(-1)  # (B,)
        heading = torch.rad2deg(torch.acos((functional.normalize(chosen[:, [0, 2], 2], dim=-1)
                  * functional.normalize(batch.rotation[:, [0, 2], 2], dim=-1)).sum(-1).clamp(-1, 1)))  # fmt: skip
        diagonal = (batch.rest.amax(1) - batch.rest.amin(1)).norm(dim=-1)
        rows += [
            {"heading": float(heading[i]), "heading45": float(heading[i] < 45),
             "pck_seen": float(((seen.seen[i] - truth[i]).norm(dim=-1) < 0.1 * side[i]).float().mean()),
             "pck_posed": float(((image[i] - truth[i]).norm(dim=-1) < 0.1 * side[i]).float().mean()),
             "rest": float((seen.rest[i] - batch.rest[i]).norm(dim=-1).mean() / diagonal[i]),
             "girth": float((seen.girth[i] - batch.girth[i]).abs().mean())}
            for i in range(len(part))
        ]  # fmt: skip
    model.train()
    result = {key: float(np.mean([row[key] for row in rows])) for key in rows[0]}
    result["heading_median"] = float(np.median([row["heading"] for row in rows]))
    return result


def learn_pictures(
    model: Fauna, samples: Samples, grids: DistanceGrids, codes: Tensor, path: Path, steps: int, batch_size: int, seed: int, log: Path
) -> None:
    """Stage three: bank, viewpoint, joints, articulation, deformation and the base SDF together."""
    base = [p for n, p in model.named_parameters() if n.startswith("netBase.netShape")]
    rest = [p for n, p in model.named_parameters() if not n.startswith("netBase.netShape")]
    # The base SDF moves slowly: bent to every training picture's code, it makes chimeras of codes between species.
    rates = (1.5e-4, 8e-4)
    optimizer = torch.optim.AdamW([{"params": base, "lr": rates[0]}, {"params": rest, "lr": rates[1]}], weight_decay=1e-3)
    step, started, saved = 0, time.perf_counter(), time.perf_counter()
    if path.exists():
        step = int(restore(path, model, optimizer, grids.fingerprint)["step"])
        print(f"resumed at step {step}", flush=True)
    rng = np.random.default_rng(seed + step)
    running: dict[str, float] = {}
    while step < steps:
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = rate * min(1.0, (step + 1) / 100) * 0.5 * (1.02 + math.cos(math.pi * step / steps))
        terms, _ = batch_losses(model, samples.batch(rng.choice(samples.train, batch_size)), codes, grids, rng)
        total = torch.stack(list(terms.values())).sum()
        optimizer.zero_grad()
        total.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()
        step += 1
        for key, value in terms.items():
            running[key] = 0.95 * running.get(key, value.item()) + 0.05 * value.item()
        if step % 50 == 0:
            line = " ".join(f"{k} {v:.3f}" for k, v in running.items())
            print(f"{step}/{steps} {time.perf_counter() - started:.0f} s {line}", flush=True)
        if step % 400 == 0 or step == steps:
            scores = validate(model, samples)
            print("validation " + " ".join(f"{k} {v:.3f}" for k, v in scores.items()), flush=True)
            with log.open("a") as out:
                out.write(json.dumps({"step": step, "seconds": round(time.perf_counter() - started), **scores}) + "\n")
        if time.perf_counter() - saved > SAVE_SECONDS or step == steps:
            save(path, model, optimizer, {"step": torch.tensor(step)}, {"stage": "pictures", "data": grids.fingerprint})
            saved = time.perf_counter()


def export(model: Fauna, path: Path, note: dict[str, object]) -> None:
    """Write the model's parameters in fp16 (what is bundled), without what only training from images needs."""
    state = {k: v.half().contiguous() for k, v in model.state_dict().items() if ".netDINO." not in k}
    partial = path.with_suffix(".partial")
    save_file(state, partial, metadata={"recipe": json.dumps(note, sort_keys=True)})
    os.replace(partial, path)
    if path.resolve().is_relative_to(MANIFEST.resolve().parent):
        register(
            path, "fauna-bundled", method="fauna", licence="CC-BY-SA-3.0",
            attribution="Learnt from animals of 0 A.D. © Wildfire Games (CC-BY-SA-3.0)", source=str(note["command"]),
        )  # fmt: skip


def main(argv: list[str]) -> int:
    """The command of the module's docstring; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m backend train fauna")
    parser.add_argument("--data", type=Path, required=True, help="folder of prepared shapes and pictures")
    parser.add_argument("--source", type=Path, help="0 A.D.'s public.zip: fills the data folder first")
    parser.add_argument("--images", type=int, default=14000)
    parser.add_argument("--variants", type=int, default=280)
    parser.add_argument("--out", type=Path, required=True, help="folder of checkpoints")
    parser.add_argument("--shape-steps", type=int, default=1500)
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--batch", type=int, default=48)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--start", type=Path, help="earlier checkpoint to take heads from: not bank, deformation, shapes")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--export", type=Path, help="write the fp16 weights to this file at the end")
    args = parser.parse_args(argv)
    if args.threads:
        torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    args.out.mkdir(parents=True, exist_ok=True)
    if args.source is not None and not (args.data / "truth.npz").exists():
        from backend.data.prepare import prepare

        prepare(args.source, args.data, images=args.images, variants=args.variants, seed=args.seed)
    store_features(args.data)
    samples, grids = Samples(args.data), DistanceGrids(args.data)
    model = Fauna(BUNDLED)
    used = np.unique(samples.truth["shape"][samples.train])
    codes = learn_shapes(model, grids, used, args.out / "shapes.safetensors", args.shape_steps, args.seed)
    if not (args.out / "pictures.safetensors").exists():
        start_bank(model, samples, codes, args.seed)
        if args.start is not None:
            start_heads(model, args.start)
    checkpoint = args.out / "pictures.safetensors"
    learn_pictures(model, samples, grids, codes, checkpoint, args.steps, args.batch, args.seed, args.out / "scores.jsonl")
    if args.export is not None:
        sizes = f"--images {len(samples.train)} --variants {len(used)}"
        sizes += f" --shape-steps {args.shape_steps} --steps {args.steps} --batch {args.batch}"
        sizes += " --start EARLIER" if args.start is not None else ""
        command = f"python -m backend train fauna --source public.zip {sizes} --seed {args.seed}"
        export(model, args.export, {"command": command, "scores": validate(model, samples, 4096)})
    return 0
