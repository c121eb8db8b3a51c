"""The sidebar and the preferences' page. Panels only draw: no file is read and nothing is computed here but pictures
that `pictures.py` keeps."""

from . import correct, main

CLASSES = (
    main.MENAGERIE_PT_main,
    main.MENAGERIE_PT_creature,
    correct.MENAGERIE_PT_correct,
    main.MENAGERIE_PT_viewpoints,
    main.MENAGERIE_PT_picking,
)
