"""What Services and names cost on this machine: figures for `scripts/bench`, each measured in this run.

Everything happens in a network namespace of its own. Needs root and nft.
"""

from __future__ import annotations

import os
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from typing import Any

from dnslib import DNSRecord

from bench.figure import Figure, middle
from mini8s.agent.dns.records import of_service
from mini8s.agent.dns.server import DnsServer
from mini8s.agent.network import netns
from mini8s.agent.proxy import model
from mini8s.agent.proxy.plan import Book
from mini8s.agent.proxy.table import Table
from mini8s.objects.kinds import Obj
from mini8s.util.workers import Stop
from tests.fakes.informers import FakeInformers
from tests.fakes.network_objects import endpoint, port, service, slice_of

SPACE = f"m8n{os.getpid()}"
CHANGES = 200
QUESTIONS = 20_000
CIDRS: dict[str, Any] = {"service_cidr": "10.43.0.0/16", "cluster_cidr": "10.42.0.0/16"}


def run() -> list[Figure]:
    subprocess.run(["ip", "netns", "add", SPACE], check=True)
    try:
        return netns.inside(f"/run/netns/{SPACE}", _measure)
    finally:
        subprocess.run(["ip", "netns", "del", SPACE], check=True)


def _measure() -> list[Figure]:
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    return [*_program(1_000), *_program(10_000), *_answers()]


def _service(i: int) -> Obj:
    return service(f"svc-{i}", f"10.43.{i >> 8}.{i & 255}", port(80, name="http"))


def _facts(i: int, ends: int = 3) -> model.Service | None:
    obj = _service(i)
    endpoints = [endpoint(f"10.42.{i >> 8}.{(i + j) % 250 + 1}") for j in range(ends)]
    return model.service(obj, [slice_of(obj, endpoints, port(8080, name="http"))], "h1")


def _program(count: int) -> Iterator[Figure]:
    """Everything from nothing, then one endpoint more or less at a time."""
    table = Table(**CIDRS)
    table.replace({}, 0)
    wanted = {f"default/svc-{i}": _facts(i) for i in range(count)}
    book = Book()
    began = time.perf_counter()
    first = book.change(wanted)
    planned = time.perf_counter()
    table.replace(book.elements, first.largest)
    done = time.perf_counter()
    plans, changes = [], []
    for k in range(CHANGES):
        facts = {"default/svc-7": _facts(7, 2 + k % 2)}
        start = time.perf_counter()
        change = book.change(facts)
        between = time.perf_counter()
        table.change(change)
        plans.append(between - start)
        changes.append(time.perf_counter() - between)
    table.close()
    yield Figure(f"proxy, plan {count:,} Services from nothing", (planned - began) * 1e3, "ms")
    yield Figure(f"proxy, program {count:,} Services from nothing", (done - planned) * 1e3, "ms")
    yield middle(f"proxy, plan one change at {count:,} Services", [one * 1e3 for one in plans], "ms")
    yield middle(f"proxy, program one change at {count:,} Services", [one * 1e3 for one in changes], "ms")


def _answers() -> Iterator[Figure]:
    """DNS over loopback with 10,000 names, one in five unknown; client and server share this process."""
    stop = Stop()
    server = DnsServer(
        informers=FakeInformers(),  # type: ignore[arg-type]
        address="127.0.0.1",
        domain="cluster.local",
        stop=stop,
        upstreams=list,
        **CIDRS,
    )
    began = time.perf_counter()
    for i in range(10_000):
        server.zone.put(f"default/svc-{i}", of_service(_service(i), (), "cluster.local"))
    built = time.perf_counter() - began
    queries = [
        bytes(DNSRecord.question(f"{'none' if i % 5 == 0 else 'svc'}-{i}.default.svc.cluster.local").pack())
        for i in range(2_000)
    ]
    server.zone.synced = True
    began = time.perf_counter()
    for k in range(QUESTIONS):
        server.reply(queries[k % len(queries)], stream=False)
    alone = QUESTIONS / (time.perf_counter() - began)
    server.start()
    rate = _ask(queries)
    server.stop()
    yield Figure("dns, make 10,000 names", built * 1e3, "ms")
    yield Figure("dns, answers without the socket", alone, "1/s")
    yield Figure("dns, answers over loopback, client in the same process", rate, "1/s")


def _ask(queries: list[bytes]) -> float:
    """Bursts of 32, as many pods would send."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect(("127.0.0.1", 53))
        sock.settimeout(2.0)
        threading.Event().wait(0.3)  # the server binds in a thread of its own
        began = time.perf_counter()
        for k in range(0, QUESTIONS, 32):
            for i in range(32):
                sock.send(queries[(k + i) % len(queries)])
            for _ in range(32):
                sock.recv(2048)
        return QUESTIONS / (time.perf_counter() - began)
