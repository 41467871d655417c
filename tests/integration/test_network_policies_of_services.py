"""What Services may ask for beyond an address and endpoints, on three hosts and the real kernel: the virtual
packet of tests/unit/test_proxy_plan.py is sent for real."""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from mini8s.agent.proxy import features
from mini8s.objects.kinds import ENDPOINTSLICES, NODES, SERVICES, Obj
from tests.fakes.network_objects import endpoint, node, port, service, slice_of
from tests.integration.small_hosts import OUTSIDE, Place, Pod, SmallHost, eventually, small_hosts

HTTP = port(8080)
SHORT = 1  # seconds that a client is sent to the same endpoint


@pytest.fixture(scope="module")
def hosts() -> Iterator[list[SmallHost]]:
    with small_hosts(3) as hosts:
        yield hosts


@pytest.fixture(scope="module")
def pods(hosts: list[SmallHost]) -> list[Pod]:
    """One on the first host, two on the second, none on the third."""
    return [hosts[0].pod("a"), hosts[1].pod("b"), hosts[1].pod("c")]


def ends(pods: list[Pod], *states: str) -> list[Obj]:
    names = ("h1", "h2", "h2")
    states = states or ("ready",) * len(pods)
    return [
        endpoint(pod.address, node=names[i], state=state)
        for i, (pod, state) in enumerate(zip(pods, states, strict=True))
    ]


def serve(hosts: list[SmallHost], obj: Obj, endpoints: list[Obj], *ports: Obj) -> None:
    """Tell all hosts, and wait until they have it."""
    hosts[0].informers.put(SERVICES, obj)
    hosts[0].informers.put(ENDPOINTSLICES, slice_of(obj, endpoints, *ports or (HTTP,)))
    settled(hosts)


def settled(hosts: list[SmallHost]) -> None:
    for host in hosts:
        host.settle()


def who(client: Place, address: str, number: int, count: int = 30) -> set[str]:
    return {client.tcp(address, number)[0] for _ in range(count)}


def dropped(client: Place, address: str, number: int) -> bool:
    try:
        client.tcp(address, number, timeout=0.25)
    except TimeoutError:
        return True
    return False


def balanced(name: str, vip: str, *addresses: str, **spec: Any) -> Obj:
    obj = service(name, vip, port(80), type="LoadBalancer", **spec)
    obj["status"] = {"loadBalancer": {"ingress": [{"ip": one, "ipMode": "VIP"} for one in addresses]}}
    return obj


def health(place: Place, address: str, number: int) -> tuple[int, Obj]:
    text = place.sh("curl", "-s", "-i", "--max-time", "20", f"http://{address}:{number}/healthz")
    head, _, body = text.partition("\n\n")
    return int(head.split()[1]), json.loads(body)


def test_a_load_balancer_with_a_local_policy(hosts: list[SmallHost], pods: list[Pod]) -> None:
    """Clients outside are served by their host's own pods, and seen; those inside by all."""
    addresses = [host.address for host in hosts]
    web = balanced("local", "10.43.1.1", *addresses, externalTrafficPolicy="Local", healthCheckNodePort=31999)
    serve(hosts, web, ends(pods))
    outside = hosts[0].outside
    assert outside.tcp(addresses[0], 80) == ("a", OUTSIDE)
    assert who(outside, addresses[1], 80) == {"b", "c"}
    assert dropped(outside, addresses[2], 80)
    for inside in (pods[0], hosts[2]):
        assert who(inside, addresses[2], 80, 40) == {"a", "b", "c"}
    for host, count in zip(hosts, (1, 2, 0), strict=True):
        status, said = health(outside, host.address, 31999)
        assert (status, said["localEndpoints"]) == (200 if count else 503, count)
        assert said["service"] == {"namespace": "default", "name": "local"}
    serve(hosts, web, ends(pods, "ending", "ready", "ready"))
    assert outside.tcp(addresses[0], 80) == ("a", OUTSIDE), "what ends here serves while it can"
    assert health(outside, addresses[0], 31999)[0] == 503, "but is not to get more"
    hosts[0].informers.remove(SERVICES, web)
    eventually(lambda: not _answers(outside, addresses[1], 31999))


def _answers(place: Place, address: str, number: int) -> bool:
    try:
        place.tcp(address, number, timeout=0.5)
    except ConnectionRefusedError:
        return False
    except OSError:
        return True
    return True


def test_only_some_clients_may(hosts: list[SmallHost], pods: list[Pod]) -> None:
    web = balanced("guarded", "10.43.1.2", hosts[0].address, loadBalancerSourceRanges=["10.99.0.12/32"])
    serve(hosts, web, ends(pods))
    assert who(hosts[1], hosts[0].address, 80) == {"a", "b", "c"}
    for other in (hosts[0].outside, hosts[2], pods[0]):
        assert dropped(other, hosts[0].address, 80)
    web["spec"]["loadBalancerSourceRanges"] = ["10.99.0.0/24", "10.99.0.99/32"]
    serve(hosts, web, ends(pods))
    assert who(hosts[0].outside, hosts[0].address, 80) == {"a", "b", "c"}
    hosts[0].informers.remove(SERVICES, web)


