"""One request's events, stage by stage, as `audit.k8s.io/v1` has them."""

from __future__ import annotations

import io
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from http import HTTPStatus
from typing import Any

from mini8s.api import query as queries
from mini8s.api.answer import Answer, Pieces, begun
from mini8s.api.attributes import Attributes, Authorize, of_request
from mini8s.api.audit.policy import (
    API_VERSION,
    COMPLETE,
    NONE,
    RECEIVED,
    REQUEST,
    RESPONSE,
    STARTED,
    Judge,
    Verdict,
)
from mini8s.api.authn import ANONYMOUS
from mini8s.api.body import APPLY, PATCH_TYPES, Body
from mini8s.api.call import verb_of
from mini8s.api.representation import JSON
from mini8s.api.target import Target
from mini8s.objects.errors import ApiError
from mini8s.objects.kinds import CONNECTS, PROXY, Obj
from mini8s.objects.time import format_micro
from mini8s.registry.base import User
from mini8s.wire import codec

Write = Callable[[bytes], None]  # one event's line
KEY = "mini8s.audit"
_HEADER = "Audit-Id"
_MOST_ID = 64


@dataclass(frozen=True, slots=True)
class Audit:
    """`authorize` is asked once more for what it said: only while somebody wants to read it."""

    policy: Judge
    write: Write
    now: Callable[[], datetime]
    authorize: Authorize

    def received(self, environ: dict[str, Any], user: User | None, target: Target | None) -> None:
        """Begin a request's trail, once it is known who asks (None: nobody that we know)."""
        what = _attributes(environ, target)
        verdict = self.policy.verdict(user or ANONYMOUS, what)
        if verdict.level == NONE:
            return
        trail = Trail(self, environ, verdict, user, what, self.now())
        environ[KEY] = trail
        if user is not None:
            trail.tell(RECEIVED)
        reads = what.subresource in {*CONNECTS, PROXY, "log"}
        if verdict.has(REQUEST) and verdict.bodies and not reads:
            environ["wsgi.input"] = trail.body = Tee(environ["wsgi.input"])


@dataclass(slots=True)
class Trail:
    audit: Audit
    environ: Mapping[str, Any]
    verdict: Verdict
    user: User | None
    what: Attributes
    since: datetime
    impersonated: User | None = None
    body: Tee | None = None
    id: str = ""
    answer: Answer | None = None
    objects: Obj = field(default_factory=dict)

    def __post_init__(self) -> None:
        said = self.environ.get("HTTP_AUDIT_ID", "")[:_MOST_ID]
        self.id = said or str(uuid.uuid4())

    def answered(self, answer: Answer) -> None:
        """What is answered at once is complete; the rest has begun."""
        self.answer = answer
        answer.headers.append((_HEADER, self.id))
        if self.body is not None:
            self._keep("requestObject", _decoded(self.environ, self.body.data))
        if self.verdict.has(RESPONSE) and self.verdict.bodies:
            self._keep("responseObject", _told(answer))
        if self.user is None:
            self.tell(STARTED)
        elif answer.pieces is not None:
            self.tell(STARTED)
            answer.pieces = begun(self._to_its_end(answer.pieces))
        elif answer.take_over is not None:
            self.tell(STARTED)
        else:
            self.tell(COMPLETE)

    def tell(self, stage: str) -> None:
        if stage not in self.verdict.omit:
            self.audit.write(codec.encode_json(self._event(stage)) + b"\n")

    def _to_its_end(self, pieces: Pieces) -> Pieces:
        yield b""
        try:
            yield from pieces
        finally:
            pieces.close()
            self.tell(COMPLETE)

    def _keep(self, part: str, obj: Any) -> None:
        if obj is None:
            return
        if self.verdict.bare and isinstance(obj, dict):
            obj = _bare(obj)
        self.objects[part] = obj

    def _event(self, stage: str) -> Obj:
        environ, answer = self.environ, self.answer
        event: Obj = {
            "kind": "Event",
            "apiVersion": API_VERSION,
            "level": self.verdict.level,
            "auditID": self.id,
            "stage": stage,
            "requestURI": environ.get("RAW_URI") or environ["PATH_INFO"],
            "verb": self.what.verb,
            "user": _who(self.user) if self.user else {},
        }
        if self.impersonated is not None:
            event["impersonatedUser"] = _who(self.impersonated)
        event["sourceIPs"] = _sources(environ)
        if agent := environ.get("HTTP_USER_AGENT"):
            event["userAgent"] = agent
        if self.what.kind is not None:
            event["objectRef"] = _reference(self.what, self.objects or _answered(answer))
        if answer is not None:
            event["responseStatus"] = _status(answer)
            event |= self.objects
        event["requestReceivedTimestamp"] = format_micro(self.since)
        event["stageTimestamp"] = format_micro(self.audit.now())
        if answer is not None and self.user is not None:
            event["annotations"] = self._decision()
        return event

    def _decision(self) -> Obj:
        decision = self.audit.authorize(self.impersonated or self.user or ANONYMOUS, self.what)
        return {
            "authorization.k8s.io/decision": "allow" if decision.allowed else "forbid",
            "authorization.k8s.io/reason": decision.reason,
        }


