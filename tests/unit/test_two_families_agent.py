"""Two families of addresses in the controllers and on a host: endpoints, routes, elements."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mini8s.agent.kubelet.downward import Placed, field_value
from mini8s.agent.network import masquerade
from mini8s.agent.network.base import Ips
from mini8s.agent.network.elements import Timed, pack, pack_last, unpack, unpack_ranges
from mini8s.agent.network.family import IPV4, IPV6
from mini8s.agent.network.netlink import PodLink, link_name
from mini8s.agent.network.own_address import OwnAddress
from mini8s.agent.network.plan import (
    TUNNEL,
    Forward,
    Neighbour,
    Node,
    Route,
    inside,
    node,
    tunnel_mac,
    wanted,
)
from mini8s.agent.network.pods import Pods
from mini8s.agent.policy import model as policies
from mini8s.agent.policy import skeleton as policy_skeleton
from mini8s.agent.policy.layout import BLOCKS, INGRESS
from mini8s.agent.policy.plan import Book as PolicyBook
from mini8s.agent.policy.plan import Picture, kin
from mini8s.agent.proxy import learned, model, skeleton
from mini8s.agent.proxy.layout import FRONTS, Needs, shape
from mini8s.agent.proxy.plan import Book, Flow
from mini8s.controllers.kinds.endpoints.legacy import Endpoints
from mini8s.controllers.kinds.endpoints.slices import EndpointSlices
from mini8s.controllers.kinds.servicelb.controller import ServiceLoadBalancers
from mini8s.controllers.settings import ControllerSettings
from mini8s.objects.kinds import ENDPOINTS, ENDPOINTSLICES, NODES, PODS, SERVICES, Obj
from mini8s.util.workers import Stop
from tests.fakes import network_objects as objects
from tests.fakes.packet import packet, sent
from tests.fakes.world import NAMESPACE, World, pod, service
from tests.fakes.world import node as named_node

BOTH = ["IPv4", "IPv6"]
OWN = objects.node("h1", "10.99.0.11,fd99::b", "10.42.1.0/24,fd42:0:0:1::/64")
OTHER = objects.node("h2", "10.99.0.12,fd99::c", "10.42.2.0/24,fd42:0:0:2::/64")


@pytest.fixture
def world() -> Iterator[World]:
    made = World([EndpointSlices, Endpoints, ServiceLoadBalancers], ControllerSettings(api_port=6443))
    yield made
    made.close()


def serve(world: World, name: str, *ips: str) -> None:
    world.api.create(PODS, pod(name, node="n1", labels={"app": "web"}))
    world.set_ready(name, True, ips[0])
    status = {"podIPs": [{"ip": one} for one in ips]}
    world.api.patch_status(PODS, NAMESPACE, name, {"status": status})


def slices(world: World) -> dict[str, list[str]]:
    return {
        one["addressType"]: sorted(end["addresses"][0] for end in one["endpoints"])
        for one in world.all(ENDPOINTSLICES)
    }


def test_endpoints_of_each_family_that_a_service_has(world: World) -> None:
    world.api.create(SERVICES, service(ipFamilies=["IPv6", "IPv4"]))
    serve(world, "p", "10.42.0.2", "fd42::2")
    serve(world, "old", "10.42.0.3")  # from before the cluster had a second family
    world.settle()
    assert slices(world) == {"IPv4": ["10.42.0.2", "10.42.0.3"], "IPv6": ["fd42::2"]}
    (subset,) = world.get(ENDPOINTS, "web")["subsets"]
    assert [one["ip"] for one in subset["addresses"]] == ["fd42::2"], "the first family's only"
    world.writes()
    world.settle()
    assert world.writes() == []
    world.api.patch(SERVICES, NAMESPACE, "web", {"spec": {"ipFamilies": ["IPv6"]}})
    world.settle()
    assert slices(world) == {"IPv6": ["fd42::2"]}


def test_a_load_balancer_has_its_families_addresses_of_hosts(world: World) -> None:
    for name in ("h1", "h2"):
        made = named_node(name)
        listed = ["10.99.0.11", "fd99::b"] if name == "h1" else ["10.99.0.12"]
        made["status"]["addresses"] = [{"type": "InternalIP", "address": one} for one in listed]
        world.api.create(NODES, made)
    for name, families in (("web", BOTH), ("six", ["IPv6"])):
        port = {"port": 80 if name == "web" else 81}
        world.api.create(SERVICES, service(name, type="LoadBalancer", ipFamilies=families, ports=[port]))
    world.settle()
    given = [
        [one["ip"] for one in world.get(SERVICES, name)["status"]["loadBalancer"]["ingress"]]
        for name in ("web", "six")
    ]
    assert given == [["10.99.0.11", "10.99.0.12", "fd99::b"], ["fd99::b"]]


def test_routes_of_the_second_family_go_their_own_way() -> None:
    own, other = (node(one, "IPv6", "IPv4") for one in (OWN, OTHER))
    assert other == Node("h2", "fd99::c", "fd42:0:0:2::/64", Node("h2", "10.99.0.12", "10.42.2.0/24"))
    assert wanted([own, other], own, ()) == {Route("fd42:0:0:2::/64", "fd99::c")}
    mac = "0a:58:0a:2a:02:00"
    assert wanted([own, other], own, ["fd99::c"], {"10.99.0.12": 1350}) == {
        Route("fd42:0:0:2::/64", "fd42:0:0:2::", TUNNEL, 1350),
        Neighbour("fd42:0:0:2::", mac),
        Forward(mac, "10.99.0.12"),  # one tunnel, between the hosts' first addresses
    }


def test_a_tunnel_of_ipv6_alone() -> None:
    own, other = (node(one, "IPv6", "IPv6") for one in (OWN, OTHER))
    assert Forward("0a:58:00:00:00:02", "fd99::c") in wanted([own, other], own, ["fd99::c"])


@pytest.mark.parametrize(
    "ranges", [("fd42:0:0:1::/64", "fd42:0:0:2::/64"), ("fd42::100/120", "fd42::200/120")]
)
def test_macs_of_the_tunnel_differ_however_long_the_ranges_are(ranges: tuple[str, str]) -> None:
    assert [tunnel_mac(one) for one in ranges] == ["0a:58:00:00:00:01", "0a:58:00:00:00:02"]


def test_a_node_that_lacks_the_first_family_keeps_no_other_from_its_routes() -> None:
    """The cluster has gained IPv6 as its first, and that host doesn't know it yet."""
    old = objects.node("h3", "10.99.0.13", "10.42.3.0/24")
    own, other, without = (node(one, "IPv4", "IPv6") for one in (OWN, OTHER, old))
    found = wanted([own, other, without], own, ["10.99.0.12", "10.99.0.13"])
    assert {one.destination for one in found if isinstance(one, Route)} == {"10.42.2.0/24"}


