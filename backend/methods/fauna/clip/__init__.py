"""A clip -> one creature with one motion: shape and texture are the clip's, the pose is each frame's.

`looks` sees every frame, `views` and `legs` make what was seen consistent through time, `track` solves the joints as curves, `character`
finds the shape, `follow` lays its silhouettes over the masks, `world` finds ground, contacts and the camera's way, `plant` lets feet stand,
`windows` does it in pieces, `stage` and `painting` make the asset's motion and texture. `animate` is the road from clip to asset.
"""
