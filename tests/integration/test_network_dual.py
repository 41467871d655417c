"""Two families of addresses on the real kernel: pods, Services, names and policies by IPv6, beside IPv4."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Iterator
from typing import Any

import dnslib
import pytest

from mini8s.agent.network import cleanup
from mini8s.agent.network.family import IPV4, IPV6
from mini8s.agent.policy.runner import Policies
from mini8s.agent.policy.table import Table
from mini8s.objects import ip
from mini8s.objects.kinds import ENDPOINTSLICES, NAMESPACES, NETWORKPOLICIES, PODS, SERVICES, Obj
from mini8s.util.workers import Stop
from tests.fakes.network_objects import endpoint, port, service, slice_of
from tests.integration.small_hosts import (
    DNS,
    DNS6,
    OUTSIDE6,
    Place,
    Pod,
    SmallHost,
    eventually,
    small_hosts,
)

VIPS = "10.43.0.100,fd43::100"
VIP6 = "fd43::100"


@pytest.fixture(scope="module", params=["host-gw", "vxlan"])
def hosts(request: pytest.FixtureRequest) -> Iterator[list[SmallHost]]:
    with small_hosts(2, request.param, dual=True) as hosts:
        yield hosts


@pytest.fixture(scope="module")
def pods(hosts: list[SmallHost]) -> list[Pod]:
    """Two on the first host, one on the second, behind a Service."""
    pods = [hosts[0].pod("a"), hosts[0].pod("b"), hosts[1].pod("c")]
    http, udp = port(80, name="http", node_port=30080), port(53, name="udp", protocol="UDP", node_port=30053)
    web = service("web", VIPS, http, udp, type="NodePort", ipFamilies=["IPv4", "IPv6"])
    hosts[0].informers.put(SERVICES, web)
    targets = port(8080, name="http"), port(8080, name="udp", protocol="UDP")
    for place, family in enumerate(ip.FAMILIES):
        ends = [
            endpoint(pod.addresses[place], node=node)
            for pod, node in zip(pods, ("h1", "h1", "h2"), strict=True)
        ]
        piece = slice_of(web, ends, *targets, suffix=family.lower(), family=family)
        hosts[0].informers.put(ENDPOINTSLICES, piece)
    for host in hosts:
        eventually(lambda host=host: answers(host, VIP6, 80))  # type: ignore[misc]
        eventually(lambda host=host: answers(host, "10.43.0.100", 80))  # type: ignore[misc]
    return pods


def answers(place: Place, address: str, number: int) -> bool:
    try:
        return bool(place.tcp(address, number, timeout=1.0))
    except OSError:
        return False


def test_pods_reach_each_other_by_both_addresses(pods: list[Pod]) -> None:
    assert [pod.addresses for pod in pods] == [
        ("10.42.1.1", "fd42:0:0:1::1"),
        ("10.42.1.2", "fd42:0:0:1::2"),
        ("10.42.2.1", "fd42:0:0:2::1"),
    ]
    for source in pods:
        for target in pods:
            for place in (0, 1):
                name, seen = source.tcp(target.addresses[place], 8080)
                assert (f"uid-{name}", seen.strip()) == (target.uid, source.addresses[place])


def test_a_service_answers_at_its_second_address(hosts: list[SmallHost], pods: list[Pod]) -> None:
    for place in (*hosts, *pods):
        assert {place.tcp(VIP6, 80)[0] for _ in range(40)} == {"a", "b", "c"}
        assert place.udp(VIP6, 53)[0] in "abc"
    seen = {pods[0].tcp(VIP6, 80) for _ in range(40)}
    assert ("c", pods[0].addresses[1]) in seen  # the client's address is kept within the cluster
    with pytest.raises(ConnectionRefusedError):
        pods[0].tcp("fd43::99", 80)


def test_node_ports_and_what_leaves_the_cluster(hosts: list[SmallHost], pods: list[Pod]) -> None:
    outside = hosts[0].outside
    for host in hosts:
        there = ip.split(host.address)[1]
        assert {outside.tcp(there, 30080)[0] for _ in range(40)} == {"a", "b", "c"}
        assert outside.udp(there, 30053)[0] in "abc"
    seen = outside.do(_accept_one, lambda: pods[0].do(_connect, OUTSIDE6, 7000))
    assert seen == ip.split(hosts[0].address)[1]


def _connect(address: str, number: int) -> None:
    with socket.create_connection((address, number), 5.0):
        pass


def _accept_one(provoke: Callable[[], None]) -> str:
    """Who connects, as it is seen here."""
    with socket.create_server(("::", 7000), family=socket.AF_INET6) as server:
        server.settimeout(30.0)
        provoke()
        client, (address, *_) = server.accept()
        client.close()
    return str(address)


def test_names_have_both_addresses(hosts: list[SmallHost], pods: list[Pod]) -> None:
    def asked(name: str, kind: str, *, tcp: bool = False) -> set[str]:
        query = dnslib.DNSRecord.question(name, kind)
        reply = pods[0].do(lambda: query.send(DNS6, 53, tcp=tcp, timeout=5.0, ipv6=True))
        return {str(one.rdata) for one in dnslib.DNSRecord.parse(reply).rr}

    name = "web.default.svc.cluster.local"
    assert asked(name, "AAAA") == {VIP6}
    assert asked(name, "A", tcp=True) == {"10.43.0.100"}
    assert asked(ipaddress.ip_address(VIP6).reverse_pointer, "PTR") == {f"{name}."}
    assert asked("h2", "AAAA") == {ip.split(hosts[1].address)[1]}


def test_a_policy_judges_by_both_addresses(hosts: list[SmallHost], pods: list[Pod]) -> None:
    """Who is let in by an IPv6 range is not by its IPv4 address, and the other way round."""
    host, stop = hosts[0], Stop()
    informers = host.informers
    informers.put(NAMESPACES, {"metadata": {"name": "default", "labels": {}}})
    for pod in pods:
        status = {"podIP": pod.address, "podIPs": [{"ip": one} for one in pod.addresses], "phase": "Running"}
        metadata = {"name": pod.uid, "namespace": "default", "uid": pod.uid, "labels": {"app": pod.uid}}
        informers.put(PODS, {"metadata": metadata, "spec": {}, "status": status})
    policies = host.do(
        lambda: Policies(
            informers=informers,  # type: ignore[arg-type]
            node_name=host.name,
            cluster_dns=f"{DNS},{DNS6}",
            network=host.network,
            peers=lambda _changed: AllPods(informers.of(PODS)),
            kernels={family.name: Table(dns, family) for family, dns in ((IPV4, DNS), (IPV6, DNS6))},
            stop=stop,
        )
    )
    host.do(policies.start)
    try:
        blocks = [f"{pods[1].addresses[1]}/128", f"{pods[2].addresses[0]}/32"]
        rule = {"from": [{"ipBlock": {"cidr": one}} for one in blocks]}
        chosen = {"matchLabels": {"app": pods[0].uid}}
        spec = {"podSelector": chosen, "policyTypes": ["Ingress"], "ingress": [rule]}
        informers.put(NETWORKPOLICIES, {"metadata": {"name": "p", "namespace": "default"}, "spec": spec})
        four, six = pods[0].addresses
        eventually(lambda: not answers(pods[2], six, 8080))
        eventually(lambda: not answers(pods[1], four, 8080))
        assert answers(pods[1], six, 8080)
        assert answers(pods[2], four, 8080)
        assert answers(host, six, 8080), "a host reaches its own pods always"
    finally:
        informers.remove(NETWORKPOLICIES, {"metadata": {"name": "p", "namespace": "default"}})
        eventually(lambda: "mini8s_policy" not in host.sh("nft", "list", "tables"))
        policies.stop()


class AllPods:
    """What `peers.Peers` would bring, out of the test's informers."""

    synced = True

    def __init__(self, informer: Any) -> None:
        self._informer = informer

    def list(self) -> list[Obj]:
        return list(self._informer.cache.list())

    def open(self) -> None: ...
    def close(self, *, forget: bool) -> None: ...