def test_what_leaves_the_cluster_by_ipv6_is_masqueraded() -> None:
    found = [node(one, "IPv6", "IPv4") for one in (OWN, OTHER)]
    text = masquerade.table("fd42:0:0:1::/64", inside(found, "fd42::/48", "fd43::/112"))
    assert "table ip6 mini8s_net {" in text
    assert "elements = { fd42::/48, fd43::/112, fd99::b, fd99::c }" in text
    assert "ip6 saddr fd42:0:0:1::/64 ip6 daddr != @inside ip6 daddr != ff00::/8 masquerade" in text


class Links:
    """The kernel's links of pods, in memory."""

    def __init__(self, *links: PodLink) -> None:
        self.links = {link.name: link for link in links}
        self.inside: dict[int, Ips] = {}

    def pod_links(self) -> list[PodLink]:
        return list(self.links.values())

    def add_pod(self, uid: str, pid: int, addresses: Ips, mtu: int) -> None:
        self.links[link_name(uid)] = PodLink(link_name(uid), mtu, uid, addresses)
        self.inside[pid] = addresses

    def remove_link(self, name: str) -> None:
        self.links.pop(name, None)

    def addresses_in(self, pid: int) -> Ips:
        return self.inside.get(pid, ())


def test_a_pod_gets_an_address_of_each_and_one_from_before_stays_as_it_is() -> None:
    old = PodLink(link_name("old"), 1, "old", ("10.42.1.7",))
    half = PodLink(link_name("half"), 2, "half", ("fd42:0:0:1::9",))  # the first family's route is the last
    kernel = Links(old, half)
    kernel.inside[5] = ("10.42.1.7", "fe80::1")
    pods = Pods(kernel, ["10.42.1.0/24", "fd42:0:0:1::/64"], 1500)  # type: ignore[arg-type]
    assert half.name not in kernel.links
    assert pods.attach("old", 5) == ("10.42.1.7",)
    new = pods.attach("new", 6)
    assert new == ("10.42.1.8", "fd42:0:0:1::a")
    assert pods.attach("new", 6) == new
    assert pods.refresh() == 2
    pods.detach("new")
    assert pods.addresses("new") == ()


