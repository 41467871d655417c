"""Endpoints that somebody writes for a Service without a selector, as the slices that proxies and resolvers
read. A subset becomes a slice for each family of addresses. What carries the label `skip-mirror`, or is a
lock of the old kind, is left alone (upstream's endpointslicemirroring, whose names and words these are).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from mini8s.controllers.actions import NOTHING, WARNING, Action, Create, Plan, Tell, Update, delete
from mini8s.controllers.base import Context, Source, by_object, own_key
from mini8s.controllers.kinds.endpoints.slices import MANAGED_BY, SERVICE_NAME, by_service
from mini8s.objects import ip, meta
from mini8s.objects.kinds import ENDPOINTS, ENDPOINTSLICES, SERVICES, Obj

MANAGER = "endpointslicemirroring-controller.k8s.io"
SKIP = "endpointslice.kubernetes.io/skip-mirror"
_LOCK = "control-plane.alpha.kubernetes.io/leader"
_NOT_COPIED = (
    "endpoints.kubernetes.io/last-change-trigger-time",
    "kubectl.kubernetes.io/last-applied-configuration",
)
MOST = 1000  # addresses of a subset


class EndpointMirrors:
    name = "endpointslice-mirroring"

    def __init__(self, context: Context) -> None:
        self._services, self._endpoints = context.cache(SERVICES), context.cache(ENDPOINTS)
        self._slices = context.cache(ENDPOINTSLICES, {"service": by_service})
        self.sources = (
            Source(SERVICES, by_object(own_key)),
            Source(ENDPOINTS, by_object(own_key)),
            Source(ENDPOINTSLICES, by_object(lambda found: by_service(found) if _ours(found) else ())),
        )

    def plan(self, key: str) -> Plan:
        service = self._services.get(*meta.split_key(key))
        there = [one for one in self._slices.index("service", key) if _ours(one) and not meta.deleting(one)]
        found = self._endpoints.get(*meta.split_key(key))
        if service is None or service["spec"].get("selector") or found is None or not _mirrored(found):
            return Plan(tuple(delete(ENDPOINTSLICES, one) for one in there)) if there else NOTHING
        return plan(found, there)


@dataclass(slots=True)
class _Draft:
    family: str
    ports: list[Obj]
    endpoints: list[Obj] = field(default_factory=list)


def plan(found: Obj, there: Sequence[Obj]) -> Plan:
    drafts = list(_drafts(found))
    left, actions = list(there), list[Action]()
    for draft in drafts:
        was = next((one for one in left if _fits(one, draft)), None)
        if was:
            left.remove(was)
        actions += _written(found, draft, was)
    actions += [delete(ENDPOINTSLICES, one) for one in left]
    cut = sum(max(0, len(list(_addresses(subset))) - MOST) for subset in found.get("subsets") or ())
    if actions and cut:
        limit = f"A max of {MOST} addresses can be mirrored to EndpointSlices per Endpoints subset"
        actions.append(
            Tell(found, WARNING, "TooManyAddressesToMirror", f"{limit}. {cut} addresses were skipped")
        )
    return Plan(tuple(actions), said=f"mirrored by {len(drafts)} slices")


def _drafts(found: Obj) -> Iterator[_Draft]:
    for subset in found.get("subsets") or ():
        drafts: dict[str, _Draft] = {}
        ports = _ports(subset)
        for address, ready in list(_addresses(subset))[:MOST]:
            family = ip.family_of_address(address["ip"])
            drafts.setdefault(family, _Draft(family, ports)).endpoints.append(_endpoint(address, ready))
        yield from drafts.values()


def _addresses(subset: Obj) -> Iterator[tuple[Obj, bool]]:
    for part, ready in (("addresses", True), ("notReadyAddresses", False)):
        yield from ((address, ready) for address in subset.get(part) or ())


def _endpoint(address: Obj, ready: bool) -> Obj:
    more = {name: address[name] for name in ("hostname", "nodeName", "targetRef") if address.get(name)}
    return {"addresses": [address["ip"]], "conditions": {"ready": ready}, **more}


def _written(found: Obj, draft: _Draft, was: Obj | None) -> Iterable[Action]:
    labels = meta.labels(found) | {SERVICE_NAME: meta.name(found), MANAGED_BY: MANAGER}
    annotations = {key: value for key, value in meta.annotations(found).items() if key not in _NOT_COPIED}
    body: Obj = {"addressType": draft.family, "endpoints": draft.endpoints, "ports": draft.ports}
    if was is None:
        metadata: Obj = {
            "namespace": meta.namespace(found),
            "generateName": f"{meta.name(found)}-",
            "labels": labels,
            "ownerReferences": [meta.new_controller_ref(found, ENDPOINTS)],
        }
        if annotations:
            metadata["annotations"] = annotations
        kind = {"apiVersion": ENDPOINTSLICES.api_version, "kind": ENDPOINTSLICES.kind}
        return (Create(ENDPOINTSLICES, kind | {"metadata": metadata} | body),)
    if (was.get("endpoints"), meta.labels(was), meta.annotations(was)) == (
        draft.endpoints,
        labels,
        annotations,
    ):
        return ()
    metadata = was["metadata"] | {"labels": labels, "annotations": annotations}
    return (Update(ENDPOINTSLICES, was | {"metadata": metadata} | body),)


def _fits(piece: Obj, draft: _Draft) -> bool:
    """Its family never changes; its ports are what tells subsets apart."""
    return piece.get("addressType") == draft.family and _ports(piece) == draft.ports


def _ports(found: Obj) -> list[Obj]:
    return [{"name": "", "protocol": "TCP"} | port for port in found.get("ports") or ()]


def _mirrored(found: Obj) -> bool:
    skipped = meta.labels(found).get(SKIP) == "true" or _LOCK in meta.annotations(found)
    return not skipped and not meta.deleting(found)


def _ours(found: Obj) -> bool:
    return meta.labels(found).get(MANAGED_BY) == MANAGER
