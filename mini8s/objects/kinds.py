"""The kinds that mini8s serves, as one visible table.

Everything that needs to know which kinds there are reads this table: routes, discovery, the registry,
clients, the CLI. A kind's behaviour is elsewhere (`registry/kinds/` on the server, `objects/schema` for its
fields).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

Obj = dict[str, Any]  # an API object as JSON has it; one that came from a cache is never changed in place

ALL_VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")


@dataclass(frozen=True, slots=True)
class Kind:
    """One resource: `kind` names the object, `plural` the path segment, `subresources` what hangs below an
    object."""

    group: str  # "" is the core group
    version: str
    kind: str
    plural: str
    namespaced: bool = True
    short: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    subresources: tuple[str, ...] = ()
    ephemeral: bool = False  # written lazily: losing the newest of it in a power cut does no harm
    verbs: tuple[str, ...] = ALL_VERBS

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def singular(self) -> str:
        return self.kind.lower()

    @property
    def resource(self) -> str:
        """`pods`, `deployments.apps`: unique, as kubectl prints it, and the first part of a store key."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    def path(self, namespace: str = "", name: str = "", subresource: str = "") -> str:
        """The URL path of a collection, an object or a subresource."""
        parts = ["apis", self.group, self.version] if self.group else ["api", self.version]
        if self.namespaced and namespace:
            parts += ["namespaces", namespace]
        parts += [part for part in (self.plural, name, subresource) if part]
        return "/" + "/".join(parts)

    def prefix(self, namespace: str = "") -> str:
        """The store prefix of all objects of this kind, or of those in one namespace. Ends with a slash."""
        return f"/{self.resource}/{namespace}/" if self.namespaced and namespace else f"/{self.resource}/"

    def key(self, namespace: str, name: str) -> str:
        """The store key of one object."""
        return self.prefix(namespace) + name


NAMESPACES = Kind("", "v1", "Namespace", "namespaces", False, ("ns",), subresources=("status", "finalize"))
NODES = Kind("", "v1", "Node", "nodes", False, ("no",), subresources=("status",))
PODS = Kind("", "v1", "Pod", "pods", True, ("po",), ("all",), ("status", "binding", "log"))
SERVICES = Kind("", "v1", "Service", "services", True, ("svc",), ("all",), ("status",))
ENDPOINTS = Kind("", "v1", "Endpoints", "endpoints", True, ("ep",))
CONFIGMAPS = Kind("", "v1", "ConfigMap", "configmaps", True, ("cm",))
SECRETS = Kind("", "v1", "Secret", "secrets")
EVENTS = Kind("", "v1", "Event", "events", True, ("ev",), ephemeral=True)
SERVICEACCOUNTS = Kind("", "v1", "ServiceAccount", "serviceaccounts", True, ("sa",))
DEPLOYMENTS = Kind(
    "apps", "v1", "Deployment", "deployments", True, ("deploy",), ("all",), ("status", "scale")
)
REPLICASETS = Kind("apps", "v1", "ReplicaSet", "replicasets", True, ("rs",), ("all",), ("status", "scale"))
LEASES = Kind("coordination.k8s.io", "v1", "Lease", "leases", ephemeral=True)
ENDPOINTSLICES = Kind("discovery.k8s.io", "v1", "EndpointSlice", "endpointslices")

KINDS: tuple[Kind, ...] = (
    NAMESPACES, NODES, PODS, SERVICES, ENDPOINTS, CONFIGMAPS, SECRETS, EVENTS, SERVICEACCOUNTS,
    DEPLOYMENTS, REPLICASETS,
    LEASES, ENDPOINTSLICES,
)  # fmt: skip

_BY_PATH = {(kind.group, kind.version, kind.plural): kind for kind in KINDS}
_BY_KIND = {(kind.api_version, kind.kind): kind for kind in KINDS}
_BY_WORD = {
    word: kind
    for kind in reversed(KINDS)
    for word in (
        kind.kind.lower(),
        kind.plural,
        kind.resource,
        f"{kind.plural}.{kind.version}.{kind.group}",
        *kind.short,
    )
}


def by_path(group: str, version: str, plural: str) -> Kind | None:
    """The kind served at `/apis/GROUP/VERSION/PLURAL` (`/api/v1/PLURAL` for group "")."""
    return _BY_PATH.get((group, version, plural))


def by_kind(api_version: str, kind: str) -> Kind | None:
    """The kind that an object's own `apiVersion` and `kind` name."""
    return _BY_KIND.get((api_version, kind))


def by_word(word: str) -> Kind | None:
    """The kind a person means by `po`, `pod`, `pods`, `deployments.apps`."""
    return _BY_WORD.get(word.lower())
