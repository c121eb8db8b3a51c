"""What is tried in a real window; run by `window.py` inside Blender with its GUI.

    blender ... --python walk.py -- WALK EXTENSION.zip BACKEND_PYTHON PROJECT OUT

A walk is a generator of steps; an app timer resumes it while Blender goes on living. `made-up` walks through the promises with
the real backend process and the made-up method of tests/service, in seconds; `creature` is what an artist does, with the real
method, by mouse and keyboard; `features` is what is done with a creature that stands there.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path

import bpy

WALK, ZIP, PYTHON, ROOT, OUT = sys.argv[sys.argv.index("--") + 1 :]
sys.path.insert(0, ROOT)

from tests.gui import artist, browser, clips, creature, features, jobs, masks, pages, patience, seconds  # noqa: E402

setting = artist.setting
setting.zip, setting.python, setting.root, setting.out = Path(ZIP), Path(PYTHON), Path(ROOT), Path(OUT)
bpy.context.preferences.view.show_splash = False  # it would swallow keys, and hide the sidebar from the pictures
bpy.context.preferences.system.use_online_access = False


def made_up() -> Iterator[float]:
    """The promises, with a method that takes moments."""
    bpy.ops.extensions.package_install_files(filepath=ZIP, repo="user_default", enable_on_install=True)
    artist.check("the zip installs and enables", hasattr(bpy.ops.menagerie, "reconstruct"), bpy.app.version_string)
    link = artist.module(".link.session")
    child = str(setting.root / "tests" / "service" / "child.py")
    version, log = artist.module(".paths").version(), setting.out / "backend.log"
    backend = artist.module(".link.process").Backend(setting.python, setting.root, version, log, entry=(child,))
    link.use(backend)
    took = seconds.time_callbacks(link)
    before = artist.names()
    yield from jobs.drop_a_photo()
    yield from jobs.reconstruct_and_undo(link, before)
    yield from jobs.cancel_a_slow_job(link, before)
    yield from patience.wait_three_minutes(link, took)
    seconds.check_callbacks(took, "while jobs run")
    yield from jobs.wait_while_the_artist_works(link, before)
    yield from jobs.look_through_the_camera()
    yield from clips.animate_a_clip(link)
    yield from masks.paint_a_mask()
    yield from masks.pick_one_of_two()
    yield from pages.turntable(link)
    yield from pages.preferences()
    yield from pages.failure(link)
    yield from pages.end(link, backend.pid)


def real() -> Iterator[float]:
    """What an artist does, from the zip to a posed creature."""
    yield from creature.install_from_disk()
    link = artist.module(".link.session")
    took = seconds.time_callbacks(link)
    gaps = seconds.Gaps(took)
    yield from creature.choose_environment()
    yield from creature.choose_photo()
    yield from creature.reconstruct(link, gaps)
    gaps.check("with a job")
    yield from creature.undo_and_redo()
    yield from creature.cancel_another(link)
    yield from creature.look_at_it()
    yield from creature.pose_a_bone()
    yield from creature.mirror_a_pose()
    seconds.check_callbacks(took, "with the real method")
    yield from pages.end(link, link.state.backend.pid)


def after() -> Iterator[float]:
    """What is done with a creature that stands there."""
    yield from creature.install_from_disk()
    link = artist.module(".link.session")
    yield from creature.choose_environment()
    yield from creature.choose_photo()
    yield from creature.reconstruct(link)
    for name, steps in (
        ("joints", features.drag_a_joint(link)),
        ("inverse kinematics", features.use_ik()),
        ("whole poses", features.take_poses()),
        ("a motion", features.take_a_motion()),
        ("the asset browser", browser.take_an_asset()),
        ("retargeting", features.retarget()),
        ("the panels", pages.every_panel()),
        ("a turntable", features.turn(link)),
    ):
        yield from features.attempt(name, steps)
    yield from pages.end(link, link.state.backend.pid)


steps = {"made-up": made_up, "creature": real, "features": after}[WALK]()


def resume() -> float | None:
    """The timer: go on with the walk; at its end write what was seen and leave Blender."""
    try:
        return next(steps)
    except StopIteration:
        status = 0
    except BaseException:  # noqa: BLE001  (the script's boundary: whatever stopped the walk is written down)
        artist.check("the walk goes to its end", False, traceback.format_exc()[-1500:])
        status = 1
    (setting.out / "seen.json").write_text(json.dumps(setting.seen, indent=1))
    sys.stdout.flush()
    # Blender's own end would ask about unsaved changes.
    os._exit(status)


bpy.app.timers.register(resume, first_interval=2.0)
