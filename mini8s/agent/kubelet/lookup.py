"""What a pod refers to (ConfigMaps, Secrets, claims and their volumes, its RuntimeClass), and how it is told
that something of it is missing."""

from __future__ import annotations

from collections.abc import Callable

from mini8s.objects.kinds import (
    CONFIGMAPS,
    PERSISTENTVOLUMECLAIMS,
    PERSISTENTVOLUMES,
    RUNTIMECLASSES,
    SECRETS,
    Kind,
    Obj,
)

Lookup = Callable[[Kind, str, str], Obj | None]  # (kind, namespace, name); None: it doesn't exist

_FOLLOWED = (CONFIGMAPS, SECRETS, PERSISTENTVOLUMECLAIMS, PERSISTENTVOLUMES, RUNTIMECLASSES)
WORDS = {kind: kind.singular for kind in _FOLLOWED}
TITLES = {CONFIGMAPS: "ConfigMap", SECRETS: "Secret"}


class Missing(Exception):
    """What a pod needs isn't there (yet); the message is upstream's."""


class NotYetKnown(Missing):
    """The server has not been asked, or did not answer."""


def need(lookup: Lookup, kind: Kind, namespace: str, name: str, *, optional: bool) -> Obj | None:
    """The object; None only when it is optional."""
    found = lookup(kind, namespace, name)
    if found is None and not optional:
        raise Missing(f'{WORDS[kind]} "{name}" not found')
    return found
