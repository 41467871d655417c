"""`metadata.managedFields` as records: who has which fields."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mini8s.objects.apply.sets import Tree
from mini8s.objects.kinds import Obj

APPLY, UPDATE = "Apply", "Update"

Key = tuple[str, str, str, str]


@dataclass(frozen=True, slots=True)
class Manager:
    """An entry's identity. One who applies keeps his entry when he goes over to another version."""

    name: str
    operation: str
    api_version: str
    subresource: str = ""

    @property
    def key(self) -> Key:
        version = "" if self.operation == APPLY else self.api_version
        return (self.operation, self.name, version, self.subresource)


@dataclass(frozen=True, slots=True)
class Entry:
    manager: Manager
    fields: Tree
    time: str = ""


Managers = Mapping[Key, Entry]


def decode(found: Any) -> Managers | None:
    """The entries of managedFields; None when they make no sense."""
    if not isinstance(found, list) or not all(_makes_sense(item) for item in found):
        return None
    entries = [_decoded(item) for item in found]
    return {entry.manager.key: entry for entry in entries if entry.fields}


def encode(managers: Managers) -> list[Obj]:
    """Upstream's order: those who apply, then those who update, oldest first."""
    return [_encoded(entry) for entry in sorted(managers.values(), key=_order)]


def _makes_sense(item: Any) -> bool:
    return (
        isinstance(item, dict)
        and item.get("operation") in {APPLY, UPDATE}
        and item.get("fieldsType", "FieldsV1") == "FieldsV1"
        and isinstance(item.get("fieldsV1") or {}, dict)
    )


def _decoded(item: Obj) -> Entry:
    version, subresource = item.get("apiVersion") or "", item.get("subresource") or ""
    manager = Manager(item.get("manager") or "", item["operation"], version, subresource)
    return Entry(manager, item.get("fieldsV1") or {}, item.get("time") or "")


def _encoded(entry: Entry) -> Obj:
    by = entry.manager
    made: Obj = {"manager": by.name, "operation": by.operation, "apiVersion": by.api_version}
    if entry.time:
        made["time"] = entry.time
    made |= {"fieldsType": "FieldsV1", "fieldsV1": entry.fields}
    if by.subresource:
        made["subresource"] = by.subresource
    return made


def _order(entry: Entry) -> tuple[str, ...]:
    by = entry.manager
    return (by.operation, entry.time, by.name, by.api_version, by.subresource)
