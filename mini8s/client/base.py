"""The client's contract: what controllers, scheduler, agent and CLI may ask of the API.

`client.rest.Rest` is the real one; `tests/fakes/api.py` has one in memory that passes the same contract test.
All methods raise the errors of `mini8s.objects.errors`; a server that cannot be reached is
`ServiceUnavailable`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from mini8s.objects.errors import ApiError
from mini8s.objects.kinds import Kind, Obj

NO_QUERY: Mapping[str, str] = {}
RETRY_SECONDS = 5.0  # the longest pause between two tries to reach a server that is away


@dataclass(frozen=True, slots=True)
class Listed:
    """A whole collection as it was at `resource_version`, from where a watch goes on."""

    items: Sequence[Obj]
    resource_version: str


class Watch(Protocol):
    """An open watch: (type, object) pairs, type one of ADDED, MODIFIED, DELETED, BOOKMARK.

    It ends when the server ends it, raises `Expired` when the server forgot the revision, and
    `ServiceUnavailable` when the connection was lost. `close` may be called by another thread and ends it.
    """

    def __iter__(self) -> Iterator[tuple[str, Obj]]: ...

    def close(self) -> None: ...


class Api(Protocol):
    """Every verb that a consumer uses. `namespace` is "" for cluster-scoped kinds and, on list and watch, for
    all namespaces; objects that are written carry their own. `query` adds parameters such as dryRun or
    fieldManager."""

    def get(self, kind: Kind, namespace: str, name: str) -> Obj: ...

    def list(self, kind: Kind, namespace: str = "", *, labels: str = "", fields: str = "") -> Listed: ...

    def create(self, kind: Kind, obj: Obj, *, query: Mapping[str, str] = NO_QUERY) -> Obj: ...

    def update(
        self, kind: Kind, obj: Obj, *, subresource: str = "", query: Mapping[str, str] = NO_QUERY
    ) -> Obj: ...

    def update_status(self, kind: Kind, obj: Obj) -> Obj: ...

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
        """`type` is merge, strategic, json or apply."""

    def patch_status(
        self, kind: Kind, namespace: str, name: str, patch: Any, *, type: str = "merge"
    ) -> Obj: ...

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
        """The object as it is now or was last, or a Status. A `uid` or `resource_version` that is not the
        object's is a Conflict."""

    def bind(self, namespace: str, pod: str, node: str) -> None: ...

    def request_token(self, namespace: str, account: str, request: Obj) -> Obj:
        """A TokenRequest's answer: a token for a ServiceAccount."""

    def together(self, asks: Sequence[Ask]) -> Sequence[Obj | ApiError]:
        """Many writes at once: what each was answered, or why it was refused, in their order. They take
        effect in any."""

    def watch(
        self,
        kind: Kind,
        namespace: str = "",
        *,
        resource_version: str = "",
        labels: str = "",
        fields: str = "",
        timeout_seconds: int = 300,
    ) -> Watch: ...


Ask = Callable[[Api], Obj | None]  # makes one write on what it is given, and gives its answer back


class EventSink(Protocol):
    """Who takes events about objects; never blocks and never raises."""

    def event(
        self, obj: Obj, type: str, reason: str, message: str, *, field_path: str = "", component: str = ""
    ) -> None:
        """`component` says who saw it when it is not whom the sink speaks for."""
