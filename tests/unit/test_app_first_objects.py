"""What every cluster begins with, at its first start and at every later one."""

from __future__ import annotations

from fakes.cluster import Cluster

from mini8s.app import first_objects
from mini8s.config import ServerSettings
from mini8s.objects.kinds import (
    ENDPOINTS,
    INGRESSCLASSES,
    NAMESPACES,
    PRIORITYCLASSES,
    SERVICES,
    STORAGECLASSES,
)


def ensure(cluster: Cluster, address: str) -> None:
    settings = ServerSettings(advertise_address=address)
    first_objects.ensure(cluster.machine, cluster.ctx, settings, "10.43.0.1")


def test_what_is_there_from_the_start() -> None:
    cluster = Cluster()
    ensure(cluster, "10.99.0.1")
    assert cluster.names(NAMESPACES) == ["default", "kube-node-lease", "kube-public", "kube-system"]
    assert cluster.names(SERVICES) == ["kubernetes", "kube-dns"]
    assert cluster.get(PRIORITYCLASSES, "system-node-critical")["value"] == 2_000_001_000
    assert cluster.names(PRIORITYCLASSES) == ["system-cluster-critical", "system-node-critical"]
    assert cluster.names(STORAGECLASSES) == ["local-path"]
    assert cluster.get(INGRESSCLASSES, "mini8s")["spec"] == {"controller": "mini8s.io/ingress"}


def test_what_is_done_without_is_taken_away() -> None:
    cluster = Cluster()
    ensure(cluster, "10.99.0.1")
    settings = ServerSettings(advertise_address="10.99.0.1", disable=("ingress",))
    for _ in range(2):
        first_objects.ensure(cluster.machine, cluster.ctx, settings, "10.43.0.1")
        assert cluster.names(INGRESSCLASSES) == []


def test_a_second_start_changes_the_address_and_nothing_else() -> None:
    cluster = Cluster()
    ensure(cluster, "10.99.0.1")
    before = cluster.store.revision
    ensure(cluster, "10.99.0.1")
    assert cluster.store.revision == before
    ensure(cluster, "10.99.0.2")
    assert cluster.get(ENDPOINTS, "kubernetes")["subsets"][0]["addresses"] == [{"ip": "10.99.0.2"}]
