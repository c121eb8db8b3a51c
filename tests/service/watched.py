"""`python tests/service/watched.py EVENTS.json COMMAND ...`: a backend command, and what it asked of the system.

Every socket that is made, name that is looked up and program that is started is written down.
"""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

WATCHED = ("socket.", "subprocess.", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "urllib.", "http.", "webbrowser.")
seen: list[str] = []


def watch(event: str, arguments: tuple[object, ...]) -> None:
    """Python's audit hook (PEP 578): it can't be taken off again."""
    if event.startswith(WATCHED):
        seen.append(f"{event} {arguments!r}"[:200])


if __name__ == "__main__":
    sys.addaudithook(watch)
    from backend.__main__ import main

    status = main(sys.argv[2:])
    Path(sys.argv[1]).write_text(json.dumps(seen), encoding="utf-8")
    sys.exit(status)
