"""Who may do what: administrators everything, a node what a node needs, nobody else anything yet.

Node rules are those of upstream's node authorizer: a node reads what places and connects pods, and writes
only its own Node, its own pods' status, its own lease, and events; what of them it may write, admission says
(`registry.admission.node_restriction`). RBAC joins this as another `Authorizer`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from mini8s.api.service_accounts import ACCOUNTS, CONFIGURATION_PATH, KEYS_PATH
from mini8s.objects import claims, ingresses, pods
from mini8s.objects.errors import ApiError, Forbidden
from mini8s.objects.kinds import (
    INGRESSES,
    NETWORKPOLICIES,
    PERSISTENTVOLUMES,
    PODS,
    SELFACCESSREVIEWS,
    SELFRULESREVIEWS,
    SELFSUBJECTREVIEWS,
    Kind,
    Obj,
)
from mini8s.objects.pods import ROOT_CA
from mini8s.registry.base import ListOptions, May, Registry, User
from mini8s.wire.codec import decode_json

MASTERS = "system:masters"
AUTHENTICATED = "system:authenticated"
TUNNEL_PATH = "/v1-mini8s/tunnel"
NODE_LEASES = "kube-node-lease"


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


_DISCOVERY = {"api", "apis", "openapi", "version", "livez", "readyz", "healthz"}
PUBLIC = frozenset({"/livez", "/readyz", "/healthz", "/version", "/version/"})  # system:public-info-viewer
_ISSUER_PATHS = frozenset(
    {KEYS_PATH, CONFIGURATION_PATH}
)  # upstream's system:service-account-issuer-discovery
_ABOUT_ONESELF = frozenset({SELFACCESSREVIEWS, SELFRULESREVIEWS, SELFSUBJECTREVIEWS})

Authorize = Callable[[User, Attributes], bool]
_Rule = Callable[["_Asked"], bool]


@dataclass(frozen=True, slots=True)
class _Asked:
    node: str
    what: Attributes
    registry: Registry

    def own_pod(self) -> bool:
        """Whether the pod is bound to this node. One that is gone is nobody's: NotFound says so later."""
        try:
            pod: dict[str, Any] = decode_json(self.registry.get(PODS, self.what.namespace, self.what.name))
        except ApiError:
            return True
        return bool(pod["spec"].get("nodeName") == self.node)

    @property
    def _named(self) -> str:
        return self.what.name or self.what.field_selector.removeprefix("metadata.name=")

    def named_by_own_pod(self) -> bool:
        """Whether a pod of this node speaks of the Secret."""
        return any(
            pods.node_name(pod) == self.node and self._named in pods.secrets(pod["spec"])
            for pod in self._that_say(PODS, self.node)
        )

    def named_by_ingress(self) -> bool:
        return any(self._named in ingresses.secrets(one) for one in self._that_say(INGRESSES))

    def _that_say(self, kind: Kind, *others: str) -> Iterator[Obj]:
        """The objects of its namespace in which the name occurs, as a text: few have to be decoded."""
        texts = [f'"{text}"'.encode() for text in (self._named, *others)]
        for value in self.registry.list(kind, self.what.namespace, ListOptions()).items:
            if all(text in value for text in texts):
                yield decode_json(value)

    def policies(self) -> bool:
        """Whether there is a NetworkPolicy, for which a node must know whose address is whose."""
        return bool(self.registry.list(NETWORKPOLICIES, "", ListOptions(limit=1)).items)

    def own_volume(self) -> bool:
        """Whether the volume is made of this node's disk."""
        try:
            volume: Obj = decode_json(self.registry.get(PERSISTENTVOLUMES, "", self.what.name))
        except ApiError:
            return True
        return claims.is_ours(volume) and claims.on_node(volume) == self.node


def authorizer(registry: Registry) -> Authorize:
    """The rules over what is stored."""

    def authorize(user: User, what: Attributes) -> bool:
        if MASTERS in user.groups or _is_public(what):
            return True
        if AUTHENTICATED in user.groups and (_is_discovery(what) or _asks_about_oneself(what)):
            return True
        if ACCOUNTS in user.groups and what.verb == "get" and what.path in _ISSUER_PATHS:
            return True
        node = node_name(user)
        return bool(node) and _node_may(_Asked(node, what, registry))

    return authorize


def permission(user: User, authorize: Authorize) -> May:
    """The authoriser as admission asks it."""

    def may(verb: str, kind: Kind, namespace: str, name: str, subresource: str) -> bool:
        return authorize(user, Attributes(verb, kind, namespace, name, subresource))

    return may


def node_name(user: User) -> str:
    """The node that this user is, "" for others."""
    return user.node


def refuse(user: User, what: Attributes) -> Forbidden:
    """Upstream's sentence."""
    if what.kind is None:
        return Forbidden(f'forbidden: User "{user.name}" cannot {what.verb} path "{what.path}"')
    resource = what.kind.plural + (f"/{what.subresource}" if what.subresource else "")
    full = what.kind.resource
    subject = f'{full} "{what.name}"' if what.name else full
    where = f' in the namespace "{what.namespace}"' if what.namespace else " at the cluster scope"
    return Forbidden(
        f'{subject} is forbidden: User "{user.name}" cannot {what.verb} resource "{resource}" '
        f'in API group "{what.kind.group}"{where}',
        group=what.kind.group,
        kind=what.kind.plural,
        name=what.name,
    )


