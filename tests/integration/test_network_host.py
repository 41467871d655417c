"""What the pod network does to a host, and how it takes all of it back."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from mini8s.agent.network import cleanup, echo, forwarding
from mini8s.agent.network.base import NetworkError
from mini8s.objects.kinds import NODES
from tests.fakes.network_objects import node
from tests.integration.small_hosts import Pod, SmallHost, eventually, small_hosts


@pytest.fixture(params=["host-gw", "vxlan"])
def host(request: pytest.FixtureRequest) -> Iterator[SmallHost]:
    with small_hosts(1, request.param) as hosts:
        yield hosts[0]


def picture(host: SmallHost) -> tuple[str, ...]:
    """Links, addresses and rules, without what counts or comes and goes."""
    links = host.sh("ip", "-br", "link")
    addresses = host.sh("ip", "-4", "-br", "addr")
    return links, addresses, host.sh("ip", "route"), host.sh("nft", "list", "tables")


def test_cleanup_leaves_nothing_of_ours(host: SmallHost) -> None:
    host.informers.put(NODES, node("h9", "10.99.0.19", "10.42.9.0/24"))
    host.pod("a")
    eventually(lambda: "10.42.9.0/24" in host.sh("ip", "route"))
    host.end()
    assert "mini8s_net" in host.sh("nft", "list", "tables")
    assert host.do(cleanup.remove_all) == []
    links, addresses, routes, tables = picture(host)
    assert "m8p" not in links
    assert "mini8s" not in links
    assert "10.43" not in addresses
    assert "10.42" not in routes
    assert tables == ""
    assert host.do(cleanup.remove_all) == []


def test_routes_follow_the_nodes(host: SmallHost) -> None:
    for address in ("10.99.0.19", "10.99.0.20"):
        host.informers.put(NODES, node("h9", address, "10.42.9.0/24"))
        eventually(lambda address=address: address in host.sh("sh", "-c", "ip route; bridge fdb"))  # type: ignore[misc]
    host.informers.remove(NODES, node("h9", "", ""))
    eventually(lambda: "10.42.9." not in host.sh("ip", "route"))


def test_hosts_on_two_links_have_a_tunnel_and_the_others_routes() -> None:
    """The way between takes smaller packets than either's own link; a large answer comes all the same."""
    with small_hosts(3, apart=True) as (one, two, far):
        pods = [host.pod(host.name, size=100_000) for host in (one, two, far)]
        for host in (one, two):
            eventually(lambda host=host: "mtu 1350" in host.sh("ip", "route"))  # type: ignore[misc]
        eventually(lambda: "mtu 1350" in far.sh("ip", "link", "show", "mini8s.vx"))
        for route in (
            "10.42.2.0/24 via 10.99.0.12 dev eth0",
            "10.42.3.0/24 via 10.42.3.0 dev mini8s.vx proto 108 onlink mtu 1350",
        ):
            eventually(lambda route=route: route in one.sh("ip", "route"))  # type: ignore[misc]
        assert "mini8s.vx" not in two.sh("ip", "route", "show", "10.42.1.0/24")
        for source in pods:
            for target in pods:
                name, said = source.tcp(target.address, 8080)
                assert (f"uid-{name}", said.strip()) == (target.uid, source.address)
                assert len(said) > 100_000


def test_a_host_that_moves_is_followed() -> None:
    """Its address changes, and then it is on another link."""
    with small_hosts(2) as (host, _):
        host.informers.put(NODES, node("h2", "10.99.0.55", "10.42.2.0/24"))
        eventually(lambda: "10.42.2.0/24 via 10.99.0.55" in host.sh("ip", "route"))
        host.informers.put(NODES, node("h2", "10.99.1.55", "10.42.2.0/24"))
        eventually(lambda: "dst 10.99.1.55" in host.sh("bridge", "fdb"))
        eventually(lambda: "10.42.2.0/24 via 10.42.2.0 dev mini8s.vx" in host.sh("ip", "route"))
        host.informers.put(NODES, node("h2", "10.99.0.55", "10.42.2.0/24"))
        eventually(lambda: "mini8s.vx" not in host.sh("ip", "-br", "link"))
        eventually(lambda: "10.42.2.0/24 via 10.99.0.55" in host.sh("ip", "route"))


def test_a_host_whose_own_address_changes_goes_on() -> None:
    """In the same network, whose routes the kernel takes away with the address, and in another one."""
    with small_hosts(2) as (one, two):
        pods = [one.pod("a"), two.pod("b")]
        outside = one.outside
        outside.sh("ip", "addr", "add", "10.99.1.1/24", "dev", "eth0")
        outside.sh("sysctl", "-qw", "net.ipv4.ip_forward=1")
        for old, new, gateway in (
            ("0.12", "0.55", "0.99"),
            ("0.55", "1.12", "1.1"),
            ("1.12", "0.12", "0.99"),
        ):
            two.sh("ip", "addr", "del", f"10.99.{old}/24", "dev", "eth0")
            two.sh("ip", "addr", "add", f"10.99.{new}/24", "dev", "eth0")
            two.sh("ip", "route", "add", "default", "via", f"10.99.{gateway}")
            eventually(lambda new=new: two.own_address() == (f"10.99.{new}",))  # type: ignore[misc]
            two.informers.put(NODES, node("h2", two.own_address()[0], "10.42.2.0/24"))
            for near, far in (pods, pods[::-1]):
                eventually(lambda near=near, far=far: reaches(near, far))  # type: ignore[misc]
        eventually(lambda: "mini8s.vx" not in two.sh("ip", "-br", "link"))
        one.sh("ip", "link", "set", "eth0", "down")  # which the kernel takes the routes away for
        one.sh("ip", "link", "set", "eth0", "up")
        one.sh("ip", "route", "add", "default", "via", "10.99.0.99")
        eventually(lambda: reaches(pods[0], pods[1]))
        one.sh("ip", "link", "set", "eth0", "mtu", "1400")  # the link of a host that was carried elsewhere
        one.network.look_again()
        eventually(lambda: one.network._mtu == 1400)
        assert "mtu 1400" in one.pod("later").sh("ip", "link", "show", "eth0")


