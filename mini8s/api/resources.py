"""A request on a resource from its URL's target to an answer: parse, authorise, find the verb, call it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from mini8s.api import query as queries
from mini8s.api.answer import Answer, failure, legible, warned
from mini8s.api.attributes import of_request, require
from mini8s.api.authz import Authorizer
from mini8s.api.body import Body
from mini8s.api.call import Call, verb_of
from mini8s.api.logs import Logs
from mini8s.api.proxy import Proxy
from mini8s.api.representation import DEFAULT, negotiate
from mini8s.api.streams import Streams
from mini8s.api.target import Target
from mini8s.api.verbs import Verbs
from mini8s.objects.errors import ApiError, MethodNotAllowed
from mini8s.objects.kinds import CONNECTS, PROXY
from mini8s.registry.base import User

NOT_ALLOWED = "the server does not allow this method on the requested resource"


@dataclass(frozen=True, slots=True)
class Resources:
    verbs: Verbs
    logs: Logs
    streams: Streams
    proxy: Proxy
    authorize: Authorizer
    now: Callable[[], datetime]

    def answer(self, environ: Mapping[str, Any], user: User, target: Target) -> Answer:
        """Raises ApiError."""
        query = queries.parse(environ["QUERY_STRING"])
        method = environ["REQUEST_METHOD"]
        verb = verb_of(method, target, query)
        self._check(user, target, verb, query)
        if target.subresource == "log":
            if verb != "get":
                raise MethodNotAllowed(NOT_ALLOWED)
            return self.logs.read(environ, target)
        if target.subresource == PROXY:
            return self.proxy.answer(environ, target)
        if target.subresource in CONNECTS:
            if verb not in {"get", "create"}:
                raise MethodNotAllowed(NOT_ALLOWED)
            return self.streams.connect(environ, target)
        accept, word = environ.get("HTTP_ACCEPT", ""), query.represent_as
        wanted = negotiate(accept, word) if accept or word else DEFAULT
        call = Call(
            environ,
            user,
            target,
            query,
            wanted,
            Body(environ),
            self.now(),
            check_create=lambda: self._check(user, target, "create", query),
            may=self.authorize.may(user),
            rules=self.authorize.rules(user),
            warnings=[target.kind.deprecated] if target.kind.deprecated else [],
        )
        try:
            return legible(warned(self.verbs.find(method, call, verb)(call), call.warnings), environ)
        except ApiError as error:
            if not call.warnings or error.code >= 500:
                raise
            return legible(warned(failure(error, wanted), call.warnings), environ)

    def _check(self, user: User, target: Target, verb: str, query: queries.Query) -> None:
        selector = query.list.field_selector
        what = of_request(verb, target.kind, target.namespace, target.name, target.subresource, selector)
        require(self.authorize, user, what)
