"""NodeRestriction: a node writes about itself and about its own pods, and gets tokens for those alone
(upstream's plugin of that name, 1.33).

Whoever takes a host over gets no further than what runs there: not to other nodes, and not to pods that
would come to it for labels or taints that it gives itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from mini8s.objects import meta, node_labels, pods
from mini8s.objects.kinds import CSINODES, LEASES, NODES, PODS, SERVICEACCOUNTS, Kind, Obj
from mini8s.objects.pods import MIRROR
from mini8s.registry import refusals
from mini8s.registry.admission import audiences
from mini8s.registry.admission.attempt import Attempt

NODE_LEASES = "kube-node-lease"
ASKS_FOR = "request-serviceaccounts-token-audience"
_REFERENCES = {
    "secrets": frozenset({"secret", "secretRef", "secretKeyRef", "imagePullSecrets"}),
    "configmaps": frozenset({"configMap", "configMapRef", "configMapKeyRef"}),
    "persistentvolumeclaims": frozenset({"persistentVolumeClaim"}),
}


def node_restriction(attempt: Attempt) -> None:
    node = attempt.ctx.user.node
    rule = _RULES.get(attempt.kind)
    if not node or rule is None:
        return
    if why := next(iter(rule(attempt, node)), ""):
        raise refusals.forbidden(attempt.kind, attempt.name, why)


def _pod(attempt: Attempt, node: str) -> Iterable[str]:
    match attempt.operation, attempt.subresource:
        case "CREATE", "":
            yield from _new_pod(attempt, node)
        case "DELETE", "":
            if pods.node_name(attempt.obj) != node:
                yield f'node "{node}" can only delete pods with spec.nodeName set to itself'
        case "UPDATE", "status":
            yield from _pod_status(attempt, node)
        case operation, "":
            yield f'unexpected operation "{operation}", node "{node}" can only create and delete mirror pods'
        case _, subresource:
            yield f"unexpected pod subresource \"{subresource}\", only 'status' and 'eviction' are allowed"


def _pod_status(attempt: Attempt, node: str) -> Iterable[str]:
    old = attempt.old or {}
    if pods.node_name(old) != node:
        what = "pod status for pods with spec.nodeName set to itself"
        yield f'node "{node}" can only update {what}'
    if meta.labels(old) != meta.labels(attempt.obj):
        yield f'node "{node}" cannot update labels through pod status'


def _new_pod(attempt: Attempt, node: str) -> Iterable[str]:
    """A mirror pod: the picture of one that a manifest on the host has started."""
    pod = attempt.obj
    if MIRROR not in meta.annotations(pod):
        yield f'pod does not have "{MIRROR}" annotation, node "{node}" can only create mirror pods'
    if pods.node_name(pod) != node:
        yield f'node "{node}" can only create pods with spec.nodeName set to itself'
    yield from _owner(attempt, node)
    spec = pod["spec"]
    if spec.get("serviceAccountName"):
        yield f'node "{node}" can not create pods that reference a service account'
    for word, fields in _REFERENCES.items():
        if any(_references(spec, fields)):
            yield f'node "{node}" can not create pods that reference {word}'


def _owner(attempt: Attempt, node: str) -> Iterable[str]:
    owners = meta.owners(attempt.obj)
    if len(owners) > 1:
        yield f'node "{node}" can only create pods with a single owner reference set to itself'
    owner = owners[0] if owners else {}
    if (owner.get("apiVersion"), owner.get("kind"), owner.get("name")) != ("v1", NODES.kind, node):
        yield f'node "{node}" can only create pods with an owner reference set to itself'
    if not owner.get("controller"):
        yield f'node "{node}" can only create pods with a controller owner reference set to itself'
    if owner.get("blockOwnerDeletion"):
        yield f'node "{node}" must not set blockOwnerDeletion on an owner reference'
    own = meta.uid(attempt.world.find(NODES, "", node) or {})
    if owner.get("uid") != own:
        yield f"node {node} UID mismatch: expected {own} got {owner.get('uid')}"


def _references(value: Any, fields: frozenset[str]) -> Iterable[bool]:
    """Whether one of the fields says something, wherever it is."""
    if isinstance(value, list):
        for item in value:
            yield from _references(item, fields)
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield key in fields and bool(item)
            yield from _references(item, fields)


def _node(attempt: Attempt, node: str) -> Iterable[str]:
    name, old, new = attempt.name, attempt.old or {}, attempt.obj
    if name != node:
        yield f'node "{node}" is not allowed to modify node "{name}"'
    if attempt.operation == "DELETE":
        return
    labels, before = meta.labels(new), meta.labels(old)
    changed = {key for key in {*labels, *before} if labels.get(key) != before.get(key)}
    if found := node_labels.forbidden(changed):
        word = "set the following labels" if attempt.operation == "CREATE" else "modify labels"
        yield f'node "{node}" is not allowed to {word}: {", ".join(found)}'
    if attempt.operation == "UPDATE":
        if _taints(new) != _taints(old):
            yield f'node "{node}" is not allowed to modify taints'
        if meta.owners(new) != meta.owners(old):
            yield f'node "{node}" is not allowed to modify ownerReferences'


def _taints(node: Obj) -> Any:
    return (node.get("spec") or {}).get("taints") or []


def _token(attempt: Attempt, node: str) -> Iterable[str]:
    """A token that a node asks for is bound to one of its pods, and for somebody whom the pod names."""
    if (attempt.operation, attempt.subresource) != ("CREATE", "token"):
        return
    bound = attempt.spec.get("boundObjectRef") or {}
    if (bound.get("apiVersion"), bound.get("kind")) != ("v1", PODS.kind) or not bound.get("name"):
        yield "node requested token not bound to a pod"
    if not bound.get("uid"):
        yield "node requested token with a pod binding without a uid"
    pod = attempt.world.find(PODS, attempt.namespace, bound["name"])
    if pod is None:
        raise refusals.not_found(PODS, bound["name"])
    if meta.uid(pod) != bound["uid"]:
        yield (
            f"the UID in the bound object reference ({bound['uid']}) does not match the UID in record. "
            "The object might have been deleted and then recreated"
        )
    if pods.node_name(pod) != node:
        yield "node requested token bound to a pod scheduled on a different node"
    asked = attempt.spec.get("audiences") or [""]
    if len(asked) > 1:
        yield "node may only request 0 or 1 audiences"
    if asked[0] not in audiences.needed(pod, attempt.world) and not _may_ask_for(attempt, asked[0]):
        user = attempt.ctx.user.name
        yield (
            f'audience "{asked[0]}" not found in pod spec volume, '
            f"{user} is not authorized to request tokens for this audience"
        )


def _may_ask_for(attempt: Attempt, audience: str) -> bool:
    """Who is not a volume may be allowed by name, with a verb of its own."""
    what = Kind("", "", audience, audience)
    return attempt.ctx.may(ASKS_FOR, what, attempt.namespace, attempt.name, "")


def _lease(attempt: Attempt, node: str) -> Iterable[str]:
    if attempt.namespace != NODE_LEASES:
        yield f'can only access leases in the "{NODE_LEASES}" system namespace'
    if attempt.name != node:
        yield "can only access node lease with the same name as the requesting node"


def _csi_node(attempt: Attempt, node: str) -> Iterable[str]:
    if attempt.name != node:
        yield "can only access CSINode with the same name as the requesting node"


_RULES: Mapping[Kind, Callable[[Attempt, str], Iterable[str]]] = {
    PODS: _pod,
    NODES: _node,
    SERVICEACCOUNTS: _token,
    LEASES: _lease,
    CSINODES: _csi_node,
}
