"""What tests of the service share: a child process with the made-up method, and a photo."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image as Picture

from tests.service.client import Client

SIZE = (96, 64)
"""Of the photo, (width, height)."""


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    """One child for all tests of a file."""
    client = Client()
    yield client
    client.close()


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """A photo with alpha, so that no matting network is needed, in a folder with spaces and other letters."""
    path = tmp_path / "Tier fotos 动物" / "Löwe.png"
    path.parent.mkdir()
    picture = Picture.new("RGBA", SIZE, (120, 80, 40, 0))
    picture.paste((120, 80, 40, 255), (24, 16, 72, 48))
    picture.save(path)
    return path
