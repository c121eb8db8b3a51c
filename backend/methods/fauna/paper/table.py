"""Tables of runs: one over training time, one with a row for each part of the recipe that was switched off.

Enters folders of runs (their scores.jsonl); leaves Markdown. `python -m backend train fauna --preset paper --table DIR ...` prints it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from backend.errors import MenagerieError

COLUMNS = {
    "quadrant": "right quadrant",
    "heading_median": "heading, median °",
    "chamfer_ratio": "Chamfer / ellipsoid's",
    "iou": "mask IoU",
    "iou_mean_shape": "mean shape's IoU",
}


def read_scores(folder: Path) -> list[dict[str, Any]]:
    """The rows of a run's scores.jsonl, oldest first, the last of those of one step (a run that was cut off repeats some).

    Raises `bad_request` where there are none.
    """
    path = folder / "scores.jsonl"
    if not path.exists():
        raise MenagerieError("bad_request", f"{folder} holds no scores.", "Name the --out folders of finished runs.")
    rows = {row["step"]: row for row in map(json.loads, path.read_text(encoding="utf-8").splitlines())}
    return [rows[step] for step in sorted(rows)]


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cells(row: dict[str, Any]) -> list[str]:
    return [f"{row[key]:.1f}" if key == "heading_median" else f"{row[key]:.3f}" for key in COLUMNS]


def markdown(folders: list[Path]) -> str:
    """The first folder's scores over time, then the last scores of every folder, named by what was switched off."""
    runs = [read_scores(folder) for folder in folders]
    head = ["step", "minutes", *COLUMNS.values()]
    lines = [_line(head), _line(["---"] * len(head))]
    lines += [_line([str(row["step"]), f"{row['seconds'] / 60:.0f}", *_cells(row)]) for row in runs[0]]
    lines += ["", _line(["recipe", *head]), _line(["---"] * (len(head) + 1))]
    for rows in runs:
        last, parts = rows[-1], rows[-1]["without"]
        name = f"without {', '.join(parts)}" if parts else "whole"
        lines.append(_line([name, str(last["step"]), f"{last['seconds'] / 60:.0f}", *_cells(last)]))
    return "\n".join(lines)
