"""What `test_mask.py` runs in a Blender of its own: a mask is shown for painting, and the artist's brush stays as it is.

    python brushes.py PHOTO

In the background an editor has no tools; `tests/gui` looks at the brush that is taken in a real window. A Blender of its own:
4.2 without a window crashes some time after an Image Editor in Paint mode has gone with its file. The last line printed is JSON.
"""

import json
import sys
from pathlib import Path

import bpy

sys.path.insert(0, str(Path(__file__).parents[2]))

import blender_addon  # noqa: E402
from blender_addon.ops import paint_mask  # noqa: E402


def main(photo: str) -> dict[str, object]:
    bpy.ops.wm.read_factory_settings(use_empty=True)
    blender_addon.register()
    bpy.context.scene.menagerie.photo = photo
    found: dict[str, object] = {"painted": bpy.ops.menagerie.paint_mask() == {"FINISHED"}}
    area = next(area for area in bpy.context.screen.areas if area.type == "VIEW_3D")
    area.type = "IMAGE_EDITOR"
    area.spaces.active.ui_mode = "PAINT"
    theirs = bpy.context.scene.tool_settings.image_paint.brush
    found["theirs"] = [theirs.name, theirs.blend]
    try:
        paint_mask.show(bpy.context, bpy.context.scene.menagerie.mask_image)
        found["waits"] = bpy.app.timers.is_registered(paint_mask.take_eraser)
        paint_mask.take_eraser()
    finally:
        paint_mask.forget_eraser()
    found["theirs_after"] = [theirs.name, theirs.blend]
    found["ours"] = [paint_mask.ERASER, bpy.data.brushes[paint_mask.ERASER].blend]
    blender_addon.unregister()
    return found


if __name__ == "__main__":
    print(json.dumps(main(*sys.argv[1:])))
