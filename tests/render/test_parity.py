"""The comparison of renderers finds none with itself, and finds what a wrong one does."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import torch

from backend.benchmark.parity import compare_renderers
from backend.render import Renderer, cpu


def test_a_renderer_equals_itself() -> None:
    found = compare_renderers("cpu")
    assert found.pop("device") == "cpu" and found.pop("same_ids") == 1
    assert set(found.values()) == {0.0}


def test_a_renderer_with_swapped_barycentrics_or_rows_upside_down_is_told_apart() -> None:
    def wrong(change: Any) -> dict[str, Any]:
        def rasterize(clip: torch.Tensor, faces: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
            return cast(torch.Tensor, change(cpu.rasterize(clip, faces, size)))

        parts = SimpleNamespace(rasterize=rasterize, interpolate=cpu.interpolate, texture=cpu.texture, antialias=cpu.antialias)
        return compare_renderers("cpu", cast(Renderer, parts))

    assert wrong(lambda rast: rast[..., [1, 0, 2, 3]])["barycentrics"] > 0.5
    assert wrong(lambda rast: rast.flip(1))["same_ids"] < 0.9
