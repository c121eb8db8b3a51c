"""What a worker of a batch does, wherever it lives: one animal into one folder, every failure as the wire's error."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from backend.methods.index import METHODS
from backend.service.batch.items import Item, Settings
from backend.service.failures import as_error


@dataclass(frozen=True)
class Task:
    """An item as a worker gets it. methods: name -> module, as in `methods.index`."""

    item: Item
    settings: Settings
    methods: Mapping[str, str] = field(default_factory=lambda: METHODS)


def make(task: Task, folder: Path) -> dict[str, str] | None:
    """Reconstruct the task's photo into `folder`, made for it -> None, or the error in the wire's form. Raises nothing."""
    # Imported here: the one that hands the work out needs no torch.
    from backend.service.reconstruct import Further, reconstruct

    item = task.item
    try:
        others = [Further(*other) for other in item.others]
        reconstruct(item.photo, folder, mask=item.mask, others=others, name=item.name, methods=task.methods, **asdict(task.settings))
    except Exception as escaped:  # noqa: BLE001  the process boundary: everything is re-reported
        return as_error(escaped).to_wire()
    return None
