"""Keeps handles out of what Blender's glTF exporter writes, also where the whole scene is exported.

The exporter looks in every enabled add-on's module for a class of this name, and calls the hooks that it has ("user extensions" of
io_scene_gltf2).
"""

from __future__ import annotations

from typing import Any

from . import joints


class glTF2ExportUserExtension:  # noqa: N801  (the exporter's name for it)
    """Called while the exporter decides which objects it keeps."""

    def gather_tree_filter_tag_hook(self, tree: Any, export_settings: dict[str, Any]) -> None:
        """Drop our handles from the exporter's tree."""
        for node in tree.nodes.values():
            if joints.is_handle(getattr(node, "blender_object", None)):
                node.keep_tag = False
