"""Cluster IPs, node ports and pod ranges: given once, given back, never given twice."""

from __future__ import annotations

import threading
from collections import Counter
from typing import Any

import pytest
from fakes.cluster import Cluster, service
from fakes.store import FakeStore
from hypothesis import given, settings
from hypothesis import strategies as st

from mini8s.objects.errors import ApiError, Invalid
from mini8s.objects.kinds import NAMESPACES, NODES, SERVICES, Obj
from mini8s.registry import families
from mini8s.registry.pools import Claim, Pool, Turn
from mini8s.store.base import Durability, Encode, Row, Unavailable


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


def test_an_address_from_the_upper_part(cluster: Cluster) -> None:
    spec = cluster.create(SERVICES, service())["spec"]
    assert spec["clusterIP"] == "10.43.1.1"
    assert spec["clusterIPs"] == ["10.43.1.1"]
    assert (spec["ipFamilies"], spec["ipFamilyPolicy"], spec["type"]) == (
        ["IPv4"],
        "SingleStack",
        "ClusterIP",
    )
    assert cluster.create(SERVICES, service("b"))["spec"]["clusterIP"] == "10.43.1.2"


def test_an_address_of_ones_own(cluster: Cluster) -> None:
    assert cluster.create(SERVICES, service(clusterIP="10.43.0.7"))["spec"]["clusterIPs"] == ["10.43.0.7"]
    with pytest.raises(Invalid) as refused:
        cluster.create(SERVICES, service("b", clusterIP="10.43.0.7"))
    assert refused.value.message == (
        'Service "b" is invalid: spec.clusterIPs: Invalid value: ["10.43.0.7"]: '
        "failed to allocate IP 10.43.0.7: provided IP is already allocated"
    )
    cluster.delete(SERVICES, "web")
    cluster.create(SERVICES, service("b", clusterIP="10.43.0.7"))


@pytest.mark.parametrize("ip", ["10.43.0.0", "10.43.255.255", "10.44.0.1", "8.8.8.8"])
def test_addresses_outside(cluster: Cluster, ip: str) -> None:
    with pytest.raises(Invalid, match=r"not in the valid range. The range of valid IPs is 10.43.0.0/16"):
        cluster.create(SERVICES, service(clusterIP=ip))


def test_reserved_addresses(cluster: Cluster) -> None:
    cluster.create(NAMESPACES, {"metadata": {"name": "kube-system"}})
    for ip in ("10.43.0.1", "10.43.0.10"):
        with pytest.raises(Invalid, match="provided IP is already allocated"):
            cluster.create(SERVICES, service(clusterIP=ip))
    assert cluster.create(SERVICES, service("kubernetes"))["spec"]["clusterIP"] == "10.43.0.1"
    dns = cluster.create(SERVICES, service("kube-dns", clusterIP="10.43.0.10"), namespace="kube-system")
    assert dns["spec"]["clusterIP"] == "10.43.0.10"


def test_headless_and_external(cluster: Cluster) -> None:
    assert cluster.create(SERVICES, service(clusterIP="None"))["spec"]["clusterIPs"] == ["None"]
    named = cluster.create(SERVICES, service("b", type="ExternalName", externalName="example.com"))
    assert "clusterIP" not in named["spec"]


@pytest.mark.parametrize(
    ("asked", "policy", "wanted"),
    [
        ({}, "SingleStack", ["IPv4"]),
        ({"ipFamilyPolicy": "PreferDualStack"}, "PreferDualStack", ["IPv4"]),
        ({"clusterIP": "None", "selector": {"a": "b"}}, "SingleStack", ["IPv4"]),
        ({"clusterIP": "None"}, "RequireDualStack", ["IPv4", "IPv6"]),
        ({"clusterIP": "None", "ipFamilies": ["IPv6"]}, "RequireDualStack", ["IPv6", "IPv4"]),
        ({"clusterIP": "None", "ipFamilyPolicy": "SingleStack"}, "SingleStack", ["IPv4"]),
    ],
)
def test_families(cluster: Cluster, asked: Obj, policy: str, wanted: list[str]) -> None:
    """As the cluster of one family has it; who makes endpoints by hand may have any."""
    spec = cluster.create(SERVICES, service(**{"selector": None, **asked}))["spec"]
    assert (spec["ipFamilyPolicy"], spec["ipFamilies"]) == (policy, wanted)
    spec = cluster.update(SERVICES, service(**{"selector": None, **asked}))["spec"]
    assert (spec["ipFamilyPolicy"], spec["ipFamilies"]) == (policy, wanted)


def test_the_second_family_is_given_up(cluster: Cluster) -> None:
    cluster.create(SERVICES, service(clusterIP="None"))
    single = service(clusterIP="None", ipFamilyPolicy="SingleStack", ipFamilies=["IPv4", "IPv6"])
    assert cluster.update(SERVICES, single)["spec"]["ipFamilies"] == ["IPv4"]


