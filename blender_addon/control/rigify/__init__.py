"""Rigify's quadruped as a control rig for a creature; the creature's own armature stays what deforms and what is exported.

`checks` says beforehand what would fail. `metarig` writes the creature's bones under Rigify's names, `generate` lets Rigify make
its rig in a scene of its own, `skeleton` ties the creature's bones to it, `snap` brings it into a pose. `make` and `remove` put
these together; `again` makes it anew for other bones; `legs` switches between IK and FK, `bake` turns what was animated into one action of
the creature's armature.
"""
