"""Ready motions: loops of 0 A.D.'s animals on the common skeleton, bundled here with their credit, applied with one click.

`library` reads the bundle, `turns` and `transfer` are plain numpy, `action` makes Blender's actions of them.
"""
