"""The sidebar and the preferences' page. Panels only draw: no file is read and nothing is computed here but pictures
that `pictures.py` keeps."""

from . import main, motions, retarget

CLASSES = (
    main.MENAGERIE_PT_main,
    main.MENAGERIE_PT_creature,
    main.MENAGERIE_PT_viewpoints,
    main.MENAGERIE_PT_picking,
    motions.MENAGERIE_PT_motions,
    retarget.MENAGERIE_UL_map,
    retarget.MENAGERIE_PT_retarget,
    retarget.MENAGERIE_PT_retarget_map,
)
