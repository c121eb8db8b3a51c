"""The codes of errors are a contract: each is raised by the product, told to a person in words, and tested."""

from __future__ import annotations

from pathlib import Path

import pytest

from backend.errors import CODES, Cancelled, MenagerieError

ROOT = Path(__file__).resolve().parents[1]


def sources(*folders: str) -> str:
    """All Python text of the folders but for the lists of codes and this file."""
    files = [file for folder in folders for file in sorted((ROOT / folder).rglob("*.py"))]
    return "\n".join(file.read_text(encoding="utf-8") for file in files if file.name not in ("errors.py", Path(__file__).name))


PRODUCT, TESTS = sources("backend", "blender_addon"), sources("tests")


@pytest.mark.parametrize("code", sorted(CODES))
def test_every_code_is_raised_and_tested(code: str) -> None:
    assert f'"{code}"' in PRODUCT and f'"{code}"' in TESTS


@pytest.mark.parametrize("code", sorted(CODES))
def test_every_code_has_a_remedy_in_a_sentence(code: str) -> None:
    error = MenagerieError(code, "It happened.")
    assert error.to_wire() == {"code": code, "sentence": "It happened.", "remedy": CODES[code]}
    assert error.remedy[0].isupper() and error.remedy.endswith(".")


def test_an_unknown_code_is_a_defect_and_a_remedy_can_be_particular() -> None:
    with pytest.raises(ValueError, match="unknown error code"):
        MenagerieError("nonsense", "It happened.")
    assert MenagerieError("no_animal", "Nothing there.", "Paint it.").remedy == "Paint it."
    assert Cancelled().code == "cancelled"
