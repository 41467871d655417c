"""Performs what plans ask for, and notes what was written.

An object that is gone already needs no deletion and no patch: NotFound is an ordinary result there. All other
errors go on to the queue, which tries again later.
"""

from __future__ import annotations

import base64
import logging
from collections.abc import Callable, Iterable, Sequence
from typing import assert_never

from mini8s.client.base import Api, Ask, EventSink
from mini8s.controllers.actions import (
    NORMAL,
    WARNING,
    Action,
    Burst,
    Certify,
    Create,
    Delete,
    Otherwise,
    Patch,
    Tell,
    Update,
    Vouch,
    Write,
    patch,
)
from mini8s.controllers.written import Gone, Written
from mini8s.objects import meta
from mini8s.objects.errors import ApiError, BadRequest, NotFound, ServiceUnavailable
from mini8s.objects.kinds import SECRETS, SIGNINGREQUESTS, Obj

TOKEN_SECONDS = 1 << 32  # the longest life that a token may be asked for

log = logging.getLogger(__name__)

# The spec of a signing request, and for how many seconds: the certificate as PEM. Raises BadRequest for a
# request that can never be signed, ServiceUnavailable.
Authority = Callable[[Obj, int], bytes]


def no_authority(_spec: Obj, _seconds: int) -> bytes:
    raise ServiceUnavailable("there is nobody who signs")


class Executor:
    """One for all controllers; safe for many threads."""

    def __init__(self, api: Api, events: EventSink, *, authority: Authority = no_authority) -> None:
        self._api = api
        self._events = events
        self._authority = authority

    def run(self, actions: Iterable[Action], written: Written) -> None:
        """Do all, in order. Raises what the API refused, after what was to be done `otherwise`."""
        for action in actions:
            self._do(action, written)

    def _do(self, action: Action, written: Written) -> None:
        match action:
            case Update(kind, obj, subresource):
                written.note(kind, self._api.update(kind, obj, subresource=subresource))
            case Create() | Patch() | Delete():
                (outcome,) = self._api.together([_ask(action)])
                self._settle(action, outcome, written)
            case Burst():
                self._burst(action, written)
            case Vouch():
                self._vouch(action, written)
            case Certify():
                self._certify(action, written)
            case Tell(about, type, reason, message):
                self._events.event(about, type, reason, message, component=written.component)
            case _:
                assert_never(action)

    def _settle(self, action: Write, outcome: Obj | ApiError, written: Written) -> None:
        """Note what came of a write. Raises what was refused."""
        match action:
            case Create():
                self._created(action, outcome, written)
            case Patch():
                self._patched(action, outcome, written)
            case Delete():
                self._deleted(action, outcome, written)

    def _created(self, action: Create, outcome: Obj | ApiError, written: Written) -> None:
        if isinstance(outcome, ApiError):
            if action.owner and not _namespace_ends(outcome):
                failed = action.words.failed if action.words else "Error creating: "
                self._tell(action.owner, WARNING, "FailedCreate", f"{failed}{outcome}", written)
            self._refused(outcome, action.otherwise, written)
            return
        written.note(action.kind, outcome)
        if action.owner:
            done = (
                action.words.done if action.words else f"Created {action.kind.singular}: {meta.name(outcome)}"
            )
            self._tell(action.owner, NORMAL, "SuccessfulCreate", done, written)

    def _patched(self, action: Patch, outcome: Obj | ApiError, written: Written) -> None:
        if isinstance(outcome, NotFound):
            return
        if isinstance(outcome, ApiError):
            self._refused(outcome, action.otherwise, written)
            return
        written.note(action.kind, outcome)

    def _deleted(self, action: Delete, outcome: Obj | ApiError, written: Written) -> None:
        if isinstance(outcome, NotFound):
            return
        if isinstance(outcome, ApiError):
            if action.owner:
                failed = action.words.failed if action.words else "Error deleting: "
                self._tell(action.owner, WARNING, "FailedDelete", f"{failed}{outcome}", written)
            raise outcome
        written.note(action.kind, outcome)
        written.gone.add(Gone(action.kind, action.namespace, action.name, action.uid))
        if action.owner:
            done = action.words.done if action.words else f"Deleted {action.kind.singular}: {action.name}"
            self._tell(action.owner, NORMAL, "SuccessfulDelete", done, written)

    def _refused(self, error: ApiError, otherwise: Otherwise | None, written: Written) -> None:
        if otherwise:
            self.run(otherwise(error), written)
        raise error

    def _tell(self, about: Obj, type: str, reason: str, message: str, written: Written) -> None:
        self._events.event(about, type, reason, message, component=written.component)

    def _vouch(self, action: Vouch, written: Written) -> None:
        try:
            given = self._api.request_token(
                meta.namespace(action.secret), action.account, _token_request(action.secret)
            )
        except NotFound:
            return  # the account or the Secret; whoever watches hears of it
        token = base64.b64encode(given["status"]["token"].encode()).decode()
        data = (action.change.get("data") or {}) | {action.key: token}
        self._do(patch(SECRETS, action.secret, action.change | {"data": data}, swap=True), written)

    def _certify(self, action: Certify, written: Written) -> None:
        try:
            pem = self._authority(action.csr["spec"], action.seconds)
        except BadRequest as error:
            self.run(action.otherwise(error), written)
            return
        change = {"status": {"certificate": base64.b64encode(pem).decode()}}
        self._do(patch(SIGNINGREQUESTS, action.csr, change, subresource="status"), written)

    def _burst(self, burst: Burst, written: Written) -> None:
        for batch in batches(burst.actions):
            outcomes = self._api.together([_ask(action) for action in batch])
            failed: ApiError | None = None
            for action, outcome in zip(batch, outcomes, strict=True):
                try:
                    self._settle(action, outcome, written)
                except ApiError as error:
                    failed = failed or error
            if failed:
                if burst.otherwise:
                    self.run(burst.otherwise(failed), written)
                raise failed


def _ask(action: Write) -> Ask:
    """The write itself."""
    match action:
        case Create(kind, obj):
            return lambda api: api.create(kind, obj)
        case Patch(kind, namespace, name, uid):
            identity = {"uid": uid} | ({"resourceVersion": action.version} if action.version else {})
            change = action.patch | {"metadata": (action.patch.get("metadata") or {}) | identity}
            return lambda api: api.patch(kind, namespace, name, change, subresource=action.subresource)
        case Delete(kind, namespace, name, uid):
            return lambda api: api.delete(
                kind,
                namespace,
                name,
                uid=uid,
                resource_version=action.version,
                grace_seconds=action.grace_seconds,
                propagation=action.propagation,
            )


def _token_request(secret: Obj) -> Obj:
    bound = {
        "apiVersion": SECRETS.api_version,
        "kind": SECRETS.kind,
        "name": meta.name(secret),
        "uid": meta.uid(secret),
    }
    return {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "spec": {"boundObjectRef": bound, "expirationSeconds": TOKEN_SECONDS},
    }


def batches(actions: Sequence[Write]) -> Iterable[Sequence[Write]]:
    """1, 2, 4 … of the actions at a time."""
    start, size = 0, 1
    while start < len(actions):
        yield actions[start : start + size]
        start, size = start + size, size * 2


def _namespace_ends(error: ApiError) -> bool:
    """Its content is being deleted; what belongs in it need not be told that it cannot grow."""
    return any(cause.reason == "NamespaceTerminating" for cause in error.causes)
