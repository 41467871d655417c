"""Clusters for end-to-end tests: real servers and agents on hosts, a fresh one for each file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from e2e import packages
from hosts import Hosts
from hosts.cluster import Cluster

MANIFEST = Path(__file__).parents[2] / "scripts" / "hello.yaml"


def pytest_collection_finish(session: pytest.Session) -> None:
    packages.begin(session)


def pytest_unconfigure(config: pytest.Config) -> None:
    packages.end(config)


@pytest.fixture(scope="module")
def one_host(hosts: Hosts, image_archives: list[Path]) -> Iterator[Cluster]:
    """A server with its agent on h1, Ready. h2 is a host beside it that runs nothing of mini8s."""
    with Cluster(hosts.up(2), image_archives) as cluster:
        (cluster.hosts[1].folder / "config.yaml").write_text("tls-san: [shop.example]\n")
        cluster.server(1, f"--config={cluster.hosts[1].folder}/config.yaml")
        cluster.wait_ready("h1")
        yield cluster


@pytest.fixture(scope="module")
def hello(one_host: Cluster) -> str:
    """scripts/hello.yaml, rolled out; the Service's address."""
    one_host.kubectl("apply", f"--filename={MANIFEST}")
    one_host.kubectl("rollout", "status", "deployment/hello", "--timeout=120s")
    return str(one_host.get("service", "hello")["spec"]["clusterIP"])
