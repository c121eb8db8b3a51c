"""Steps with a clip: one is chosen on the panel's Clip tab, its stretch of frames is seen and made shorter, and it becomes a creature
that moves."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bpy
import numpy as np

from tests.gui import artist
from tests.gui.artist import call, check, click_button, module, names, picture, press, until, view, wait_up_to, write_into
from tests.gui.creature import choose

SIDE, FRAMES, RATE = 128, 40, 20
"""Of the movie: pixels, pictures, and pictures a second."""
RIGHT = 0.7
"""Of the sidebar's width: the second of two buttons that stand side by side."""
START, TAKEN = 0.5, 30
"""The second at which the motion is to begin, and how many frames are left from there."""


def film() -> Path:
    """A movie in which the animal of the made-up tracker, what is red, goes from left to right."""
    folder = artist.setting.out / "frames"
    folder.mkdir(exist_ok=True)
    files = []
    for number in range(FRAMES):
        pixels = np.full((SIDE, SIDE, 3), 0.45)
        left = 10 + 2 * number
        pixels[45:80, left : left + 30] = 0.8, 0.1, 0.1
        files.append(folder / f"{number:04d}.png")
        module(".turntable.picture").write_png(files[-1], pixels)
    target = artist.setting.out / "clip.mp4"
    module(".turntable.movie").write_mp4(files, target, SIDE, RATE)
    return target


def animate_a_clip(link: Any) -> Iterator[float]:
    """From the tab to the creature that plays, and back."""
    before, source, path = names(), module(".clip.source"), film()
    chosen = bpy.context.scene.menagerie_clip
    yield from click_button("menagerie.kind", RIGHT)
    check("the Clip tab opens", bpy.context.scene.menagerie.kind == "CLIP")
    yield from picture("clip-tab")
    yield from write_into("menagerie_clip.path", str(path))
    yield from wait_up_to(lambda: source.seen(path) is not None and source.state.process is None, artist.WAIT_SECONDS)
    seen = source.seen(path)
    good = seen is not None and (seen.width, seen.height, seen.frames, round(seen.fps)) == (SIDE, SIDE, FRAMES, RATE)
    check("the clip's size, length and rate are seen", good, seen)
    yield from picture("clip-chosen")
    yield from write_into("menagerie_clip.start", str(START))
    check("the motion begins where it was typed", abs(chosen.start - START) < 1e-4, chosen.start)
    yield from picture("clip-stretch")
    moment = module(".clip.moment")
    yield from click_button("menagerie.show_animal")
    yield from until(lambda: link.state.error is not None or (moment.current is not None and moment.current.job is None))
    shown = moment.current is not None and (moment.current.out / moment.SHOWN).is_file()
    check("Show Animal shows the frame at the start, the animal lit", shown, link.state.error)
    yield from picture("clip-animal")
    yield from click_button("menagerie.animate")
    yield from until(lambda: link.state.job is not None or link.state.error is not None)
    yield from until(lambda: link.state.job is None)
    yield from wait_up_to(lambda: names() != before)
    made = names() - before
    check("Animate places a creature", len(made) >= 3, [sorted(made), link.state.error])
    rig = next(thing for thing in bpy.context.scene.objects if thing.name in made and thing.type == "ARMATURE")
    action = rig.animation_data and rig.animation_data.action
    long = action is not None and action.frame_range[1] - action.frame_range[0]
    wanted = (TAKEN - 1) / RATE * bpy.context.scene.render.fps
    check("it plays the chosen stretch", action is not None and abs(long - wanted) <= 1, [long, wanted])
    choose(rig)
    call(bpy.ops.menagerie.use_photo_view, "EXEC_DEFAULT", True)
    for frame in (1, 20):
        bpy.context.scene.frame_set(frame)
        yield from picture(f"clip-{frame}")
    for _ in ("the view", "the creature"):
        yield from press("Z", ctrl=True)
    yield from wait_up_to(lambda: names() == before)
    check("undo takes the clip's creature away", names() == before, sorted(names()))
    view()["area"].spaces.active.region_3d.view_perspective = "PERSP"
    yield from click_button("menagerie.kind")
    check("the Photo tab comes back", bpy.context.scene.menagerie.kind == "PHOTO")
