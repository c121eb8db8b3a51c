"""What poses a creature: custom shapes, control bones with IK, the IK/FK switch, whole-pose operations, pose assets; Rigify's quadruped."""
