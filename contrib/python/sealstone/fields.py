"""Documents as dataclasses: each field is taken from the document's key of its name, and held against its type."""

from __future__ import annotations

import dataclasses
import typing
from typing import Any, Dict, Mapping, Type

from .errors import ProtocolError


def at(key: str, **more: Any) -> Any:
    """A field whose value lies at another key of the document."""
    return dataclasses.field(metadata={"key": key}, **more)


def take(kind: Type[Any], document: Mapping[str, Any], /, **given: Any) -> Any:
    """A dataclass with the fields of a document. One that is missing there has a default or may be None, or is ``given``."""
    values: Dict[str, Any] = dict(given)
    hints = typing.get_type_hints(kind)
    for one in dataclasses.fields(kind):
        if one.name in given:
            continue
        value = _find(document, one.metadata.get("key", one.name))
        if value is not None:
            values[one.name] = _convert(hints[one.name], value)
        elif one.default is dataclasses.MISSING and one.default_factory is dataclasses.MISSING:
            if type(None) not in typing.get_args(hints[one.name]):
                raise ProtocolError(f"the document has no {one.name!r}")
            values[one.name] = None
    return kind(**values)


def _find(document: Mapping[str, Any], key: str) -> Any:
    value: Any = document
    for part in key.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _convert(hint: Any, value: Any) -> Any:
    arguments = typing.get_args(hint)
    if typing.get_origin(hint) is typing.Union:
        return _convert(next(one for one in arguments if one is not type(None)), value)
    if typing.get_origin(hint) in (list, tuple):
        return [_convert(arguments[0], one) for one in value]
    if hasattr(hint, "parse"):
        return hint.parse(value)
    if hint is float and isinstance(value, int):
        return float(value)
    if isinstance(hint, type) and not isinstance(value, hint):
        raise ProtocolError(f"{value!r} is no {hint.__name__}")
    return value
