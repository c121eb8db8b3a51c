"""The backend process: start, watch, restart (`process.py`), the wire (`wire.py`), its environment (`environment.py`).

`session.py` holds the one job of this Blender and is the only module here that touches bpy.
"""
