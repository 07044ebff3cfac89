"""What all reports have: the document that they were taken from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar, Mapping, Type, TypeVar

from .fields import take

T = TypeVar("T", bound="Report")


@dataclass(frozen=True)
class Report:
    """What all of them have."""

    #: The schema of the document; empty for what is only a part of one.
    SCHEMA: ClassVar[str] = ""

    #: The whole document.
    document: Mapping[str, Any] = field(repr=False, compare=False)

    @classmethod
    def parse(cls: Type[T], document: Mapping[str, Any]) -> T:
        """Takes the fields of a document; one that is missing has to have a default."""
        report: T = take(cls, document, document=document)
        return report
