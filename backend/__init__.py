"""The backend: reconstruction without Blender."""

VERSION = "0.1.0"
"""Equal to the add-on's in `blender_manifest.toml`; `initialize` refuses a mismatch."""
