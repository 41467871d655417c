"""What a plan may ask for: frozen records that the one executor performs in order.

Every write to an object names its uid, so that nothing is done to a namesake that came after it.
`otherwise` is for plans whose answer to a refusal is another action, such as a condition that says so.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mini8s.objects import meta
from mini8s.objects.errors import ApiError
from mini8s.objects.kinds import Kind, Obj

Otherwise = Callable[[ApiError], "tuple[Action, ...]"]
NORMAL, WARNING = "Normal", "Warning"


@dataclass(frozen=True, slots=True)
class Words:
    """What an event says: all of it when it went well, before the error when it did not."""

    done: str
    failed: str


@dataclass(frozen=True, slots=True)
class Create:
    """`owner`: who gets a SuccessfulCreate or FailedCreate event. `otherwise`: what to do when it is refused,
    before the error goes on to the queue. `words`: what the events say, when it is not that."""

    kind: Kind
    obj: Obj
    owner: Obj | None = None
    words: Words | None = None
    otherwise: Otherwise | None = None


@dataclass(frozen=True, slots=True)
class Update:
    """Replace an object; its resourceVersion makes it a compare-and-swap."""

    kind: Kind
    obj: Obj
    subresource: str = ""


@dataclass(frozen=True, slots=True)
class Patch:
    """A merge patch of the object that has this uid, and this version if one is given. `otherwise`: as of a
    creation."""

    kind: Kind
    namespace: str
    name: str
    uid: str
    patch: Any
    version: str = ""
    subresource: str = ""
    otherwise: Otherwise | None = None


@dataclass(frozen=True, slots=True)
class Delete:
    """Delete the object that has this uid. `owner`: who gets a SuccessfulDelete event."""

    kind: Kind
    namespace: str
    name: str
    uid: str
    version: str = ""
    grace_seconds: int | None = None
    propagation: str = "Background"
    owner: Obj | None = None
    words: Words | None = None


Write = Create | Delete | Patch


@dataclass(frozen=True, slots=True)
class Burst:
    """Independent actions, done side by side in batches of 1, 2, 4 …: a fault that hits all of them (a quota,
    a bad template) costs one request and not hundreds. `otherwise`: what to do instead of what follows the
    burst in the plan when a part of it was refused."""

    actions: tuple[Write, ...]
    otherwise: Otherwise | None = None


@dataclass(frozen=True, slots=True)
class Vouch:
    """Put a token of a service account, bound to this Secret, into it under `key`, with the merge patch
    `change`."""

    secret: Obj
    account: str
    key: str
    change: Obj


@dataclass(frozen=True, slots=True)
class Certify:
    """Have an approved CertificateSigningRequest signed, for so many seconds. `otherwise`: what to do when it
    is refused for good."""

    csr: Obj
    seconds: int
    otherwise: Otherwise


@dataclass(frozen=True, slots=True)
class Tell:
    """An event about an object."""

    about: Obj
    type: str
    reason: str
    message: str


Action = Create | Update | Patch | Delete | Burst | Vouch | Certify | Tell


@dataclass(frozen=True, slots=True)
class Plan:
    """A cycle's outcome: what to do, when to look again without a change, and the sentence about it."""

    actions: tuple[Action, ...] = ()
    again_after: float | None = None
    said: str = ""


NOTHING = Plan()


def patch(kind: Kind, obj: Obj, change: Any, *, subresource: str = "", swap: bool = False) -> Patch:
    """A patch of an object as it was seen; `swap`: only if it did not change since."""
    version = obj["metadata"]["resourceVersion"] if swap else ""
    return Patch(kind, meta.namespace(obj), meta.name(obj), meta.uid(obj), change, version, subresource)


def patch_status(kind: Kind, obj: Obj, status: Obj, *, swap: bool = False) -> tuple[Patch, ...]:
    """Make the status what is given; nothing when it is that already."""
    old = obj.get("status") or {}
    if old == status:
        return ()
    change = {key: value for key, value in status.items() if old.get(key) != value}
    change |= {key: None for key in old if key not in status}
    return (patch(kind, obj, {"status": change}, subresource="status", swap=swap),)


def delete(
    kind: Kind,
    obj: Obj,
    *,
    grace_seconds: int | None = None,
    propagation: str = "Background",
    owner: Obj | None = None,
    words: Words | None = None,
) -> Delete:
    """The deletion of an object as it was seen."""
    return Delete(
        kind,
        meta.namespace(obj),
        meta.name(obj),
        meta.uid(obj),
        grace_seconds=grace_seconds,
        propagation=propagation,
        owner=owner,
        words=words,
    )
