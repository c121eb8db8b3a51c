"""Turntables: a movie, a GIF or pictures of a creature seen from all around. `turntable.render(...)` does it all."""

from .stage import ENGINES, Look
from .turn import FORMATS, Turn, render

__all__ = ["ENGINES", "FORMATS", "Look", "Turn", "render"]
