"""The Service `kubernetes` leads to the server's own node, wherever that goes: pods reach the API by it.

The API server writes these endpoints at its start. Between two starts they follow the address that the node
says of itself, unless another was given for the API (`--advertise-address`).
"""

from __future__ import annotations

from mini8s.controllers.actions import NOTHING, Action, Plan, patch
from mini8s.controllers.base import Context, Source, by_object, own_key
from mini8s.objects import ip
from mini8s.objects.kinds import ENDPOINTS, ENDPOINTSLICES, NODES, Obj

SERVICE = ("default", "kubernetes")


class ApiAddress:
    name = "apiaddress"

    def __init__(self, context: Context) -> None:
        self._nodes = context.cache(NODES)
        self._endpoints, self._slices = context.cache(ENDPOINTS), context.cache(ENDPOINTSLICES)
        self._own = context.settings.api_node
        self.sources = (Source(NODES, by_object(own_key)),)

    def plan(self, key: str) -> Plan:
        node = self._nodes.get("", key)
        endpoints, piece = self._endpoints.get(*SERVICE), self._slices.get(*SERVICE)
        family = str((piece or {}).get("addressType") or ip.IPV4)
        address = ip.node_addresses(node).get(family) if node and key == self._own else ""
        if not address:
            return NOTHING
        actions: list[Action] = []
        if endpoints and (change := moved_endpoints(endpoints, address)):
            actions.append(patch(ENDPOINTS, endpoints, change))
        if piece and (change := moved_slice(piece, address)):
            actions.append(patch(ENDPOINTSLICES, piece, change))
        return Plan(tuple(actions))


def moved_endpoints(endpoints: Obj, address: str) -> Obj:
    """The patch that leads there; empty when all do."""
    subsets = endpoints.get("subsets") or []
    moved = [subset | {"addresses": [{"ip": address}]} for subset in subsets]
    return {"subsets": moved} if moved != subsets else {}


def moved_slice(piece: Obj, address: str) -> Obj:
    old = piece.get("endpoints") or []
    moved = [one | {"addresses": [address]} for one in old]
    return {"endpoints": moved} if moved != old else {}
