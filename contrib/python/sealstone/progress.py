"""What the command tells while it works (``--progress=json``, schema ``sealstone.progress/1``)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Dict, Mapping, Optional, Type, Union

from .fields import take

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


#: The events by their names in the stream.
_KINDS: Dict[str, Type[Event]] = {
    "started": Started,
    "advanced": Advanced,
    "finished": Finished,
    "skipped": Skipped,
    "warning": Warned,
}


def parse(document: Mapping[str, Any]) -> Optional[Event]:
    """The event of a line; None for one that this version does not know, which is to be ignored."""
    kind = _KINDS.get(document.get("event", ""))
    event: Optional[Event] = None if kind is None else take(kind, document)
    return event


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
