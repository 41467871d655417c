"""The Kubernetes API over HTTP: verbs on kinds, plain JSON objects in and out.

Safe for many threads. What the server refuses is raised as the error type that the server raised; what cannot
be reached is `ServiceUnavailable`, and whether to try again is the caller's decision.
"""

from __future__ import annotations

import builtins
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlencode

from mini8s.client.base import NO_QUERY, Ask, Listed
from mini8s.client.transport import Answer, Endpoint, Stream, Transport
from mini8s.objects import errors, meta
from mini8s.objects.kinds import PODS, SERVICEACCOUNTS, Kind, Obj
from mini8s.wire import codec
from mini8s.wire import together as several

__all__ = ["Answer", "Endpoint", "Listed", "Rest", "Stream", "Watch"]

PAGE = 500  # objects a list request asks for, as kubectl does
WATCH_IDLE_SECONDS = 90.0  # a little above the minute after which a server sends a bookmark
JSON = "application/json"
_NO_SUCH_DOOR = (errors.NotFound, errors.Forbidden, errors.MethodNotAllowed)
_WARNING = re.compile(r'299 \S+ "((?:[^"\\]|\\.)*)"')
_ESCAPED = re.compile(r"\\(.)")
PATCH_TYPES = {
    "merge": "application/merge-patch+json",
    "strategic": "application/strategic-merge-patch+json",
    "json": "application/json-patch+json",
    "apply": "application/apply-patch+yaml",
}


