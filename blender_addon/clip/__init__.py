"""A clip becomes motion: what the panel asks of the artist, and what becomes of the result in the scene.

`timing`: the clip's time on the scene's frames; `keys`: few keys that hold a motion; `cycle`: the loop in a motion. These are numpy
alone and know no Blender. `choices`, `source`, `look`: what is asked, and the clip shown beforehand; `action`, `movie`, `place`: the
motion, the clip behind it, and both on a creature; `loops`: what is done with it afterwards; `onto`: the motion on another armature.
"""
