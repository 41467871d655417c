"""Field selectors: `status.phase=Running,metadata.name!=web`.

Only the grammar is here; which fields a kind can be selected by is its strategy's to say. A comma, an equals
sign or a backslash in a value is escaped with a backslash, as upstream does.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from mini8s.objects.errors import BadRequest

_TERM = re.compile(r"(?:[^\\,]|\\.)+|\\$", re.DOTALL)
_PARTS = re.compile(r"([^\\=!]*?)(!=|==|=)((?:[^\\=]|\\.)*)", re.DOTALL)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_SPECIAL = re.compile(r"([\\,=])")


@dataclass(frozen=True, slots=True)
class Requirement:
    """`path op value`; op is `=` or `!=`."""

    path: str
    op: str
    value: str

    def __str__(self) -> str:
        value = _SPECIAL.sub(r"\\\1", self.value)
        return f"{self.path}{self.op}{value}"


@dataclass(frozen=True, slots=True)
class FieldSelector:
    """All of its requirements must hold."""

    requirements: tuple[Requirement, ...] = ()

    @property
    def empty(self) -> bool:
        return not self.requirements

    def matches(self, get: Callable[[str], str]) -> bool:
        return all((get(item.path) == item.value) == (item.op == "=") for item in self.requirements)

    def exact(self, path: str) -> str | None:
        """The one value that path must have, None when nothing fixes it."""
        return next((item.value for item in self.requirements if (item.path, item.op) == (path, "=")), None)

    def __str__(self) -> str:
        return ",".join(map(str, self.requirements))


def everything() -> FieldSelector:
    return FieldSelector()


def parse(text: str) -> FieldSelector:
    """Raises BadRequest for what is no field selector."""
    return FieldSelector(tuple(_requirement(term, text) for term in _TERM.findall(text)))


def _requirement(term: str, text: str) -> Requirement:
    found = _PARTS.fullmatch(term)
    if not found:
        raise BadRequest(f"invalid selector: '{text}'; can't understand '{term}'")
    path, op, value = found.groups()
    if any(char not in "\\,=" for char in _ESCAPE.findall(value)):
        raise BadRequest(f"invalid field selector: invalid escape sequence in '{value}'")
    return Requirement(path, "=" if op == "==" else op, _ESCAPE.sub(r"\1", value))
