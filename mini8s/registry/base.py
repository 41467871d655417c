"""The registry's contract with the API server: what a request says, and what comes back.

`registry.machine` is the one generic implementation; what differs between kinds is a `Strategy` each
(`registry.strategy` is its contract, `registry/kinds/` has them). Answers are final JSON bytes: the API never
encodes an object again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from mini8s.objects.kinds import Kind, Obj
from mini8s.objects.rbac import FULL, Rule
from mini8s.store.base import Subscription

MASTERS = "system:masters"
NODES_GROUP = "system:nodes"
NODE_PREFIX = "system:node:"


@dataclass(frozen=True, slots=True)
class User:
    """Who asks, as authentication found out."""

    name: str
    groups: tuple[str, ...] = ()
    uid: str = ""
    extra: tuple[tuple[str, tuple[str, ...]], ...] = ()

    @property
    def node(self) -> str:
        """The node that this user is, "" for others."""
        if NODES_GROUP in self.groups and self.name.startswith(NODE_PREFIX):
            return self.name.removeprefix(NODE_PREFIX)
        return ""


# Whether the user may: verb, kind, namespace, name, subresource.
May = Callable[[str, Kind, str, str, str], bool]

# What the user may by roles: in a namespace, or ("") everywhere.
RulesIn = Callable[[str], Sequence[Rule]]


@dataclass(slots=True)
class Context:
    """One request's circumstances. `warnings` collects what the answer's Warning headers will say."""

    user: User
    now: datetime
    dry_run: bool = False
    field_validation: str = "Warn"  # Ignore | Warn | Strict
    field_manager: str = ""
    force: bool = False  # server-side apply only
    may: May = lambda *_: True
    rules: RulesIn = lambda _: FULL
    check_create: Callable[[], None] = lambda: None  # for a PUT or PATCH that creates; raises Forbidden
    warnings: list[str] = field(default_factory=list)
    repeated: Sequence[str] = ()  # paths of the body's keys that are there twice: the object cannot tell
    version: Kind | None = None  # the further version of a kind that the client speaks, if it is one


@dataclass(frozen=True, slots=True)
class ListOptions:
    """A list's or watch's query, still as strings where parsing needs the kind."""

    label_selector: str = ""
    field_selector: str = ""
    limit: int = 0
    continue_token: str = ""
    resource_version: str = ""
    resource_version_match: str = ""


@dataclass(frozen=True, slots=True)
class DeleteOptions:
    """`metav1.DeleteOptions`; grace_seconds None and propagation "": nothing was said, the kind's default."""

    grace_seconds: int | None = None
    propagation: str = ""  # Background | Foreground | Orphan
    uid: str = ""
    resource_version: str = ""


@dataclass(frozen=True, slots=True)
class Listed:
    """A list's outcome. `remaining` is None where a selector makes it unknown."""

    items: Sequence[bytes]
    revision: int
    continue_token: str = ""
    remaining: int | None = 0


@dataclass(frozen=True, slots=True)
class WatchEvent:
    """`type` is ADDED, MODIFIED or DELETED as this watch's selectors see it; `value` the object's final
    bytes."""

    type: str
    revision: int
    value: bytes


@dataclass(frozen=True, slots=True)
class Column:
    """A printer column (`metav1.TableColumnDefinition`). priority > 0: shown with -o wide only. `cell` gets
    the decoded object and now."""

    name: str
    cell: Callable[[Obj, datetime], Any]
    type: str = "string"
    format: str = ""
    priority: int = 0
    description: str = ""


class Registry(Protocol):
    """All methods raise the errors of `mini8s.objects.errors`. namespace is "" for cluster-scoped kinds and,
    on list and watch, for all namespaces."""

    def get(self, kind: Kind, namespace: str, name: str, *, resource_version: str = "") -> bytes: ...

    def list(self, kind: Kind, namespace: str, options: ListOptions) -> Listed: ...

    def create(self, ctx: Context, kind: Kind, namespace: str, obj: Obj) -> bytes: ...

    def update(
        self, ctx: Context, kind: Kind, namespace: str, name: str, obj: Obj, *, subresource: str = ""
    ) -> tuple[bytes, bool]:
        """The object's bytes, and whether it was created."""

    def patch(
        self,
        ctx: Context,
        kind: Kind,
        namespace: str,
        name: str,
        patch: Any,
        media_type: str,
        *,
        subresource: str = "",
    ) -> tuple[bytes, bool]:
        """media_type is the request's: application/json-patch+json, merge-patch+json,
        strategic-merge-patch+json, apply-patch+yaml. `patch` is the decoded body. The object's bytes, and
        whether it was created (apply)."""

    def delete(
        self, ctx: Context, kind: Kind, namespace: str, name: str, options: DeleteOptions
    ) -> tuple[bytes, bool]:
        """The object as it is now or was last, and whether it is gone at once (False: finalizers or
        grace)."""

    def delete_collection(
        self, ctx: Context, kind: Kind, namespace: str, selection: ListOptions, options: DeleteOptions
    ) -> Listed: ...

    def get_subresource(self, kind: Kind, namespace: str, name: str, subresource: str) -> bytes:
        """What GET answers below an object: status (the object itself), scale."""

    def create_subresource(
        self, ctx: Context, kind: Kind, namespace: str, name: str, subresource: str, obj: Obj
    ) -> Mapping[str, Any]:
        """What POST does below an object, such as pods/binding; usually answers with a Status of Success."""

    def watch(
        self,
        kind: Kind,
        namespace: str,
        options: ListOptions,
        deliver: Callable[[Sequence[WatchEvent]], None],
    ) -> Subscription:
        """First the state as ADDED events when resource_version is "" or "0", else what came since it; then
        what comes."""

    def columns(self, kind: Kind) -> Sequence[Column]: ...
