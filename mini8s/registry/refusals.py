"""The refusals a kind's clients know, in upstream's words (`k8s.io/apimachinery/pkg/api/errors`)."""

from __future__ import annotations

from collections.abc import Sequence

from mini8s.objects.errors import (
    AlreadyExists,
    Cause,
    Conflict,
    Expired,
    Forbidden,
    Invalid,
    NotFound,
    Timeout,
)
from mini8s.objects.kinds import Kind
from mini8s.registry import problems

MODIFIED = "the object has been modified; please apply your changes to the latest version and try again"


def not_found(kind: Kind, name: str) -> NotFound:
    return NotFound(f'{kind.resource} "{name}" not found', group=kind.group, kind=kind.plural, name=name)


def already_exists(kind: Kind, name: str, *, deleting: bool = False) -> AlreadyExists:
    before = "object is being deleted: " if deleting else ""
    message = f'{before}{kind.resource} "{name}" already exists'
    return AlreadyExists(message, group=kind.group, kind=kind.plural, name=name)


def not_unique(kind: Kind, name: str) -> AlreadyExists:
    """Name after name that was generated is taken."""
    why = "the server was not able to generate a unique name for the object"
    message = f'{kind.resource} "{name}" already exists, {why}'
    return AlreadyExists(message, group=kind.group, kind=kind.plural, name=name, retry_after=1)


def conflict(kind: Kind, name: str, why: str = MODIFIED, *, subresource: str = "") -> Conflict:
    resource = f"{kind.resource}/{subresource}" if subresource else kind.resource
    message = f'Operation cannot be fulfilled on {resource} "{name}": {why}'
    return Conflict(message, group=kind.group, kind=kind.plural, name=name)


def forbidden(kind: Kind, name: str, why: str, causes: Sequence[Cause] = ()) -> Forbidden:
    said = f'"{name}" is forbidden' if name else "is forbidden"
    message = f"{kind.resource} {said}: {why}"
    return Forbidden(message, causes=causes, group=kind.group, kind=kind.plural, name=name)


def invalid(kind: Kind, name: str, causes: Sequence[Cause]) -> Invalid:
    return _invalid(kind.kind, kind.group, name, causes)


def invalid_options(cause: Cause) -> Invalid:
    """A query whose parts do not go together."""
    return _invalid("ListOptions", "meta.k8s.io", "", [cause])


def expired(revision: int, oldest: int) -> Expired:
    return Expired(f"too old resource version: {revision} ({oldest})")


def too_new(revision: int, newest: int) -> Timeout:
    """A revision that is yet to come: the client may have asked another server before."""
    said = Cause("", "Too large resource version", "ResourceVersionTooLarge")
    message = f"Too large resource version: {revision}, current: {newest}"
    return Timeout(message, causes=[said], retry_after=1)


def _invalid(kind: str, group: str, name: str, causes: Sequence[Cause]) -> Invalid:
    title = f"{kind}.{group}" if group else kind
    message = f'{title} "{name}" is invalid: {problems.aggregate(causes)}'
    return Invalid(message, causes=causes, group=group, kind=kind, name=name)
