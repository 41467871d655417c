"""The controller of load balancers: from Services, nodes and endpoints to `status.loadBalancer`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from mini8s.controllers.actions import NORMAL, NOTHING, WARNING, Action, Plan, Tell, patch
from mini8s.controllers.base import Context, Source
from mini8s.controllers.kinds.endpoints.members import families
from mini8s.controllers.kinds.endpoints.slices import by_service
from mini8s.controllers.kinds.servicelb import claims, hosts
from mini8s.controllers.kinds.servicelb.claims import Taken
from mini8s.objects import conditions, host_ports, ingresses, ip, meta
from mini8s.objects.host_ports import Wanted
from mini8s.objects.kinds import ENDPOINTSLICES, INGRESSCLASSES, INGRESSES, NODES, PODS, SERVICES, Obj

BALANCED = "balanced"  # the index of the Services whose load balancers are ours; it has one value
CONFLICT = "LoadBalancerPortsError"  # the condition that upstream documents for Services


class ServiceLoadBalancers:
    name = "servicelb"

    def __init__(self, context: Context) -> None:
        self._clock = context.clock
        self._services = context.cache(SERVICES, {BALANCED: _balanced})
        self._nodes = context.cache(NODES)
        self._slices = context.cache(ENDPOINTSLICES, {"service": by_service})
        self._pods = context.cache(PODS, {"host ports": claims.by_node})
        self._ingresses, self._classes = context.cache(INGRESSES), context.cache(INGRESSCLASSES)
        self._enabled = context.settings.service_load_balancers
        port = context.settings.api_port
        self._reserved: dict[Wanted, str] = {("TCP", port): "the API server"} if port else {}
        self.sources = (
            Source(SERVICES, self._service_changed),
            Source(NODES, self._node_changed),
            Source(ENDPOINTSLICES, self._slice_changed),
            Source(PODS, self._pod_changed),
            Source(INGRESSES, self._ingress_changed),
            Source(INGRESSCLASSES, lambda _old, _new: self._all()),
        )

    def plan(self, key: str) -> Plan:
        service = self._services.get(*meta.split_key(key))
        if service is None or meta.deleting(service) or not self._enabled:
            return NOTHING
        if not claims.is_ours(service):
            return _released(service)
        local = service["spec"].get("externalTrafficPolicy") == "Local"
        serving = hosts.serving_nodes(self._slices.index("service", key)) if local else None
        nodes = list(self._nodes.list())
        by_family = [hosts.hosts(service, nodes, serving, family) for family in families(service)]
        chosen = [address for found in by_family for address in found.values()]
        alive = any(conditions.is_true(node, "Ready") for node in nodes)
        if not chosen and not alive and _addresses(service):
            return Plan(said="no node is Ready: its hosts stay as they were")
        others = list(self._services.list())
        taken = [
            one
            for found in by_family
            for one in claims.taken(service, found, others, self._used(service, nodes, found))
        ]
        return plan(service, chosen, taken, self._clock.now())

    def _used(
        self, service: Obj, nodes: Iterable[Obj], chosen: Mapping[str, str]
    ) -> dict[str, dict[Wanted, str]]:
        """What is not free on the hosts, by their names."""
        oldest = ingresses.oldest(self._ingresses.list(), self._classes.list())
        if oldest and host_ports.age(oldest) > host_ports.age(service):
            oldest = None
        found = {}
        for node in nodes:
            name = meta.name(node)
            if name in chosen:
                placed = self._pods.index("host ports", name)
                pods = [pod for pod in placed if not claims.selects(service, pod)]
                found[name] = self._reserved | claims.used(node, chosen[name], pods, oldest)
        return found

    def _service_changed(self, old: Obj | None, new: Obj | None) -> Iterable[str]:
        """Its own, and all that may wait for a port that it has."""
        if _facts(old) == _facts(new):
            return ()
        return {meta.key(new or old or {}), *self._all()}

    def _node_changed(self, old: Obj | None, new: Obj | None) -> Iterable[str]:
        if (hosts.facts(old) if old else None) == (hosts.facts(new) if new else None):
            return ()
        return self._all()

    def _pod_changed(self, old: Obj | None, new: Obj | None) -> Iterable[str]:
        """One that takes or leaves ports of its host."""
        before, after = (_ports(pod) if pod else set() for pod in (old, new))
        return () if before == after else self._all()

    def _ingress_changed(self, old: Obj | None, new: Obj | None) -> Iterable[str]:
        """Only which is the oldest of ours counts."""
        same = old and new and ingresses.class_of(old) == ingresses.class_of(new)
        return () if same else self._all()

    def _all(self) -> set[str]:
        return {meta.key(one) for one in self._services.index(BALANCED, "")}

    def _slice_changed(self, old: Obj | None, new: Obj | None) -> Iterable[str]:
        for key in {key for obj in (old, new) if obj for key in by_service(obj)}:
            service = self._services.get(*meta.split_key(key))
            if (
                service
                and claims.is_ours(service)
                and service["spec"].get("externalTrafficPolicy") == "Local"
            ):
                yield key


def _balanced(service: Obj) -> list[str]:
    return [""] if claims.is_ours(service) else []


def plan(service: Obj, chosen: Sequence[str], taken: Sequence[Taken], now: datetime) -> Plan:
    """The Service gets the hosts on which all its ports are free."""
    lost = {one.address for one in taken}
    ingress = [{"ip": address, "ipMode": "VIP"} for address in sorted(set(chosen) - lost, key=ip.order)]
    had = (service.get("status") or {}).get("conditions") or []
    listed = conditions.remove_condition(had, CONFLICT)
    why = "; ".join(map(str, taken))
    if taken:
        listed = conditions.set_condition(
            had, CONFLICT, "True", reason="PortConflict", message=why[:32768], now=now
        )
    actions = _written(service, ingress, listed)
    if taken and why[:32768] != (conditions.get(service, CONFLICT) or {}).get("message"):
        actions.append(
            Tell(service, WARNING, "SyncLoadBalancerFailed", f"Error syncing load balancer: {why}"[:1024])
        )
    elif actions and ingress and not taken:
        actions.append(Tell(service, NORMAL, "EnsuredLoadBalancer", "Ensured load balancer"))
    named = ", ".join(one["ip"] for one in ingress) or "no host"
    return Plan(tuple(actions), said=f"balanced by {named}" + (f"; {why}" if why else ""))


def _released(service: Obj) -> Plan:
    """Another class's is left alone; what is no load balancer any more keeps no addresses."""
    if service["spec"].get("type") == "LoadBalancer" or not _addresses(service):
        return NOTHING
    had = (service.get("status") or {}).get("conditions") or []
    actions = _written(service, [], conditions.remove_condition(had, CONFLICT))
    return Plan(tuple(actions), said="no load balancer any more")


def _written(service: Obj, ingress: list[Obj], listed: list[Obj]) -> list[Action]:
    """The patch that makes the status so; it names what goes, because patches of maps only add."""
    change: Obj = {}
    if ingress != _addresses(service):
        change["loadBalancer"] = {"ingress": ingress or None}
    if listed != ((service.get("status") or {}).get("conditions") or []):
        change["conditions"] = listed or None
    return [patch(SERVICES, service, {"status": change}, subresource="status", swap=True)] if change else []


def _addresses(service: Obj) -> list[Obj]:
    return list(((service.get("status") or {}).get("loadBalancer") or {}).get("ingress") or ())


def _facts(service: Obj | None) -> object:
    if service is None:
        return None
    return service.get("spec"), meta.labels(service), _addresses(service), meta.deleting(service)


def _ports(pod: Obj) -> set[object]:
    """What of a pod counts here."""
    return {(node, *one) for node in claims.by_node(pod) for one in host_ports.every(pod)}
