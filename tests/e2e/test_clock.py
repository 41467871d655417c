"""A board without a clock: after a boot in 1970 server and agent come up, with a cluster of yesterday.

The clock is libfaketime's, for every process of the host; it lies in a file, which is what sets it. None of
these processes may set the machine's own clock.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hosts import Hosts
from hosts.cluster import Cluster

DAY = 86400.0
LEASE = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/h1"
LIBRARY = next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), None)
# Python reads it at its start. The library has no clock_settime of its own.
CLOCK = """
import os, time
file = os.environ["FAKETIME_TIMESTAMP_FILE"]
def set_clock(clock, seconds):
    with open(file) as now:
        offset = float(now.read()) + seconds - time.time()
    with open(file + ".new", "w") as new:
        new.write(f"{offset:+.3f}")
    os.replace(file + ".new", file)
time.clock_settime = set_clock
"""


class Board:
    """A host whose clock is wrong by what stands in a file."""

    def __init__(self, cluster: Cluster, folder: Path) -> None:
        self.cluster = cluster
        self._clock = folder / "clock"
        (folder / "sitecustomize.py").write_text(CLOCK)
        cluster.wrapped_in = ("setpriv", "--bounding-set=-sys_time", "--inh-caps=-sys_time")
        cluster.environment = {
            "LD_PRELOAD": str(LIBRARY),
            "FAKETIME_TIMESTAMP_FILE": str(self._clock),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "NO_FAKE_STAT": "1",
            "PYTHONPATH": str(folder),
        }

    @property
    def offset(self) -> float:
        return float(self._clock.read_text())

    def boot(self, offset: float) -> None:
        self._clock.write_text(f"{offset:+.3f}")
        self.cluster.server(1)
        self.cluster.wait_for("the API", lambda: self.cluster.api("/readyz") == "ok", seconds=90)
        self.cluster.wait_ready("h1", seconds=90)

    def heartbeat(self) -> str:
        """When the node last said that it is there; empty: not yet."""
        said = json.loads(self.cluster.api(LEASE) or "{}")
        return str((said.get("spec") or {}).get("renewTime", ""))


@pytest.fixture
def board(hosts: Hosts, tmp_path: Path) -> Iterator[Board]:
    assert LIBRARY is not None, "the package faketime is missing"
    with Cluster(hosts.up(1)) as cluster:
        yield Board(cluster, tmp_path)


def test_a_boot_in_1970(board: Board) -> None:
    board.boot(-DAY)  # yesterday
    created = board.cluster.get("namespace", "default")["metadata"]["creationTimestamp"]
    beat = board.cluster.wait_for("a heartbeat", board.heartbeat)
    assert created[:10] == time.strftime("%Y-%m-%d", time.gmtime(time.time() - DAY))
    board.cluster.programs[1].kill()

    board.boot(-time.time() + 3600)  # an hour after the epoch
    said = board.cluster.programs[1].log.read_text()
    assert "the clock was before mini8s was made, and is set to when it last ran" in said
    assert abs(board.offset) < DAY / 2  # what the folder has seen is of today: files bear the kernel's time
    assert board.cluster.get("namespace", "default")["metadata"]["creationTimestamp"] == created
    board.cluster.wait_for("another heartbeat", lambda: board.heartbeat() > beat, seconds=60)
