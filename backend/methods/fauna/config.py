"""The one frozen configuration of 3D-Fauna and its two presets.

`OFFICIAL` has the names and shapes of the published checkpoint (arXiv 2401.02400; papers' released code).
`BUNDLED` is the same forward path with an encoder that fits a laptop, one articulation token per bone of the
quadruped template, regressed rest shape and a 2D-joint head; every difference is a field here.
Lengths are in object units: the world box spans +-`half_extent`, an animal's rest box has a diagonal near 4.6.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class FaunaConfig:
    """Sizes and switches of the model. The defaults are the published ones."""

    preset: str = "official"
    """Name written into provenance."""
    encoder: str = "dino_vits8"
    """'dino_vits8' or 'efficientnet_lite0'."""
    grid: int = 32
    """Cells a side of the token and key maps that the convolutional heads read."""
    token_channels: int = 384
    """Channels of the token map (texture, light)."""
    key_channels: int = 384
    """Channels of the key map (viewpoint, deformation, articulation)."""
    head_channels: int = 256
    """Width of the strided convolutions that reduce a map to one vector."""
    query_dim: int = 384
    """Size of the bank's queries and keys."""
    bank_size: int = 60
    """Entries of the semantic bank."""
    code_dim: int = 128
    """Size of the bank's values: the shape code phi."""
    top_k: int = 10
    """Entries that take part in a code."""
    feature_dim: int = 256
    """Size of the image features feat_out and feat_key."""
    half_extent: float = 3.5
    """Half the side of the world box."""
    shape_frequencies: int = 8
    """Harmonics of the base SDF and of the articulation's positions."""
    fine_frequencies: int = 10
    """Harmonics of the texture and deformation fields."""
    hidden: int = 256
    """Width of every coordinate network."""
    ellipsoid_radius: float = 0.15
    """Initial ellipsoid: radius over the box's side; twice as long in z."""
    deformation_scale: float = 0.1
    """Scale of the instance deformation network's output."""
    translation_range: tuple[float, float, float] = (0.2, 0.2, 0.5)
    """Largest translation, in half widths of the view at the object (the demo checkpoint: 0.5 for x and y)."""
    camera_distance: float = 10.0
    """Distance from the camera to the object's origin before translation."""
    crop_fov_degrees: float = 25.0
    """Field of view of the square crop."""
    elevation: bool = False
    """Whether the viewpoint head also tilts the world's up towards the camera (the paper's cannot)."""
    articulated_bones: int = 20
    """Articulation tokens: 20 by the heuristic, or one a deforming bone of the template."""
    articulation_blocks: int = 4
    """Transformer blocks of the articulation network."""
    angle_limit_degrees: float = 60.0
    """Largest angle about one axis of a bone."""
    regressed_joints: bool = False
    """Rest joints and girths from the bank code and the instance feature instead of the heuristic."""
    joint_head: bool = False
    """A head that finds the template's points in the image."""
    joint_grid: int = 32
    """Cells a side of the joint head's heat maps."""
    neck_blocks: int = 0
    """Transformer blocks over the encoder's coarse cells, the template's points and the whole."""
    fine_blocks: int = 0
    """As many more over the key map's cells."""
    lifting_blocks: int = 0
    """Transformer blocks of the network that lifts the seen points into space; 0: none."""
    image_size: int = 256
    """Side of the crop that the encoder sees, pixels."""


OFFICIAL = FaunaConfig()

BUNDLED = FaunaConfig(
    preset="bundled",
    encoder="efficientnet_lite0",
    grid=16,
    token_channels=256,
    key_channels=192,
    query_dim=256,
    translation_range=(0.5, 0.5, 2.4),
    elevation=True,
    articulated_bones=33,
    angle_limit_degrees=120.0,
    regressed_joints=True,
    joint_head=True,
    neck_blocks=4,
    fine_blocks=2,
    lifting_blocks=4,
)

PRESETS = {config.preset: config for config in (OFFICIAL, BUNDLED)}
