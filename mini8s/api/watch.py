"""The watch verb: from a list's revision on, gap-free, until its time is over.

Semantics are the API Concepts page's: no revision or 0 begins with the state as ADDED events;
`sendInitialEvents` marks the end of that state with a bookmark; a revision that is gone is an ERROR event of
code 410 inside a successful answer, as client-go expects it.
"""

from __future__ import annotations

import base64
import random
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from mini8s.api.answer import Answer
from mini8s.api.call import Call
from mini8s.api.connection import Connection
from mini8s.api.encodings import PlainEncoding, RenderedEncoding, TextEncoding
from mini8s.api.pump import Encoding, Feed, Pump, Schedule
from mini8s.api.render import Renderer
from mini8s.api.representation import PARTIAL, TEXT
from mini8s.objects.errors import BadRequest, Cause, Expired, Invalid
from mini8s.objects.kinds import Kind, Obj
from mini8s.registry.base import ListOptions, Registry
from mini8s.wire.codec import encode_json

MIN_SECONDS = 1800  # how long a watch lasts that says nothing: up to twice this (upstream's numbers)
INITIAL_EVENTS_END = "k8s.io/initial-events-end"
BLUEPRINT = (
    "kubernetes.io/initial-events-list-blueprint"  # an empty list, for clients that make one (KEP-3157)
)


class Watching:
    """`now` is read at every event: a Table's ages must not be those of the watch's beginning."""

    def __init__(self, registry: Registry, pump: Pump, now: Callable[[], datetime]) -> None:
        self._registry = registry
        self._pump = pump
        self._now = now

    def watch(self, call: Call) -> Answer:
        """Raises before anything is written; from then on the connection is the pump's."""
        if call.environ.get("SERVER_PROTOCOL") == "HTTP/1.0":
            raise BadRequest("a watch needs HTTP/1.1")
        kind, namespace = call.target.kind, call.target.namespace
        feed = self._pump.open(self._encoding(call), kind.plural)
        unsubscribe = self._subscribe(call, feed)
        schedule = Schedule(
            call.query.timeout_seconds or random.uniform(MIN_SECONDS, 2 * MIN_SECONDS),  # noqa: S311
            (lambda: ("BOOKMARK", self._bookmark(kind, namespace))) if call.query.bookmarks else None,
        )

        def serve(connection: Connection) -> None:
            try:
                self._pump.run(feed, connection.take_stream(), schedule)
            finally:
                unsubscribe()

        return Answer(take_over=serve)

    def _encoding(self, call: Call) -> Encoding:
        if call.wanted.plain:
            return PlainEncoding(("json", call.target.kind.api_version))
        kind, everywhere = call.target.kind, not call.target.namespace
        renderer = Renderer(
            kind,
            self._registry.columns(kind),
            call.wanted,
            now=self._now,
            include_object=call.query.include_object,
            all_namespaces=everywhere,
        )
        if call.wanted.media == TEXT:
            return TextEncoding(renderer)
        return RenderedEncoding(kind, call.wanted, renderer, (call.query.include_object, everywhere))

    def _subscribe(self, call: Call, feed: Feed) -> Callable[[], None]:
        """What ends the subscription. When the revision is gone there is none, and the feed says so."""
        kind, namespace, query = call.target.kind, call.target.namespace, call.query
        _check_initial(query.send_initial_events, query.list)
        options = _named(call)
        if query.send_initial_events:
            if options.resource_version:  # one that is yet to come is refused
                self._registry.list(kind, namespace, replace(options, limit=1))
            options = replace(options, resource_version="0", resource_version_match="")
        elif query.send_initial_events is False and options.resource_version in {"", "0"}:
            newest = str(self._revision(kind, namespace))
            options = replace(options, resource_version=newest, resource_version_match="")
        try:
            subscription = self._registry.watch(kind, namespace, options, feed.deliver)
        except Expired as error:
            feed.say("ERROR", encode_json(error.status()))
            feed.finish()
            return lambda: None
        if query.send_initial_events and query.bookmarks:
            notes = {INITIAL_EVENTS_END: "true", BLUEPRINT: _blueprint(call)}
            feed.say("BOOKMARK", self._bookmark(kind, namespace, notes))
        return subscription.close

    def _revision(self, kind: Kind, namespace: str) -> int:
        """All events up to this have been handed to the feeds: both happen in one step of the loop."""
        return self._registry.list(kind, namespace, ListOptions(limit=1)).revision

    def _bookmark(self, kind: Kind, namespace: str, annotations: dict[str, str] | None = None) -> bytes:
        metadata: Obj = {"resourceVersion": str(self._revision(kind, namespace)), "creationTimestamp": None}
        if annotations:
            metadata["annotations"] = annotations
        return encode_json({"kind": kind.kind, "apiVersion": kind.api_version, "metadata": metadata})


def _blueprint(call: Call) -> str:
    """The empty list of what is watched, as the caller wants it."""
    kind, wanted = call.target.kind, call.wanted
    name, version = f"{kind.kind}List", kind.api_version
    if wanted.form == PARTIAL:
        name, version = f"{PARTIAL}List", f"meta.k8s.io/{wanted.version}"
    made: Obj = {"kind": name, "apiVersion": version, "metadata": {}, "items": None}
    return base64.b64encode(encode_json(made) + b"\n").decode()


def _named(call: Call) -> ListOptions:
    """`?watch=true` on one object's own path, the old form, watches just that object."""
    options = call.query.list
    if not call.target.name:
        return options
    name = f"metadata.name={call.target.name}"
    selector = f"{options.field_selector},{name}" if options.field_selector else name
    return replace(options, field_selector=selector)


def check_list(send_initial: bool | None) -> None:
    """Initial events are a watch's matter. Raises Invalid."""
    if send_initial is not None:
        raise _forbidden("sendInitialEvents is forbidden for list", "sendInitialEvents")


def _check_initial(send_initial: bool | None, options: ListOptions) -> None:
    match = options.resource_version_match
    if send_initial is None and match:
        raise _forbidden("resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided")
    if send_initial is not None and match != "NotOlderThan":
        raise _forbidden('sendInitialEvents requires setting resourceVersionMatch to "NotOlderThan"')


def _forbidden(why: str, field: str = "resourceVersionMatch") -> Invalid:
    cause = Cause(field, f"Forbidden: {why}", "FieldValueForbidden")
    message = f'ListOptions.meta.k8s.io "" is invalid: {field}: {cause.message}'
    return Invalid(message, causes=[cause], group="meta.k8s.io", kind="ListOptions")