def speaks_for(environ: Mapping[str, Any], user: User) -> None:
    trail: Trail | None = environ.get(KEY)
    if trail is not None:
        trail.impersonated = user


def answered(environ: Mapping[str, Any], answer: Answer) -> None:
    trail: Trail | None = environ.get(KEY)
    if trail is not None:
        trail.answered(answer)


def ended(environ: Mapping[str, Any]) -> None:
    """A connection that was taken over is given back."""
    trail: Trail | None = environ.get(KEY)
    if trail is not None and trail.user is not None:
        trail.tell(COMPLETE)


class Tee:
    """A request's body that is kept as it is read."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self.data = b""

    def read(self, size: int = -1) -> bytes:
        found: bytes = self._stream.read(size)
        self.data += found
        return found

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _attributes(environ: Mapping[str, Any], target: Target | None) -> Attributes:
    method = environ["REQUEST_METHOD"]
    if target is None:
        return Attributes(method.lower(), path=environ["PATH_INFO"])
    try:
        query = queries.parse(environ.get("QUERY_STRING", ""))
    except ApiError:
        query = queries.EMPTY
    verb = verb_of(method, target, query)
    selector = query.list.field_selector
    return of_request(verb, target.kind, target.namespace, target.name, target.subresource, selector)


def _decoded(environ: Mapping[str, Any], data: bytes) -> Any:
    """What the client sent; None for what can't be read, which its answer tells of."""
    if not data.strip():
        return None
    body = Body({**environ, "wsgi.input": io.BytesIO(data), "CONTENT_LENGTH": str(len(data))})
    try:
        if body.media_type in PATCH_TYPES:
            return codec.decode_yaml(data) if body.media_type == APPLY else codec.decode_json(data)
        return body.value()[0]
    except ApiError:
        return None


def _answered(answer: Answer | None) -> Obj:
    """The object that was made, for its name."""
    if answer is None or answer.status != HTTPStatus.CREATED:
        return {}
    return {"responseObject": _told(answer)}


def _told(answer: Answer) -> Any:
    """What the answer says, None for nothing that can be read: it may be a pod's, through the proxy."""
    if answer.content_type != JSON or not answer.body:
        return None
    try:
        return codec.decode_json(answer.body)
    except ApiError:
        return None


def _reference(what: Attributes, objects: Obj) -> Obj:
    kind = what.kind
    if kind is None:
        return {}
    made = [obj.get("metadata") or {} for obj in objects.values() if isinstance(obj, dict)]
    name = what.name or next((one["name"] for one in made if isinstance(one, dict) and one.get("name")), "")
    said = {
        "resource": kind.plural,
        "namespace": what.namespace,
        "name": name,
        "apiGroup": kind.group,
        "apiVersion": kind.version,
        "subresource": what.subresource,
    }
    return {part: value for part, value in said.items() if value}


def _status(answer: Answer) -> Obj:
    status = 101 if answer.take_over is not None and answer.status == 200 else answer.status
    said: Obj = {"metadata": {}, "code": status}
    told = _told(answer) if status >= HTTPStatus.BAD_REQUEST else None
    if not isinstance(told, dict):
        return said
    return said | {part: told[part] for part in ("status", "message", "reason") if part in told}


def _who(user: User) -> Obj:
    said: Obj = {"username": user.name}
    if user.uid:
        said["uid"] = user.uid
    if user.groups:
        said["groups"] = list(user.groups)
    if user.extra:
        said["extra"] = {key: list(values) for key, values in user.extra}
    return said


def _sources(environ: Mapping[str, Any]) -> list[str]:
    """Upstream names those that a proxy claims first; nobody vouches for them."""
    claimed = [part.strip() for part in environ.get("HTTP_X_FORWARDED_FOR", "").split(",")]
    found = dict.fromkeys((*claimed, environ.get("REMOTE_ADDR", "")))
    return [address for address in found if address]


def _bare(obj: Obj) -> Obj:
    metadata = obj.get("metadata")
    if not isinstance(metadata, dict):
        return obj
    return obj | {"metadata": {part: value for part, value in metadata.items() if part != "managedFields"}}