class Watch:
    """See `client.base.Watch`."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream

    def __iter__(self) -> Iterator[tuple[str, Obj]]:
        for line in lines(self._stream):
            event = codec.decode_json(line)
            if event["type"] == "ERROR":
                self._stream.close()
                raise errors.from_status(event["object"])
            yield event["type"], event["object"]

    def close(self) -> None:
        self._stream.close()


class Rest:
    """See `client.base.Api`. `on_warning` gets the text of each Warning header."""

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        user_agent: str,
        on_warning: Callable[[str], None] | None = None,
        transport: Transport | Noted | None = None,
        in_the_name_of: Mapping[str, str] = NO_QUERY,
    ) -> None:
        self.endpoint = endpoint
        self._transport = transport or Transport(endpoint, user_agent=user_agent)
        self._on_warning = on_warning
        self._in_the_name_of = in_the_name_of
        self._one_by_one = False

    def acting_as(self, user: str, group: str) -> Rest:
        """The same connections, for an administrator who asks in somebody else's name and is judged as
        such."""
        named = {"Impersonate-User": user, "Impersonate-Group": group}
        return Rest(self.endpoint, user_agent="", transport=self._transport, in_the_name_of=named)

    def get(self, kind: Kind, namespace: str, name: str) -> Obj:
        return self._object("GET", kind.path(namespace, name))

    def list(self, kind: Kind, namespace: str = "", *, labels: str = "", fields: str = "") -> Listed:
        """All of a collection, asked for in pages. When the server forgets the revision of the first page in
        between, all of it is asked for at once."""
        try:
            return self._pages(kind, namespace, labels, fields, PAGE)
        except errors.Expired:
            return self._pages(kind, namespace, labels, fields, 0)

    def create(self, kind: Kind, obj: Obj, *, query: Mapping[str, str] = NO_QUERY) -> Obj:
        return self._object("POST", kind.path(meta.namespace(obj)), obj, query=query)

    def update(
        self, kind: Kind, obj: Obj, *, subresource: str = "", query: Mapping[str, str] = NO_QUERY
    ) -> Obj:
        path = kind.path(meta.namespace(obj), meta.name(obj), subresource)
        return self._object("PUT", path, obj, query=query)

    def update_status(self, kind: Kind, obj: Obj) -> Obj:
        return self.update(kind, obj, subresource="status")

    def patch(
        self,
        kind: Kind,
        namespace: str,
        name: str,
        patch: Any,
        *,
        type: str = "merge",
        subresource: str = "",
        query: Mapping[str, str] = NO_QUERY,
    ) -> Obj:
        path = kind.path(namespace, name, subresource)
        return self._object("PATCH", path, patch, query=query, content_type=PATCH_TYPES[type])

    def patch_status(self, kind: Kind, namespace: str, name: str, patch: Any, *, type: str = "merge") -> Obj:
        return self.patch(kind, namespace, name, patch, type=type, subresource="status")

    def delete(
        self,
        kind: Kind,
        namespace: str,
        name: str,
        *,
        uid: str = "",
        resource_version: str = "",
        grace_seconds: int | None = None,
        propagation: str = "Background",
        query: Mapping[str, str] = NO_QUERY,
    ) -> Obj:
        options: Obj = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": propagation}
        said = {"uid": uid, "resourceVersion": resource_version}
        preconditions = {key: value for key, value in said.items() if value}
        if preconditions:
            options["preconditions"] = preconditions
        if grace_seconds is not None:
            options["gracePeriodSeconds"] = grace_seconds
        return self._object("DELETE", kind.path(namespace, name), options, query=query)

    def bind(self, namespace: str, pod: str, node: str) -> None:
        binding = {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"namespace": namespace, "name": pod},
            "target": {"apiVersion": "v1", "kind": "Node", "name": node},
        }
        self._object("POST", PODS.path(namespace, pod, "binding"), binding)

    def request_token(self, namespace: str, account: str, request: Obj) -> Obj:
        return self._object("POST", SERVICEACCOUNTS.path(namespace, account, "token"), request)

    def together(self, asks: Sequence[Ask]) -> Sequence[Obj | errors.ApiError]:
        """A server without a door for several gets one after the other."""
        if len(asks) == 1 or self._one_by_one:
            return [_attempt(ask, self) for ask in asks]
        noted = Noted(self.endpoint)
        for ask in asks:
            ask(Rest(self.endpoint, user_agent="", transport=noted))
        made: builtins.list[Obj | errors.ApiError] = []
        try:
            for batch in several.batches(noted.asks):
                made += self._together(batch)
        except _NO_SUCH_DOOR:
            self._one_by_one = True
            made += [_attempt(ask, self) for ask in asks[len(made) :]]  # none of them twice
        return made

    def watch(
        self,
        kind: Kind,
        namespace: str = "",
        *,
        resource_version: str = "",
        labels: str = "",
        fields: str = "",
        timeout_seconds: int = 300,
    ) -> Watch:
        query = _selection(labels, fields)
        query |= {"watch": "true", "allowWatchBookmarks": "true", "timeoutSeconds": str(timeout_seconds)}
        if resource_version:
            query["resourceVersion"] = resource_version
        return Watch(self.stream("GET", kind.path(namespace), query=query, idle_seconds=WATCH_IDLE_SECONDS))

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] = NO_QUERY,
        body: bytes | None = None,
        content_type: str = JSON,
        accept: str = JSON,
    ) -> Answer:
        """Any request, its answer as bytes; raises what the server refuses."""
        headers = {**_headers(body, content_type, accept), **self._in_the_name_of}
        return self._taken(self._transport.send(method, _target(path, query), body, headers))

    def _taken(self, answer: Answer) -> Answer:
        for warning in _warnings(answer.headers.get("Warning", "")):
            if self._on_warning:
                self._on_warning(warning)
        if answer.code >= 400:
            raise _refused(answer.code, answer.body)
        return answer

    def stream(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] = NO_QUERY,
        body: bytes | None = None,
        accept: str = JSON,
        idle_seconds: float = 3600.0,
    ) -> Stream:
        """Any request whose answer is read as it comes, such as logs."""
        headers = {**_headers(body, JSON, accept), **self._in_the_name_of}
        stream = self._transport.stream(method, _target(path, query), body, headers, idle_seconds)
        if stream.code >= 400:
            raise _refused(stream.code, stream.read())
        return stream

    def close(self) -> None:
        self._transport.close()

    def _together(self, asks: Sequence[several.Ask]) -> Sequence[Obj | errors.ApiError]:
        """Raises what says that there is no such door."""
        try:
            answer = self.request("POST", several.PATH, body=several.encode(asks))
            answers = several.decode_answers(answer.body)
        except _NO_SUCH_DOOR:
            raise
        except errors.ApiError as error:
            return [error] * len(asks)
        return [self._outcome(said) for said in answers]

    def _outcome(self, said: several.Said) -> Obj | errors.ApiError:
        try:
            answer = self._taken(Answer(said.code, said.headers, bytes(said.body)))
        except errors.ApiError as error:
            return error
        made: Obj = codec.decode_json(answer.body)
        return made

    def _object(
        self,
        method: str,
        path: str,
        obj: Any = None,
        *,
        query: Mapping[str, str] = NO_QUERY,
        content_type: str = JSON,
    ) -> Obj:
        body = None if obj is None else codec.encode_json(obj)
        answer = self.request(method, path, query=query, body=body, content_type=content_type)
        decoded: Obj = codec.decode_json(answer.body)
        return decoded

    def _pages(self, kind: Kind, namespace: str, labels: str, fields: str, limit: int) -> Listed:
        query = _selection(labels, fields)
        if limit:
            query["limit"] = str(limit)
        items: builtins.list[Obj] = []
        while True:
            page = self._object("GET", kind.path(namespace), query=query)
            items += (_typed(item, kind) for item in page.get("items") or ())
            metadata = page.get("metadata") or {}
            if not metadata.get("continue"):
                return Listed(items, metadata.get("resourceVersion", ""))
            query["continue"] = metadata["continue"]


class Noted:
    """In the place of a transport: notes what would be sent."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self.asks: builtins.list[several.Ask] = []

    def send(self, method: str, target: str, body: bytes | None, headers: Mapping[str, str]) -> Answer:
        self.asks.append(several.ask(method, target, body, headers.get("Content-Type", JSON)))
        return Answer(200, {}, b"{}")

    def stream(
        self, method: str, target: str, body: bytes | None, headers: Mapping[str, str], idle_seconds: float
    ) -> Stream:
        raise NotImplementedError("a watch is no write")

    def close(self) -> None:
        """Nothing is open."""


