"""Label selectors: `app=web,tier in (front,back),!canary`, and `metav1.LabelSelector`.

The grammar and its messages are those of `k8s.io/apimachinery/pkg/labels`. `==` is `=` spelled twice, so both
parse to the same requirement; `str` gives a text that parses to an equal selector.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from mini8s.objects.errors import BadRequest
from mini8s.objects.kinds import Obj
from mini8s.objects.names import label_value, qualified_name

_TOKEN = re.compile(r"\s*(?:([^\s=!,()<>]+)|(==|!=|[=!,()<>])|$)")
_END = ""
_SYMBOLS = frozenset({"==", "!=", "=", "!", ",", "(", ")", "<", ">", _END})
_OPERATORS = {"=": "=", "==": "=", "!=": "!=", "in": "in", "notin": "notin", ">": ">", "<": "<"}
_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")
_OF_EXPRESSION = {"In": "in", "NotIn": "notin", "Exists": "exists", "DoesNotExist": "!"}


@dataclass(frozen=True, slots=True)
class Requirement:
    """One condition on one key; op is `=`, `!=`, `in`, `notin`, `exists`, `!` (does not exist), or, between
    integers, `<` or `>`."""

    key: str
    op: str
    values: frozenset[str] = frozenset()

    def matches(self, labels: Mapping[str, str]) -> bool:
        value = labels.get(self.key)
        match self.op:
            case "exists":
                return value is not None
            case "!":
                return value is None
            case "=" | "in":
                return value in self.values
            case "<" | ">":
                return self._compares(value)
        return value not in self.values

    def _compares(self, value: str | None) -> bool:
        if value is None or not _INTEGER.fullmatch(value):
            return False
        bound = int(min(self.values))
        return int(value) < bound if self.op == "<" else int(value) > bound

    def __str__(self) -> str:
        values = ",".join(sorted(self.values))
        match self.op:
            case "exists":
                return self.key
            case "!":
                return f"!{self.key}"
            case "in" | "notin":
                return f"{self.key} {self.op} ({values})"
        return f"{self.key}{self.op}{values}"


@dataclass(frozen=True, slots=True)
class Selector:
    """All of its requirements must hold; `none` selects nothing at all."""

    requirements: tuple[Requirement, ...] = ()
    none: bool = False

    @property
    def empty(self) -> bool:
        """Whether it selects everything."""
        return not self.requirements and not self.none

    def matches(self, labels: Mapping[str, str]) -> bool:
        return not self.none and all(item.matches(labels) for item in self.requirements)

    def __str__(self) -> str:
        return ",".join(map(str, self.requirements))


def everything() -> Selector:
    return Selector()


def nothing() -> Selector:
    return Selector(none=True)


def from_labels(labels: Mapping[str, str]) -> Selector:
    """What a Service's or ReplicationController's plain map selects."""
    return Selector(tuple(Requirement(key, "=", frozenset({labels[key]})) for key in sorted(labels)))


def from_label_selector(selector: Obj | None) -> Selector:
    """`metav1.LabelSelector`: null selects nothing, an empty one everything."""
    if selector is None:
        return nothing()
    exact = from_labels(selector.get("matchLabels") or {}).requirements
    return Selector(exact + tuple(map(_expression, selector.get("matchExpressions") or ())))


def parse(text: str) -> Selector:
    """Raises BadRequest for what is no label selector."""
    try:
        return Selector(tuple(_Parser(_tokens(text)).requirements()))
    except ValueError as error:
        raise BadRequest(str(error)) from error


def _expression(expression: Obj) -> Requirement:
    operator = expression.get("operator") or ""
    op = _OF_EXPRESSION.get(operator)
    if op is None:
        raise BadRequest(f'"{operator}" is not a valid label selector operator')
    values = frozenset(expression.get("values") or ())
    if op in {"in", "notin"} and not values:
        raise BadRequest("values: Invalid value: []: for 'in', 'notin' operators, values set can't be empty")
    return Requirement(expression.get("key") or "", op, values)


def _tokens(text: str) -> list[str]:
    found = (match for match in _TOKEN.finditer(text) if match[1] or match[2])
    return [match[1] or match[2] for match in found]


class _Parser:
    """One pass over the tokens; every failure is a ValueError with upstream's message."""

    def __init__(self, tokens: list[str]) -> None:
        self._tokens = tokens
        self._at = 0

    def requirements(self) -> list[Requirement]:
        found: list[Requirement] = []
        while self._peek() != _END:
            if self._peek() in _SYMBOLS and self._peek() != "!":
                raise ValueError(f"found '{self._peek()}', expected: !, identifier, or 'end of string'")
            found.append(self._checked())
            self._separator()
        return found

    def _peek(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else _END

    def _take(self) -> str:
        word = self._peek()
        self._at += 1
        return word

    def _separator(self) -> None:
        word = self._take()
        if word == _END:
            return
        if word != ",":
            raise ValueError(f"found '{word}', expected: ',' or 'end of string'")
        after = self._peek()
        if after in _SYMBOLS and after != "!":
            raise ValueError(f"found '{after}', expected: identifier after ','")

    def _checked(self) -> Requirement:
        try:
            return self._requirement()
        except ValueError as error:
            raise ValueError(f"unable to parse requirement: {error}") from error

    def _requirement(self) -> Requirement:
        absent = self._peek() == "!"
        if absent:
            self._take()
        key = self._identifier()
        if wrong := qualified_name(key):
            raise ValueError(f'key: Invalid value: "{key}": {wrong}')
        if absent:
            return Requirement(key, "!")
        if self._peek() in {_END, ","}:
            return Requirement(key, "exists")
        op = self._operator()
        values = self._values() if op in {"in", "notin"} else frozenset({self._exact()})
        for value in sorted(values):
            if op in {"<", ">"} and not _INTEGER.fullmatch(value):
                why = "for 'Gt', 'Lt' operators, the value must be an integer"
                raise ValueError(f'values[0]: Invalid value: "{value}": {why}')
            if wrong := label_value(value):
                raise ValueError(f'values[0][{key}]: Invalid value: "{value}": {wrong}')
        return Requirement(key, op, values)

    def _identifier(self) -> str:
        word = self._take()
        if word in _SYMBOLS:
            raise ValueError(f"found '{word}', expected: identifier")
        return word

    def _operator(self) -> str:
        word = self._take()
        if word not in _OPERATORS:
            raise ValueError(f"found '{word}', expected: in, notin, =, ==, !=, gt, lt")
        return _OPERATORS[word]

    def _exact(self) -> str:
        return "" if self._peek() in {_END, ","} else self._identifier()

    def _values(self) -> frozenset[str]:
        """`(a,b)`; an empty place between commas stands for the empty value."""
        if (word := self._take()) != "(":
            raise ValueError(f"found '{word}' expected: '('")
        values, value = set(), ""
        while True:
            word = self._take()
            if word in {",", ")"}:
                values.add(value)
                value = ""
                if word == ")":
                    return frozenset(values)
            elif word in _SYMBOLS or value:
                raise ValueError(f"found '{word}', expected: ',' or ')'")
            else:
                value = word
