"""What `test_addon_installed.py` runs in a Blender of its own: install the zip, use it, disable it, enable it again.

    python installed.py ZIP BACKEND_PYTHON CHILD PHOTO

BLENDER_USER_RESOURCES names an empty folder. The last line printed is JSON.
"""

import json
import os
import sys

import bpy  # isort: skip
import addon_utils  # isort: skip  (only there once bpy is)

NETWORK = ("socket.", "urllib.", "http.", "ssl.")
"""Audit events of Python that a program makes which talks to others."""

NAME = "bl_ext.user_default.menagerie"


def main(file: str, python: str, child: str, photo: str) -> dict[str, object]:
    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.ops.extensions.package_install_files(filepath=file, repo="user_default", enable_on_install=True)
    package = sys.modules[NAME]
    found: dict[str, object] = {"enabled": NAME in bpy.context.preferences.addons}
    found["panels"] = sorted(name for name in dir(bpy.types) if name.startswith("MENAGERIE_PT"))
    found["rows"] = len(package.preferences.weights())
    found["user_folder"] = str(package.paths.user_folder())
    found["carried"] = (package.paths.carried() / "backend" / "service" / "serve.py").is_file()
    link = sys.modules[f"{NAME}.link.process"]
    backend = link.Backend(python, package.paths.carried(), package.paths.version(), entry=("-c", child))
    package.session.use(backend)
    bpy.context.scene.menagerie.photo = photo
    talked: list[str] = []
    watching = [True]
    sys.addaudithook(lambda event, words: talked.append(event) if watching and event.startswith(NETWORK) else None)
    bpy.ops.menagerie.reconstruct()
    watching.clear()
    found["talked"] = talked
    found["objects"] = sorted(thing.type for thing in bpy.data.objects)
    addon_utils.disable(NAME)
    found["gone"] = not any(name.startswith(("MENAGERIE_OT", "MENAGERIE_PT", "MENAGERIE_FH")) for name in dir(bpy.types))
    found["scene_property_gone"] = not hasattr(bpy.types.Scene, "menagerie")
    addon_utils.enable(NAME)
    found["again"] = "MENAGERIE_PT_main" in dir(bpy.types)
    addon_utils.disable(NAME)
    return found


if __name__ == "__main__":
    print(json.dumps(main(*sys.argv[1:])), flush=True)
    os._exit(0)  # as a module, 4.2 would not outlive its end with classes of ours that have methods
