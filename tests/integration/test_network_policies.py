"""NetworkPolicies on the real kernel: pods of two hosts talk, or don't."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from mini8s.agent.network.base import NetworkError
from mini8s.agent.policy import runner
from mini8s.agent.policy.guard import Guarded
from mini8s.agent.policy.runner import Policies
from mini8s.agent.policy.table import Table
from mini8s.objects.kinds import ENDPOINTSLICES, NAMESPACES, NETWORKPOLICIES, PODS, SERVICES, Obj
from mini8s.util.workers import Stop
from tests.fakes import network_objects as objects
from tests.integration.small_hosts import DNS, Pod, SmallHost, eventually, small_hosts


class AllPods:
    """What `peers.Peers` would bring, out of the test's informers."""

    def __init__(self, informer: Any, changed: Any) -> None:
        self._informer = informer
        informer.subscribe(changed)
        self.is_open = False

    @property
    def synced(self) -> bool:
        return bool(self._informer.synced.is_set())

    def list(self) -> list[Obj]:
        return list(self._informer.cache.list())

    def open(self) -> None:
        self.is_open = True

    def close(self, *, forget: bool) -> None:
        self.is_open = self.is_open and not forget


class Place:
    """Two hosts with a policy loop each; `web` and `db` on the first, `far` and `cli` on the second, and a
    Service in front of `web`."""

    def __init__(self, hosts: list[SmallHost]) -> None:
        self.hosts = hosts
        self.stop = Stop()
        self.informers = hosts[0].informers
        self.policies = [host.do(self._run, host) for host in hosts]
        self.web = self.pod(hosts[0], "web", "default")
        self.db = self.pod(hosts[0], "db", "default")
        self.far = self.pod(hosts[1], "far", "other")
        self.cli = self.pod(hosts[1], "cli", "default")
        for name in ("default", "other", "kube-system"):
            labels = {"kubernetes.io/metadata.name": name}
            self.informers.put(NAMESPACES, {"metadata": {"name": name, "labels": labels}})
        service = objects.service("web", "10.43.0.80", objects.port(80, node_port=30080))
        self.informers.put(SERVICES, service)
        piece = objects.slice_of(service, [objects.endpoint(self.web.address, node="h1")], objects.port(8080))
        self.informers.put(ENDPOINTSLICES, piece)
        eventually(lambda: self.reaches(self.far, "10.43.0.80", 80))

    def _run(self, host: SmallHost) -> Policies:
        policies = Policies(
            informers=self.informers,  # type: ignore[arg-type]
            node_name=host.name,
            cluster_dns=DNS,
            network=host.network,
            peers=lambda changed: AllPods(self.informers.of(PODS), changed),
            kernels={"IPv4": Table(DNS)},
            stop=self.stop,
        )
        policies.start()
        return policies

    def pod(self, host: SmallHost, name: str, namespace: str) -> Pod:
        pod = host.pod(name)
        ports = [{"name": "http", "containerPort": 8080, "protocol": "TCP"}]
        self.informers.put(
            PODS,
            {
                "metadata": {
                    "name": name, "namespace": namespace, "uid": pod.uid, "labels": {"app": name}
                },
                "spec": {"containers": [{"ports": ports}]},
                "status": {"podIP": pod.address, "phase": "Running"},
            },
        )  # fmt: skip
        return pod

    def apply(self, name: str = "p", app: str = "web", **spec: Any) -> None:
        selector = {"matchLabels": {"app": app}} if app else {}
        metadata = {"name": name, "namespace": "default"}
        self.informers.put(NETWORKPOLICIES, {"metadata": metadata, "spec": {"podSelector": selector, **spec}})

    def remove(self, name: str = "p") -> None:
        self.informers.remove(NETWORKPOLICIES, {"metadata": {"name": name, "namespace": "default"}})

    def reaches(self, pod: Any, address: str, port: int = 8080) -> bool:
        try:
            return bool(pod.tcp(address, port, timeout=0.3)[0])
        except (TimeoutError, OSError):
            return False

    def reaches_udp(self, pod: Pod, address: str, port: int = 8080) -> bool:
        def ask() -> bool:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                sock.settimeout(0.3)
                sock.sendto(b"?", (address, port))
                return bool(sock.recv(100))

        try:
            return pod.do(ask)
        except OSError:
            return False


@pytest.fixture(scope="module")
def module_place() -> Iterator[Place]:
    with small_hosts(2) as hosts:
        place = Place(hosts)
        yield place
        place.stop.set()
        for policies in place.policies:
            policies.stop()


@pytest.fixture
def place(module_place: Place) -> Iterator[Place]:
    yield module_place
    for name in ("p", "q"):
        module_place.remove(name)
    for host in module_place.hosts:
        eventually(lambda host=host: "mini8s_policy" not in host.sh("nft", "list", "tables"))  # type: ignore[misc]


def true(*checks: Callable[[], bool]) -> None:
    for check in checks:
        eventually(check)


