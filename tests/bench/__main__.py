"""The runner behind `scripts/bench [NAME…]`: each benchmark on a fresh host, its figures as they come."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from hosts import HostError, Hosts
from hosts.cluster import Cluster

from bench import api, idle, pods
from scripts import images

BENCHMARKS = {"idle": idle.run, "pods": pods.run, "api": api.run}
PREFIX = "m8b"


def main(names: list[str]) -> int:
    unknown = set(names) - set(BENCHMARKS)
    if unknown:
        print(f"bench: no {', '.join(sorted(unknown))}; there are {', '.join(BENCHMARKS)}", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as folder:
        archives = images.write(images.everything(), Path(folder))
        for name in names or BENCHMARKS:
            print(f"{name}", flush=True)
            with Hosts(PREFIX) as hosts:
                hosts.down()
                with Cluster(hosts.up(1), archives) as cluster:
                    for figure in BENCHMARKS[name](cluster):
                        print(f"  {figure.line()}", flush=True)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except (AssertionError, HostError, RuntimeError) as error:
        sys.exit(f"bench: {error}")
