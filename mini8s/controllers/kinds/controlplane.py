"""The node on the server's own host says that it is one: a label that no node may give itself, because people
let it decide where what is trusted runs (NodeRestriction)."""

from __future__ import annotations

from mini8s.controllers.actions import NOTHING, Plan, patch
from mini8s.controllers.base import Context, Source, by_object, own_key
from mini8s.objects import meta
from mini8s.objects.kinds import NODES

LABEL = "node-role.kubernetes.io/control-plane"


class ControlPlane:
    name = "controlplane"

    def __init__(self, context: Context) -> None:
        self._nodes = context.cache(NODES)
        self._own = context.settings.server_node
        self.sources = (Source(NODES, by_object(own_key)),)

    def plan(self, key: str) -> Plan:
        node = self._nodes.get("", key)
        if node is None or key != self._own or LABEL in meta.labels(node):
            return NOTHING
        return Plan((patch(NODES, node, {"metadata": {"labels": {LABEL: "true"}}}),))
