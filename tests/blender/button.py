"""What the tests of the add-on share: it is enabled with the real service and a made-up method, and its panels are read."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import bpy
import pytest
from PIL import Image as Picture

import blender_addon
from blender_addon import paths
from blender_addon.link import session
from blender_addon.link.process import Backend

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".venv" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
CHILD = ("-c", f"import runpy; runpy.run_path({str(ROOT / 'tests' / 'service' / 'child.py')!r})")
PATIENCE = 60.0


@contextmanager
def enabled(folder: Path) -> Iterator[None]:
    """The add-on, registered, writing under `folder`, with one child."""
    patch = pytest.MonkeyPatch()
    patch.setattr(paths, "user_folder", lambda *parts: make(folder.joinpath(*parts)))
    blender_addon.register()
    session.use(Backend(PYTHON, ROOT, paths.version(), folder / "backend.log", entry=CHILD))
    try:
        yield
    finally:
        blender_addon.unregister()
        patch.undo()


def make(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def choose_photo(folder: Path, name: str = "ram") -> Path:
    """A photo with alpha becomes the panel's; its name tells the made-up method how to behave."""
    path = folder / f"{name}.png"
    picture = Picture.new("RGBA", (96, 64), (120, 80, 40, 0))
    picture.paste((120, 80, 40, 255), (24, 16, 72, 48))
    picture.save(path)
    bpy.context.scene.menagerie.photo = str(path)
    return path


def reconstruct(folder: Path) -> bpy.types.Object:
    choose_photo(folder)
    assert bpy.ops.menagerie.reconstruct() == {"FINISHED"}
    return bpy.data.objects[session.state.last_creature]


def finish_unplaced(folder: Path, name: str = "ram") -> None:
    """A job that ends while the artist is elsewhere: pumped as the timer does, not placed."""
    photo = choose_photo(folder, name)
    plan = session.Plan(str(photo), str(session.new_folder()), {}, bpy.context.scene.name, name)
    session.begin(bpy.context, plan)
    deadline = time.monotonic() + PATIENCE
    while session.state.job is not None:
        assert time.monotonic() < deadline
        session.pump()
        time.sleep(0.01)


def everything() -> dict[str, int]:
    kinds = ("objects", "meshes", "armatures", "images", "materials", "collections", "cameras", "actions", "scenes")
    return {kind: len(getattr(bpy.data, kind)) for kind in kinds}


class Layout:
    """A stand-in for `UILayout` that notes texts and operators."""

    def __init__(self, said: list[str] | None = None) -> None:
        object.__setattr__(self, "said", [] if said is None else said)

    def __setattr__(self, name: str, value: object) -> None:
        pass

    def panel(self, idname: str, default_closed: bool = False) -> tuple[Layout, Layout]:
        """Open, whatever it is at first."""
        return Layout(self.said), Layout(self.said)

    def __getattr__(self, name: str) -> Any:
        def call(*args: Any, **words: Any) -> Layout:
            self.said.extend(str(value) for value in (*args, *words.values()) if isinstance(value, str))
            return Layout(self.said)

        return call


def drawn(kind: Any) -> list[str]:
    """What a panel shows."""
    layout = Layout()
    kind.draw(type("Panel", (), {"layout": layout})(), bpy.context)
    return layout.said
