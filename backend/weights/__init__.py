"""Weights: the list with its hashes, fetching, loading (safetensors only) and conversion of foreign files."""

from backend.weights.load import open_weights
from backend.weights.manifest import manifest_hash

__all__ = ["manifest_hash", "open_weights"]
