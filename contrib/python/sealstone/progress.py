"""What the command tells while it works (``--progress=json``, schema ``sealstone.progress/1``)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Dict, Mapping, Optional, Union

#: The first line of every stream of events.
SCHEMA = "sealstone.progress/1"


@dataclass(frozen=True)
class Started:
    """A task began."""

    task: int
    #: What it does: ``import-layer``, ``fetch-artifact``, ``sync``… (docs/json.md). More may come.
    work: str
    #: To what: a digest or a name, for people.
    name: str
    #: How much there is to do; None where it is not known.
    total: Optional[int]
    #: ``bytes`` or ``items``.
    unit: str


@dataclass(frozen=True)
class Advanced:
    """So much of a task is done altogether."""

    task: int
    done: int


@dataclass(frozen=True)
class Finished:
    """A task ended well. A failed one has no end."""

    task: int


@dataclass(frozen=True)
class Skipped:
    """There was nothing to do."""

    work: str
    name: str


@dataclass(frozen=True)
class Warned:
    """Something worth telling that stops nothing."""

    text: str


Event = Union[Started, Advanced, Finished, Skipped, Warned]


def parse(document: Mapping[str, Any]) -> Optional[Event]:
    """The event of a line; None for one that this version does not know, which is to be ignored."""
    kind = document.get("event")
    if kind == "started":
        return Started(
            int(document["task"]), document["work"], document["name"], document.get("total"), document["unit"]
        )
    if kind == "advanced":
        return Advanced(int(document["task"]), int(document["done"]))
    if kind == "finished":
        return Finished(int(document["task"]))
    if kind == "skipped":
        return Skipped(document["work"], document["name"])
    if kind == "warning":
        return Warned(document["text"])
    return None


@dataclass
class Totals:
    """Adds events up, for a bar: call it with each, or give it as the callback itself."""

    #: Bytes that all tasks that count bytes have to do, as far as that is known.
    total_bytes: int = 0
    #: Bytes that they have done.
    done_bytes: int = 0
    _tasks: Dict[int, int] = field(default_factory=dict, repr=False)

    def __call__(self, event: Event) -> None:
        """Takes an event."""
        if isinstance(event, Started) and event.unit == "bytes":
            self._tasks[event.task] = 0
            self.total_bytes += event.total or 0
        elif isinstance(event, Advanced) and event.task in self._tasks:
            self.done_bytes += event.done - self._tasks[event.task]
            self._tasks[event.task] = event.done

    @property
    def fraction(self) -> float:
        """From 0 to 1."""
        return min(1.0, self.done_bytes / self.total_bytes) if self.total_bytes else 0.0
