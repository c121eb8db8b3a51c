"""The methods, by name: a literal dict of modules that are imported when first asked for."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import cast

from backend.errors import MenagerieError
from backend.methods.request import ClipMethod, Method

METHODS: dict[str, str] = {
    "fauna": "backend.methods.fauna.method",
}


def load(name: str, methods: Mapping[str, str] = METHODS) -> Method:
    """The module of the method called `name`. Raises `bad_request` for a name that is not listed."""
    if name not in methods:
        raise MenagerieError("bad_request", f"There is no method called {name!r}.", f"Choose one of: {', '.join(sorted(methods))}.")
    return cast(Method, importlib.import_module(methods[name]))


def load_for_clips(name: str, methods: Mapping[str, str] = METHODS) -> ClipMethod:
    """The same of a method that takes clips. Raises `bad_request` for one that doesn't."""
    module = load(name, methods)
    if "clip" not in getattr(module, "INPUTS", ()):
        raise MenagerieError("bad_request", f"The method {name!r} takes no clips.", "Choose a photo, or another method.")
    return cast(ClipMethod, module)
