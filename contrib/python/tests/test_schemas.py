"""Each document of docs/json.md that has a class is all in that class, key by key, and no class has a key that is in none."""

from __future__ import annotations

import dataclasses
import json
import re
import typing
import unittest
from pathlib import Path
from typing import Any, Dict, Iterator, List, Mapping, Optional, Set, Tuple, Type

import sealstone
from sealstone.report import Report

DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "json.md"

#: Of each class, the keys that examples have.
Seen = Dict[Type[Report], Set[str]]


def examples() -> Dict[str, Dict[str, Any]]:
    """The example of each schema."""
    found = {}
    for section in DOCUMENT.read_text(encoding="utf-8").split("\n## ")[1:]:
        block = re.search(r"```json\n(.*?)```", section, re.DOTALL)
        if section.startswith("sealstone.") and block:
            found[section.split("\n", 1)[0].strip()] = json.loads(block.group(1))
    return found


def classes() -> Dict[str, Type[Report]]:
    """The classes of whole documents, by their schemas."""
    all_of = [getattr(sealstone, name) for name in sealstone.__all__]
    return {one.SCHEMA: one for one in all_of if isinstance(one, type) and issubclass(one, Report) and one.SCHEMA}


def keys(kind: Type[Report]) -> Dict[str, Any]:
    """The keys that a class takes, with what it makes of their values."""
    hints = typing.get_type_hints(kind)
    fields = [one for one in dataclasses.fields(kind) if one.name != "document"]
    return {one.metadata.get("key", one.name): hints[one.name] for one in fields}


def part(hint: Any) -> Optional[Type[Report]]:
    """The class of a part that a field holds, one or a list of them."""
    if isinstance(hint, type) and issubclass(hint, Report):
        return hint
    return next((found for one in typing.get_args(hint) for found in [part(one)] if found), None)


def missing(kind: Type[Report], example: Mapping[str, Any], seen: Seen, place: str = "") -> Iterator[str]:
    """What the example has and the class does not take."""
    known = keys(kind)

    def look(key: str, value: Any) -> Iterator[str]:
        if key in known:
            seen.setdefault(kind, set()).add(key)
            inner = part(known[key])
            for one in value if isinstance(value, list) else [value]:
                if inner is not None:
                    yield from missing(inner, one, seen, f"{place}{key}.")
        elif isinstance(value, dict) and any(other.startswith(f"{key}.") for other in known):
            for name, one in value.items():
                yield from look(f"{key}.{name}", one)
        else:
            yield place + key

    for name, value in example.items():
        if name != "schema":
            yield from look(name, value)


class Schemas(unittest.TestCase):
    """Classes held against the document."""

    def test_every_key_of_a_document_is_a_field_of_its_class(self) -> None:
        documented, seen = examples(), typing.cast(Seen, {})
        self.assertGreaterEqual(len(classes()), 10)
        for schema, kind in classes().items():
            self.assertEqual(list(missing(kind, documented[schema], seen)), [], f"{kind.__name__} lacks keys of {schema}")
        # Nor has a class a key that no example has, such as one that was renamed.
        unknown: List[Tuple[str, str]] = [
            (kind.__name__, key) for kind, found in seen.items() for key in keys(kind) if key not in found
        ]
        self.assertEqual(unknown, [])

    def test_every_example_is_read_with_the_types_of_its_class(self) -> None:
        for schema, kind in classes().items():
            report = kind.parse(examples()[schema])
            self.assertEqual(report.document["schema"], schema)
        update = sealstone.UpdateReport.parse(examples()["sealstone.update/1"])
        self.assertEqual(update.conflicts[0].resolved, "keep-local")
        self.assertEqual((update.removed[0].reason, update.freed and update.freed.objects), ("more than 3 are in the menu", 812))
        plan = sealstone.DeployPlan.parse(examples()["sealstone.deploy-plan/1"])
        self.assertIn("/etc/issue", plan.refused or "")
        self.assertEqual(plan.etc and plan.etc.conflicts[0].path, "/etc/issue")
        status = sealstone.StatusReport.parse(examples()["sealstone.status/1"])
        first = status.deployments[0]
        self.assertEqual((first.reasons, first.broken), (["its kernel is not on /boot"], "its image is lost"))
        self.assertEqual(first.bound_condition and first.bound_condition.reasons, ["it has no image store"])
        check = sealstone.UpdateCheck.parse(examples()["sealstone.update-check/1"])
        self.assertTrue(check.bound[0].moved)

    def test_a_new_key_would_be_noticed_wherever_it_is(self) -> None:
        update = examples()["sealstone.update/1"]
        self.assertEqual(list(missing(sealstone.UpdateReport, {**update, "new": 1}, {})), ["new"])
        conflict = {**update["conflicts"][0], "since": 3}
        self.assertEqual(
            list(missing(sealstone.UpdateReport, {**update, "conflicts": [conflict]}, {})), ["conflicts.since"]
        )
        status = examples()["sealstone.status/1"]
        status["next"]["when"] = "now"
        self.assertEqual(list(missing(sealstone.StatusReport, status, {})), ["next.when"])


if __name__ == "__main__":
    unittest.main()
