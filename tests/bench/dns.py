"""What names cost on this machine: figures for `scripts/bench`, beside dnsmasq with the same names.

Both answer the same client with the same queries over loopback, in turns, both pinned to one core
while the client has another; what is told is their own processor time, so that neither the client's pace nor
other work on the machine counts. Needs root and two cores; without dnsmasq there is nothing to compare with.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from multiprocessing.synchronize import Event
from pathlib import Path

from dnslib import DNSRecord

from bench.figure import Figure, middle
from bench.processes import cpu_seconds
from mini8s.agent.dns.records import of_service
from mini8s.agent.dns.server import DnsServer
from mini8s.objects.kinds import Obj
from mini8s.util.workers import Stop
from tests.fakes.informers import FakeInformers
from tests.fakes.network_objects import port, service

NAMES = 10_000
QUESTIONS, ROUNDS = 100_000, 9
BURST = 64  # on their way at once
PACE = 5_000  # a second, for the figure of how long an answer takes
PACED = 15_000
DOMAIN = "cluster.local"
OURS, THEIRS = ("127.0.0.1", 53), ("127.0.0.1", 5300)


def figures() -> Iterator[Figure]:
    """Called in a network namespace of its own."""
    queries = [
        bytes(DNSRecord.question(f"{'none' if i % 5 == 0 else 'svc'}-{i}.default.svc.{DOMAIN}").pack())
        for i in range(NAMES)
    ]
    server_core, client_core = sorted(os.sched_getaffinity(0))[:2]
    everywhere = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {client_core})
    try:
        theirs_too = shutil.which("dnsmasq", path=f"{os.environ['PATH']}:/usr/sbin")
        with _ours(server_core) as ours, _dnsmasq(server_core) if theirs_too else nullcontext(0) as theirs:
            yield from _compare(queries, ours, theirs)
    finally:
        os.sched_setaffinity(0, everywhere)


def _compare(queries: list[bytes], ours: int, theirs: int) -> Iterator[Figure]:
    """In turns: the one that isn't asked takes no time."""
    rates = [
        (_rate(OURS, queries, ours), _rate(THEIRS, queries, theirs) if theirs else 0.0) for _ in range(ROUNDS)
    ]
    yield middle(f"dns, answers a second and core, {NAMES:,} names", [our for our, _ in rates], "1/s")
    name = f"99 of 100 answers within, at {PACE:,} a second"
    yield Figure(f"dns, {name}", _latency(OURS, queries) * 1e3, "ms")
    if theirs:
        yield middle("dnsmasq, the same", [their for _, their in rates], "1/s")
        yield Figure(f"dnsmasq, {name}", _latency(THEIRS, queries) * 1e3, "ms")
        ratios = [our / their for our, their in rates]
        yield middle("dns, answers for the processor time of one of dnsmasq's", ratios, "")


def _service(i: int) -> Obj:
    return service(f"svc-{i}", f"10.43.{i >> 8}.{i & 255}", port(80, name="http"))


@contextlib.contextmanager
def _ours(core: int) -> Iterator[int]:
    ready, done = multiprocessing.Event(), multiprocessing.Event()
    child = multiprocessing.Process(target=_serve, args=(core, ready, done))
    child.start()
    try:
        ready.wait(60)
        yield child.pid or 0
    finally:
        done.set()
        child.join(10)


def _serve(core: int, ready: Event, done: Event) -> None:
    os.sched_setaffinity(0, {core})
    server = DnsServer(
        informers=FakeInformers(),  # type: ignore[arg-type]
        address=OURS[0],
        domain=DOMAIN,
        service_cidr="10.43.0.0/16",
        cluster_cidr="10.42.0.0/16",
        stop=Stop(),
        upstreams=list,
    )
    for i in range(NAMES):
        server.zone.put(f"default/svc-{i}", of_service(_service(i), (), DOMAIN))
    server.start()
    _wait_for(OURS)
    ready.set()
    done.wait()
    server.stop()


@contextlib.contextmanager
def _dnsmasq(core: int) -> Iterator[int]:
    with tempfile.TemporaryDirectory() as folder:
        hosts = Path(folder) / "hosts"
        lines = (f"10.43.{i >> 8}.{i & 255} svc-{i}.default.svc.{DOMAIN}\n" for i in range(NAMES))
        hosts.write_text("".join(lines))
        Path(folder).chmod(0o755)
        command = ["taskset", "-c", str(core), "dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null"]
        command += ["--no-hosts", "--no-resolv", f"--addn-hosts={hosts}", f"--local=/{DOMAIN}/"]
        command += [
            f"--listen-address={THEIRS[0]}",
            f"--port={THEIRS[1]}",
            "--bind-interfaces",
            "--user=root",
        ]
        command += ["--pid-file=", "--log-facility=-", "--local-ttl=5"]
        child = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        try:
            _wait_for(THEIRS)
            yield child.pid
        finally:
            child.terminate()
            child.wait()


def _wait_for(server: tuple[str, int]) -> None:
    query = bytes(DNSRecord.question(f"svc-1.default.svc.{DOMAIN}").pack())
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(0.2)
        for _ in range(100):
            with contextlib.suppress(OSError):
                sock.sendto(query, server)
                if sock.recv(2048)[3] & 15 == 0:
                    return
            time.sleep(0.05)
    raise RuntimeError(f"nobody answers on {server}")


def _rate(server: tuple[str, int], queries: list[bytes], pid: int) -> float:
    """Answers for a second of the server's own processor time."""
    answered = 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect(server)
        sock.settimeout(2.0)
        _burst(sock, queries[:BURST])
        before = cpu_seconds(pid)
        for k in range(0, QUESTIONS, BURST):
            start = k % (len(queries) - BURST)
            answered += _burst(sock, queries[start : start + BURST])
        used = cpu_seconds(pid) - before
    return answered / used


def _burst(sock: socket.socket, queries: list[bytes]) -> int:
    for query in queries:
        sock.send(query)
    for _ in queries:
        sock.recv(2048)
    return len(queries)


def _latency(
    server: tuple[str, int], queries: list[bytes], now: Callable[[], float] = time.perf_counter
) -> float:
    """Seconds within which 99 of 100 answers are there, one query at a time, at a steady pace."""
    took = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect(server)
        sock.settimeout(2.0)
        began = now()
        for k in range(PACED):
            while now() - began < k / PACE:
                pass
            sent = now()
            sock.send(queries[k % len(queries)])
            sock.recv(2048)
            took.append(now() - sent)
    return sorted(took)[len(took) * 99 // 100]
