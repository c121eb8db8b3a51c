"""The real service in a process of its own, with the made-up method and tracker: `python tests/service/child.py`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from backend.service.serve import main  # noqa: E402
from tests.service.made_up_track import track  # noqa: E402

main(methods={"fauna": "tests.service.made_up"}, tracker=track)