def test_an_internal_policy_and_what_ends(hosts: list[SmallHost], pods: list[Pod]) -> None:
    web = service("near", "10.43.1.3", port(80), internalTrafficPolicy="Local")
    serve(hosts, web, ends(pods))
    assert who(pods[0], "10.43.1.3", 80) == {"a"}
    assert who(hosts[1], "10.43.1.3", 80) == {"b", "c"}
    assert dropped(hosts[2], "10.43.1.3", 80)
    serve(hosts, web, ends(pods, "ready", "ending", "ready"))
    assert who(hosts[1], "10.43.1.3", 80) == {"c"}
    serve(hosts, web, ends(pods, "ready", "ending", "waiting"))
    assert who(hosts[1], "10.43.1.3", 80) == {"b"}


def test_hints_keep_clients_in_their_zone(hosts: list[SmallHost], pods: list[Pod]) -> None:
    for i, zone in enumerate(("attic", "cellar", "cellar")):
        obj = node(f"h{i + 1}", hosts[i].address, f"10.42.{i + 1}.0/24")
        obj["metadata"]["labels"] = {"topology.kubernetes.io/zone": zone}
        hosts[0].informers.put(NODES, obj)
    web = service("zoned", "10.43.1.4", port(80), trafficDistribution="PreferClose")
    hinted = [
        one | {"hints": {"forZones": [{"name": zone}]}}
        for one, zone in zip(ends(pods), ("attic", "cellar", "cellar"), strict=True)
    ]
    serve(hosts, web, hinted)
    assert who(hosts[0], "10.43.1.4", 80) == {"a"}
    assert who(hosts[2], "10.43.1.4", 80) == {"b", "c"}


def test_affinity_ends_when_the_service_says_and_outlives_a_restart(
    hosts: list[SmallHost], pods: list[Pod]
) -> None:
    client, long = hosts[2], service("long", "10.43.1.6", port(80), sessionAffinity="ClientIP")
    short = service("short", "10.43.1.5", port(80), sessionAffinity="ClientIP")
    short["spec"]["sessionAffinityConfig"] = {"clientIP": {"timeoutSeconds": SHORT}}
    serve(hosts, long, ends(pods))
    serve(hosts, short, ends(pods))
    seen: Counter[str] = Counter()
    for _ in range(8):
        began = time.monotonic()
        found = [*who(client, "10.43.1.5", 80, 5)]
        assert len(found) == 1 or time.monotonic() - began > SHORT, "each request prolongs it"
        seen.update(found)
        if len(seen) > 1:
            break
        time.sleep(SHORT + 0.2)
    assert len(seen) > 1, "with 8 tries one in 2,000 runs would see one endpoint only"
    (favourite,) = who(client, "10.43.1.6", 80)
    client.restart()
    assert who(client, "10.43.1.6", 80) == {favourite}


def test_hundreds_of_endpoints(hosts: list[SmallHost], pods: list[Pod]) -> None:
    """More than 510, all of them reached: the pod answers for a whole range."""
    pod = pods[0]
    pod.sh("ip", "route", "add", "local", "10.42.1.64/26", "dev", "lo")
    addresses = [f"10.42.1.{i}" for i in range(64, 128)]
    hosts[0].sh("ip", "route", "add", "10.42.1.64/26", "dev", link_of(hosts[0], pod))
    many = [endpoint(one, node="h1") for one in addresses]
    web = service("many", "10.43.1.7", port(80))
    hosts[0].informers.put(SERVICES, web)
    for i in range(9):  # 576 endpoints: the port behind is another one in each slice, and one is listened on
        piece = slice_of(web, many, port(8080 + i), suffix=str(i))
        hosts[0].informers.put(ENDPOINTSLICES, piece)
    eventually(lambda: hosts[0].proxy._book and hosts[0].proxy._book.needs.blocks >= {8})
    eventually(lambda: "a" in {_outcome(hosts[0], "10.43.1.7") for _ in range(40)})
    answers = Counter(_outcome(hosts[0], "10.43.1.7") for _ in range(300))
    assert set(answers) == {"a", "refused"}
    assert 10 <= answers["a"] <= 70, "a ninth of them listen"
    for i in range(9):
        hosts[0].informers.remove(ENDPOINTSLICES, slice_of(web, [], suffix=str(i)))
    hosts[0].informers.remove(SERVICES, web)


def _outcome(client: Place, address: str) -> str:
    try:
        return client.tcp(address, 80)[0]
    except ConnectionRefusedError:
        return "refused"


def link_of(host: SmallHost, pod: Pod) -> str:
    return host.sh("ip", "route", "get", pod.address).split(" dev ")[1].split()[0]


