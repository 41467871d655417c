"""The API as one WSGI callable: the door that every request comes through.

The door finds out who asks, sends plain resource requests the short way and all others through Flask's map,
turns every error into a Status, and counts. Both ways end in the same functions (`api.resources`), so there
is one set of semantics.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, cast

from werkzeug.exceptions import HTTPException

from mini8s.api import applying, query, routes, together
from mini8s.api.answer import Answer, StartResponse, begun, failure, legible, send
from mini8s.api.answered import Answered
from mini8s.api.attributes import Attributes, require
from mini8s.api.audit.policy import Judge
from mini8s.api.audit.trail import Audit, Write, answered, ended, speaks_for
from mini8s.api.authn import ANONYMOUS, Authenticate
from mini8s.api.authz import Authorizer
from mini8s.api.body import APPLY
from mini8s.api.call import verb_of
from mini8s.api.health import Check
from mini8s.api.impersonation import impersonated
from mini8s.api.join import CA_PATH, PATH, Joining
from mini8s.api.logs import Logs
from mini8s.api.measured import measured
from mini8s.api.metrics import Metrics, Series, Stats
from mini8s.api.node_usage import NodeUsage, over
from mini8s.api.openapi import Documents
from mini8s.api.proxy import Proxy
from mini8s.api.pump import Pump
from mini8s.api.representation import DEFAULT, Representation, negotiate
from mini8s.api.resources import NOT_ALLOWED, Resources
from mini8s.api.service_accounts import ServiceAccounts, judging
from mini8s.api.streams import Streams
from mini8s.api.target import Target, parse
from mini8s.api.tokens import judge
from mini8s.api.tunnel import Tunnels
from mini8s.api.upkeep import Upkeep
from mini8s.api.verbs import Verbs
from mini8s.api.watch import Watching
from mini8s.objects.errors import (
    ApiError,
    BadRequest,
    InternalError,
    MethodNotAllowed,
    NotFound,
    Unauthorized,
)
from mini8s.objects.kinds import CONNECTS, PROXY, STORED, Kind
from mini8s.registry.base import ListOptions, Registry, User

log = logging.getLogger(__name__)

_FAST_METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE"})
_UNKNOWN_MAY = frozenset({CA_PATH, PATH})
_READS = frozenset({"GET", "HEAD"})
_METRIC_VERBS = {"create": "POST", "update": "PUT"}


class Api:
    """Call it with a request; `close` ends what would keep a server from stopping."""

    def __init__(
        self,
        rooms: routes.Rooms,
        authenticate: Authenticate,
        authorize: Authorizer,
        pump: Pump,
        audit: Audit | None = None,
    ) -> None:
        self._rooms = rooms
        self._authenticate = authenticate
        self._authorize = authorize
        self._pump = pump
        self._audit = audit
        self._flask = routes.build(rooms)

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        started, metrics = time.monotonic(), self._rooms.metrics
        target, reads = parse(environ["PATH_INFO"]), environ["REQUEST_METHOD"] in _READS
        metrics.inflight(reads=reads, more=1)
        try:
            answer = self._answer(environ, target)
            if self._audit is not None:
                answered(environ, answer)
        finally:
            metrics.inflight(reads=reads, more=-1)
        series = _series_of(environ, target, answer)
        if answer.pieces is not None and series.verb == "CONNECT":
            answer.pieces = begun(metrics.counted(series, answer.pieces))
        if answer.take_over is not None:
            metrics.opened(series, 1)
        try:
            return send(answer, environ, start_response)
        finally:
            metrics.observe(series, answer.status, time.monotonic() - started)
            if answer.take_over is not None:
                metrics.opened(series, -1)
                ended(environ)

    def close(self) -> None:
        self._pump.close()
        self._authorize.close()
        self._rooms.tunnels.close()

    def _answer(self, environ: dict[str, Any], target: Target | None) -> Answer:
        try:
            return self._perform(environ, target)
        except ApiError as error:
            if error.code >= 500 and not error.retry:
                log.exception("%s %s failed", environ["REQUEST_METHOD"], environ["PATH_INFO"])
            return _refusal(error, environ)
        except HTTPException as error:
            return _refusal(_from_flask(error), environ)
        except Exception as error:
            log.exception("%s %s failed", environ["REQUEST_METHOD"], environ["PATH_INFO"])
            said = InternalError(f"an error on the server ({type(error).__name__}) has prevented the request")
            return _refusal(said, environ)

    def _perform(self, environ: dict[str, Any], target: Target | None) -> Answer:
        path: str = environ["PATH_INFO"]
        if path in _UNKNOWN_MAY:
            if self._audit is not None:
                self._audit.received(environ, ANONYMOUS, None)
            return self._by_flask(environ)
        asker = self._authenticate(environ)
        if self._audit is not None:
            self._audit.received(environ, asker, target)
        if asker is None:
            raise Unauthorized("Unauthorized")
        if path == together.PATH and environ["REQUEST_METHOD"] == "POST":  # each of them is checked by itself
            return together.answer(environ, self._part)
        user = impersonated(environ, asker, self._authorize)
        if user is not asker:
            speaks_for(environ, user)
        if target is not None and _is_fast(target, environ["REQUEST_METHOD"]):
            return self._rooms.resources.answer(environ, user, target)
        if target is None and path != applying.PATH:  # which checks object by object
            self._check_path(environ, user, path)
        environ[routes.USER_KEY] = user
        return self._by_flask(environ)

    def _part(self, environ: dict[str, Any], target: Target | None) -> Answer:
        """One of several requests that came as one."""
        started, metrics = time.monotonic(), self._rooms.metrics
        metrics.inflight(reads=False, more=1)
        try:
            answer = self._answer(environ, target)
            if self._audit is not None:
                answered(environ, answer)
        finally:
            metrics.inflight(reads=False, more=-1)
        metrics.observe(_series_of(environ, target, answer), answer.status, time.monotonic() - started)
        return answer

    def _check_path(self, environ: Mapping[str, Any], user: User, path: str) -> None:
        require(self._authorize, user, Attributes(environ["REQUEST_METHOD"].lower(), path=path))

    def _by_flask(self, environ: dict[str, Any]) -> Answer:
        with self._flask.request_context(environ):
            return cast("Answer", self._flask.dispatch_request())


def _series_of(environ: Mapping[str, Any], target: Target | None, answer: Answer) -> Series:
    method: str = environ["REQUEST_METHOD"]
    if target is None and answer.take_over is not None:
        return Series("CONNECT")
    if target is None:
        return Series(method if method in _FAST_METHODS else "OTHER")
    applies = method == "PATCH" and environ.get("CONTENT_TYPE", "").startswith(APPLY)
    where = (target.namespace and "x", target.name and "x")  # which one it was does not count
    return _series(method, target.kind, *where, target.subresource, applies, answer.take_over is not None)


@lru_cache(maxsize=1024)
def _series(  # the arguments are a cache's key: no more than what can be hashed fast
    method: str, kind: Kind, namespace: str, name: str, subresource: str, applies: bool, taken_over: bool
) -> Series:
    """Under what a request is counted, as upstream names it."""
    target = Target(kind, namespace, name, subresource)
    verb = "watch" if taken_over else verb_of(method, target, query.EMPTY)
    if subresource == "log" or subresource in {*CONNECTS, PROXY}:
        verb = "connect"
    said = "APPLY" if applies else _METRIC_VERBS.get(verb) or verb.upper() or "OTHER"
    one = name or verb == "create"
    scope = "resource" if one else "namespace" if namespace else "cluster"
    return Series(said, kind.group, kind.version, kind.plural, subresource, scope)


def _counted(registry: Registry) -> Mapping[str, int]:
    """How many objects of each kind there are."""
    counts = {}
    for kind in STORED:
        listed = registry.list(kind, "", ListOptions(limit=1))
        counts[kind.resource] = len(listed.items) + (listed.remaining or 0)
    return counts


def create_app(
    registry: Registry,
    *,
    authenticate: Authenticate,
    accounts: ServiceAccounts | None = None,
    joining: Joining | None = None,
    upkeep: Upkeep | None = None,
    ready: Mapping[str, Check] | None = None,
    stats: Stats = dict,
    auditing: tuple[Judge, Write] | None = None,
    server_address: str = "",
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Api:
    """The API over a registry.

    `accounts` knows service accounts' tokens; `authenticate` is to ask it too.
    `ready` adds checks to /readyz, `stats` figures of the store to /metrics; without `joining` no host can
    join. `auditing`: what the audit log has, and where it goes. `server_address` is what /api names.
    """
    pump, tunnels = Pump(), Tunnels()
    allowed = Authorizer(registry)
    usage = NodeUsage(over(tunnels), time.monotonic)
    answered = Answered(
        registry,
        judge(accounts.judge, judging(authenticate)) if accounts else judging(authenticate),
        allowed,
        measured(registry, usage, now),
    )
    verbs = Verbs(registry, Watching(registry, pump, now), answered)
    live: dict[str, Check] = {"ping": lambda: ""}
    rooms = routes.Rooms(
        resources=Resources(
            verbs,
            Logs(registry, tunnels),
            Streams(registry, tunnels),
            Proxy(registry, tunnels),
            allowed,
            now,
        ),
        applying=applying.Applying(registry, allowed, now),
        tunnels=tunnels,
        metrics=Metrics(pump, stats, lambda: _counted(registry)),
        documents=Documents(),
        joining=joining,
        live=live,
        ready=live | dict(ready or {}),
        server_address=server_address,
        accounts=accounts,
        upkeep=upkeep,
    )
    audit = Audit(*auditing, now, allowed) if auditing else None
    return Api(rooms, authenticate, allowed, pump, audit)


def _is_fast(target: Target, method: str) -> bool:
    """Whether a request needs nothing of Flask. A proxied one may have any method and any path."""
    return target.subresource == PROXY or (target.subresource != "log" and method in _FAST_METHODS)


def _refusal(error: ApiError, environ: Mapping[str, Any]) -> Answer:
    return legible(failure(error, _wanted(environ)), environ)


def _wanted(environ: Mapping[str, Any]) -> Representation:
    """How an error should look; a request that can't even be parsed gets JSON."""
    try:
        word = query.parse(environ.get("QUERY_STRING", "")).represent_as
        return negotiate(environ.get("HTTP_ACCEPT", ""), word)
    except ApiError:
        return DEFAULT


def _from_flask(error: HTTPException) -> ApiError:
    if error.code == 405:
        return MethodNotAllowed(NOT_ALLOWED)
    if error.code == 404:
        return NotFound(routes.NOT_FOUND)
    return BadRequest(error.description or error.name)
