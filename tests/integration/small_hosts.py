"""Hosts without an engine: namespaces joined by a switch, pods that are namespaces with a small server.

The rooms under test run in this process, in threads that have entered a host's namespace; everything they
open, and every thread they start, belongs to that host.
"""

from __future__ import annotations

import contextlib
import functools
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from hosts.ending import end_processes

from mini8s.agent.dns.server import DnsServer
from mini8s.agent.network import netns
from mini8s.agent.network.family import IPV6
from mini8s.agent.network.own_address import OwnAddress
from mini8s.agent.network.runner import Network
from mini8s.agent.proxy.runner import Proxy
from mini8s.objects.kinds import NODES
from mini8s.util.workers import Stop
from tests.fakes.informers import FakeInformers
from tests.fakes.network_objects import node

CLUSTER, SERVICES, DNS, DOMAIN = "10.42.0.0/16", "10.43.0.0/16", "10.43.0.10", "cluster.local"
OUTSIDE = "10.99.0.99"
CLUSTER6, SERVICES6, DNS6, OUTSIDE6 = "fd42::/48", "fd43::/112", "fd43::a", "fd99::99"
_SERVER = """
import os, socket, sys, threading
threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
name, port, size = sys.argv[1].encode(), int(sys.argv[2]), int(sys.argv[3])
udp, tcp = (socket.socket(socket.AF_INET6, kind) for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM))
tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
for sock in (udp, tcp):
    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    sock.bind(("::", port))
tcp.listen(512)
def who(peer):
    return name + b" " + peer[0].removeprefix("::ffff:").encode()
def datagrams():
    while True:
        data, peer = udp.recvfrom(2048)
        udp.sendto(who(peer), peer)
threading.Thread(target=datagrams, daemon=True).start()
print("ready", flush=True)
while True:
    connection, peer = tcp.accept()
    connection.sendall(who(peer) + b" " * size)
    connection.close()
"""

T = TypeVar("T")


def run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return done.stdout