@pytest.mark.parametrize(
    ("asked", "wanted"),
    [
        ({"ipFamilyPolicy": "RequireDualStack"}, ["IPv4", "IPv6"]),
        ({"ipFamilyPolicy": "PreferDualStack", "ipFamilies": ["IPv6"]}, ["IPv6", "IPv4"]),
        ({"ipFamilies": ["IPv6"]}, ["IPv6"]),
    ],
)
def test_families_of_a_cluster_of_two(asked: Obj, wanted: list[str]) -> None:
    assert not list(families.settle(asked, ("IPv4", "IPv6")))
    assert asked["ipFamilies"] == wanted


def test_an_update_without_an_address_keeps_it(cluster: Cluster) -> None:
    made = cluster.create(SERVICES, service())
    changed = cluster.update(SERVICES, service(ports=[{"port": 81}]))
    assert changed["spec"]["clusterIP"] == made["spec"]["clusterIP"]
    with pytest.raises(Invalid, match=r"spec.clusterIPs\[0\]: Invalid value: .*may not change once set"):
        cluster.update(SERVICES, service(clusterIP="10.43.0.9"))


def test_node_ports_come_and_go_with_the_type(cluster: Cluster) -> None:
    made = cluster.create(SERVICES, service(type="NodePort"))
    port = made["spec"]["ports"][0]["nodePort"]
    assert port == 30086
    assert made["spec"]["externalTrafficPolicy"] == "Cluster"
    assert cluster.update(SERVICES, service(type="NodePort"))["spec"]["ports"][0]["nodePort"] == port
    back = cluster.patch(SERVICES, "web", {"spec": {"type": "ClusterIP"}})
    assert "nodePort" not in back["spec"]["ports"][0]
    assert "externalTrafficPolicy" not in back["spec"]
    taken = service("b", type="NodePort", ports=[{"port": 80, "nodePort": port}])
    assert cluster.create(SERVICES, taken)["spec"]["ports"][0]["nodePort"] == port
    external = cluster.patch(
        SERVICES, "b", {"spec": {"type": "ExternalName", "externalName": "example.com", "ports": None}}
    )
    assert "clusterIP" not in external["spec"]


@pytest.mark.parametrize(
    ("port", "said"),
    [
        (30080, r"spec.ports\[0\].nodePort: Invalid value: 30080: provided port is already allocated"),
        (80, "provided port is not in the valid range. The range of valid ports is 30000-32767"),
    ],
)
def test_node_ports_of_ones_own(cluster: Cluster, port: int, said: str) -> None:
    cluster.create(SERVICES, service(type="NodePort", ports=[{"port": 80, "nodePort": 30080}]))
    with pytest.raises(Invalid, match=said):
        cluster.create(SERVICES, service("b", type="NodePort", ports=[{"port": 80, "nodePort": port}]))
    assert not cluster.exists(SERVICES, "b")


def test_one_number_for_both_protocols(cluster: Cluster) -> None:
    ports = [
        {"name": "t", "port": 53, "protocol": "TCP", "nodePort": 30053},
        {"name": "u", "port": 53, "protocol": "UDP", "nodePort": 30053},
    ]
    cluster.create(SERVICES, service(type="NodePort", ports=ports))


def test_a_load_balancer_that_keeps_addresses_has_a_port_for_checks(cluster: Cluster) -> None:
    made = cluster.create(SERVICES, service(type="LoadBalancer", externalTrafficPolicy="Local"))
    assert made["spec"]["healthCheckNodePort"] in range(30000, 32768)


def test_what_a_failed_write_asked_for_is_free_again(cluster: Cluster) -> None:
    store = cluster.store
    assert isinstance(store, FakeStore)
    store.refuse = Unavailable("disk full")
    with pytest.raises(ApiError):
        cluster.create(SERVICES, service(clusterIP="10.43.0.7"))
    store.refuse = None
    cluster.create(SERVICES, service("b", clusterIP="10.43.0.7"))
    with pytest.raises(ApiError):
        cluster.create(SERVICES, service("b", clusterIP="10.43.0.8"))  # the name is taken
    cluster.create(SERVICES, service("c", clusterIP="10.43.0.8"))


def test_dry_run_keeps_nothing(cluster: Cluster) -> None:
    cluster.create(SERVICES, service(clusterIP="10.43.0.7"), dry_run=True)
    cluster.create(SERVICES, service("b", clusterIP="10.43.0.7"))


def test_a_restart_remembers() -> None:
    first = Cluster()
    first.create(SERVICES, service(type="NodePort"))
    again = Cluster(first.store)
    spec = again.create(SERVICES, service("b", type="NodePort"))["spec"]
    assert (spec["clusterIP"], spec["ports"][0]["nodePort"]) == ("10.43.1.2", 30087)


def test_a_full_range() -> None:
    cluster = Cluster(service_cidr="10.43.0.0/30", cluster_dns="10.43.0.9")
    cluster.create(SERVICES, service())
    with pytest.raises(Invalid, match="failed to allocate a serviceIP: range is full"):
        cluster.create(SERVICES, service("b"))


