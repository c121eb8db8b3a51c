"""Clean topology: from a creature's triangles to a symmetric mesh of quads with UVs, weights and texture, and back again."""

from .quads import FEWEST, MOST, QUADS
from .wardrobe import back_to_triangles, put_on_quads, spare_of, swap, wears_quads

__all__ = ["FEWEST", "MOST", "QUADS", "back_to_triangles", "put_on_quads", "spare_of", "swap", "wears_quads"]
