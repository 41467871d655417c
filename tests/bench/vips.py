"""Connections through a Service's address against direct ones, and the proxy's memory.

A pod asks a pod through the host between them, in namespaces of their own. Blocks of both kinds alternate, so
that what else the machine does hits both; the ratio is the median of those of neighbours.
"""

from __future__ import annotations

import contextlib
import functools
import os
import socket
import statistics
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

from bench.figure import Figure
from bench.processes import pss_mb
from mini8s.agent.network import netns
from mini8s.agent.proxy import model
from mini8s.agent.proxy.plan import Book
from mini8s.agent.proxy.runner import Proxy
from mini8s.agent.proxy.table import Table
from mini8s.objects.kinds import ENDPOINTSLICES, SERVICES, Obj
from mini8s.util.workers import Stop
from tests.fakes.informers import FakeInformers
from tests.fakes.kernel import FakeKernel
from tests.fakes.network_objects import endpoint, port, service, slice_of

CIDRS = ("10.43.0.0/16", "10.42.0.0/16")
BLOCKS, CONNECTIONS = 41, 1_000
_SERVER = """
import socket
server = socket.create_server(("0.0.0.0", 8080), backlog=4096)
print("ready", flush=True)
while True:
    server.accept()[0].close()
"""
_AT_ONCE = struct.pack("ii", 1, 0)  # SO_LINGER: a reset instead of a port that waits for a minute


def rates(space: str) -> Iterator[Figure]:
    """`space`: the name of a namespace that becomes the host between the pods."""
    with _pod(space, "a", 1) as client, _pod(space, "b", 2) as server:
        command = ["ip", "netns", "exec", server, sys.executable, "-ISc", _SERVER]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            assert process.stdout
            process.stdout.readline()
            for count in (1, 10_000):
                netns.inside(f"/run/netns/{space}", functools.partial(_program, count))
                yield netns.inside(f"/run/netns/{client}", functools.partial(_compare, count))
        finally:
            process.kill()
            process.communicate()


def _compare(count: int) -> Figure:
    direct, through = [], []
    for _ in range(BLOCKS):
        direct.append(_rate("10.42.0.2", 8080))
        through.append(_rate("10.43.0.0", 80))
    ratio = statistics.median(one / other for one, other in zip(through, direct, strict=True))
    note = f"{statistics.median(through):,.0f} against {statistics.median(direct):,.0f} a second, n={BLOCKS}"
    return Figure(
        f"proxy, connections through a VIP to direct ones at {count:,} Services", ratio, "ratio", note
    )


def _rate(address: str, number: int) -> float:
    began = time.perf_counter()
    for _ in range(CONNECTIONS):
        with socket.socket() as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
            sock.connect((address, number))
    return CONNECTIONS / (time.perf_counter() - began)


def _program(count: int) -> None:
    """The first Service leads to the server, all others to nobody who is there."""
    table, book = Table(*CIDRS), Book()
    found = [made(i, ["10.42.0.2"] if i == 0 else None) for i in range(count)]
    facts = {
        f"default/svc-{i}": model.service(obj, [piece], model.Home("h1"))
        for i, (obj, piece) in enumerate(found)
    }
    book.change(facts)
    table.replace(book.elements, book.needs)
    table.close()


def made(i: int, addresses: list[str] | None = None) -> tuple[Obj, Obj]:
    """A Service and its slice."""
    obj = service(f"svc-{i}", f"10.43.{i >> 8}.{i & 255}", port(80, name="http"))
    addresses = addresses or [f"10.42.{i >> 8}.{(i + j) % 250 + 3}" for j in range(3)]
    return obj, slice_of(obj, map(endpoint, addresses), port(8080, name="http"))


@contextlib.contextmanager
def _pod(space: str, name: str, number: int) -> Iterator[str]:
    pod, address = f"{space}{name}", f"10.42.0.{number}"

    def ip(*words: str) -> None:
        subprocess.run(["ip", *words], check=True)

    ip("netns", "add", pod)
    try:
        ip("-n", space, "link", "add", f"v{name}", "type", "veth", "peer", "name", "eth0", "netns", pod)
        ip("-n", space, "link", "set", f"v{name}", "up")
        ip("-n", space, "address", "add", f"10.42.255.{number}/32", "dev", f"v{name}")
        ip("-n", space, "route", "add", f"{address}/32", "dev", f"v{name}")
        ip("-n", pod, "link", "set", "eth0", "up")
        ip("-n", pod, "address", "add", f"{address}/32", "dev", "eth0")
        ip("-n", pod, "route", "add", f"10.42.255.{number}/32", "dev", "eth0")
        ip("-n", pod, "route", "add", "default", "via", f"10.42.255.{number}")
        ip("netns", "exec", space, "sysctl", "--quiet", "net.ipv4.ip_forward=1")
        yield pod
    finally:
        ip("netns", "del", pod)


def memory(count: int = 10_000) -> Iterator[Figure]:
    """Of what the informers hold for the proxy, and of what it makes of it, in a process of its own."""
    picture, book = map(float, _in_child(lambda: _weigh(count)).split())
    name = f"proxy, memory at {count:,} Services of 3 endpoints"
    yield Figure(
        f"{name}: its own", book, "MB", f"and {picture:,.1f} MB of Services and slices it shares with DNS"
    )


def _weigh(count: int) -> str:
    before = pss_mb(os.getpid())
    informers = FakeInformers()
    proxy = Proxy(
        informers=informers,  # type: ignore[arg-type]
        node_name="h1",
        service_cidr=CIDRS[0],
        cluster_cidr=CIDRS[1],
        stop=Stop(),
        kernel=FakeKernel(),
    )
    for i in range(count):
        obj, piece = made(i)
        informers.put(SERVICES, obj)
        informers.put(ENDPOINTSLICES, piece)
    filled = pss_mb(os.getpid())
    proxy.step()
    return f"{filled - before} {pss_mb(os.getpid()) - filled}"


def _in_child(call: Callable[[], str]) -> str:
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writer, call().encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as said:
        text = said.read()
    os.waitpid(child, 0)
    return text
