"""What a resource URL points at: `/api/v1/namespaces/NS/pods/NAME/log` and its like, split by hand.

Flask's map has the same rules (`api.app` makes them from the same table of kinds); this is the short way for
the verbs that come thousands of times a second.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from mini8s.objects.kinds import NAMESPACES, PROXY, Kind, by_path


@dataclass(frozen=True, slots=True)
class Target:
    """A collection (no name), an object, or a subresource of it. What follows `proxy` is the backend's.
    `watching`: by the old path of a watch, `/api/v1/watch/…`."""

    kind: Kind
    namespace: str = ""
    name: str = ""
    subresource: str = ""
    watching: bool = False


def parse(path: str) -> Target | None:
    """None for what is no resource of the table; `namespace` is "" for all namespaces."""
    return _remembered(path) if len(path) < 256 else _parse(path)


def _parse(path: str) -> Target | None:
    parts = path.split("/")
    if path.startswith("/api/") and len(parts) > 3:
        return _target("", parts[2], parts[3:])
    if path.startswith("/apis/") and len(parts) > 4:
        return _target(parts[2], parts[3], parts[4:])
    return None


_remembered = lru_cache(maxsize=512)(_parse)  # clients repeat themselves


def _target(group: str, version: str, rest: list[str]) -> Target | None:
    namespace, watching = "", rest[0] == "watch" and len(rest) > 1
    if watching:
        rest = rest[1:]
    if rest[0] == "namespaces" and len(rest) > 2 and not _below_namespace(group, rest):
        namespace, rest = rest[1], rest[2:]
        if not namespace:
            return None
    kind = by_path(group, version, rest[0])
    if rest[2:3] == [PROXY]:
        rest = rest[:3]
    if kind is None or len(rest) > 3 or not all(rest):
        return None
    name = rest[1] if len(rest) > 1 else ""
    if (kind.namespaced and name and not namespace) or (namespace and not kind.namespaced):
        return None
    subresource = rest[2] if len(rest) > 2 else ""
    if subresource and (watching or subresource not in kind.subresources):
        return None
    return Target(kind, namespace, name, subresource, watching)


def _below_namespace(group: str, rest: list[str]) -> bool:
    """`/api/v1/namespaces/NAME/status` is the namespace's own, `/api/v1/namespaces/NAME/pods` is not."""
    return not group and len(rest) == 3 and rest[2] in NAMESPACES.subresources
