"""The add-on, enabled for a file of tests that asks for it, with an empty Blender for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from blender_addon.link import session
from tests.blender import button
from tests.blender.creatures import empty_blender


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
