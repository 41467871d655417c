"""How fast pods that all wait are bound once the scheduler looks at them: scheduler and API by themselves.

The pods are made while the control process sleeps. The nodes sleep until all are bound, for less than would
make them lost: in earnest they are other machines.
"""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from bench import processes
from bench.figure import Figure
from mini8s.client.base import Api
from mini8s.client.rest import Rest
from mini8s.objects.errors import ApiError
from mini8s.objects.kinds import PODS, Obj

TOGETHER = 100  # pods in a request
LOOK_SECONDS = 0.2
WAIT_SECONDS = 120
_BOUND = re.compile(r'apiserver_request_total\{verb="POST".*subresource="binding".*code="201"\} (\d+)')


def run(rest: Rest, pids: dict[str, int], count: int) -> Iterator[Figure]:
    with _asleep(pids["nodes"]):
        with _asleep(pids["control"]):
            _make(rest, count)
            before = _bound(rest)
            used = {role: processes.cpu_seconds(pids[role]) for role in ("api", "control")}
        first, began, until = 0, 0.0, time.monotonic() + WAIT_SECONDS
        while (bound := _bound(rest) - before) < count:
            if bound and not first:
                first, began = bound, time.monotonic()
            if time.monotonic() > until:
                raise AssertionError(f"{bound} of {count} waiting pods are bound after {WAIT_SECONDS} s")
            time.sleep(LOOK_SECONDS)
        took = time.monotonic() - began
    yield Figure(f"{count} pods that wait, bound", (count - first) / took, "1/s", f"in {took:.1f} s")
    for role, seconds in used.items():
        each = (processes.cpu_seconds(pids[role]) - seconds) / count
        yield Figure(f"processor for it, {role}", 1000 * each, "ms/pod")


def _make(rest: Rest, count: int) -> None:
    for at in range(0, count, TOGETHER):
        asks = [partial(_create, _pod(number)) for number in range(at, min(count, at + TOGETHER))]
        refused = [answer for answer in rest.together(asks) if isinstance(answer, ApiError)]
        if refused:
            raise AssertionError(f"a pod is refused: {refused[0]}")


def _create(pod: Obj, api: Api) -> Obj:
    return api.create(PODS, pod)


def _pod(number: int) -> Obj:
    requests = {"cpu": "100m", "memory": "100M"}
    container = {"name": "main", "image": "web:1", "resources": {"requests": requests}}
    metadata = {"name": f"waits-{number}", "namespace": "default", "labels": {"app": "waits"}}
    return {"metadata": metadata, "spec": {"containers": [container]}}


def _bound(rest: Rest) -> int:
    """How many bindings the API has granted since it started."""
    text = rest.request("GET", "/metrics", accept="text/plain").body.decode()
    found = _BOUND.search(text)
    return int(found[1]) if found else 0


@contextmanager
def _asleep(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)