def eventually(check: Callable[[], object], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < end, f"{check} not true within {seconds} s"
        time.sleep(0.02)


@dataclass
class Place:
    """Somewhere with a network of its own."""

    path: str

    def do(self, call: Callable[..., T], *arguments: object) -> T:
        return netns.inside(self.path, functools.partial(call, *arguments))

    def sh(self, *command: str) -> str:
        return run("nsenter", f"--net={self.path}", *command)

    def tcp(self, address: str, port: int, timeout: float = 20.0) -> tuple[str, str]:
        """What a pod's server says: its name, and the address it saw."""
        return self.do(_tcp, address, port, timeout)

    def udp(self, address: str, port: int) -> tuple[str, str]:
        return self.do(_udp, address, port)


@dataclass
class Pod(Place):
    uid: str
    addresses: tuple[str, ...]
    process: subprocess.Popen[str]

    @property
    def address(self) -> str:
        return self.addresses[0]


@dataclass
class SmallHost(Place):
    """A host with the network rooms of an agent."""

    name: str
    address: str
    outside: Place
    informers: FakeInformers
    backend: str
    node_port_ranges: tuple[str, ...] = ()
    dual: bool = False  # of both families
    stop: Stop = field(default_factory=Stop)
    pods: list[Pod] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.do(self._build)

    def _build(self) -> None:
        clusters, services, dns = CLUSTER, SERVICES, DNS
        if self.dual:
            clusters, services, dns = f"{CLUSTER},{CLUSTER6}", f"{SERVICES},{SERVICES6}", f"{DNS},{DNS6}"
        self.own_address = OwnAddress("", self.address, self.stop, note=lambda _: None)
        self.network = Network(
            informers=self.informers,  # type: ignore[arg-type]
            node_name=self.name,
            node_ips=self.own_address,
            backend=self.backend,
            cluster_cidr=clusters,
            service_cidr=services,
            cluster_dns=dns,
            stop=self.stop,
        )
        self.proxy = Proxy(
            informers=self.informers,  # type: ignore[arg-type]
            node_name=self.name,
            service_cidr=SERVICES,
            cluster_cidr=CLUSTER,
            stop=self.stop,
            node_port_ranges=self.node_port_ranges,
        )
        self.dns = DnsServer(
            informers=self.informers,  # type: ignore[arg-type]
            address=dns,
            domain=DOMAIN,
            service_cidr=services,
            cluster_cidr=clusters,
            stop=self.stop,
            upstreams=lambda: [(OUTSIDE, 53)],
        )
        if self.dual:
            self.proxy6 = Proxy(
                informers=self.informers,  # type: ignore[arg-type]
                node_name=self.name,
                service_cidr=SERVICES6,
                cluster_cidr=CLUSTER6,
                stop=self.stop,
                family=IPV6,
            )
        self.own_address.on_change(self.network.look_again)
        for room in self._rooms:
            room.start()
        eventually(lambda: self.network.ready and self.proxy.metrics()["replaced"] and self.dns.zone.synced)
        if self.dual:
            eventually(lambda: self.proxy6.metrics()["replaced"])

    def restart(self) -> None:
        """As when an agent is killed and started again."""
        self.end()
        self.stop = Stop()
        self.do(self._build)

    @property
    def _rooms(self) -> list[OwnAddress | Network | Proxy | DnsServer]:
        proxies = [self.proxy, self.proxy6] if self.dual else [self.proxy]
        return [self.own_address, self.network, *proxies, self.dns]

    def end(self) -> None:
        for room in self._rooms:
            room.stop()

    def settle(self) -> None:
        """Until the proxy has programmed all that it was told: a round that ends after there was nothing new
        any more ends after the one that had it."""
        eventually(lambda: not self.proxy._changed and self.proxy._book)
        spent = self.proxy.metrics()["seconds"]

        def another_round() -> bool:
            self.proxy._wake.set()
            return self.proxy.metrics()["seconds"] > spent

        eventually(another_round)

    def pod(self, name: str, port: int = 8080, size: int = 0) -> Pod:
        process = subprocess.Popen(
            ["unshare", "--net", sys.executable, "-ISc", _SERVER, name, str(port), str(size)],
            stdin=subprocess.PIPE,  # which ends with this process, and the server with it
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        addresses = self.do(self.network.attach, f"uid-{name}", process.pid)
        pod = Pod(f"/proc/{process.pid}/ns/net", f"uid-{name}", addresses, process)
        self.pods.append(pod)
        return pod


@contextlib.contextmanager
def small_hosts(
    count: int = 1, backend: str = "host-gw", *, apart: bool = False, dual: bool = False
) -> Iterator[list[SmallHost]]:
    """Hosts on one link, and `OUTSIDE` on it too. Several test runs may do this at once. `apart`: the last
    host is behind OUTSIDE, which routes, on a link that takes packets of 1400 bytes. `dual`: with
    addresses of both families."""
    prefix = f"m8{os.getpid()}"
    informers = FakeInformers()
    hosts: list[SmallHost] = []
    remove_of_runs_that_were_killed()
    names = [f"{prefix}sw", f"{prefix}out", *(f"{prefix}h{i}" for i in range(1, count + 1))]
    try:
        for name in names:
            run("ip", "netns", "add", name)
        run("ip", "-n", names[0], "link", "add", "br0", "type", "bridge")
        run("ip", "-n", names[0], "link", "set", "br0", "up")
        _plug(names[0], names[1], OUTSIDE)
        if dual:
            run("ip", "-n", names[1], "addr", "add", f"{OUTSIDE6}/64", "dev", "eth0", "nodad")
        addresses = [f"10.99.0.{10 + i}" for i in range(1, count + 1)]
        for i, address in enumerate(addresses, 1):
            if apart and i == count:
                addresses[-1] = _plug_behind(names[1], f"{prefix}h{i}")
                informers.put(NODES, node(f"h{i}", addresses[-1], f"10.42.{i}.0/24"))
                continue
            _plug(names[0], f"{prefix}h{i}", address)
            run("ip", "-n", f"{prefix}h{i}", "route", "add", "default", "via", OUTSIDE)
            if dual:
                addresses[i - 1] = f"{address},{_plug6(f'{prefix}h{i}', i)}"
            ranges = f"10.42.{i}.0/24,fd42:0:0:{i}::/64" if dual else f"10.42.{i}.0/24"
            informers.put(NODES, node(f"h{i}", addresses[i - 1], ranges))
        for i in range(1, count + 1):
            path = f"/run/netns/{prefix}h{i}"
            outside = Place(f"/run/netns/{names[1]}")
            hosts.append(SmallHost(path, f"h{i}", addresses[i - 1], outside, informers, backend, dual=dual))
        yield hosts
    finally:
        for host in hosts:
            host.end()
            for pod in host.pods:
                pod.process.kill()
                pod.process.communicate()
        for name in names:
            subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)


def remove_of_runs_that_were_killed() -> None:
    for path in Path("/run/netns").glob("m8[0-9]*"):
        found = re.match(r"m8(\d+)(?:sw|out|in|h\d)$", path.name)
        if found and not Path(f"/proc/{found[1]}").exists():
            end_processes(path.name)
            subprocess.run(["ip", "netns", "del", path.name], capture_output=True, check=False)


def _plug(switch: str, name: str, address: str) -> None:
    link = "p" + name[-8:]
    run("ip", "-n", switch, "link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", name)
    run("ip", "-n", switch, "link", "set", link, "master", "br0", "up")
    run("ip", "-n", name, "link", "set", "lo", "up")
    run("ip", "-n", name, "addr", "add", f"{address}/24", "dev", "eth0")
    run("ip", "-n", name, "link", "set", "eth0", "up")


def _plug6(name: str, number: int) -> str:
    """The host's IPv6 address."""
    address = f"fd99::{10 + number:x}"
    run("ip", "-n", name, "addr", "add", f"{address}/64", "dev", "eth0", "nodad")
    run("ip", "-n", name, "route", "add", "default", "via", OUTSIDE6)
    return address


def _plug_behind(router: str, name: str) -> str:
    """A cable of its own to a namespace that routes; the host's address."""
    run("ip", "-n", router, "link", "add", "eth1", "type", "veth", "peer", "name", "eth0", "netns", name)
    run("ip", "-n", router, "addr", "add", "10.99.1.1/24", "dev", "eth1")
    run("ip", "-n", router, "link", "set", "eth1", "up", "mtu", "1400")
    run("ip", "-n", name, "link", "set", "lo", "up")
    run("ip", "-n", name, "addr", "add", "10.99.1.11/24", "dev", "eth0")
    run("ip", "-n", name, "link", "set", "eth0", "up", "mtu", "1400")
    run("ip", "-n", name, "route", "add", "default", "via", "10.99.1.1")
    run("nsenter", f"--net=/run/netns/{router}", "sysctl", "-qw", "net.ipv4.ip_forward=1")
    return "10.99.1.11"


def _tcp(address: str, port: int, timeout: float) -> tuple[str, str]:
    with socket.create_connection((address, port), timeout) as connection:
        connection.settimeout(timeout)
        data = b""
        while piece := connection.recv(1024):
            data += piece
    name, _, peer = data.decode().partition(" ")
    return name, peer


def _udp(address: str, port: int) -> tuple[str, str]:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.settimeout(20.0)
        sock.connect((address, port))
        sock.send(b"?")
        name, _, peer = sock.recv(1024).decode().partition(" ")
    return name, peer
