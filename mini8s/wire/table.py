"""Tables (`meta.k8s.io/v1`): what kubectl asks a server to print, and the same as text for those who have
only curl."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any, Protocol

from mini8s.objects.kinds import Obj

_GAP = "   "
_NONE = "<none>"


class Column(Protocol):
    """What the table needs to know of a printer column; `registry.base.Column` is one."""

    @property
    def name(self) -> str: ...
    @property
    def cell(self) -> Callable[[Obj, datetime], Any]: ...
    @property
    def type(self) -> str: ...
    @property
    def format(self) -> str: ...
    @property
    def priority(self) -> int: ...
    @property
    def description(self) -> str: ...


def table(
    columns: Sequence[Column],
    objects: Iterable[Obj],
    now: datetime,
    *,
    revision: str = "",
    version: str = "v1",
    include: str = "Metadata",
    headers: bool = True,
) -> Obj:
    """A Table of the objects, in a version of meta.k8s.io. `include` is the request's includeObject (None,
    Metadata, Object); a watch sends `headers` with its first event only."""
    api_version = f"meta.k8s.io/{version}"
    return {
        "kind": "Table",
        "apiVersion": api_version,
        "metadata": {"resourceVersion": revision} if revision else {},
        "columnDefinitions": [_definition(column) for column in columns] if headers else None,
        "rows": [
            {"cells": [column.cell(obj, now) for column in columns], **_shown(obj, include, api_version)}
            for obj in objects
        ],
    }


def text(
    table: Obj,
    *,
    no_headers: bool = False,
    wide: bool = False,
    namespaces: bool = False,
    widths: list[int] | None = None,
) -> str:
    """The table as kubectl prints it. `wide` shows the columns of lower priority too, `namespaces` puts a
    column with each row's namespace first. `widths` remembers how wide the columns are, for a table that is
    printed piece by piece."""
    definitions, rows = table.get("columnDefinitions") or [], table.get("rows") or []
    shown = [at for at, column in enumerate(definitions) if wide or not column.get("priority")]
    first = ["NAMESPACE"] if namespaces else []
    lines = [] if no_headers else [first + [str(definitions[at]["name"]).upper() for at in shown]]
    for row in rows:
        space = [_namespace(row)] if namespaces else []
        lines.append(space + [_cell(row["cells"], at) for at in shown])
    return _aligned(lines, [] if widths is None else widths)


def _definition(column: Column) -> Obj:
    return {
        "name": column.name,
        "type": column.type,
        "format": column.format,
        "description": column.description,
        "priority": column.priority,
    }


def _shown(obj: Obj, include: str, api_version: str) -> Obj:
    if include == "Object":
        return {"object": obj}
    partial = {
        "kind": "PartialObjectMetadata",
        "apiVersion": api_version,
        "metadata": obj.get("metadata") or {},
    }
    return {"object": partial} if include == "Metadata" else {}


def _cell(cells: Sequence[Any], at: int) -> str:
    """One cell on one line; what is missing or empty is said to be."""
    value = cells[at] if at < len(cells) else None
    if value is None or value == "":
        return _NONE
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value).replace("\n", "\\n").replace("\t", "\\t").replace("\r", "\\r")


def _namespace(row: Obj) -> str:
    return str(((row.get("object") or {}).get("metadata") or {}).get("namespace") or _NONE)


def _aligned(lines: Sequence[Sequence[str]], widths: list[int]) -> str:
    needed = [max(map(len, column)) for column in zip(*lines, strict=True)]
    widths[:] = map(max, needed, widths) if widths else needed
    padded = (
        _GAP.join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )
    return "".join(f"{line}\n" for line in padded)
