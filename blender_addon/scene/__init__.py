"""From an asset file to Blender's objects: mesh, armature, weights, material, poses, actions, camera."""
