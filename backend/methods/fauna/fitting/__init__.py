"""From what the networks perceived to a creature that explains the picture.

`evidence` (what was seen) and `viewpoint` (four hypotheses, solved for the joints) come first; `creature` is what is fitted: a mesh and its
parameters (`tail`: where its tail's flesh goes); `silhouette` and `coat` compare it with the picture, `fit` moves it. `feet` and
`bare_tail` try other `readings` of what stays bare.
"""
