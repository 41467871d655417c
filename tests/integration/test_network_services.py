"""Services, pods and names on the real kernel: what a packet meets on its way."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator

import pytest

from mini8s.objects.kinds import ENDPOINTSLICES, PODS, SERVICES, Obj
from tests.fakes.network_objects import endpoint, pod_with_ports, port, service, slice_of
from tests.integration.small_hosts import DNS, OUTSIDE, Place, Pod, SmallHost, eventually, small_hosts

VIP = "10.43.0.100"


@pytest.fixture(scope="module", params=["host-gw", "vxlan"])
def hosts(request: pytest.FixtureRequest) -> Iterator[list[SmallHost]]:
    with small_hosts(2, request.param) as hosts:
        yield hosts


@pytest.fixture(scope="module")
def pods(hosts: list[SmallHost]) -> list[Pod]:
    """Two on the first host, one on the second."""
    return [hosts[0].pod("a"), hosts[0].pod("b"), hosts[1].pod("c")]


def serve(host: SmallHost, obj: Obj, endpoints: list[Obj], *ports: Obj) -> None:
    """Tell all hosts, and wait until they have it."""
    host.informers.put(SERVICES, obj)
    host.informers.put(ENDPOINTSLICES, slice_of(obj, endpoints, *ports))


def settled(*hosts: SmallHost) -> None:
    for host in hosts:
        host.settle()


@pytest.fixture
def web(hosts: list[SmallHost], pods: list[Pod]) -> Obj:
    obj = service(
        "web",
        VIP,
        port(80, name="http", node_port=30080),
        port(53, name="udp", protocol="UDP", node_port=30053),
        type="NodePort",
    )
    ends = [
        endpoint(pods[0].address, node="h1"),
        endpoint(pods[1].address, node="h1"),
        endpoint(pods[2].address, node="h2"),
    ]
    serve(hosts[0], obj, ends, port(8080, name="http"), port(8080, name="udp", protocol="UDP"))
    settled(*hosts)
    return obj


def test_pods_see_each_other_by_their_own_addresses(hosts: list[SmallHost], pods: list[Pod]) -> None:
    a, b, c = pods
    assert a.tcp(b.address, 8080) == ("b", a.address)
    assert a.tcp(c.address, 8080) == ("c", a.address)
    assert c.tcp(a.address, 8080) == ("a", c.address)


def test_hosts_reach_pods_and_pods_reach_hosts(hosts: list[SmallHost], pods: list[Pod]) -> None:
    assert hosts[0].tcp(pods[0].address, 8080)[0] == "a"
    assert hosts[0].tcp(pods[2].address, 8080)[0] == "c"
    for host in hosts:
        with pytest.raises(ConnectionRefusedError):
            pods[0].tcp(host.address, 9)


def test_what_leaves_the_cluster_has_the_hosts_address(hosts: list[SmallHost], pods: list[Pod]) -> None:
    outside = hosts[0].outside
    seen = outside.do(_accept_one, lambda: pods[0].do(_connect, OUTSIDE, 7000))
    assert seen == hosts[0].address


def test_a_vip_spreads_evenly_over_all_hosts(web: Obj, hosts: list[SmallHost], pods: list[Pod]) -> None:
    for client in (pods[0], hosts[0], hosts[1]):
        count = Counter(client.tcp(VIP, 80)[0] for _ in range(300))
        assert set(count) == {"a", "b", "c"}
        assert min(count.values()) > 60, count


def test_a_pod_reaches_itself_through_its_own_vip(web: Obj, pods: list[Pod]) -> None:
    assert {pods[0].tcp(VIP, 80)[0] for _ in range(50)} == {"a", "b", "c"}


def test_the_client_is_seen_by_its_own_address(web: Obj, pods: list[Pod]) -> None:
    seen = {pods[0].tcp(VIP, 80) for _ in range(60)}
    assert ("b", pods[0].address) in seen
    assert ("c", pods[0].address) in seen


def test_node_ports_answer_from_outside_on_every_host(web: Obj, hosts: list[SmallHost]) -> None:
    outside = hosts[0].outside
    for host in hosts:
        assert {outside.tcp(host.address, 30080)[0] for _ in range(60)} == {"a", "b", "c"}
        assert outside.udp(host.address, 30053)[0] in "abc"
    assert hosts[0].tcp(hosts[0].address, 30080)[0] in "abc"


def test_udp_through_a_vip(web: Obj, hosts: list[SmallHost], pods: list[Pod]) -> None:
    assert {pods[0].udp(VIP, 53)[0] for _ in range(60)} == {"a", "b", "c"}


def test_nobody_serves(hosts: list[SmallHost], pods: list[Pod]) -> None:
    nobody = service("nobody", "10.43.0.101", port(80), port(53, name="u", protocol="UDP"))
    serve(hosts[0], nobody, [], port(8080))
    settled(*hosts)
    for client in (pods[0], hosts[0]):
        for address, number in (("10.43.0.101", 80), ("10.43.0.101", 81), ("10.43.9.9", 80)):
            with pytest.raises(ConnectionRefusedError):
                client.tcp(address, number)
    with pytest.raises(ConnectionRefusedError):
        pods[0].udp("10.43.0.101", 53)


def test_local_policy_keeps_the_clients_address(hosts: list[SmallHost], pods: list[Pod]) -> None:
    near = service(
        "near", "10.43.0.102", port(80, node_port=30081), type="NodePort", externalTrafficPolicy="Local"
    )
    serve(hosts[0], near, [endpoint(pods[0].address, node="h1")], port(8080))
    settled(*hosts)
    outside = hosts[0].outside
    assert outside.tcp(hosts[0].address, 30081) == ("a", OUTSIDE)
    with pytest.raises(TimeoutError):
        outside.tcp(hosts[1].address, 30081, timeout=0.3)


def test_a_host_port_leads_to_its_pod(hosts: list[SmallHost], pods: list[Pod]) -> None:
    node, outside, port = hosts[0], hosts[0].outside, {"containerPort": 8080}
    ports = (
        port | {"hostPort": 8000},
        port | {"hostPort": 8000, "protocol": "UDP"},
        port | {"hostPort": 8001, "hostIP": node.address},
        port | {"hostPort": 7000, "hostIP": OUTSIDE},  # somebody else's address is nobody's to take
    )
    node.informers.put(PODS, pod_with_ports("a", pods[0].address, *ports))
    settled(*hosts)
    for number in (8000, 8001):
        assert outside.tcp(node.address, number) == ("a", OUTSIDE)
        assert hosts[1].tcp(node.address, number)[0] == "a"
        assert node.tcp(node.address, number)[0] == "a"
        assert pods[1].tcp(node.address, number)[0] == "a"
        assert pods[0].tcp(node.address, number)[0] == "a"
    assert outside.udp(node.address, 8000)[0] == "a"
    assert outside.do(_accept_one, lambda: pods[1].do(_connect, OUTSIDE, 7000)) == node.address
    node.restart()
    assert outside.tcp(node.address, 8000) == ("a", OUTSIDE)
    node.informers.put(PODS, pod_with_ports("a", pods[1].address, *ports))
    settled(*hosts)
    assert outside.tcp(node.address, 8000) == ("b", OUTSIDE)
    assert outside.udp(node.address, 8000)[0] == "b"
    node.informers.remove(PODS, pod_with_ports("a", ""))
    settled(*hosts)
    with pytest.raises(ConnectionRefusedError):
        outside.tcp(node.address, 8000)


def test_affinity_survives_a_change_and_ends_with_its_endpoint(
    hosts: list[SmallHost], pods: list[Pod]
) -> None:
    sticky = service("sticky", "10.43.0.103", port(80), sessionAffinity="ClientIP")
    ends = [endpoint(pod.address) for pod in pods]
    serve(hosts[0], sticky, ends, port(8080))
    settled(*hosts)
    first = {hosts[0].tcp("10.43.0.103", 80)[0] for _ in range(20)}
    assert len(first) == 1
    favourite = next(pod for pod in pods if pod.uid == f"uid-{next(iter(first))}")
    others = [endpoint(pod.address) for pod in pods if pod is not favourite]
    serve(hosts[0], sticky, others, port(8080))
    settled(*hosts)
    second = {hosts[0].tcp("10.43.0.103", 80)[0] for _ in range(20)}
    assert len(second) == 1
    assert second != first


def test_udp_clients_leave_an_endpoint_that_is_gone(hosts: list[SmallHost], pods: list[Pod]) -> None:
    talk = service("talk", "10.43.0.104", port(53, protocol="UDP"))
    serve(hosts[0], talk, [endpoint(pods[0].address)], port(8080, protocol="UDP"))
    settled(*hosts)

    def one_socket() -> list[str]:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.settimeout(20)
            sock.connect(("10.43.0.104", 53))
            sock.send(b"?")
            answers = [sock.recv(100).decode()[0]]
            sock.settimeout(0.5)
            serve(hosts[0], talk, [endpoint(pods[1].address)], port(8080, protocol="UDP"))
            end = time.monotonic() + 60
            while answers[-1] == "a" and time.monotonic() < end:
                sock.send(b"?")
                with contextlib.suppress(TimeoutError):  # an answer on its way when its flow is forgotten
                    answers.append(sock.recv(100).decode()[0])
            return answers

    assert hosts[0].do(one_socket)[-1] == "b"


def test_a_thousand_changes_and_no_connection_fails(hosts: list[SmallHost], pods: list[Pod]) -> None:
    busy = service("busy", "10.43.0.105", port(80))
    serve(hosts[0], busy, [endpoint(pod.address) for pod in pods], port(8080))
    settled(*hosts)
    done = threading.Event()
    failures: list[str] = []
    count = 0

    def connect() -> None:
        nonlocal count
        while not done.is_set():
            try:
                _connect("10.43.0.105", 80)
                count += 1
            except OSError as error:
                failures.append(str(error))

    clients = [threading.Thread(target=lambda: pods[1].do(connect)) for _ in range(2)]
    for client in clients:
        client.start()
    i = 0
    while i < 1000 or (count <= 500 and not failures):
        i += 1
        serve(hosts[0], busy, [endpoint(pod.address) for j, pod in enumerate(pods) if j != i % 4], port(8080))
        threading.Event().wait(0.002)
    done.set()
    for client in clients:
        client.join()
    assert failures == []


def test_a_restart_drops_nothing(web: Obj, hosts: list[SmallHost], pods: list[Pod]) -> None:
    done = threading.Event()
    failures: list[str] = []

    def connect() -> None:
        while not done.is_set():
            try:
                _connect(VIP, 80)
            except OSError as error:
                failures.append(str(error))

    client = threading.Thread(target=lambda: pods[0].do(connect))
    client.start()
    hosts[0].restart()
    done.set()
    client.join()
    assert failures == []
    assert hosts[0].network.addresses("uid-a") == (pods[0].address,)
    hosts[0].do(hosts[0].network.attach, "uid-a", pods[0].process.pid)
    assert pods[0].tcp(pods[2].address, 8080)[0] == "c"


def test_a_flushed_table_comes_back(web: Obj, hosts: list[SmallHost], pods: list[Pod]) -> None:
    hosts[0].sh("nft", "delete", "table", "ip", "mini8s_proxy")
    hosts[0].proxy._checked = 0.0
    hosts[0].proxy._wake.set()  # as if its time had come
    eventually(lambda: answered(pods[0], VIP, 80))


def test_names_resolve_from_a_pod(web: Obj, hosts: list[SmallHost], pods: list[Pod]) -> None:
    def dig(*words: str) -> str:
        return pods[0].sh("dig", f"@{DNS}", "+time=20", "+tries=1", *words)

    assert dig("+short", "web.default.svc.cluster.local").strip() == VIP
    assert dig("+short", "+tcp", "web.default.svc.cluster.local").strip() == VIP
    assert dig("+short", "-x", VIP).strip() == "web.default.svc.cluster.local."
    srv = dig("+short", "_http._tcp.web.default.svc.cluster.local", "SRV").strip()
    assert srv == "0 100 80 web.default.svc.cluster.local."
    assert "status: NXDOMAIN" in dig("none.default.svc.cluster.local")
    assert "status: NOERROR" in dig("web.default.svc.cluster.local", "AAAA")
    assert f"SERVER: {DNS}#53" in dig("web.default.svc.cluster.local")
    assert hosts[1].sh("dig", f"@{DNS}", "+short", "web.default.svc.cluster.local").strip() == VIP


def test_detached_pods_leave_nothing(hosts: list[SmallHost]) -> None:
    pod = hosts[0].pod("z")
    before = len(hosts[0].sh("ip", "-o", "link").splitlines())
    hosts[0].do(hosts[0].network.detach, "uid-z")
    assert len(hosts[0].sh("ip", "-o", "link").splitlines()) == before - 1
    assert pod.address not in hosts[0].sh("ip", "route")
    assert hosts[0].network.addresses("uid-z") == ()
    hosts[0].do(hosts[0].network.detach, "uid-z")


def answered(client: Place, address: str, number: int) -> bool:
    try:
        return bool(client.tcp(address, number, timeout=0.5)[0])
    except OSError:
        return False


def _connect(address: str, number: int) -> None:
    with socket.create_connection((address, number), 30) as connection:
        connection.settimeout(30)
        while connection.recv(1024):
            pass


def _accept_one(provoke: object) -> str:
    with socket.create_server((OUTSIDE, 7000)) as server:
        server.settimeout(30)
        thread = threading.Thread(target=provoke)  # type: ignore[arg-type]
        thread.start()
        connection, peer = server.accept()
        connection.close()
        thread.join()
        return str(peer[0])