def test_clients_stay_with_their_endpoint_also_over_a_restart(
    hosts: list[SmallHost], pods: list[Pod]
) -> None:
    sticky = service("sticky", "fd43::5", port(80), sessionAffinity="ClientIP", ipFamilies=["IPv6"])
    ends = [endpoint(pod.addresses[1], node="h1") for pod in pods]
    hosts[0].informers.put(SERVICES, sticky)
    hosts[0].informers.put(ENDPOINTSLICES, slice_of(sticky, ends, port(8080), family="IPv6"))
    eventually(lambda: answers(pods[0], "fd43::5", 80))
    mine = pods[0].tcp("fd43::5", 80)[0]
    assert {pods[0].tcp("fd43::5", 80)[0] for _ in range(20)} == {mine}
    hosts[0].restart()
    eventually(lambda: answers(pods[0], "fd43::5", 80))
    assert {pods[0].tcp("fd43::5", 80)[0] for _ in range(20)} == {mine}
    left = [one for one, pod in zip(ends, pods, strict=True) if pod.uid != f"uid-{mine}"]
    hosts[0].informers.put(ENDPOINTSLICES, slice_of(sticky, left, port(8080), family="IPv6"))
    eventually(lambda: answers(pods[0], "fd43::5", 80) and pods[0].tcp("fd43::5", 80)[0] != mine)


def test_a_client_of_udp_follows_when_its_endpoint_goes(hosts: list[SmallHost], pods: list[Pod]) -> None:
    """The kernel remembers where its first packet went, until the proxy has it forgotten."""
    talk = service("talk", "fd43::6", port(53, protocol="UDP"), ipFamilies=["IPv6"])
    target = port(8080, protocol="UDP")
    ends = {pod.uid: endpoint(pod.addresses[1], node="h1") for pod in pods}
    hosts[0].informers.put(SERVICES, talk)
    hosts[0].informers.put(ENDPOINTSLICES, slice_of(talk, ends.values(), target, family="IPv6"))
    with pods[0].do(lambda: socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)) as client:
        client.settimeout(0.5)
        client.connect(("fd43::6", 53))
        eventually(lambda: said(client))
        first = said(client)
        assert first
        assert said(client) in ("", first)
        del ends[f"uid-{first}"]
        hosts[0].informers.put(ENDPOINTSLICES, slice_of(talk, ends.values(), target, family="IPv6"))
        eventually(lambda: said(client) not in ("", first))


def said(client: socket.socket) -> str:
    try:
        client.send(b"?")
        return client.recv(100).decode().partition(" ")[0]
    except OSError:
        return ""


def test_a_start_finds_all_again_and_cleanup_leaves_nothing(hosts: list[SmallHost], pods: list[Pod]) -> None:
    before = hosts[1].sh("ip", "-6", "route")
    hosts[1].restart()
    assert hosts[1].network.addresses("uid-c") == pods[2].addresses
    assert hosts[1].sh("ip", "-6", "route") == before
    hosts[1].end()
    assert hosts[1].do(cleanup.remove_all) == []
    for words in (("ip", "-6", "addr"), ("ip", "-6", "route"), ("nft", "list", "tables")):
        said = hosts[1].sh(*words)
        assert not [one for one in ("fd42", "fd43", "mini8s") if one in said], said
    assert OUTSIDE6 in hosts[1].sh("ip", "-6", "route")
