"""Endpoints: the addresses behind a Service, in one object."""

from __future__ import annotations

from mini8s.objects.kinds import ENDPOINTS, Obj
from mini8s.registry.columns import AGE, NAME, NONE, column, first_few
from mini8s.registry.rules import endpoints
from mini8s.registry.strategy import Strategy


def _addresses(found: Obj) -> str:
    shown = [
        f"{address.get('ip')}:{port.get('port')}" if port else str(address.get("ip"))
        for subset in found.get("subsets") or ()
        for port in subset.get("ports") or [None]
        for address in subset.get("addresses") or ()
    ]
    return first_few(shown) or NONE


STRATEGY = Strategy(
    kind=ENDPOINTS,
    columns=(NAME, column("Endpoints", _addresses), AGE),
    validate=endpoints.endpoints,
    create_on_update=True,
)
