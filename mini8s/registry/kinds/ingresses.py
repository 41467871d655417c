"""Ingresses: which Service answers for which name and path from outside."""

from __future__ import annotations

from mini8s.objects.kinds import INGRESSES, Obj
from mini8s.registry.columns import AGE, NAME, NONE, column, first_few, spec, status
from mini8s.registry.rules import ingresses
from mini8s.registry.strategy import STATUS, Strategy, Update, empty_status, keep_status
from mini8s.registry.strategy import spec as spec_of


def _hosts(found: Obj) -> str:
    hosts = [rule["host"] for rule in spec(found).get("rules") or () if rule.get("host")]
    return first_few(hosts) or "*"


def _address(found: Obj) -> str:
    places = (status(found).get("loadBalancer") or {}).get("ingress") or ()
    return ",".join(place.get("ip") or place.get("hostname") or "" for place in places)


STRATEGY = Strategy(
    kind=INGRESSES,
    columns=(
        NAME,
        column("Class", lambda obj: spec(obj).get("ingressClassName") or NONE),
        column("Hosts", _hosts),
        column("Address", _address),
        column("Ports", lambda obj: "80, 443" if spec(obj).get("tls") else "80"),
        AGE,
    ),
    prepare_for_create=empty_status,
    validate=ingresses.ingress,
    update=Update(keep_status),
    subresources=STATUS,
    generation=spec_of,
)
