"""Who gives out cluster IPs, node ports and the nodes' pod ranges.

An allocator fills in what a new object left open and claims what it asks for, right before it is stored. All
share one pool; a thing's name there says its sort: `ip 10.43.0.1`, `port 30080`, `range 10.42.0.0/24`.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Protocol

from mini8s.objects import meta
from mini8s.objects.errors import Cause
from mini8s.objects.kinds import NODES, SERVICES, Kind, Obj
from mini8s.registry import families, problems, refusals
from mini8s.registry.pools import Claim, Pool, Turn
from mini8s.store.base import Store
from mini8s.wire.codec import decode_json

POD_RANGE_BITS = 24


_NOTHING = nullcontext()


class Allocator(Protocol):
    kind: Kind

    def reserved(self) -> dict[str, str]:
        """Things that only one object may have, and its key."""

    def holds(self, obj: Obj) -> Iterator[str]:
        """What a stored object has."""

    def assign(self, pool: Pool, claim: Claim, obj: Obj) -> None:
        """Fill in and claim; raises Invalid."""


class Allocators:
    """All allocators, over one store."""

    def __init__(self, store: Store, allocators: Sequence[Allocator]) -> None:
        self._store = store
        self._by_kind = {allocator.kind: allocator for allocator in allocators}
        reserved: dict[str, str] = {}
        for allocator in allocators:
            reserved |= allocator.reserved()
        self._pool = Pool(reserved)
        for kind, allocator in self._by_kind.items():
            for row in store.list(kind.prefix()).rows:
                self._pool.settle(Claim(row.key), allocator.holds(decode_json(row.value)))

    def holding(self, kind: Kind, key: str, obj: Obj | None) -> AbstractContextManager[None]:
        """Around a write: obj is what it will store (None: a deletion), completed on entering."""
        allocator = self._by_kind.get(kind)
        return _NOTHING if allocator is None else self._held(allocator, key, obj)

    @contextmanager
    def _held(self, allocator: Allocator, key: str, obj: Obj | None) -> Iterator[None]:
        claim = Claim(key)
        try:
            if obj is not None:
                allocator.assign(self._pool, claim, obj)
            yield
        finally:
            row = self._store.get(key)
            self._pool.settle(claim, allocator.holds(decode_json(row.value)) if row else ())


class ServiceAllocator:
    """Cluster IPs and node ports. The numbers at the start of each range are given out last, so that people
    can pick them by hand (upstream's static subranges, of its sizes)."""

    kind = SERVICES

    def __init__(self, *, service_cidr: str, node_port_range: str, cluster_dns: str) -> None:
        self._network = ipaddress.IPv4Network(service_cidr)
        self._families = (f"IPv{self._network.version}",)
        self._dns = cluster_dns
        hosts = max(0, self._network.num_addresses - 2)
        self._next_ip = Turn(hosts, min(max(16, hosts // 16), 256), lambda n: str(self._network[n + 1]))
        low, high = (int(part) for part in node_port_range.split("-"))
        self._ports = range(low, high + 1)
        size = len(self._ports)
        self._next_port = Turn(size, min(max(16, size // 32), 128), lambda n: str(low + n))

    def reserved(self) -> dict[str, str]:
        return {
            f"ip {self._network[1]}": SERVICES.key("default", "kubernetes"),
            f"ip {self._dns}": SERVICES.key("kube-system", "kube-dns"),
        }

    def holds(self, obj: Obj) -> Iterator[str]:
        spec = obj.get("spec") or {}
        yield from (f"ip {ip}" for ip in spec.get("clusterIPs") or () if ip != "None")
        yield from (f"port {port['nodePort']}" for port in spec.get("ports") or () if port.get("nodePort"))
        if check := spec.get("healthCheckNodePort"):
            yield f"port {check}"

    def assign(self, pool: Pool, claim: Claim, obj: Obj) -> None:
        if obj["spec"].get("type") != "ExternalName":
            causes = list(families.settle(obj["spec"], self._families))
            if causes:
                raise refusals.invalid(SERVICES, meta.name(obj), causes)
        self._assign_ip(pool, claim, obj)
        if obj["spec"].get("type") in {"NodePort", "LoadBalancer"}:
            self._assign_ports(pool, claim, obj)

    def _assign_ip(self, pool: Pool, claim: Claim, obj: Obj) -> None:
        spec = obj["spec"]
        if spec.get("type") == "ExternalName" or spec.get("clusterIP") == "None":
            return
        asked = spec.get("clusterIP") or ""
        if asked:
            self._take_ip(pool, claim, obj, asked)
            return
        mine = pool.reserved_for(claim.holder)
        candidates = iter([mine]) if mine else (f"ip {ip}" for ip in self._next_ip)
        found = pool.take_first(claim, candidates)
        if found is None:
            why = "failed to allocate a serviceIP: range is full"
            raise _refused(obj, problems.invalid("spec.clusterIPs", [], why))
        spec["clusterIP"] = found.removeprefix("ip ")
        spec["clusterIPs"] = [spec["clusterIP"]]

    def _take_ip(self, pool: Pool, claim: Claim, obj: Obj, ip: str) -> None:
        why = ""
        if not self._inside(ip):
            why = (
                f"the provided IP ({ip}) is not in the valid range. The range of valid IPs is {self._network}"
            )
        elif not pool.take(claim, f"ip {ip}"):
            why = "provided IP is already allocated"
        if why:
            cause = problems.invalid("spec.clusterIPs", [ip], f"failed to allocate IP {ip}: {why}")
            raise _refused(obj, cause)

    def _inside(self, ip: str) -> bool:
        address = ipaddress.IPv4Address(ip)
        edges = (self._network.network_address, self._network.broadcast_address)
        return address in self._network and address not in edges

    def _assign_ports(self, pool: Pool, claim: Claim, obj: Obj) -> None:
        spec = obj["spec"]
        if spec["type"] == "NodePort" or spec.get("allocateLoadBalancerNodePorts", True):
            for index, port in enumerate(spec.get("ports") or ()):
                self._assign_port(pool, claim, obj, port, "nodePort", f"spec.ports[{index}].nodePort")
        if spec["type"] == "LoadBalancer" and spec.get("externalTrafficPolicy") == "Local":
            self._assign_port(pool, claim, obj, spec, "healthCheckNodePort", "spec.healthCheckNodePort")

    def _assign_port(
        self, pool: Pool, claim: Claim, obj: Obj, at: dict[str, Any], part: str, field: str
    ) -> None:
        asked = at.get(part) or 0
        if not asked:
            found = pool.take_first(claim, (f"port {port}" for port in self._next_port))
            if found is None:
                why = "failed to allocate a nodePort: range is full"
                raise _refused(obj, problems.invalid(field, 0, why))
            at[part] = int(found.removeprefix("port "))
        elif asked not in self._ports:
            why = (
                "provided port is not in the valid range. "
                f"The range of valid ports is {self._ports[0]}-{self._ports[-1]}"
            )
            raise _refused(obj, problems.invalid(field, asked, why))
        elif not pool.take(claim, f"port {asked}"):
            raise _refused(obj, problems.invalid(field, asked, "provided port is already allocated"))


class PodRangeAllocator:
    """A /24 of the cluster's addresses for each node, for as long as its Node object exists."""

    kind = NODES

    def __init__(self, *, cluster_cidr: str) -> None:
        network = ipaddress.IPv4Network(cluster_cidr)
        bits = max(POD_RANGE_BITS, network.prefixlen)
        self._network, self._bits = network, bits
        size = 1 << (32 - bits)
        self._next = Turn(1 << (bits - network.prefixlen), 0, lambda n: f"{network[n * size]}/{bits}")

    def reserved(self) -> dict[str, str]:
        return {}

    def holds(self, obj: Obj) -> Iterator[str]:
        yield from (f"range {cidr}" for cidr in (obj.get("spec") or {}).get("podCIDRs") or ())

    def assign(self, pool: Pool, claim: Claim, obj: Obj) -> None:
        spec = obj.setdefault("spec", {})
        asked = spec.get("podCIDR") or ""
        if not asked:
            found = pool.take_first(claim, (f"range {cidr}" for cidr in self._next))
            if found is None:
                why = f"all /{self._bits} of the cluster CIDR {self._network} are taken"
                raise _refused(obj, problems.forbidden("spec.podCIDR", why))
            spec["podCIDR"] = found.removeprefix("range ")
        elif not pool.take(claim, f"range {asked}"):
            raise _refused(
                obj, problems.invalid("spec.podCIDR", asked, "provided range is already allocated")
            )
        spec["podCIDRs"] = [spec["podCIDR"]]


def _refused(obj: Obj, cause: Cause) -> Exception:
    kind = NODES if obj.get("kind") == NODES.kind else SERVICES
    return refusals.invalid(kind, meta.name(obj), [cause])


def standard(
    store: Store, *, service_cidr: str, node_port_range: str, cluster_cidr: str, cluster_dns: str
) -> Allocators:
    """The allocators of a cluster, told what its stored objects hold already."""
    services = ServiceAllocator(
        service_cidr=service_cidr, node_port_range=node_port_range, cluster_dns=cluster_dns
    )
    return Allocators(store, (services, PodRangeAllocator(cluster_cidr=cluster_cidr)))