def reaches(near: Pod, far: Pod) -> bool:
    try:
        return near.tcp(far.address, 8080, timeout=0.3) == (far.uid.removeprefix("uid-"), near.address)
    except OSError:
        return False


def test_a_node_on_another_link_is_told_and_harms_nobody() -> None:
    with small_hosts() as (host,):
        host.informers.put(NODES, node("far", "192.0.2.9", "10.42.8.0/24"))
        host.informers.put(NODES, node("h9", "10.99.0.19", "10.42.9.0/24"))
        eventually(lambda: "10.42.9.0/24 via 10.99.0.19" in host.sh("ip", "route"))
        host.sh("ip", "route", "del", "default")
        host.informers.put(NODES, node("far", "192.0.2.10", "10.42.8.0/24"))
        eventually(lambda: "192.0.2.10" in host.network.sentence)
        assert "10.42.9.0/24 via 10.99.0.19" in host.sh("ip", "route")


def test_who_is_there_answers() -> None:
    """Also to one that asks for somebody who isn't, and for an address that no way leads to."""
    with small_hosts(2) as (one, other):
        asked = {other.address, one.address, "10.99.0.77", "192.0.2.1"}
        one.sh("ip", "route", "del", "default")
        assert one.do(lambda: echo.answering(asked, seconds=0.2)) == {other.address, one.address}
        assert one.do(lambda: echo.answering({other.address})) == {other.address}


def test_a_foreign_route_and_table_are_left_alone(host: SmallHost) -> None:
    host.sh("ip", "route", "add", "10.42.77.0/24", "via", "10.99.0.99")
    host.sh("nft", "add", "table", "ip", "theirs")
    host.network._wake.set()
    host.informers.put(NODES, node("h9", "10.99.0.19", "10.42.9.0/24"))
    eventually(lambda: "10.42.9.0/24" in host.sh("ip", "route"))
    host.end()
    host.do(cleanup.remove_all)
    assert "10.42.77.0/24" in host.sh("ip", "route")
    assert host.sh("nft", "list", "tables") == "table ip theirs\n"


def test_an_unfinished_link_is_removed_and_its_pod_attached_again(host: SmallHost) -> None:
    pod = host.pod("a")
    host.sh("ip", "route", "del", pod.address)  # as when the agent was killed just before
    host.restart()
    assert "m8p" not in host.sh("ip", "-br", "link")
    (again,) = host.do(host.network.attach, pod.uid, pod.process.pid)
    assert host.tcp(again, 8080)[0] == "a"


def test_a_pods_next_sandbox_takes_link_and_address_over(host: SmallHost) -> None:
    """Also while the one before it is still there."""
    first, second = host.pod("a"), host.pod("a", 8081)
    assert second.address == first.address
    assert host.tcp(second.address, 8081)[0] == "a"
    assert host.sh("ip", "-br", "link").count("m8p") == 1


def test_a_sandbox_that_is_gone_frees_its_address(host: SmallHost) -> None:
    pod = host.pod("a")
    pod.process.kill()
    pod.process.wait()
    eventually(lambda: "m8p" not in host.sh("ip", "-br", "link"))
    host.network._wake.set()
    eventually(lambda: host.network.addresses(pod.uid) == ())
    with pytest.raises(NetworkError):
        host.do(host.network.attach, pod.uid, pod.process.pid)
    assert host.network.addresses(pod.uid) == ()


def test_docker_that_drops_lets_pods_pass(host: SmallHost) -> None:
    one, two = host.pod("a"), host.pod("b")
    host.end()
    for command in ("-P FORWARD DROP", "-N DOCKER-USER", "-A FORWARD -j DOCKER-USER"):
        host.sh("iptables", *command.split())
    with pytest.raises(TimeoutError):
        one.tcp(two.address, 8080, timeout=0.3)
    host.restart()
    eventually(lambda: "mini8s" in host.sh("iptables", "-S"))
    assert one.tcp(two.address, 8080)[0] == "b"
    host.do(forwarding.make_room, "10.42.0.0/16")
    assert host.sh("iptables", "-S", "DOCKER-USER").count("mini8s") == 2
    host.do(forwarding.take_back)
    assert "mini8s" not in host.sh("iptables", "-S")


def test_a_node_without_a_range_says_what_it_waits_for() -> None:
    with small_hosts() as (host,):
        host.end()
        network = type(host.network)(
            informers=host.informers,  # type: ignore[arg-type]
            node_name="unknown",
            node_ips=lambda: ("10.99.0.50",),
            backend="host-gw",
            cluster_cidr="10.42.0.0/16",
            service_cidr="10.43.0.0/16",
            cluster_dns="",
            stop=host.stop,
        )
        network._round()
        assert network.sentence == "waiting for the server to give this node a range of pod addresses"
        with pytest.raises(NetworkError, match="no range of pod addresses yet"):
            network.attach("uid", 1)
