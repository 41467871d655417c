"""One request on a resource: everything its verb needs, read from the door once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any

from mini8s.api.body import Body
from mini8s.api.query import MAX_MANAGER, Query
from mini8s.api.representation import Representation
from mini8s.api.target import Target
from mini8s.registry.base import Context, May, RulesIn, User

_METHODS = {"POST": "create", "PUT": "update", "PATCH": "patch"}


@dataclass(slots=True)
class Call:
    environ: Mapping[str, Any]
    user: User
    target: Target
    query: Query
    wanted: Representation
    body: Body
    now: datetime
    check_create: Callable[[], None]
    may: May
    rules: RulesIn
    warnings: list[str] = field(default_factory=list)  # also told when the request fails

    def context(self, *, dry_run: bool | None = None) -> Context:
        query = self.query
        return Context(
            user=self.user,
            now=self.now,
            dry_run=query.dry_run if dry_run is None else dry_run,
            field_validation=query.field_validation,
            field_manager=query.field_manager or self._program(),
            force=query.force,
            check_create=self.check_create,
            may=self.may,
            rules=self.rules,
            warnings=self.warnings,
        )

    def _program(self) -> str:
        """Upstream's default for who manages a field: the program in front of the User-Agent's slash."""
        return _program(self.environ.get("HTTP_USER_AGENT", "").partition("/")[0][: 2 * MAX_MANAGER])


@lru_cache(maxsize=256)
def _program(said: str) -> str:
    name = "".join(filter(str.isprintable, said))
    return name.encode()[:MAX_MANAGER].decode(errors="ignore")


def verb_of(method: str, target: Target, query: Query) -> str:
    """The verb as authorisation, metrics and Kubernetes' documents name it; "" for no verb at all."""
    if method in {"GET", "HEAD"}:
        if target.watching or (query.watch and not target.subresource):
            return "watch"
        return "get" if target.name else "list"
    if method == "DELETE":
        return "delete" if target.name else "deletecollection"
    return _METHODS.get(method, "")
