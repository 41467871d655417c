"""What Services and names cost on this machine: figures for `scripts/bench`, each measured in this run.

Everything happens in a network namespace of its own. Needs root and nft.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from typing import Any

from bench import dns, ready, vips
from bench.figure import Figure, middle
from mini8s.agent.network import netns
from mini8s.agent.proxy import model
from mini8s.agent.proxy.plan import Book
from mini8s.agent.proxy.table import Table
from mini8s.objects.kinds import Obj
from tests.fakes.network_objects import endpoint, port, service, slice_of

SPACE = f"m8n{os.getpid()}"
CHANGES = 200
CIDRS: dict[str, Any] = {"service_cidr": "10.43.0.0/16", "cluster_cidr": "10.42.0.0/16"}


def run() -> Iterator[Figure]:
    yield from vips.memory()
    subprocess.run(["ip", "netns", "add", SPACE], check=True)
    try:
        yield from netns.inside(f"/run/netns/{SPACE}", _measure)
        yield from vips.rates(SPACE)
    finally:
        subprocess.run(["ip", "netns", "del", SPACE], check=True)
    yield from ready.figures()


def _measure() -> list[Figure]:
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    return [*_program(1_000), *_program(10_000), *dns.figures()]


def _service(i: int) -> Obj:
    return service(f"svc-{i}", f"10.43.{i >> 8}.{i & 255}", port(80, name="http"))


def _facts(i: int, ends: int = 3) -> model.Service | None:
    obj = _service(i)
    endpoints = [endpoint(f"10.42.{i >> 8}.{(i + j) % 250 + 1}") for j in range(ends)]
    return model.service(obj, [slice_of(obj, endpoints, port(8080, name="http"))], model.Home("h1"))


def _program(count: int) -> Iterator[Figure]:
    """Everything from nothing, then one endpoint more or less at a time."""
    table, book = Table(**CIDRS), Book()
    table.replace({}, book.needs)
    wanted = {f"default/svc-{i}": _facts(i) for i in range(count)}
    began = time.perf_counter()
    book.change(wanted)
    planned = time.perf_counter()
    table.replace(book.elements, book.needs)
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