def test_one_address_of_a_host_changes_and_the_other_stays() -> None:
    said: list[str] = []
    has = {"10.99.0.11"}
    found = OwnAddress(
        "",
        "10.99.0.11,fd99::b",
        Stop(),
        note=said.append,
        has_address=has.__contains__,
        way_out=lambda family: "fd99::77" if family == "IPv6" else "",
    )
    found.look()
    found.close()
    assert (found(), said) == (("10.99.0.11", "fd99::77"), ["10.99.0.11,fd99::77"])


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("status.podIP", "10.42.0.7"),
        ("status.podIPs", "10.42.0.7,fd42::7"),
        ("status.hostIPs", "10.99.0.11,fd99::b"),
    ],
)
def test_what_a_pod_is_told(path: str, value: str) -> None:
    there = Placed({"metadata": {}, "spec": {}}, ("10.42.0.7", "fd42::7"), ("10.99.0.11", "fd99::b"), {})
    assert field_value(there, path) == value


SIX = model.Home("h1", family=IPV6)


def planned(obj: Obj, *ends: Obj) -> Book:
    pieces = [
        objects.slice_of(obj, ends, objects.port(8080), family="IPv6"),
        objects.slice_of(obj, [objects.endpoint("10.42.1.1")], objects.port(8080), suffix="y"),
    ]
    book = Book()
    book.change({"default/web": model.service(obj, pieces, SIX)})
    return book


def test_a_packet_to_the_second_address() -> None:
    web = objects.service(
        "web", "10.43.0.100,fd43::100", objects.port(80), externalIPs=["192.0.2.1", "2001:db8::1"]
    )
    elements = planned(
        web, objects.endpoint("fd42::1"), objects.endpoint("fe80::1"), objects.endpoint("fd42::2")
    ).elements
    for address in ("fd43::100", "2001:db8::1"):
        assert packet(elements, address, 80).to == sent(("fd42::1", 8080), ("fd42::2", 8080)).to
    assert (FRONTS, ("10.43.0.100", "tcp", 80)) not in elements
    only = objects.service("web", "10.43.0.100", objects.port(80, node_port=30080), type="NodePort")
    assert planned(only, objects.endpoint("fd42::1")).elements == {}, "no address of the family, no node port"


def test_who_may_use_a_load_balancer_is_said_by_family() -> None:
    spec: dict[str, Any] = {"loadBalancerSourceRanges": ["10.0.0.0/8", "2001:db8::/33", "2001:db8:8000::/33"]}
    web = objects.service("web", "fd43::100", objects.port(80), type="LoadBalancer", **spec)
    web["status"] = {"loadBalancer": {"ingress": [{"ip": "10.99.0.11"}, {"ip": "fd99::b"}]}}
    found = model.service(web, [], SIX)
    assert found
    assert (found.balanced, found.sources) == (("fd99::b",), ("2001:db8::/32",))


def test_host_ports_of_a_family() -> None:
    ports = [
        {"containerPort": 80, "hostPort": 8000},
        {"containerPort": 80, "hostPort": 8001, "hostIP": "fd99::b"},
        {"containerPort": 80, "hostPort": 8002, "hostIP": "10.99.0.11"},
    ]
    made = objects.pod_with_ports("p", "10.42.1.1", *ports)
    assert model.pod_service(made, IPV6) is None, "it has no address of the family"
    made["status"]["podIPs"] = [{"ip": "10.42.1.1"}, {"ip": "fd42::1"}]
    found = model.pod_service(made, IPV6)
    assert found
    assert [one.host for one in found.ports] == ["::", "fd99::b"]
    book = Book()
    book.change({"pod:p": found})
    assert {(name, key) for name, key in book.elements if name in ("hn", "ha")} == {
        ("hn", ("tcp", 8000)),
        ("ha", ("fd99::b", "tcp", 8001)),
    }


