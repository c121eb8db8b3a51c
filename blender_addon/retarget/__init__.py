"""Any armature's action onto any armature.

`rig`: what a rig and a clip are; `parts`, `guess`: which bones are which part of the body; `bone_map`: which parts go together;
`solve`: the transfer, with `frames`, `transfer`, `travel`; `laps`, `contacts`, `ground`: when the source's feet stand, on what;
`feet`, `soles`, `swing`, `limbs`, `legs`: feet held on the target, for the ready motions too. All of these are numpy alone and
know no Blender.
`sampling`, `files`, `baking`, `preview`: Blender's side.
"""