def test_deny_all_and_then_some(place: Place) -> None:
    web = place.web.address
    true(lambda: place.reaches(place.far, web))
    place.apply(app="", policyTypes=["Ingress", "Egress"])
    true(lambda: not place.reaches(place.far, web), lambda: not place.reaches(place.cli, web))
    assert not place.reaches(place.db, web)
    assert not place.reaches(place.far, "10.43.0.80", 80)
    assert not place.reaches(place.web, place.hosts[1].address, 9)
    true(lambda: place.reaches(place.web, web))  # a pod can't bar itself from itself
    true(lambda: place.reaches(place.hosts[0], web))  # probes come from the pod's own host
    assert not place.reaches(place.hosts[1], web), "another host is nobody special"
    place.apply("q", ingress=[{"from": [{"podSelector": {"matchLabels": {"app": "db"}}}]}])
    place.apply("p", app="web", policyTypes=["Ingress"])  # db may send again
    true(lambda: place.reaches(place.db, web))
    true(lambda: place.reaches(place.db, "10.43.0.80", 80))  # judged by its own address behind the Service
    assert not place.reaches(place.cli, web)
    true(lambda: place.reaches_udp(place.db, web))
    assert not place.reaches_udp(place.cli, web)


def test_namespaces_named_ports_and_ranges(place: Place) -> None:
    other = {"matchLabels": {"kubernetes.io/metadata.name": "other"}}
    web = place.web.address
    place.apply(ingress=[{"from": [{"namespaceSelector": other}], "ports": [{"port": "http"}]}])
    true(lambda: not place.reaches(place.cli, web), lambda: place.reaches(place.far, web))
    assert not place.reaches_udp(place.far, web), "the name stands for TCP"
    place.apply(ingress=[{"ports": [{"port": 8000, "endPort": 8079}]}])
    true(lambda: not place.reaches(place.far, web))
    place.apply(ingress=[{"ports": [{"port": 8000, "endPort": 8080}]}])
    true(lambda: place.reaches(place.far, web), lambda: place.reaches(place.cli, web))


def test_blocks_with_holes(place: Place) -> None:
    web, outside = place.web.address, place.hosts[0].outside
    place.apply(ingress=[{"from": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.42.2.0/24"]}}]}])
    true(lambda: not place.reaches(place.far, web), lambda: place.reaches(place.db, web))
    true(lambda: place.reaches(outside, "10.99.0.11", 30080))  # shows the client to the pod's own host
    place.apply(ingress=[{"from": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.99.0.99/32"]}}]}])
    true(lambda: not place.reaches(outside, "10.99.0.11", 30080), lambda: place.reaches(place.far, web))


def test_egress_and_names_of_the_cluster(place: Place) -> None:
    place.apply(app="cli", egress=[{"to": [{"podSelector": {"matchLabels": {"app": "web"}}}]}],
                policyTypes=["Egress"])  # fmt: skip
    true(lambda: not place.reaches(place.cli, place.db.address))
    true(lambda: place.reaches(place.cli, place.web.address))
    true(lambda: place.reaches(place.cli, "10.43.0.80", 80))
    query = b"\0\1\1\0\0\1\0\0\0\0\0\0\7cluster\5local\0\0\6\0\1"

    def asks() -> bool:
        def ask() -> bool:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                sock.settimeout(0.3)
                sock.sendto(query, (DNS, 53))
                return bool(sock.recv(512))

        try:
            return place.cli.do(ask)
        except OSError:
            return False

    assert not asks()
    dns = {"namespaceSelector": {}, "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}}}
    place.apply("q", app="cli", egress=[{"to": [dns], "ports": [{"port": 53, "protocol": "UDP"}]}],
                policyTypes=["Egress"])  # fmt: skip
    true(asks)


def test_what_is_connected_stays_connected(place: Place) -> None:
    def connect() -> socket.socket:
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.settimeout(20)
        sock.connect((place.web.address, 8080))
        return sock

    with place.far.do(connect) as sock:
        sock.send(b"?")
        assert sock.recv(100)
        place.apply(policyTypes=["Ingress"])
        true(lambda: not place.reaches_udp(place.far, place.web.address))
        sock.send(b"?")
        assert sock.recv(100)


def test_a_new_pod_has_its_policy_before_it_starts(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "ADMIT_SECONDS", 30.0)
    host, policies = place.hosts[0], place.policies[0]
    place.apply(app="new", policyTypes=["Ingress"])
    guarded = Guarded(host.network, policies)
    place.informers.put(
        PODS,
        {
            "metadata": {"name": "new", "namespace": "default", "uid": "uid-new", "labels": {"app": "new"}},
            "spec": {}, "status": {},
        },
    )  # fmt: skip
    new = host.pod("new")
    (address,) = host.do(guarded.attach, "uid-new", new.process.pid)
    assert f"{address} : " in host.sh("nft", "list", "map", "ip", "mini8s_policy", "in")
    host.do(guarded.detach, "uid-new")
    true(lambda: "mini8s_policy" not in host.sh("nft", "list", "tables"))
    policies._namespaces.synced.clear()
    monkeypatch.setattr(runner, "ADMIT_SECONDS", 0.1)
    try:
        with pytest.raises(NetworkError, match="not known yet"):
            host.do(guarded.attach, "uid-new", new.process.pid)
    finally:
        policies._namespaces.synced.set()
        host.do(guarded.detach, "uid-new")


def test_a_table_that_somebody_flushed_is_made_again(place: Place) -> None:
    place.apply(policyTypes=["Ingress"])
    true(lambda: not place.reaches(place.far, place.web.address))
    place.hosts[0].sh("nft", "delete", "table", "ip", "mini8s_policy")
    place.policies[0]._sides[0]._checked = -100.0
    place.policies[0]._wake.set()
    true(lambda: not place.reaches(place.far, place.web.address))
