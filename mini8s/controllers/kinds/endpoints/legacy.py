"""Endpoints: the older form, one object a Service, for the clients that still read it.

Pods that terminate are not in it, unless the Service publishes all addresses; beyond a thousand it is cut.
"""

from __future__ import annotations

from collections.abc import Sequence

from mini8s.controllers.actions import NOTHING, Create, Plan, Update, delete
from mini8s.controllers.base import Context, Source, by_object, own_key
from mini8s.controllers.kinds.endpoints.members import (
    HEADLESS,
    Member,
    Port,
    families,
    hostname,
    is_headless,
    members,
    publishes_unready,
    selects,
    services_of,
)
from mini8s.objects import ip, meta
from mini8s.objects.kinds import ENDPOINTS, PODS, SERVICES, Obj
from mini8s.objects.labels import from_labels

MANAGED_BY = "endpoints.kubernetes.io/managed-by"
MANAGER = "endpoint-controller"
OVER_CAPACITY = "endpoints.kubernetes.io/over-capacity"
MOST = 1000


class Endpoints:
    name = "endpoints"

    def __init__(self, context: Context) -> None:
        self._services = context.cache(SERVICES)
        self._pods = context.cache(PODS)
        self._endpoints = context.cache(ENDPOINTS)
        self.sources = (
            Source(SERVICES, by_object(own_key)),
            Source(PODS, by_object(lambda pod: services_of(pod, self._services))),
            Source(ENDPOINTS, by_object(own_key)),
        )

    def plan(self, key: str) -> Plan:
        service = self._services.get(*meta.split_key(key))
        there = self._endpoints.get(*meta.split_key(key))
        if service is None:
            return Plan((delete(ENDPOINTS, there),)) if there and _ours(there) else NOTHING
        if not selects(service):
            return NOTHING
        chosen = self._pods.list(meta.namespace(service), from_labels(service["spec"]["selector"]))
        return plan(service, members(service, chosen, {}, families(service)[0]), there)


def plan(service: Obj, found: Sequence[Member], there: Obj | None) -> Plan:
    counted = [member for member in found if publishes_unready(service) or not member.terminating]
    kept = counted[:MOST]
    wanted = subsets(service, kept)
    labels = {**meta.labels(service), MANAGED_BY: MANAGER, **({HEADLESS: ""} if is_headless(service) else {})}
    cut = {OVER_CAPACITY: "truncated"} if len(counted) > MOST else {}
    said = f"{sum(member.ready for member in kept)} of {len(kept)} pods ready"
    if there is None:
        metadata = {"namespace": meta.namespace(service), "name": meta.name(service), "labels": labels}
        if cut:
            metadata["annotations"] = cut
        kind = {"apiVersion": ENDPOINTS.api_version, "kind": ENDPOINTS.kind}
        return Plan((Create(ENDPOINTS, kind | {"metadata": metadata, "subsets": wanted}),), said=said)
    others = {key: value for key, value in meta.annotations(there).items() if key != OVER_CAPACITY}
    annotations = others | cut
    same = (there.get("subsets") or [], meta.labels(there), meta.annotations(there))
    if same == (wanted, labels, annotations):
        return Plan(said=said)
    metadata = there["metadata"] | {"labels": labels, "annotations": annotations}
    return Plan((Update(ENDPOINTS, there | {"metadata": metadata, "subsets": wanted}),), said=said)


def subsets(service: Obj, found: Sequence[Member]) -> list[Obj]:
    """Addresses that have the same ports together, in a fixed order."""
    groups: dict[tuple[Port, ...], list[Member]] = {}
    for member in found:
        if member.ports or is_headless(service):
            groups.setdefault(member.ports, []).append(member)
    made = []
    for ports, group in sorted(groups.items()):
        subset: Obj = {}
        for part, wanted in (("addresses", True), ("notReadyAddresses", False)):
            addresses = [
                _address(service, one) for one in group if (one.ready or publishes_unready(service)) is wanted
            ]
            if addresses:
                subset[part] = sorted(addresses, key=lambda one: ip.order(one["ip"]))
        if ports:
            subset["ports"] = [_port(port) for port in ports]
        made.append(subset)
    return made


def _address(service: Obj, member: Member) -> Obj:
    node, name = member.pod["spec"].get("nodeName"), hostname(service, member.pod)
    return {
        "ip": member.address,
        **({"hostname": name} if name else {}),
        **({"nodeName": node} if node else {}),
        "targetRef": member.target,
    }


def _port(port: Port) -> Obj:
    said = {"port": port.port, "protocol": port.protocol}
    said |= {"name": port.name} if port.name else {}
    return said | ({"appProtocol": port.app_protocol} if port.app_protocol else {})


def _ours(found: Obj) -> bool:
    return meta.labels(found).get(MANAGED_BY) == MANAGER
