"""What somebody wants to do, what is said to it, and the sentence of a refusal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mini8s.objects.errors import Forbidden
from mini8s.objects.kinds import NAMESPACES, Kind
from mini8s.registry.base import User

AUTHENTICATED = "system:authenticated"
TUNNEL_PATH = "/v1-mini8s/tunnel"
PUBLIC = frozenset({"/livez", "/readyz", "/healthz", "/version", "/version/"})  # system:public-info-viewer
_SELECTING = frozenset({"list", "watch"})
_NAMED = "metadata.name="


@dataclass(frozen=True, slots=True)
class Attributes:
    """What somebody wants to do: to a resource, or (no `kind`) to a path."""

    verb: str
    kind: Kind | None = None
    namespace: str = ""
    name: str = ""
    subresource: str = ""
    field_selector: str = ""
    path: str = ""


@dataclass(frozen=True, slots=True)
class Decision:
    """`reason` says why it is allowed, or what kept rules from being found."""

    allowed: bool
    reason: str = ""


Authorize = Callable[[User, Attributes], Decision]


def of_request(
    verb: str, kind: Kind, namespace: str, name: str, subresource: str, field_selector: str
) -> Attributes:
    """As upstream's RequestInfo has it: who reads and selects by name asks for that one, and a namespace lies
    in itself."""
    if not name and field_selector.startswith(_NAMED) and verb in _SELECTING:
        name = field_selector.removeprefix(_NAMED)
        if "," in name or "/" in name:
            name = ""
    if kind is NAMESPACES:
        namespace = name
    return Attributes(verb, kind, namespace, name, subresource, field_selector)


def require(authorize: Authorize, user: User, what: Attributes) -> None:
    """Raises Forbidden."""
    decision = authorize(user, what)
    if not decision.allowed:
        raise refuse(user, what, decision.reason)


def refuse(user: User, what: Attributes, reason: str = "") -> Forbidden:
    """Upstream's sentence."""
    more = f": {reason}" if reason else ""
    if what.kind is None:
        return Forbidden(f'forbidden: User "{user.name}" cannot {what.verb} path "{what.path}"{more}')
    resource = what.kind.plural + (f"/{what.subresource}" if what.subresource else "")
    full = what.kind.resource
    subject = f'{full} "{what.name}"' if what.name else full
    where = f' in the namespace "{what.namespace}"' if what.namespace else " at the cluster scope"
    return Forbidden(
        f'{subject} is forbidden: User "{user.name}" cannot {what.verb} resource "{resource}" '
        f'in API group "{what.kind.group}"{where}{more}',
        group=what.kind.group,
        kind=what.kind.plural,
        name=what.name,
    )