def _attempt(ask: Ask, api: Rest) -> Obj | errors.ApiError:
    try:
        return ask(api) or {}
    except errors.ApiError as error:
        return error


def lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The non-empty lines of a stream, however it was cut into chunks. An unfinished last line is dropped:
    the connection was lost in the middle of it."""
    rest = b""
    for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        yield from filter(None, whole)


def _typed(item: Obj, kind: Kind) -> Obj:
    """kube-apiserver leaves kind and apiVersion out of a list's items; here every object says what it is."""
    item.setdefault("apiVersion", kind.api_version)
    item.setdefault("kind", kind.kind)
    return item


def _selection(labels: str, fields: str) -> dict[str, str]:
    said = {"labelSelector": labels, "fieldSelector": fields}
    return {key: value for key, value in said.items() if value}


def _target(path: str, query: Mapping[str, str]) -> str:
    target = quote(path, safe="/:@!$&'()*+,;=~")
    return f"{target}?{urlencode(query)}" if query else target


def _headers(body: bytes | None, content_type: str, accept: str) -> dict[str, str]:
    headers = {"Accept": accept}
    if body is not None:
        headers["Content-Type"] = content_type
    return headers


def _warnings(header: str) -> Iterator[str]:
    """The texts of `299 - "text", 299 - "text"`."""
    for found in _WARNING.finditer(header):
        yield _ESCAPED.sub(r"\1", found[1])


def _refused(code: int, body: bytes) -> errors.ApiError:
    """The error that an answer stands for, also when its body is no Status (a proxy's page)."""
    try:
        status = codec.decode_json(body)
    except errors.BadRequest:
        status = {"message": body.decode(errors="replace").strip()[:200], "code": code}
    return errors.from_status(status if isinstance(status, dict) else {}, code)
