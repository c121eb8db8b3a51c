"""The add-on, enabled for a file of tests that asks for it, with an empty Blender for each test; what turntables are tried on."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import bpy
import pytest

from blender_addon.link import session
from tests.blender import button
from tests.blender.creatures import empty_blender
from tests.blender.turntables import keep_in, long_box

ENDED = pytest.StashKey[int]()


@pytest.fixture(scope="module")
def child_for_all(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The add-on with one child for all tests of a file."""
    with button.enabled(tmp_path_factory.mktemp("user")):
        yield


@pytest.fixture
def add_on(child_for_all: None) -> None:
    """The add-on with nothing to show yet."""
    empty_blender()
    session.state.error = None
    session.state.ready.clear()


@pytest.fixture
def kept_folder(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where unfinished turntables are kept."""
    return keep_in(tmp_path_factory.mktemp("kept"), monkeypatch)


@pytest.fixture
def cube() -> bpy.types.Object:
    """A long box, off the origin, alone in an empty file."""
    return long_box()


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Keep how the tests ended."""
    session.config.stash[ENDED] = int(exitstatus)


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """End at once when all is said: as a module, Blender may wait at its end for a thread of its own that nobody wakes."""
    if ENDED in config.stash:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(config.stash[ENDED])
