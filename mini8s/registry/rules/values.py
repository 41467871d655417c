"""Rules that many fields share: numbers, ports, addresses, choices."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection
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


def is_ipv4(value: str) -> bool:
    try:
        ipaddress.IPv4Address(value)
    except ValueError:
        return False
    return True


def inner_path(path: str, field: str) -> Causes:
    """A path that stays below the folder it is resolved in."""
    if path.startswith("/"):
        yield invalid(field, path, "must be a relative path")
    if ".." in path.split("/"):
        yield invalid(field, path, "must not contain '..'")
