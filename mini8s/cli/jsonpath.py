"""kubectl's JSONPath templates: `{.items[*].metadata.name}`, `{range .items[*]}{.kind}{"\\n"}{end}`.

Knows fields (`.a`, `['a']`), `[0]`, `[-1]`, `[1:3]`, `[*]`, `[?(@.a=="b")]`, text in quotes, range and end.
Source: Kubernetes documentation, "JSONPath Support".
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

_STEP = re.compile(
    r"""\.?(?:
        \[\?\(@(?P<left>[^=!<>)]+)(?P<op>==|!=)(?P<right>[^)]+)\)\]
      | \[(?P<start>-?\d*):(?P<end>-?\d*)\]
      | \[(?P<index>-?\d+)\]
      | \[['"](?P<quoted>[^'"]+)['"]\]
      | (?P<all>\[\*\]|\*)
      | (?P<name>(?:[^.\[\]{}\\]|\\.)+)
    )""",
    re.VERBOSE,
)
_PART = re.compile(r'\{((?:[^{}"]|"(?:[^"\\]|\\.)*")*)\}')


class BadTemplate(ValueError):
    """A template that can't be read."""


def render(template: str, obj: Any) -> str:
    """What the template makes of the object. Raises BadTemplate."""
    if "{" not in template:
        template = "{" + template + "}"
    parts = _parse(template)
    return "".join(_render(parts, obj))


def _parse(template: str) -> list[tuple[str, str]]:
    """(kind, text) pairs; kind is text, path, range or end."""
    parts, position = [], 0
    for found in _PART.finditer(template):
        parts.append(("text", template[position : found.start()]))
        parts.append(_command(found[1].strip()))
        position = found.end()
    rest = template[position:]
    if "{" in rest or "}" in rest:
        raise BadTemplate(f"unbalanced braces in {template!r}")
    return [*parts, ("text", rest)]


def _command(text: str) -> tuple[str, str]:
    if text.startswith('"'):
        try:
            return "text", str(json.loads(text))
        except ValueError as error:
            raise BadTemplate(f"{text} is not a quoted text") from error
    if text == "end":
        return "end", ""
    if text.startswith("range "):
        return "range", text.removeprefix("range ").strip()
    return "path", text


def _render(parts: Sequence[tuple[str, str]], obj: Any) -> Iterator[str]:
    position = 0
    while position < len(parts):
        kind, text = parts[position]
        if kind == "text":
            yield text
        elif kind == "path":
            yield " ".join(_text(value) for value in find(text, obj))
        elif kind == "range":
            end = _end(parts, position)
            for value in find(text, obj):
                yield from _render(parts[position + 1 : end], value)
            position = end
        else:
            raise BadTemplate("{end} without {range}")
        position += 1


def _end(parts: Sequence[tuple[str, str]], start: int) -> int:
    depth = 0
    for position in range(start, len(parts)):
        depth += {"range": 1, "end": -1}.get(parts[position][0], 0)
        if depth == 0:
            return position
    raise BadTemplate("{range} without {end}")


def find(path: str, obj: Any) -> list[Any]:
    """Every value at a path; what is missing is left out."""
    values, position = [obj], 0
    path = path.removeprefix("$").removeprefix("@")
    if path in ("", "."):
        return values
    while position < len(path):
        step = _STEP.match(path, position)
        if step is None:
            raise BadTemplate(f"{path!r} can't be read from {path[position:]!r} on")
        values = [found for value in values for found in _take(step, value)]
        position = step.end()
    return values


def _take(step: re.Match[str], value: Any) -> list[Any]:
    name = step["quoted"] or (step["name"] or "").replace("\\", "")
    if name:
        return [value[name]] if isinstance(value, dict) and name in value else []
    if isinstance(value, dict):
        return list(value.values()) if step["all"] else []
    if not isinstance(value, list):
        return []
    if step["index"]:
        index = int(step["index"])
        return value[index : index + 1 or None]
    if step["op"]:
        return [item for item in value if _holds(step, item)]
    start, end = step["start"], step["end"]
    return value[int(start) if start else None : int(end) if end else None]


def _holds(step: re.Match[str], item: Any) -> bool:
    wanted = step["right"].strip()
    text = wanted[1:-1] if wanted[:1] in ("'", '"') else wanted
    found = [_text(value) for value in find(step["left"].strip(), item)]
    return (text in found) is (step["op"] == "==")


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
