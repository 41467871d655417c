"""EndpointSlice: the endpoints of a Service, at most a hundred in an object, so that one pod's change is a
small message to every node.

Slices are changed as little as possible: an endpoint stays in the slice it is in, free room is filled before
a slice is made, and an empty slice goes unless it is the only one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from mini8s.controllers.actions import (
    NORMAL,
    NOTHING,
    WARNING,
    Action,
    Create,
    Plan,
    Tell,
    Update,
    delete,
)
from mini8s.controllers.base import Context, Source, by_object, own_key
from mini8s.controllers.kinds.endpoints.hints import Hints, hints
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
    zones,
)
from mini8s.objects import conditions, ip, meta
from mini8s.objects.kinds import ENDPOINTSLICES, NODES, PODS, SERVICES, Obj
from mini8s.objects.labels import from_labels

SERVICE_NAME = "kubernetes.io/service-name"
MANAGED_BY = "endpointslice.kubernetes.io/managed-by"
MANAGER = "endpointslice-controller.k8s.io"
_NO_HINTS = Hints({})


def by_service(found: Obj) -> Iterable[str]:
    name = meta.labels(found).get(SERVICE_NAME)
    return (f"{meta.namespace(found)}/{name}",) if name else ()


class EndpointSlices:
    name = "endpointslice"

    def __init__(self, context: Context) -> None:
        self._services = context.cache(SERVICES)
        self._pods = context.cache(PODS)
        self._nodes = context.cache(NODES)
        self._slices = context.cache(ENDPOINTSLICES, {"service": by_service})
        self._most = context.settings.endpoints_per_slice
        self.sources = (
            Source(SERVICES, by_object(own_key)),
            Source(PODS, by_object(lambda pod: services_of(pod, self._services))),
            Source(ENDPOINTSLICES, by_object(lambda found: by_service(found) if _ours(found) else ())),
            Source(NODES, self._node_changed),
        )

    def plan(self, key: str) -> Plan:
        service = self._services.get(*meta.split_key(key))
        if service is None or meta.deleting(service) or not selects(service):
            return NOTHING  # the garbage collector takes the slices of a Service that is gone
        chosen = self._pods.list(meta.namespace(service), from_labels(service["spec"]["selector"]))
        nodes = list(self._nodes.list())
        there = [found for found in self._slices.index("service", key) if _ours(found)]
        plans = [_lost_families(service, there)]
        for family in families(service):
            found = members(service, chosen, zones(nodes), family)
            own = [one for one in there if one.get("addressType") == family]
            said = hints(service, found, nodes)
            plans.append(plan(service, found, own, said, most=self._most, family=family))
        actions = tuple(action for one in plans for action in one.actions)
        return Plan(actions, said="; ".join(one.said for one in plans if one.said))

    def _node_changed(self, old: Obj | None, new: Obj | None) -> Iterable[str]:
        """A node that comes, goes or moves to another zone changes where endpoints are, and for whom."""
        before, after = (zones([obj]) if obj else {} for obj in (old, new))
        ready = [conditions.is_true(obj or {}, "Ready") for obj in (old, new)]
        if before == after and (not after or ready[0] == ready[1]):
            return ()
        return [meta.key(service) for service in self._services.list() if selects(service)]


def _lost_families(service: Obj, there: Sequence[Obj]) -> Plan:
    """The slices of a family that the Service has no more."""
    gone = [one for one in there if one.get("addressType") not in families(service)]
    return Plan(tuple(delete(ENDPOINTSLICES, one) for one in gone if not meta.deleting(one)))


@dataclass(slots=True)
class _Draft:
    """A slice as it is to be; `was` is None for a new one."""

    family: str
    ports: tuple[Port, ...]
    was: Obj | None = None
    endpoints: list[Obj] = field(default_factory=list)


def plan(
    service: Obj,
    found: Sequence[Member],
    there: Sequence[Obj],
    wanted_hints: Hints = _NO_HINTS,
    *,
    most: int,
    family: str = ip.IPV4,
) -> Plan:
    """For one family of the Service; `there` are its slices now."""
    alive = [one for one in there if not meta.deleting(one)]
    wanted: dict[tuple[Port, ...], list[Obj]] = {}
    for member in found:
        hint = wanted_hints.zones.get(member.address, "")
        wanted.setdefault(member.ports, []).append(endpoint(service, member, hint))
    drafts: list[_Draft] = []
    for ports, endpoints in wanted.items():
        own = [one for one in alive if _ports_of(one) == ports]
        drafts += _filled(_Draft(family, ports), endpoints, own, most)
    if not drafts:
        empty = next((one for one in alive if not one.get("endpoints") and not _ports_of(one)), None)
        drafts = [_Draft(family, (), empty)]
    kept = {meta.uid(draft.was) for draft in drafts if draft.was}
    actions = [action for draft in drafts for action in _written(service, draft)]
    actions += [delete(ENDPOINTSLICES, one) for one in alive if meta.uid(one) not in kept]
    actions += _told(service, alive, drafts, wanted_hints, family)
    ready = sum(member.ready and not member.terminating for member in found)
    named = "" if family == ip.IPV4 else f" by {family}"
    return Plan(tuple(actions), said=f"{ready} of {len(found)} pods ready{named}, {len(drafts)} slices")


def endpoint(service: Obj, member: Member, hint: str = "") -> Obj:
    """`ready` is never true of what terminates, unless the Service wants all addresses at all times."""
    name = hostname(service, member.pod)
    node = member.pod["spec"].get("nodeName")
    return {
        "addresses": [member.address],
        "conditions": {
            "ready": publishes_unready(service) or (member.ready and not member.terminating),
            "serving": member.ready,
            "terminating": member.terminating,
        },
        "targetRef": member.target,
        **({"hostname": name} if name else {}),
        **({"nodeName": node} if node else {}),
        **({"zone": member.zone} if member.zone else {}),
        **({"hints": {"forZones": [{"name": hint}]}} if hint else {}),
    }


def _told(
    service: Obj, there: Sequence[Obj], drafts: Sequence[_Draft], wanted: Hints, family: str
) -> Iterable[Action]:
    """An event when hints that the annotation asked for come, and when they go."""
    if not wanted.auto:
        return
    had = any("hints" in one for slice_ in there for one in slice_.get("endpoints") or ())
    has = any("hints" in one for draft in drafts for one in draft.endpoints)
    if has and not had:
        what = f"Topology Aware Hints has been enabled, addressType: {family}"
        yield Tell(service, NORMAL, "TopologyAwareHintsEnabled", what)
    elif had and not has:
        what = f"{wanted.refused}, addressType: {family}"
        yield Tell(service, WARNING, "TopologyAwareHintsDisabled", what)


def _filled(like: _Draft, endpoints: Sequence[Obj], own: Sequence[Obj], most: int) -> list[_Draft]:
    """Each endpoint where it is, the new ones where there is room, the rest in new slices."""
    left = {_identity(one): one for one in endpoints}
    drafts = []
    for slice_ in sorted(own, key=meta.name):
        there = [_identity(one) for one in slice_.get("endpoints") or ()]
        stay = [left.pop(identity) for identity in there if identity in left]
        drafts.append(replace(like, was=slice_, endpoints=stay))
    rest = list(left.values())
    for draft in sorted(drafts, key=lambda one: -len(one.endpoints)):
        room = max(0, most - len(draft.endpoints))
        draft.endpoints += rest[:room]
        rest = rest[room:]
    parts = [rest[start : start + most] for start in range(0, len(rest), most)]
    drafts += [replace(like, endpoints=part) for part in parts]
    return [draft for draft in drafts if draft.endpoints]


def _written(service: Obj, draft: _Draft) -> tuple[Action, ...]:
    labels = _labels(service)
    body: Obj = {
        "addressType": draft.family,
        "endpoints": draft.endpoints,
        "ports": [_port(port) for port in draft.ports],
    }
    if draft.was is None:
        metadata = {
            "namespace": meta.namespace(service),
            "generateName": f"{meta.name(service)}-",
            "labels": labels,
            "ownerReferences": [meta.new_controller_ref(service, SERVICES)],
        }
        kind = {"apiVersion": ENDPOINTSLICES.api_version, "kind": ENDPOINTSLICES.kind}
        return (Create(ENDPOINTSLICES, kind | {"metadata": metadata} | body),)
    same = (draft.was.get("endpoints") or []) == draft.endpoints and meta.labels(draft.was) == labels
    if same:
        return ()
    return (
        Update(ENDPOINTSLICES, draft.was | {"metadata": draft.was["metadata"] | {"labels": labels}} | body),
    )


def _labels(service: Obj) -> Mapping[str, str]:
    own = {SERVICE_NAME: meta.name(service), MANAGED_BY: MANAGER}
    return {**meta.labels(service), **own, **({HEADLESS: ""} if is_headless(service) else {})}


def _port(port: Port) -> Obj:
    said = {"name": port.name, "port": port.port, "protocol": port.protocol}
    return said | ({"appProtocol": port.app_protocol} if port.app_protocol else {})


def _ports_of(found: Obj) -> tuple[Port, ...]:
    return tuple(
        sorted(
            Port(
                port.get("name") or "",
                port["port"],
                port.get("protocol") or "TCP",
                port.get("appProtocol") or "",
            )
            for port in found.get("ports") or ()
        )
    )


def _identity(found: Obj) -> tuple[str, str]:
    """The same pod at the same address."""
    return (found.get("targetRef") or {}).get("uid", ""), found["addresses"][0]


def _ours(found: Obj) -> bool:
    return meta.labels(found).get(MANAGED_BY) == MANAGER
