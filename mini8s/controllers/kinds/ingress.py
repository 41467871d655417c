"""An Ingress of ours says in its status where it is served: at the nodes that say that they do.

Each agent says so in an annotation of its own Node; who is lost, or no longer chosen for it, is left out.
There is one writer, so that agents never contend for a status.
"""

from __future__ import annotations

from collections.abc import Iterable

from mini8s.controllers.actions import NOTHING, Plan, patch
from mini8s.controllers.base import Context, Source, by_object, own_key
from mini8s.objects import conditions, ingresses, meta
from mini8s.objects.kinds import INGRESSCLASSES, INGRESSES, NODES, Obj


class IngressStatus:
    name = "ingress-status"

    def __init__(self, context: Context) -> None:
        self._ingresses = context.cache(INGRESSES)
        self._classes = context.cache(INGRESSCLASSES)
        self._nodes = context.cache(NODES)
        self.sources = (
            Source(INGRESSES, by_object(own_key)),
            Source(INGRESSCLASSES, lambda _old, _new: self._all()),
            Source(NODES, self._node_changed),
        )

    def plan(self, key: str) -> Plan:
        found = self._ingresses.get(*meta.split_key(key))
        names, default = ingresses.our_classes(self._classes.list())
        if found is None or not ingresses.is_ours(found, names, default=default):
            return NOTHING
        return plan(found, places(self._nodes.list()))

    def _all(self) -> Iterable[str]:
        return {meta.key(one) for one in self._ingresses.list()}

    def _node_changed(self, old: Obj | None, new: Obj | None) -> Iterable[str]:
        """Heartbeats change nothing of this."""
        before, after = ([] if one is None else places([one]) for one in (old, new))
        return () if before == after else self._all()


def plan(ingress: Obj, wanted: list[Obj]) -> Plan:
    said = ((ingress.get("status") or {}).get("loadBalancer") or {}).get("ingress") or []
    if said == wanted:
        return NOTHING
    change = {"status": {"loadBalancer": {"ingress": wanted or None}}}
    return Plan((patch(INGRESSES, ingress, change, subresource="status"),))


def places(nodes: Iterable[Obj]) -> list[Obj]:
    """Where Ingresses are served: each node that is well by its address."""
    return [
        {"ip": str(address["address"])}
        for node in sorted(nodes, key=meta.name)
        if meta.annotations(node).get(ingresses.SERVED) and conditions.is_true(node, "Ready")
        for address in (node.get("status") or {}).get("addresses") or ()
        if address.get("type") == "InternalIP"
    ]
