"""How fast bytes pass through exec, port-forward and logs, against the same through `docker` and TCP without
mini8s in between, in the same run. kubectl encrypts and decrypts on the same cores, `docker` does not."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from statistics import median
from typing import Any

from hosts.cluster import Cluster

from bench import processes
from bench.figure import Figure
from bench.pods import PODS, ask, open_door

SIZE = 100_000_000  # bytes each way and round
LINES = 400_000  # of 100 bytes: what is kept of a log is at most 50 MiB
ROUNDS = 3
POD = "tube"
SCRIPT = f"""mkdir -p /www/cgi-bin; head -c {SIZE} /dev/zero >/www/big
printf '#!/bin/sh\\necho; exec wc -c' >/www/cgi-bin/count; chmod +x /www/cgi-bin/count
yes {"x" * 99} | head -n {LINES}
exec httpd -f -p 8080 -h /www"""

Way = Callable[[], float]  # seconds


def run(cluster: Cluster) -> Iterator[Figure]:
    cluster.server(1)
    cluster.wait_ready("h1")
    _prepare(cluster)
    pod = ask(open_door(cluster), "GET", f"{PODS}/{POD}")
    container = pod["status"]["containerStatuses"][0]["containerID"].removeprefix("docker://")
    direct = f"http://{pod['status']['podIP']}:8080"
    kubectl, docker = cluster.kubectl_command(), ["docker"]
    big, sink = ["cat", "/www/big"], ["sh", "-c", "cat >/dev/null"]
    with _forwarded(cluster) as forwarded:
        for name, size, ours, theirs in (
            ("exec, output", SIZE, [*kubectl, "exec", POD, "--", *big], [*docker, "exec", container, *big]),
            (
                "exec, input",
                SIZE,
                [*kubectl, "exec", "-i", POD, "--", *sink],
                [*docker, "exec", "-i", container, *sink],
            ),
            ("port-forward, from the pod", SIZE, _down(forwarded), _down(direct)),
            ("port-forward, to the pod", SIZE, _up(forwarded), _up(direct)),
            ("logs", LINES * 100, [*kubectl, "logs", POD], [*docker, "logs", container]),
        ):
            yield from _compared(cluster, name, size, ours, theirs)


def _compared(cluster: Cluster, name: str, size: int, ours: list[str], theirs: list[str]) -> Iterator[Figure]:
    """In turn, so that both meet the same machine."""
    pids = processes.roles(cluster.programs[1].process.pid)
    pairs, used = [], 0.0
    for _ in range(ROUNDS):
        before = sum(map(processes.cpu_seconds, pids.values()))
        mine = _seconds(cluster, ours)
        used += sum(map(processes.cpu_seconds, pids.values())) - before
        pairs.append((mine, _seconds(cluster, theirs)))
    rate, other = (size / median(one) / 1e6 for one in zip(*pairs, strict=True))
    cost = used / ROUNDS / size * 1e9
    note = f"{theirs[0]}: {other:,.0f} MB/s, ratio {rate / other:.2f}; {cost:.1f} s of processor a GB"
    yield Figure(name, rate, "MB/s", note)


def _seconds(cluster: Cluster, command: list[str]) -> float:
    """With as many zeros as input as are asked for, if it reads any."""
    zeros = subprocess.Popen(["head", "-c", str(SIZE), "/dev/zero"], stdout=subprocess.PIPE)
    began = time.perf_counter()
    done = cluster.hosts[1].popen(*command, stdin=zeros.stdout, stdout=subprocess.DEVNULL)
    assert zeros.stdout is not None
    zeros.stdout.close()
    code = done.wait(60)
    seconds = time.perf_counter() - began
    zeros.wait(10)
    if code:
        raise RuntimeError(f"{command} ended with {code}")
    return seconds


def _down(url: str) -> list[str]:
    return ["curl", "-sf", "-o", "/dev/null", f"{url}/big"]


def _up(url: str) -> list[str]:
    return [
        "curl",
        "-sf",
        "-H",
        "Expect:",
        "-H",
        f"Content-Length: {SIZE}",
        "-T",
        "-",
        "-X",
        "POST",
        f"{url}/cgi-bin/count",
    ]


@contextmanager
def _forwarded(cluster: Cluster) -> Iterator[str]:
    words = cluster.kubectl_command("port-forward", f"pod/{POD}", ":8080")
    process: Any = cluster.hosts[1].popen(*words, stdout=subprocess.PIPE, text=True)
    try:
        found = re.search(r"127\.0\.0\.1:\d+", process.stdout.readline())
        if found is None:
            raise RuntimeError("kubectl port-forward did not begin")
        yield f"http://{found[0]}"
    finally:
        process.kill()
        process.communicate(timeout=10)


def _prepare(cluster: Cluster) -> None:
    cluster.wait_for("the image", lambda: "mini8s-busybox" in cluster.hosts[1].docker("images"))
    container = {"name": "main", "image": "mini8s-busybox:1", "command": ["sh", "-c", SCRIPT]}
    spec = {"containers": [container], "terminationGracePeriodSeconds": 0}
    ask(open_door(cluster), "POST", PODS, {"metadata": {"name": POD}, "spec": spec})

    def listens() -> bool:
        pod = ask(open_door(cluster), "GET", f"{PODS}/{POD}")["status"]
        address = pod.get("podIP")
        return (
            bool(address)
            and cluster.hosts[1].call("curl", "-sf", f"http://{address}:8080/cgi-bin/count").returncode == 0
        )

    cluster.wait_for("the web server", listens, seconds=60)
