"""EndpointSlices: the addresses behind a Service, in pieces."""

from __future__ import annotations

from typing import Any

from mini8s.objects import meta
from mini8s.objects.kinds import ENDPOINTSLICES, Obj
from mini8s.registry.columns import AGE, NAME, column, first_few
from mini8s.registry.rules import endpoints
from mini8s.registry.strategy import Strategy, Update


def _content(found: Obj) -> Any:
    return {part: value for part, value in found.items() if part != "metadata"}, meta.labels(found)


def _ports(found: Obj) -> str:
    if found.get("ports") is None:
        return "*"
    return first_few([str(port.get("port") or "*") for port in found["ports"]]) or "<unset>"


def _endpoints(found: Obj) -> str:
    items = found.get("endpoints") or ()
    return first_few([address for item in items for address in item.get("addresses") or ()]) or "<unset>"


STRATEGY = Strategy(
    kind=ENDPOINTSLICES,
    columns=(
        NAME,
        column("AddressType", lambda obj: obj.get("addressType") or ""),
        column("Ports", _ports),
        column("Endpoints", _endpoints),
        AGE,
    ),
    validate=endpoints.endpoint_slice,
    update=Update(validate=endpoints.same_address_type),
    generation=_content,
)
