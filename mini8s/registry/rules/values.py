"""Rules that many fields share: numbers, ports, addresses, choices."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Iterable
from typing import Any

from mini8s.objects.kinds import Obj
from mini8s.registry.problems import Causes, invalid, not_supported, required


def non_negative(holder: Obj, part: str, field: str) -> Causes:
    value = holder.get(part)
    if value is not None and value < 0:
        yield invalid(f"{field}.{part}", value, "must be greater than or equal to 0")


def positive(holder: Obj, part: str, field: str) -> Causes:
    value = holder.get(part)
    if value is not None and value <= 0:
        yield invalid(f"{field}.{part}", value, "must be greater than 0")


def one_of(holder: Obj, part: str, field: str, allowed: Collection[str], *, must: bool = False) -> Causes:
    """A choice; nothing said is fine unless it must be said."""
    value, path = holder.get(part), f"{field}.{part}" if field else part
    if value:
        if value not in allowed:
            yield not_supported(path, value, allowed)
    elif must:
        yield required(path)


def said(holder: Obj, part: str, field: str) -> Causes:
    """A string that must not be empty."""
    if not holder.get(part):
        yield required(f"{field}.{part}")


def port_number(value: Any, field: str) -> Causes:
    if not 1 <= value <= 65535:
        yield invalid(field, value, "must be between 1 and 65535, inclusive")


def ip_address(value: str, field: str) -> Causes:
    try:
        ipaddress.ip_address(value)
    except ValueError:
        yield invalid(field, value, "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)")


def inner_path(path: str, field: str) -> Causes:
    """A path that stays below the folder it is resolved in."""
    if path.startswith("/"):
        yield invalid(field, path, "must be a relative path")
    if ".." in path.split("/"):
        yield invalid(field, path, "must not contain '..'")


def unchanged(new: Obj, old: Obj, *paths: str) -> Causes:
    """Fields that stay what they were for an object's life."""
    for path in paths:
        if at(new, path) != at(old, path):
            yield invalid(path, at(new, path), "field is immutable")


def at(obj: Obj, path: str) -> Any:
    """The value at a path of names, None where it leads nowhere."""
    found: Any = obj
    for step in path.split("."):
        found = (found or {}).get(step)
    return found


def each_one_of(found: Iterable[str], field: str, allowed: Collection[str]) -> Causes:
    """A list of choices."""
    for index, value in enumerate(found):
        if value not in allowed:
            yield not_supported(f"{field}[{index}]", value, allowed)


def all_non_negative(holder: Obj, field: str, *parts: str) -> Causes:
    for part in parts:
        yield from non_negative(holder, part, field)