def test_pod_ranges() -> None:
    cluster = Cluster(cluster_cidr="10.42.0.0/23")
    made = cluster.create(NODES, {"metadata": {"name": "n1"}})
    assert made["spec"] == {"podCIDR": "10.42.0.0/24", "podCIDRs": ["10.42.0.0/24"]}
    assert cluster.create(NODES, {"metadata": {"name": "n2"}})["spec"]["podCIDR"] == "10.42.1.0/24"
    with pytest.raises(Invalid, match=r"all /24 of the cluster CIDR 10.42.0.0/23 are taken"):
        cluster.create(NODES, {"metadata": {"name": "n3"}})
    kept = cluster.update(NODES, {"metadata": {"name": "n1"}, "spec": {"unschedulable": True}})
    assert kept["spec"]["podCIDR"] == "10.42.0.0/24"
    with pytest.raises(Invalid, match="node updates may not change podCIDR"):
        cluster.patch(NODES, "n1", {"spec": {"podCIDR": "10.42.1.0/24"}})
    cluster.delete(NODES, "n1")
    assert cluster.create(NODES, {"metadata": {"name": "n3"}})["spec"]["podCIDR"] == "10.42.0.0/24"


class SlowStore(FakeStore):
    """A store whose writers meet: each waits until all others are about to write too."""

    def __init__(self, writers: int) -> None:
        super().__init__()
        self._barrier = threading.Barrier(writers)

    def put(
        self, key: str, encode: Encode, *, expected: int, durability: Durability = Durability.LASTING
    ) -> Row:
        if key.startswith(SERVICES.prefix()):
            self._barrier.wait(60)
        return super().put(key, encode, expected=expected, durability=durability)


def test_writers_at_the_same_moment_never_get_the_same() -> None:
    writers = 8
    cluster = Cluster(SlowStore(writers))
    made: list[Obj] = []

    def create(number: int) -> None:
        made.append(cluster.create(SERVICES, service(f"s{number}", type="NodePort")))

    threads = [threading.Thread(target=create, args=(number,)) for number in range(writers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len({found["spec"]["clusterIP"] for found in made}) == writers
    assert len({found["spec"]["ports"][0]["nodePort"] for found in made}) == writers


NAMES = st.sampled_from(["a", "b", "c", "d"])
IPS = st.sampled_from(["", "None", "10.43.0.2", "10.43.0.3", "10.43.0.5"])
PORTS = st.sampled_from([0, 30000, 30001, 30002])
TYPES = st.sampled_from(["ClusterIP", "NodePort", "LoadBalancer", "ExternalName"])
STEPS = st.lists(
    st.tuples(st.sampled_from(["create", "update", "delete"]), NAMES, IPS, PORTS, TYPES), max_size=25
)


@settings(max_examples=60, deadline=None)
@given(STEPS)
def test_no_two_services_ever_hold_the_same(steps: list[tuple[str, str, str, int, str]]) -> None:
    cluster = Cluster(service_cidr="10.43.0.0/29", node_port_range="30000-30003", cluster_dns="10.43.0.6")
    for verb, name, ip, port, kind in steps:
        spec: dict[str, Any] = {"type": kind, "ports": [{"port": 80, "nodePort": port}]}
        if ip:
            spec["clusterIP"] = ip
        if kind == "ExternalName":
            spec["externalName"] = "example.com"
        assert _refusal(cluster, verb, service(name, **spec)) < 500
        _check_held(cluster)


def _refusal(cluster: Cluster, verb: str, wanted: Obj) -> int:
    """The code of the error that a verb ends in, 0 for none."""
    try:
        if verb == "delete":
            cluster.delete(SERVICES, wanted["metadata"]["name"])
        else:
            (cluster.create if verb == "create" else cluster.update)(SERVICES, wanted)
    except ApiError as error:
        return error.code
    return 0


def _check_held(cluster: Cluster) -> None:
    specs = [cluster.get(SERVICES, name)["spec"] for name in cluster.names(SERVICES)]
    ips = Counter(ip for spec in specs for ip in spec.get("clusterIPs", ()) if ip != "None")
    ports = Counter(port["nodePort"] for spec in specs for port in spec["ports"] if port.get("nodePort"))
    assert not [value for value, times in (ips + ports).items() if times > 1]


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 5), st.booleans()), max_size=40))
def test_a_pool_has_one_holder_a_thing(steps: list[tuple[int, int, bool]]) -> None:
    """Claims that end well or badly, in any order, never leave a thing with two holders."""
    pool, stored, under_way = Pool({}), {}, {}
    for holder, thing, kept in steps:
        key, name = f"h{holder}", f"t{thing}"
        if key in under_way:
            claim, wanted = under_way.pop(key)
            if kept:
                stored[key] = wanted
            pool.settle(claim, [stored[key]] if key in stored else [])
        else:
            claim = Claim(key)
            if pool.take(claim, name):
                under_way[key] = (claim, name)
            else:
                pool.settle(claim, [stored[key]] if key in stored else [])
        held = [*stored.values()]
        assert len(held) == len(set(held))


@given(st.integers(1, 50), st.integers(0, 60))
def test_a_turn_goes_over_all(size: int, apart: int) -> None:
    turn = Turn(size, apart, str)
    assert sorted(map(int, turn)) == list(range(size))
    assert sorted(map(int, turn)) == list(range(size))
