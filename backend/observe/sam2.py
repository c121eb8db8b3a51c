"""SAM 2's Hiera-tiny, an optional set: a picture and clicks in, masks with their expected quality out.

Ravi et al. 2024 (SAM 2: Segment Anything in Images and Videos, arXiv 2408.00714). The picture is looked at once (`embed`), each
click then only asks the small decoder (`answer`). Weights come from a package that the person brings, see
`weights/sam2_package.py`; against its graphs in onnxruntime the maps differ by at most 8e-6 and the logits by 4e-5.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from backend.observe.hiera import SIDE, Between, Embedding, ImageEncoder
from backend.observe.prompts import LOGIT_SIDE, NEGATIVE, POSITIVE, MaskDecoder
from backend.observe.refine import shrink
from backend.types import ByteArray, FloatArray
from backend.weights.load import open_weights
from backend.weights.manifest import find_entry, locate

WEIGHTS = "sam2-hiera-tiny"


@dataclass(frozen=True)
class Answer:
    """Masks of one set of clicks. logits: (4, 256, 256) float32 over the whole picture, squeezed to a square, positive on what is
    meant; quality: (4,) the IoU that each is expected to reach. Mask 0 is for several clicks, 1 to 3 for a single one."""

    logits: FloatArray
    quality: FloatArray


class Sam2(nn.Module):
    """Encoder and decoder, as the set's file names them."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = ImageEncoder()
        self.decoder = MaskDecoder()


def is_installed() -> bool:
    """Whether the set's file is there; its hash is checked when it is loaded."""
    return locate(find_entry(WEIGHTS)).is_file()


def load_sam2(weights: dict[str, Tensor] | None = None) -> Sam2:
    """-> the network in float32, eval mode. Raises `weights_missing`, `weights_damaged`."""
    with torch.device("meta"):  # nothing is filled twice
        network = Sam2()
    stored = open_weights(WEIGHTS) if weights is None else weights
    network.load_state_dict({name: value.float() for name, value in stored.items()}, assign=True)
    return network.eval()


def embed(network: Sam2, rgb: ByteArray, between: Between = lambda: None) -> Embedding:
    """rgb: (h, w, 3) sRGB of any size -> what the decoder needs of it. between: called between the blocks, may raise to stop."""
    square = torch.from_numpy(np.array(shrink(rgb, SIDE, SIDE))).permute(2, 0, 1)[None].float() / 255  # (1, 3, 1024, 1024)
    with torch.inference_mode():
        embedding: Embedding = network.encoder(square, between)
    return embedding


def answer(network: Sam2, embedding: Embedding, at: FloatArray, positive: list[bool], earlier: FloatArray | None = None) -> Answer:
    """at: (n, 2) x and y as shares of the picture's width and height; positive: n; earlier: (256, 256) logits of an earlier answer."""
    points = torch.from_numpy(np.asarray(at, np.float32))[None] * SIDE - 0.5
    kinds = torch.tensor([[POSITIVE if yes else NEGATIVE for yes in positive]])
    before = None if earlier is None else torch.from_numpy(earlier).reshape(1, 1, LOGIT_SIDE, LOGIT_SIDE)
    with torch.inference_mode():
        logits, quality = network.decoder(embedding, points, kinds, before)
    return Answer(logits[0].numpy(), quality[0].numpy())
