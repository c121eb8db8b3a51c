"""A creature leaves Blender as glTF, FBX or USD, through Blender's own exporters, as game engines like it: one root, the deforming bones,
no widget, no control rig.

`names` says what bones are called elsewhere, `copies` makes what is exported, `textures` sees to pictures, `export` calls the exporters.
"""
