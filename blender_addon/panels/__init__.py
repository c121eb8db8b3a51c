"""The sidebar and the preferences' page. Panels only draw: no file is read and nothing is computed here but pictures
that `pictures.py` keeps."""

from . import batch_panel, main

CLASSES = (
    main.MENAGERIE_PT_main,
    batch_panel.MENAGERIE_UL_batch,
    batch_panel.MENAGERIE_PT_batch,
    main.MENAGERIE_PT_creature,
    main.MENAGERIE_PT_viewpoints,
    main.MENAGERIE_PT_picking,
)
