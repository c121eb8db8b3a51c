"""The sidebar and the preferences' page. Panels only draw: no file is read and nothing is computed here but pictures
that `pictures.py` keeps."""

from . import control_rig, export, main

CLASSES = (
    main.MENAGERIE_PT_main,
    main.MENAGERIE_PT_creature,
    main.MENAGERIE_PT_viewpoints,
    control_rig.MENAGERIE_PT_control_rig,
    export.MENAGERIE_PT_export,
    main.MENAGERIE_PT_picking,
)
