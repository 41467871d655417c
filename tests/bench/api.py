"""The API: requests a second, how fast watches hear, memory with many pods, and its start.

The server has a core, the load another. On a machine that others use too, only what is counted
in the server's own processor time can be trusted, so that stands beside each rate: how many requests one core
would answer, the server's processor time for a thousand.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench import processes
from bench.api_alone import ApiAlone, Door, running
from bench.figure import Figure, middle
from bench.load import Load, configmap, drive, request

VERBS = ("get", "create", "update", "patch", "delete")
CLIENTS = (1, 16, 64)
LISTS = (1_000, 10_000)
LIST_CLIENTS = (1, 4)
ROUNDS = 3
SECONDS = 1.0
WATCHES, CHANGES, WATCH_SECONDS = 1_000, 100, 5.0
PODS = 10_000
STARTS = 5


def run() -> Iterator[Figure]:
    yield from starts()
    with tempfile.TemporaryDirectory() as folder, running(Path(folder)) as api:
        for verb in VERBS:
            for door in api.doors:
                for clients in CLIENTS:
                    yield from rates(api, door, verb, clients)
        for count in LISTS:
            leave(api, f"list-{count}", count)
            for door in api.doors:
                for clients in LIST_CLIENTS:
                    yield from rates(api, door, f"list-{count}", clients)
    for secure in (False, True):
        with tempfile.TemporaryDirectory() as folder, running(Path(folder)) as api:
            yield from watches(api, api.doors[secure])
    with tempfile.TemporaryDirectory() as folder, running(Path(folder)) as api:
        yield from memory(api)


def starts() -> Iterator[Figure]:
    """The first start makes certificates and a database."""
    with tempfile.TemporaryDirectory() as folder:
        took = []
        for _ in range(1 + STARTS):
            with running(Path(folder)) as api:
                took.append(api.ready)
        yield Figure("first start to ready", took[0], "s")
        yield middle("start to ready", took[1:], "s")


def rates(api: ApiAlone, door: Door, verb: str, clients: int) -> Iterator[Figure]:
    loads = [load(api, door, verb, clients) for _ in range(ROUNDS)]
    name = f"{verb}, {door.name}, {clients} at a time"
    p50, p99 = (sorted(1000 * getattr(one, part) for one in loads)[ROUNDS // 2] for part in ("p50", "p99"))
    busy = 100 * max(one.client / one.seconds for one in loads)
    yield middle(name, [one.answers / one.seconds for one in loads], "1/s").noting(
        f"p50 {p50:.2f} ms, p99 {p99:.2f} ms, load {busy:.0f} % busy"
    )
    per_core = [one.answers / one.server for one in loads]
    yield middle(f"{name}: of a core", per_core, "1/s").noting(
        f"{1e6 / sorted(per_core)[ROUNDS // 2]:.0f} ms for 1,000"
    )


def load(api: ApiAlone, door: Door, verb: str, clients: int) -> Load:
    """Raises RuntimeError when a request failed."""
    outcome = Load(**_client(api, door, "bench.load", verb, clients, SECONDS))
    if outcome.failed:
        raise RuntimeError(f"{outcome.failed} of {outcome.answers} requests failed")
    return outcome


def watches(api: ApiAlone, door: Door) -> Iterator[Figure]:
    before = processes.pss_mb(api.pid)
    heard = _client(api, door, "bench.watchers", WATCHES, CHANGES, WATCH_SECONDS)
    name = f"{WATCHES} watches, {CHANGES} changes a second, {door.name}"
    yield Figure(f"{name}: p50", 1000 * heard["p50"], "ms", f"p99 {1000 * heard['p99']:.1f} ms")
    yield Figure(
        f"{name}: server", 100 * heard["server"], "% core",
        f"{heard['rate']:,.0f} deliveries a second, load {100 * heard['client']:.0f} % busy",
    )  # fmt: skip
    yield Figure(f"{name}: memory", processes.pss_mb(api.pid), "MB PSS", f"{before:.1f} before")


def memory(api: ApiAlone) -> Iterator[Figure]:
    """Pods as a controller makes them, 2 KB each in the store."""
    yield Figure("memory, idle", processes.pss_mb(api.pid), "MB PSS", _resident(api.pid))
    path = "/api/v1/namespaces/default/pods"
    bodies = (request("POST", path, json.dumps(_pod(number)).encode()) for number in range(PODS))
    made = drive([api.doors[0].connect() for _ in range(16)], bodies, 300)
    if made.failed or made.answers != PODS:
        raise RuntimeError(f"{made.failed} of {made.answers} pods could not be made")
    size = len(json.dumps(api.ask("GET", f"{path}/web-0"), separators=(",", ":")))
    yield Figure(
        f"memory, {PODS} pods of {size} bytes", processes.pss_mb(api.pid), "MB PSS", _resident(api.pid)
    )


def leave(api: ApiAlone, namespace: str, count: int) -> None:
    """Keep a namespace with so many objects to list."""
    api.ask("POST", "/api/v1/namespaces", {"metadata": {"name": namespace}})
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    bodies = (request("POST", path, configmap(f"listed-{number}")) for number in range(count))
    drive([api.doors[0].connect() for _ in range(16)], bodies, 300)


def _client(api: ApiAlone, door: Door, module: str, *args: object) -> Any:
    command = [sys.executable, "-m", module, *map(str, args), str(api.pid), str(door.folder), str(door.port)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=False, timeout=300)
    if done.returncode:
        raise RuntimeError(f"{module} {args} failed")
    return json.loads(done.stdout)


def _resident(pid: int) -> str:
    return f"{processes.rss_mb(pid):.1f} MB resident"


def _pod(number: int) -> dict[str, object]:
    owner = {
        "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web", "controller": True,
        "uid": "5f1a0d6e-0000-4000-8000-000000000000",
    }  # fmt: skip
    container = {
        "name": "main", "image": "registry.example/team/web:1.27.3",
        "ports": [{"name": "http", "containerPort": 8080}],
        "env": [{"name": f"SETTING_{item}", "value": "x" * 32} for item in range(8)],
        "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"memory": "64Mi"}},
        "readinessProbe": {"httpGet": {"path": "/ready", "port": "http"}},
    }  # fmt: skip
    labels = {"app": "web", "pod-template-hash": "6bb4b9c7d"}
    metadata = {"name": f"web-{number}", "labels": labels, "ownerReferences": [owner]}
    return {"metadata": metadata, "spec": {"containers": [container]}}
