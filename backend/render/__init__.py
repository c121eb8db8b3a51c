"""One renderer, two backends: `cpu` (numba, the reference) and `nvdiff` (nvdiffrast, CUDA). Choose with `renderer_for`."""

from backend.render.select import Renderer, renderer_for

__all__ = ["Renderer", "renderer_for"]
