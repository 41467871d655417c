"""The runner behind `scripts/bench [NAME…]`: figures as they come."""

from __future__ import annotations

import importlib
import os
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from hosts import HostError, Hosts
from hosts.cluster import Cluster

from bench.figure import Figure
from scripts import images

ON_A_HOST = ("idle", "pods", "streams", "scale")  # each on a fresh host, against the running program
BY_ITSELF = ("api", "store", "net", "sched")  # one room each, in processes of its own
PREFIX = os.environ.get("MINI8S_HOSTS_PREFIX", "m8b")


def main(names: list[str]) -> int:
    known = (*ON_A_HOST, *BY_ITSELF)
    unknown = set(names) - set(known)
    if unknown:
        print(f"bench: no {', '.join(sorted(unknown))}; there are {', '.join(known)}", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as folder:
        archives = images.write(images.everything(), Path(folder))
        for name in names or known:
            print(name, flush=True)
            room = importlib.import_module(f"bench.{name}")
            for figure in on_a_host(room.run, archives) if name in ON_A_HOST else room.run():
                print(f"  {figure.line()}", flush=True)
    return 0


def on_a_host(run: Callable[[Cluster], Iterator[Figure]], archives: Iterable[Path]) -> Iterator[Figure]:
    with Hosts(PREFIX) as hosts:
        hosts.down()  # of a run that was killed
        with Cluster(hosts.up(1), list(archives)) as cluster:
            yield from run(cluster)


if __name__ == "__main__":
    os.environ.pop(
        "PYTHONDONTWRITEBYTECODE", None
    )  # what is installed is compiled; a start must not do it again
    try:
        sys.exit(main(sys.argv[1:]))
    except (AssertionError, HostError, RuntimeError) as error:
        sys.exit(f"bench: {error}")
