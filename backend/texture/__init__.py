"""Unwrap, bake, fill: from a fitted mesh and its photo to a whole texture."""

from backend.texture.bake import Baked, bake
from backend.texture.fill import ColorField, fill
from backend.texture.unwrap import unwrap

__all__ = ["Baked", "ColorField", "bake", "fill", "unwrap"]
