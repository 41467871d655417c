"""For which zones an endpoint is meant: `hints.forZones`, which the proxies of these zones keep to. PURE.

`trafficDistribution: PreferClose` (KEP-4444) gives each endpoint to its own zone. The older annotation
`service.kubernetes.io/topology-mode: Auto` (KEP-2433) wins over it and shares endpoints out by the zones'
processors: no zone may get more than a fifth less than its share, else there are no hints at all.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from mini8s.controllers.kinds.endpoints.members import ZONE, Member, publishes_unready
from mini8s.objects import conditions, meta
from mini8s.objects.kinds import Obj
from mini8s.objects.quantity import milli

_MODE, _OLD_MODE = "service.kubernetes.io/topology-mode", "service.kubernetes.io/topology-aware-hints"
_CONTROL_PLANE = ("node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master")
_OVERLOAD = 0.2  # upstream's threshold


@dataclass(frozen=True, slots=True)
class Hints:
    """Zones by the endpoint's address. `auto`: the annotation asked for them; `refused` says why there are
    none all the same."""

    zones: Mapping[str, str]
    auto: bool = False
    refused: str = ""


def hints(service: Obj, found: Sequence[Member], nodes: Iterable[Obj]) -> Hints:
    said = meta.annotations(service)
    mode = said.get(_OLD_MODE) or said.get(_MODE) or ""
    served = [one for one in found if publishes_unready(service) or (one.ready and not one.terminating)]
    if mode in ("Auto", "auto"):
        return _shared_out(served, processors(nodes))
    if service["spec"].get("trafficDistribution") == "PreferClose":
        return Hints({one.address: one.zone for one in served if one.zone})
    return Hints({})


def processors(nodes: Iterable[Obj]) -> dict[str, int]:
    """Of each zone's ready nodes, in thousandths; nothing when a node does not say its zone or processors."""
    found: dict[str, int] = {}
    for node in nodes:
        labels = meta.labels(node)
        if any(role in labels for role in _CONTROL_PLANE) or not conditions.is_true(node, "Ready"):
            continue
        cpu = milli(str(((node.get("status") or {}).get("allocatable") or {}).get("cpu") or "0"))
        if not labels.get(ZONE) or not cpu:
            return {}
        found[labels[ZONE]] = found.get(labels[ZONE], 0) + cpu
    return found


def _shared_out(served: Sequence[Member], cpus: Mapping[str, int]) -> Hints:
    shares = {zone: len(served) * cpu / sum(cpus.values()) for zone, cpu in cpus.items()}
    refused = ""
    if not cpus:
        refused = "allocatable CPU or zone not specified on one or more nodes"
        refused = f"Insufficient Node information: {refused}"
    elif len(cpus) < 2:
        refused = "Nodes only ready in one zone"
    elif len(served) < len(cpus):
        refused = "Insufficient number of endpoints"
    elif not all(one.zone for one in served):
        refused = "One or more endpoints do not have a zone specified"
    elif sum(math.ceil(share / (1 + _OVERLOAD)) for share in shares.values()) > len(served):
        refused = "Unable to allocate minimum required endpoints to each zone without exceeding "
        refused += f"overload threshold ({len(served)} endpoints, {len(cpus)} zones)"
    return Hints({} if refused else _moved(served, _whole(shares, len(served))), True, refused)


def _whole(shares: Mapping[str, float], count: int) -> dict[str, int]:
    """Whole endpoints that sum up to all of them, the largest remainders rounded up."""
    least = {zone: int(share) for zone, share in shares.items()}
    by_rest = sorted(shares, key=lambda zone: (least[zone] - shares[zone], zone))
    for zone in by_rest[: max(0, count - sum(least.values()))]:
        least[zone] += 1
    return least


def _moved(served: Sequence[Member], targets: Mapping[str, int]) -> dict[str, str]:
    """Each endpoint for its own zone, but for those that a zone has too many of."""
    left, zones, over = dict(targets), {}, []
    for one in served:
        if left.get(one.zone, 0) > 0:
            left[one.zone] -= 1
            zones[one.address] = one.zone
        else:
            over.append(one)
    needy = [zone for zone in sorted(left) for _ in range(left[zone])]
    for one, zone in zip(over, needy, strict=False):
        zones[one.address] = zone
    return zones
