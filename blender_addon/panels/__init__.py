"""The sidebar and the preferences' page. Panels only draw: no file is read and nothing is computed here but pictures
that `pictures.py` keeps."""

from . import batch_panel, clip, clip_animal, control_rig, correct, export, main, mask, motion_assets, motions, posing, retarget, topology

CLASSES = (
    main.MENAGERIE_PT_main,
    mask.MENAGERIE_PT_mask,
    clip_animal.MENAGERIE_PT_clip_animal,
    clip.MENAGERIE_PT_clip_options,
    clip.MENAGERIE_PT_clip,
    main.MENAGERIE_PT_creature,
    correct.MENAGERIE_PT_correct,
    main.MENAGERIE_PT_viewpoints,
    posing.MENAGERIE_PT_posing,
    motions.MENAGERIE_PT_motions,
    retarget.MENAGERIE_UL_map,
    retarget.MENAGERIE_PT_retarget,
    retarget.MENAGERIE_PT_retarget_map,
    control_rig.MENAGERIE_PT_control_rig,
    topology.MENAGERIE_PT_topology,
    export.MENAGERIE_PT_export,
    batch_panel.MENAGERIE_UL_batch,
    batch_panel.MENAGERIE_PT_batch,
    main.MENAGERIE_PT_picking,
    motion_assets.MENAGERIE_PT_motion_asset,
)
