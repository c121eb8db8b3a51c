"""Quality: metrics, sets and contact sheets (`python -m backend evaluate`)."""

from __future__ import annotations


def main(argv: list[str]) -> int:
    """Run the evaluation command; see `backend.evaluate.command`."""
    from backend.evaluate.command import main as run

    return run(argv)
