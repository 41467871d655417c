"""Rules of resource requests and limits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from mini8s.objects import names, quantity
from mini8s.objects.kinds import Obj
from mini8s.registry.problems import Causes, duplicate, invalid, named, not_supported, required

_RESIZABLE, _RESTARTS = ("cpu", "memory"), ("NotRequired", "RestartContainer")
_STANDARD = frozenset({"cpu", "memory", "ephemeral-storage"})


def check(resources: Obj, field: str) -> Causes:
    """Requests and limits: quantities that parse, are not negative, and requests within limits."""
    limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
    yield from amounts(limits, f"{field}.limits")
    yield from amounts(requests, f"{field}.requests")
    for name, request in requests.items():
        if name in limits:
            yield from _within(name, request, limits[name], field)
        elif not _overcommits(name):
            yield required(f"{field}.limits", "Limit must be set for non overcommit resources")


def amounts(found: Mapping[str, str], field: str) -> Causes:
    for name, stated in found.items():
        path = f"{field}[{name}]"
        yield from _name(name, path)
        try:
            if quantity.parse(stated) < 0:
                yield invalid(path, stated, "must be greater than or equal to 0")
        except ValueError as error:
            yield invalid(path, stated, str(error))


def resize_policies(found: Iterable[Obj], field: str, *, ends: bool) -> Causes:
    """What becomes of a container whose resources change; in a pod that `ends` nothing is restarted."""
    seen: set[str] = set()
    for index, policy in enumerate(found):
        name, restart = policy.get("resourceName") or "", policy.get("restartPolicy") or ""
        if name in seen:
            yield duplicate(f"{field}[{index}]", name)
        seen.add(name)
        for value, allowed in ((name, _RESIZABLE), (restart, _RESTARTS)):
            if not value:
                yield required(field)
            elif value not in allowed:
                yield not_supported(field, value, allowed)
        if ends and restart != "NotRequired":
            yield invalid(field, restart, "must be 'NotRequired' when `restartPolicy` is 'Never'")


def _within(name: str, request: str, limit: str, field: str) -> Causes:
    try:
        wanted, most = quantity.parse(request), quantity.parse(limit)
    except ValueError:  # said already, for the amount itself
        return
    path = f"{field}.requests"
    if wanted > most:
        yield invalid(path, request, f"must be less than or equal to {name} limit of {limit}")
    elif not _overcommits(name) and wanted != most:
        yield invalid(path, request, f"must be equal to {name} limit of {limit}")


def _name(name: str, field: str) -> Causes:
    yield from named(field, name, names.qualified_name(name))
    if "/" not in name and name not in _STANDARD and not name.startswith("hugepages-"):
        yield invalid(field, name, "must be a standard resource type or fully qualified")


def _overcommits(name: str) -> bool:
    """Whether more of it may be promised than there is: not of devices and huge pages."""
    return name in _STANDARD or "kubernetes.io/" in name
