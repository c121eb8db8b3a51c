"""A clip -> one creature with one motion: shape and texture are the clip's, the pose is each frame's.

`looks` sees every frame, `views` and `legs` make what was seen consistent through time, `character` finds the shape, `track` the motion,
`world` ground and camera, `animate` is the road from clip to asset.
"""