def _is_public(what: Attributes) -> bool:
    """What upstream's `system:public-info-viewer` lets everybody see, known or not."""
    return what.kind is None and what.verb == "get" and what.path in PUBLIC


def _is_discovery(what: Attributes) -> bool:
    """What upstream's `system:discovery` lets every known user see."""
    return what.kind is None and what.verb == "get" and what.path.split("/")[1] in _DISCOVERY


def _asks_about_oneself(what: Attributes) -> bool:
    """What upstream's `system:basic-user` lets every known user ask."""
    return what.kind in _ABOUT_ONESELF and what.verb == "create"


def basic_rules(user: User) -> Obj:
    """What a user may, as rules (`SubjectRulesReviewStatus`). A node's are no such rules: they look into what
    is stored."""
    resources = [
        {"verbs": ["create"], "apiGroups": [kind.group], "resources": [kind.plural]}
        for kind in sorted(_ABOUT_ONESELF, key=lambda kind: kind.resource)
    ]
    paths = sorted(path for word in _DISCOVERY for path in (f"/{word}", f"/{word}/*"))
    urls = [{"verbs": ["get"], "nonResourceURLs": paths}]
    if MASTERS in user.groups:
        resources.insert(0, {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]})
        urls.insert(0, {"verbs": ["*"], "nonResourceURLs": ["*"]})
    status: Obj = {"resourceRules": resources, "nonResourceRules": urls, "incomplete": False}
    if node_name(user):
        why = "node authorizer does not support user rule resolution"
        status |= {"incomplete": True, "evaluationError": why}
    return status


def _node_may(asked: _Asked) -> bool:
    what = asked.what
    if what.kind is None:
        return what.path.startswith(TUNNEL_PATH)  # which checks the name
    rule = _RULES.get((what.kind.resource, what.subresource))
    return rule is not None and rule(asked)


def _reads(asked: _Asked) -> bool:
    return asked.what.verb in {"get", "list", "watch"}


def _reads_one(asked: _Asked) -> bool:
    """Only what it can name: a pod's ConfigMaps and Secrets, not everybody's."""
    named = asked.what.name or asked.what.field_selector.startswith("metadata.name=")
    return _reads(asked) and bool(named and asked.what.namespace)


def _reads_secret(asked: _Asked) -> bool:
    """One that a pod of this node names, or an Ingress, which every node may have to serve."""
    return _reads_one(asked) and (asked.named_by_own_pod() or asked.named_by_ingress())


def _reads_certificates(asked: _Asked) -> bool:
    """The API's own, which is no secret and the same in every namespace."""
    return _reads(asked) and asked.what.field_selector == f"metadata.name={ROOT_CA}"


def _own_node(asked: _Asked) -> bool:
    what = asked.what
    if what.verb == "create":
        return True  # its name is in the body: admission looks at it
    return what.verb in {"update", "patch"} and what.name == asked.node


def _own_lease(asked: _Asked) -> bool:
    what = asked.what
    if what.namespace != NODE_LEASES:
        return False
    return what.verb == "create" or (what.verb in {"get", "update", "patch"} and what.name == asked.node)


def _own_pods(asked: _Asked) -> bool:
    """Reads and removes what is bound to it; lists and watches by naming itself, as upstream wants it, or
    all of them while there are policies."""
    what = asked.what
    if what.verb in {"list", "watch"} and not what.name:
        own = f"spec.nodeName={asked.node}" in what.field_selector.split(",")
        return own or (not what.namespace and asked.policies())
    if what.verb == "create":
        return True  # a mirror pod: admission looks at it
    return what.verb in {"get", "delete"} and asked.own_pod()


def _own_pods_status(asked: _Asked) -> bool:
    return asked.what.verb in {"update", "patch"} and asked.own_pod()


def _volumes(asked: _Asked) -> bool:
    """Reads them all, and says of those that it makes what it made."""
    return _reads(asked) or (asked.what.verb == "patch" and asked.own_volume())


def _tells_events(asked: _Asked) -> bool:
    return asked.what.verb in {"create", "update", "patch"}


_RULES: dict[tuple[str, str], _Rule] = {
    ("nodes", ""): lambda asked: _reads(asked) or _own_node(asked),
    ("nodes", "status"): lambda asked: asked.what.verb != "create" and _own_node(asked),
    ("pods", ""): _own_pods,
    ("pods", "status"): _own_pods_status,
    ("pods", "eviction"): lambda asked: asked.what.verb == "create" and asked.own_pod(),
    ("services", ""): _reads,
    ("endpoints", ""): _reads,
    ("endpointslices.discovery.k8s.io", ""): _reads,
    ("namespaces", ""): _reads,
    ("networkpolicies.networking.k8s.io", ""): _reads,
    ("configmaps", ""): lambda asked: _reads_one(asked) or _reads_certificates(asked),
    ("secrets", ""): _reads_secret,
    ("serviceaccounts", ""): _reads_one,
    ("serviceaccounts", "token"): lambda asked: asked.what.verb == "create",  # admission looks at the pod
    ("runtimeclasses.node.k8s.io", ""): _reads,
    ("ingresses.networking.k8s.io", ""): _reads,
    ("ingressclasses.networking.k8s.io", ""): _reads,
    ("persistentvolumeclaims", ""): _reads_one,
    ("persistentvolumes", ""): _volumes,
    ("leases.coordination.k8s.io", ""): _own_lease,
    ("events", ""): _tells_events,
}
