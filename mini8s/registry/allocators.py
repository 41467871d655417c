"""Who gives out cluster IPs, node ports and the nodes' pod ranges.

An allocator fills in what a new object left open and claims what it asks for, right before it is stored. All
share one pool; a thing's name there says its sort: `ip 10.43.0.1`, `port 30080`, `range 10.42.0.0/24`.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Protocol

from mini8s.objects import ip, meta
from mini8s.objects.errors import Cause
from mini8s.objects.ip import Network
from mini8s.objects.kinds import NODES, SERVICES, Kind, Obj
from mini8s.registry import families, problems, refusals
from mini8s.registry.pools import Claim, Pool, Turn
from mini8s.store.base import Store
from mini8s.wire.codec import decode_json

NODE_MASKS: Mapping[str, int] = {ip.IPV4: 24, ip.IPV6: 64}  # upstream's defaults

_NOTHING = nullcontext()


class Allocator(Protocol):
    kind: Kind

    def reserved(self) -> dict[str, str]:
        """Things that only one object may have, and its key."""

    def holds(self, obj: Obj) -> Iterator[str]:
        """What a stored object has."""

    def assign(self, pool: Pool, claim: Claim, obj: Obj, was: Obj | None) -> None:
        """Fill in and claim; `was` is what is stored now. Raises Invalid."""


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
                stored = self._store.get(key)
                allocator.assign(self._pool, claim, obj, decode_json(stored.value) if stored else None)
            yield
        finally:
            row = self._store.get(key)
            self._pool.settle(claim, allocator.holds(decode_json(row.value)) if row else ())


class _Addresses:
    """Cluster IPs of one family. The numbers at the start are given out last, so that people can pick them by
    hand (upstream's static subranges, of its sizes)."""

    def __init__(self, network: Network) -> None:
        self.network = network
        last = 1 if network.version == 4 else 0  # only IPv4 has a broadcast address
        self._hosts = max(0, network.num_addresses - 1 - last)
        self.next = Turn(self._hosts, min(max(16, self._hosts // 16), 256), lambda n: str(network[n + 1]))

    def __contains__(self, ip: str) -> bool:
        first = int(self.network.network_address)
        return 0 < int(ipaddress.ip_address(ip)) - first <= self._hosts


class ServiceAllocator:
    """Cluster IPs of each of the cluster's families, and node ports."""

    kind = SERVICES

    def __init__(self, *, service_cidr: str, node_port_range: str, cluster_dns: str) -> None:
        self._ranges = {family: _Addresses(one) for family, one in ip.networks(service_cidr).items()}
        self._families = tuple(self._ranges)
        self._dns = ip.split(cluster_dns)
        low, high = (int(part) for part in node_port_range.split("-"))
        self._ports = range(low, high + 1)
        size = len(self._ports)
        self._next_port = Turn(size, min(max(16, size // 32), 128), lambda n: str(low + n))

    def reserved(self) -> dict[str, str]:
        first = next(iter(self._ranges.values()))
        own = {f"ip {first.network[1]}": SERVICES.key("default", "kubernetes")}
        return own | {_thing("ip", one): SERVICES.key("kube-system", "kube-dns") for one in self._dns}

    def holds(self, obj: Obj) -> Iterator[str]:
        spec = obj.get("spec") or {}
        yield from (_thing("ip", one) for one in spec.get("clusterIPs") or () if one != "None")
        yield from (f"port {port['nodePort']}" for port in spec.get("ports") or () if port.get("nodePort"))
        if check := spec.get("healthCheckNodePort"):
            yield f"port {check}"

    def assign(self, pool: Pool, claim: Claim, obj: Obj, was: Obj | None) -> None:
        spec = obj["spec"]
        if spec.get("type") != "ExternalName":
            causes = list(families.settle(spec, self._families, (was or {}).get("spec")))
            if causes:
                raise refusals.invalid(SERVICES, meta.name(obj), causes)
            if spec.get("clusterIP") != "None":
                self._assign_ips(pool, claim, obj, (was or {}).get("spec") or {})
        if spec.get("type") in {"NodePort", "LoadBalancer"}:
            self._assign_ports(pool, claim, obj)

    def _assign_ips(self, pool: Pool, claim: Claim, obj: Obj, was: Obj) -> None:
        """One of each of its families. What it has already is its own, whatever the cluster's ranges are by
        now."""
        spec = obj["spec"]
        asked, had = list(spec.get("clusterIPs") or ()), was.get("clusterIPs") or ()
        for family, one in zip(spec["ipFamilies"], asked, strict=False):
            if one not in had or not pool.take(claim, _thing("ip", one)):
                self._take_ip(pool, claim, obj, family, one)
        found = asked + [
            self._any_ip(pool, claim, obj, family) for family in spec["ipFamilies"][len(asked) :]
        ]
        spec["clusterIP"], spec["clusterIPs"] = found[0], found

    def _any_ip(self, pool: Pool, claim: Claim, obj: Obj, family: str) -> str:
        mine = [one for one in map(_address, pool.reserved_for(claim.holder)) if ip.family(one) == family]
        addresses = self._ranges.get(family)
        candidates = iter(mine) if mine else addresses.next if addresses else ()
        found = pool.take_first(claim, (f"ip {one}" for one in candidates))
        if found is None:
            why = "failed to allocate a serviceIP: range is full"
            raise _refused(obj, problems.invalid("spec.clusterIPs", [], why))
        return _address(found)

    def _take_ip(self, pool: Pool, claim: Claim, obj: Obj, family: str, asked: str) -> None:
        why, addresses = "", self._ranges[family]
        if asked not in addresses:
            valid = f"The range of valid IPs is {addresses.network}"
            why = f"the provided IP ({asked}) is not in the valid range. {valid}"
        elif not pool.take(claim, _thing("ip", asked)):
            why = "provided IP is already allocated"
        if why:
            cause = problems.invalid("spec.clusterIPs", [asked], f"failed to allocate IP {asked}: {why}")
            raise _refused(obj, cause)

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
    """A part of each of the cluster's ranges for each node, for as long as its Node object exists. A node
    from before the cluster had a second family gets its part at its next change."""

    kind = NODES

    def __init__(self, *, cluster_cidr: str, masks: Mapping[str, int] = NODE_MASKS) -> None:
        self._networks = ip.networks(cluster_cidr)
        self._bits = {name: max(masks[name], one.prefixlen) for name, one in self._networks.items()}
        self._next = {name: self._turn(one, self._bits[name]) for name, one in self._networks.items()}

    def _turn(self, network: Network, bits: int) -> Turn:
        size = 1 << (network.max_prefixlen - bits)
        return Turn(1 << (bits - network.prefixlen), 0, lambda n: f"{network[n * size]}/{bits}")

    def reserved(self) -> dict[str, str]:
        return {}

    def holds(self, obj: Obj) -> Iterator[str]:
        yield from (_thing("range", cidr) for cidr in (obj.get("spec") or {}).get("podCIDRs") or ())

    def assign(self, pool: Pool, claim: Claim, obj: Obj, was: Obj | None) -> None:  # noqa: ARG002
        spec = obj.setdefault("spec", {})
        asked = list(spec.get("podCIDRs") or filter(None, [spec.get("podCIDR")]))
        for one in asked:
            if not pool.take(claim, _thing("range", one)):
                why = "provided range is already allocated"
                raise _refused(obj, problems.invalid("spec.podCIDR", one, why))
        had = {ip.family(one) for one in asked}
        found = asked + [self._any(pool, claim, obj, name) for name in self._next if name not in had]
        spec["podCIDR"], spec["podCIDRs"] = found[0], found

    def _any(self, pool: Pool, claim: Claim, obj: Obj, family: str) -> str:
        found = pool.take_first(claim, (f"range {cidr}" for cidr in self._next[family]))
        if found is None:
            why = f"all /{self._bits[family]} of the cluster CIDR {self._networks[family]} are taken"
            raise _refused(obj, problems.forbidden("spec.podCIDR", why))
        return found.removeprefix("range ")


def _thing(sort: str, text: str) -> str:
    """Its name in the pool: IPv6 may be written in many ways."""
    if ":" not in text:
        return f"{sort} {text}"
    return f"{sort} {ipaddress.ip_network(text) if '/' in text else ipaddress.ip_address(text)}"


def _address(thing: str) -> str:
    return thing.removeprefix("ip ")


def _refused(obj: Obj, cause: Cause) -> Exception:
    kind = NODES if obj.get("kind") == NODES.kind else SERVICES
    return refusals.invalid(kind, meta.name(obj), [cause])


def standard(
    store: Store,
    *,
    service_cidr: str,
    node_port_range: str,
    cluster_cidr: str,
    cluster_dns: str,
    node_masks: Mapping[str, int],
) -> Allocators:
    """The allocators of a cluster, told what its stored objects hold already."""
    services = ServiceAllocator(
        service_cidr=service_cidr, node_port_range=node_port_range, cluster_dns=cluster_dns
    )
    return Allocators(store, (services, PodRangeAllocator(cluster_cidr=cluster_cidr, masks=node_masks)))
