"""`python -m backend weights [list | verify | fetch ID | convert NAME --source FILE]`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from backend.errors import MenagerieError
from backend.types import Progress, no_progress
from backend.weights import convert, fetch
from backend.weights.manifest import find_entry, load_manifest, locate, verify


def list_weights() -> None:
    """Print a line a file: id, bytes, whether it is there, licence, attribution."""
    for entry in load_manifest().values():
        state = "present" if locate(entry).is_file() else "absent"
        kind = "bundled" if entry.bundled else "optional"
        print(f"{entry.id:<28} {kind:<8} {state:<8} {entry.bytes:>12,} bytes  {entry.licence}  {entry.attribution}")


def verify_weights() -> None:
    """Hash every file that is there; raises for the first that is damaged, and for a bundled one that is missing."""
    for entry in load_manifest().values():
        path = locate(entry)
        if entry.bundled or path.is_file():
            verify(entry, path)
            print(f"{entry.id:<28} good")
        else:
            print(f"{entry.id:<28} not installed")


def main(argv: list[str], progress: Progress = no_progress) -> int:
    """progress: of a download. -> exit status. Raises `MenagerieError`."""
    parser = argparse.ArgumentParser(prog="python -m backend weights", description=__doc__)
    commands = parser.add_subparsers(dest="command")
    commands.add_parser("list", help="what there is")
    commands.add_parser("verify", help="hash every file")
    fetching = commands.add_parser("fetch", help="download an optional set")
    fetching.add_argument("id")
    fetching.add_argument("--accept-licence", action="store_true", help="I have read the licence that is shown without this")
    converting = commands.add_parser("convert", help="make a safetensors file from its source")
    converting.add_argument("name", help=f"one of {', '.join(convert.names())}")
    converting.add_argument("--source", type=Path, help="the file that the recipe names; a downloaded one is found by itself")
    arguments = parser.parse_args(argv)
    if arguments.command == "verify":
        verify_weights()
    elif arguments.command == "fetch":
        print(fetch.licence_text(find_entry(arguments.id)), file=sys.stderr)
        print(fetch.fetch(arguments.id, accept_licence=arguments.accept_licence, progress=progress))
    elif arguments.command == "convert":
        target = convert.convert(arguments.name, arguments.source, progress=progress)
        print(f"{target}: {target.stat().st_size} bytes")
    elif arguments.command in (None, "list"):
        list_weights()
    else:
        raise MenagerieError("bad_request", f"weights knows no command {arguments.command!r}.")
    return 0
