"""What a node may: upstream's node authorizer, with what our agents need besides.

A node reads what places and connects pods, of everything else only what its own pods name, and writes only
its own Node, its own pods' status, its own lease, and events; what of them it may write, admission says
(`registry.admission.node_restriction`). So a stolen key opens what runs on its host and no more. What a pod
names is looked up when somebody asks: nothing is kept that could be out of date, and few pods have to be
decoded for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from mini8s.api.attributes import TUNNEL_PATH, Attributes
from mini8s.objects import claims, ingresses, pods
from mini8s.objects.errors import ApiError
from mini8s.objects.kinds import (
    INGRESSES,
    NETWORKPOLICIES,
    PERSISTENTVOLUMES,
    PODS,
    SIGNINGREQUESTS,
    Kind,
    Obj,
)
from mini8s.objects.pods import ROOT_CA
from mini8s.registry.base import NODE_PREFIX, ListOptions, Registry
from mini8s.wire.codec import decode_json

NODE_LEASES = "kube-node-lease"
DNS_CUSTOM = ("kube-system", "mini8s-dns-custom")  # what each node's name server reads (`agent.dns.custom`)
_Rule = Callable[["Asked"], bool]


@dataclass(frozen=True, slots=True)
class Asked:
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

    def own_pods(self, *names: str) -> Iterator[Obj]:
        """The pods of its namespace that are bound to the node and in which the names occur."""
        found = self._that_say(PODS, self.node, *names)
        return (pod for pod in found if pods.node_name(pod) == self.node)

    def named_by_own_pod(self, names: Callable[[Obj], frozenset[str]]) -> bool:
        """Whether a pod of this node speaks of the object."""
        return any(self.what.name in names(pod["spec"]) for pod in self.own_pods(self.what.name))

    def named_by_ingress(self) -> bool:
        found = self._that_say(INGRESSES, self.what.name)
        return any(self.what.name in ingresses.secrets(one) for one in found)

    def _that_say(self, kind: Kind, *names: str) -> Iterator[Obj]:
        """The objects of its namespace in which the names occur, as texts."""
        texts = [f'"{name}"'.encode() for name in names]
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


def allowed(asked: Asked) -> bool:
    what = asked.what
    if what.kind is None:
        return what.path.startswith(TUNNEL_PATH)  # which checks the name
    rule = _RULES.get((what.kind.resource, what.subresource))
    return rule is not None and rule(asked)


def _reads(asked: Asked) -> bool:
    return asked.what.verb in {"get", "list", "watch"}


def _reads_one(asked: Asked) -> bool:
    return _reads(asked) and bool(asked.what.name and asked.what.namespace)


def _reads_secret(asked: Asked) -> bool:
    """One that a pod of this node names, or an Ingress, which every node may have to serve."""
    return _reads_one(asked) and (asked.named_by_own_pod(pods.secrets) or asked.named_by_ingress())


def _reads_config(asked: Asked) -> bool:
    """One that a pod of this node names; the API's own certificate, which is no secret and the same in every
    namespace; and what an administrator adds to the names that the node answers."""
    if asked.what.name == ROOT_CA or (asked.what.namespace, asked.what.name) == DNS_CUSTOM:
        return _reads(asked)
    return _reads_one(asked) and asked.named_by_own_pod(pods.config_maps)


def _reads_claim(asked: Asked) -> bool:
    """One behind a volume of its pods. The name of one that is made for its pod is not in the pod."""
    if not _reads_one(asked):
        return False
    return any(asked.what.name == name for pod in asked.own_pods() for name, _ in claims.of_pod(pod))


def _own_account(asked: Asked) -> bool:
    """That of a pod of its own."""
    return any(
        pod["spec"].get("serviceAccountName") == asked.what.name for pod in asked.own_pods(asked.what.name)
    )


def _asks_for_certificates(asked: Asked) -> bool:
    """Wishes for one, and reads what became of its own wishes."""
    if asked.what.verb == "create":
        return True
    if not _reads(asked) or not asked.what.name:
        return False
    try:
        found: Obj = decode_json(asked.registry.get(SIGNINGREQUESTS, "", asked.what.name))
    except ApiError:
        return False
    return bool(found["spec"].get("username") == f"{NODE_PREFIX}{asked.node}")


def _own_node(asked: Asked) -> bool:
    what = asked.what
    if what.verb == "create":
        return True  # its name is in the body: admission looks at it
    return what.verb in {"update", "patch"} and what.name == asked.node


def _own_lease(asked: Asked) -> bool:
    what = asked.what
    if what.namespace != NODE_LEASES:
        return False
    return what.verb == "create" or (what.verb in {"get", "update", "patch"} and what.name == asked.node)


def _own_pods(asked: Asked) -> bool:
    """Reads and removes what is bound to it; lists and watches by naming itself, as upstream wants it, or
    all of them while there are policies."""
    what = asked.what
    if what.verb in {"list", "watch"} and not what.name:
        own = f"spec.nodeName={asked.node}" in what.field_selector.split(",")
        return own or (not what.namespace and asked.policies())
    if what.verb == "create":
        return True  # a mirror pod: admission looks at it
    return what.verb in {"get", "delete"} and asked.own_pod()


def _own_pods_status(asked: Asked) -> bool:
    return asked.what.verb in {"update", "patch"} and asked.own_pod()


def _volumes(asked: Asked) -> bool:
    """Reads them all, and says of those that it makes what it made."""
    return _reads(asked) or (asked.what.verb == "patch" and asked.own_volume())


def _tells_events(asked: Asked) -> bool:
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
    ("configmaps", ""): _reads_config,
    ("secrets", ""): _reads_secret,
    ("serviceaccounts", ""): lambda asked: _reads_one(asked) and _own_account(asked),
    ("serviceaccounts", "token"): lambda asked: asked.what.verb == "create",  # admission looks at the pod
    ("certificatesigningrequests.certificates.k8s.io", ""): _asks_for_certificates,
    ("runtimeclasses.node.k8s.io", ""): _reads,
    ("ingresses.networking.k8s.io", ""): _reads,
    ("ingressclasses.networking.k8s.io", ""): _reads,
    ("persistentvolumeclaims", ""): _reads_claim,
    ("persistentvolumes", ""): _volumes,
    ("leases.coordination.k8s.io", ""): _own_lease,
    ("events", ""): _tells_events,
}
