"""Turntables: a movie, a GIF, pictures or a still of a creature seen from all around. `turntable.render(...)` does it all."""

from .stage import ENGINES, MOTIONS, PASSES, Look
from .turn import FORMATS, Turn, render

__all__ = ["ENGINES", "FORMATS", "MOTIONS", "PASSES", "Look", "Turn", "render"]
