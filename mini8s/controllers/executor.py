"""Performs what plans ask for, and notes what was written.

An object that is gone already needs no deletion and no patch: NotFound is an ordinary result there. All other
errors go on to the queue, which tries again later.
"""

from __future__ import annotations

import base64
import logging
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import assert_never

from mini8s.client.base import Api, EventSink
from mini8s.controllers.actions import (
    NORMAL,
    WARNING,
    Action,
    Burst,
    Certify,
    Create,
    Delete,
    Patch,
    Tell,
    Update,
    Vouch,
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

    def __init__(
        self, api: Api, events: EventSink, *, threads: int, authority: Authority = no_authority
    ) -> None:
        self._api = api
        self._events = events
        self._authority = authority
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="burst")

    def run(self, actions: Iterable[Action], written: Written) -> None:
        """Do all, in order. Raises what the API refused, after what was to be done `otherwise`."""
        for action in actions:
            self._do(action, written)

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _do(self, action: Action, written: Written) -> None:
        match action:
            case Create():
                self._create(action, written)
            case Update(kind, obj, subresource):
                written.note(kind, self._api.update(kind, obj, subresource=subresource))
            case Patch():
                self._patch(action, written)
            case Delete():
                self._delete(action, written)
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

    def _create(self, action: Create, written: Written) -> None:
        try:
            created = self._api.create(action.kind, action.obj)
        except ApiError as error:
            if action.owner and not _namespace_ends(error):
                self._events.event(
                    action.owner,
                    WARNING,
                    "FailedCreate",
                    f"{action.words.failed if action.words else 'Error creating: '}{error}",
                    component=written.component,
                )
            if action.otherwise:
                self.run(action.otherwise(error), written)
            raise
        written.note(action.kind, created)
        if action.owner:
            what = (
                action.words.done if action.words else f"Created {action.kind.singular}: {meta.name(created)}"
            )
            self._events.event(action.owner, NORMAL, "SuccessfulCreate", what, component=written.component)

    def _patch(self, action: Patch, written: Written) -> None:
        identity = {"uid": action.uid} | ({"resourceVersion": action.version} if action.version else {})
        change = action.patch | {"metadata": (action.patch.get("metadata") or {}) | identity}
        try:
            patched = self._api.patch(
                action.kind, action.namespace, action.name, change, subresource=action.subresource
            )
        except NotFound:
            return
        except ApiError as error:
            if action.otherwise:
                self.run(action.otherwise(error), written)
            raise
        written.note(action.kind, patched)

    def _vouch(self, action: Vouch, written: Written) -> None:
        try:
            given = self._api.request_token(
                meta.namespace(action.secret), action.account, _token_request(action.secret)
            )
        except NotFound:
            return  # the account or the Secret; whoever watches hears of it
        token = base64.b64encode(given["status"]["token"].encode()).decode()
        data = (action.change.get("data") or {}) | {action.key: token}
        self._patch(patch(SECRETS, action.secret, action.change | {"data": data}, swap=True), written)

    def _delete(self, action: Delete, written: Written) -> None:
        try:
            gone = self._api.delete(
                action.kind,
                action.namespace,
                action.name,
                uid=action.uid,
                resource_version=action.version,
                grace_seconds=action.grace_seconds,
                propagation=action.propagation,
            )
        except NotFound:
            return
        except ApiError as error:
            if action.owner:
                self._events.event(
                    action.owner,
                    WARNING,
                    "FailedDelete",
                    f"{action.words.failed if action.words else 'Error deleting: '}{error}",
                    component=written.component,
                )
            raise
        written.note(action.kind, gone)
        written.gone.add(Gone(action.kind, action.namespace, action.name, action.uid))
        if action.owner:
            what = action.words.done if action.words else f"Deleted {action.kind.singular}: {action.name}"
            self._events.event(action.owner, NORMAL, "SuccessfulDelete", what, component=written.component)

    def _certify(self, action: Certify, written: Written) -> None:
        try:
            pem = self._authority(action.csr["spec"], action.seconds)
        except BadRequest as error:
            self.run(action.otherwise(error), written)
            return
        change = {"status": {"certificate": base64.b64encode(pem).decode()}}
        self._patch(patch(SIGNINGREQUESTS, action.csr, change, subresource="status"), written)

    def _burst(self, burst: Burst, written: Written) -> None:
        for batch in batches(burst.actions):
            results = list(self._pool.map(lambda action: self._alone(action, written.component), batch))
            for _, made in results:
                written.merge(made)
            failed = next((error for error, _ in results if error), None)
            if failed:
                if burst.otherwise:
                    self.run(burst.otherwise(failed), written)
                raise failed

    def _alone(self, action: Create | Delete | Patch, component: str) -> tuple[ApiError | None, Written]:
        written = Written(component=component)
        try:
            self._do(action, written)
        except ApiError as error:
            return error, written
        return None, written


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


def batches(
    actions: Sequence[Create | Delete | Patch],
) -> Iterable[Sequence[Create | Delete | Patch]]:
    """1, 2, 4 … of the actions at a time."""
    start, size = 0, 1
    while start < len(actions):
        yield actions[start : start + size]
        start, size = start + size, size * 2


def _namespace_ends(error: ApiError) -> bool:
    """Its content is being deleted; what belongs in it need not be told that it cannot grow."""
    return any(cause.reason == "NamespaceTerminating" for cause in error.causes)
