"""What changes one object into another, as a JSON merge patch (RFC 7386)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mini8s.objects.kinds import Obj


def merge_patch(current: Obj, wanted: Obj) -> Obj:
    """The patch that gives current every value that wanted has; what wanted doesn't mention stays."""
    patch: Obj = {}
    for key, value in wanted.items():
        there = current.get(key)
        if isinstance(value, dict) and isinstance(there, dict):
            inner = merge_patch(there, value)
            if inner:
                patch[key] = inner
        elif value != there or key not in current:
            patch[key] = value
    return patch


def removals(original: Obj, wanted: Obj, current: Obj) -> Obj:
    """The patch that takes away what original said, wanted doesn't, and current still has."""
    patch: Obj = {}
    for key, value in original.items():
        if key not in current:
            continue
        if key not in wanted:
            patch[key] = None
        elif all(isinstance(part, dict) for part in (value, wanted[key], current[key])):
            inner = removals(value, wanted[key], current[key])
            if inner:
                patch[key] = inner
    return patch


def three_way(original: Obj, wanted: Obj, current: Obj) -> Obj:
    """What `apply` sends: wanted's values, and the removal of what was wanted last time (original) and is no
    longer. Lists are replaced whole; what a server adds to their elements by default it adds again."""
    return _joined(removals(original, wanted, current), merge_patch(current, wanted))


def _joined(one: Obj, other: Obj) -> Obj:
    result: dict[str, Any] = dict(one)
    for key, value in other.items():
        there = result.get(key)
        both = isinstance(there, dict) and isinstance(value, dict)
        result[key] = _joined(there, value) if both and there else value
    return result


def differences(before: Any, after: Any, path: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Each place where two values differ, as `spec.replicas` or `spec.containers[0].image`, with what is on
    either side; None where there is nothing."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key in sorted({*before, *after}):
            yield from differences(before.get(key), after.get(key), f"{path}.{key}" if path else key)
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for index, pair in enumerate(zip(before, after, strict=True)):
            yield from differences(*pair, f"{path}[{index}]")
    elif before != after:
        yield path, before, after