def test_udp_flows_of_the_second_address_are_forgotten() -> None:
    web = objects.service("web", "fd43::100", objects.port(53, protocol="UDP"))
    piece = objects.slice_of(
        web, [objects.endpoint("fd42::1")], objects.port(53, protocol="UDP"), family="IPv6"
    )
    book = Book()
    book.change({"default/web": model.service(web, [piece], SIX)})
    assert book.change({"default/web": None}).stale == {Flow("udp", "fd43::100", 53, ("fd42::1", 53))}


def test_the_texts_are_those_of_ipv4_in_other_words() -> None:
    """But for what clients are bound to, which nft has no room for in one map."""
    words = {"ip": "ip6", "icmp": "icmpv6", "127.0.0.0/8": "::1"}
    words |= {f"ipv4_addr{end}": f"ipv6_addr{end}" for end in ("", ";")}

    def said(text: str, *, translate: bool) -> list[str]:
        lines = [line for line in text.splitlines() if "af" not in line and "skeleton_" not in line]
        return [" ".join(words.get(one, one) if translate else one for one in line.split()) for line in lines]

    cidrs = ("fd43::/112", "fd42::/48")
    needs = Needs({0}, {20})
    four, six = (skeleton.Skeleton(*cidrs, ["fd99::/64"], family).table(needs) for family in (IPV4, IPV6))
    assert said(four, translate=True) == said(six, translate=False)
    four, six = (policy_skeleton.table("fd43::a", family) for family in (IPV4, IPV6))
    assert said(four, translate=True) == said(six, translate=False)


KEYS = st.tuples(
    st.ip_addresses(network="2001:db8::/32").map(str), st.sampled_from(["tcp", "udp"]), st.integers(1, 65535)
)


@given(KEYS, st.integers(32, 128))
def test_what_is_written_of_ipv6_is_read_again(key: tuple[str, str, int], bits: int) -> None:
    maps = shape(IPV6).maps
    fields = maps["fe"].key
    assert unpack(fields, pack(fields, key)) == key
    assert maps["fe"].key_size == len(pack(fields, key)) == 24
    number = int.from_bytes(socket.inet_pton(socket.AF_INET6, key[0])) >> (128 - bits) << (128 - bits)
    network = f"{socket.inet_ntop(socket.AF_INET6, number.to_bytes(16))}/{bits}"
    fields = maps["src"].key
    whole = (*key, network)
    assert unpack_ranges(fields, pack(fields, whole), pack_last(fields, whole)) == whole


def test_what_clients_are_bound_to_is_joined_from_two_maps() -> None:
    addresses = [Timed((8192, 5), ("fd42::1",), 10, 5), Timed((8192, 6), ("fd42::2",), 10, 5)]
    ports = [Timed((8192, 5), (80,), 10, 5), Timed((8192, 7), (80,), 10, 5)]
    found = learned.joined([addresses, ports])
    assert found == [Timed((8192, 5), ("fd42::1", 80), 10, 5)]
    assert learned.split(found, 2) == [addresses[:1], ports[:1]]
    assert learned.split(found, 1) == [found]


def test_a_policys_range_counts_in_its_own_family() -> None:
    blocks = [
        {"ipBlock": {"cidr": "2001:db8::/32", "except": ["2001:db8::/33"]}},
        {"ipBlock": {"cidr": "10.0.0.0/8"}},
    ]
    obj = {
        "metadata": {"namespace": "a", "name": "p"},
        "spec": {"podSelector": {}, "policyTypes": ["Ingress"], "ingress": [{"from": blocks}]},
    }
    status = {"podIP": "10.42.1.1", "podIPs": [{"ip": "10.42.1.1"}, {"ip": "fd42::1"}]}
    lean = policies.lean({"metadata": {"namespace": "a", "name": "w"}, "spec": {}, "status": status})
    ranges = {}
    for family in BOTH:
        local = policies.pod(lean, family=family)
        assert local
        judged = Picture([policies.policy(obj, family)], {}, kin([local]), [local], family)
        elements = PolicyBook()
        elements.change(judged)
        ranges[family] = [key[1] for name, key in elements.elements if name == BLOCKS]
        assert [key for name, key in elements.elements if name == INGRESS] == [(local.address,)]
    assert ranges == {
        "IPv4": ["10.0.0.0-10.255.255.255"],
        "IPv6": ["2001:db8:8000::-2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"],
    }