def test_node_ports_on_chosen_addresses(hosts: list[SmallHost], pods: list[Pod]) -> None:
    host, outside = hosts[2], hosts[0].outside
    web = service("chosen", "10.43.1.8", port(80, node_port=30088), type="NodePort")
    serve(hosts, web, ends(pods))
    host.sh("ip", "addr", "add", "10.99.0.113/24", "dev", "eth0")
    assert who(outside, "10.99.0.113", 30088) == who(outside, host.address, 30088) == {"a", "b", "c"}
    host.node_port_ranges = (f"{host.address}/32",)
    host.restart()
    assert who(outside, host.address, 30088) == {"a", "b", "c"}
    with pytest.raises(ConnectionRefusedError):
        outside.tcp("10.99.0.113", 30088)


def test_an_endpoint_outside_the_cluster_and_one_that_cant_be(
    hosts: list[SmallHost], pods: list[Pod]
) -> None:
    db = service("db", "10.43.1.9", port(80))
    serve(hosts, db, [endpoint(OUTSIDE), endpoint("127.0.0.1")], port(7070))

    def once() -> str:
        with socket.create_server((OUTSIDE, 7070)) as server:
            server.settimeout(30)
            pods[0].do(_call, "10.43.1.9")
            connection, peer = server.accept()
            connection.close()
            return str(peer[0])

    assert [hosts[0].outside.do(once) for _ in range(8)] == [hosts[0].address] * 8


def _call(address: str) -> None:
    with contextlib.closing(socket.create_connection((address, 80), 30)):
        pass


def test_the_older_service_has_an_external_address_on_every_host(
    hosts: list[SmallHost], pods: list[Pod]
) -> None:
    old = service("old", "10.43.1.10", port(80), externalIPs=["10.99.0.77"])
    young = service("young", "10.43.1.11", port(80), externalIPs=["10.99.0.77"])
    old["metadata"]["creationTimestamp"] = "2026-01-01T00:00:00Z"
    young["metadata"]["creationTimestamp"] = "2026-01-02T00:00:00Z"
    serve(hosts, young, ends(pods[:1]))
    assert who(hosts[1], "10.99.0.77", 80) == {"a"}
    serve(hosts, old, ends(pods)[1:])
    for client in (hosts[1], pods[0]):
        assert who(client, "10.99.0.77", 80) == {"b", "c"}
    assert "wanted by more than one" in hosts[0].proxy.sentence
    hosts[0].informers.remove(SERVICES, old)
    eventually(lambda: who(hosts[1], "10.99.0.77", 80, 5) == {"a"})


def test_tables_of_others_are_left_alone_and_told_of(hosts: list[SmallHost], pods: list[Pod]) -> None:
    host = hosts[1]
    drop = "{ type filter hook forward priority 10; policy drop; ip saddr 10.0.0.0/8 accept; }"
    host.sh("nft", "table inet other { set s { type ipv4_addr; }\n chain forward " + drop + "\n}")
    before = host.sh("nft", "list", "table", "inet", "other")
    host.restart()
    assert host.sh("nft", "list", "table", "inet", "other") == before
    told = "the nftables chain inet other forward drops forwarded packets"
    eventually(lambda: told in host.proxy.sentence)
    assert host.tcp("10.43.1.3", 80)[0] in "bc"
    host.sh("nft", "delete", "table", "inet", "other")


def test_sctp(hosts: list[SmallHost], pods: list[Pod]) -> None:
    """The first packet of an association through the VIP, and an answer, as raw packets: a kernel that leads
    them need not speak SCTP itself."""
    if reason := hosts[0].do(features.without_sctp):
        pytest.skip(reason)
    obj = service("sctp", "10.43.1.12", port(80, protocol="SCTP"))
    serve(hosts, obj, ends(pods)[1:2], port(9090, protocol="SCTP"))
    with pods[1].do(_raw) as server, pods[0].do(_raw) as client:
        client.sendto(_sctp(40_000, 80, tag=0, kind=1), ("10.43.1.12", 0))
        packet, (peer, _) = server.recvfrom(2048)
        assert (peer, struct.unpack_from(">HH", packet, 20)) == (pods[0].address, (40_000, 9090))
        server.sendto(_sctp(9090, 40_000, tag=TAG, kind=2), (peer, 0))
        packet, (peer, _) = client.recvfrom(2048)
        assert (peer, struct.unpack_from(">HH", packet, 20)) == ("10.43.1.12", (80, 40_000))


TAG = 0x5C7B


def _raw() -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_SCTP)
    sock.settimeout(30)
    return sock


def _sctp(source: int, target: int, *, tag: int, kind: int) -> bytes:
    """INIT (1) or INIT ACK (2) of RFC 9260, with the checksum that connection tracking asks for: CRC32c."""
    chunk = struct.pack(">BBHIIHHI", kind, 0, 20, TAG, 65536, 1, 1, 1)
    head = struct.pack(">HHI", source, target, tag)
    crc = 0xFFFFFFFF
    for byte in head + bytes(4) + chunk:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return head + struct.pack("<I", crc ^ 0xFFFFFFFF) + chunk
