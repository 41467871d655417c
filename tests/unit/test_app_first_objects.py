"""What every cluster begins with, at its first start and at every later one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from fakes.cluster import Cluster

from mini8s.app import first_objects, packaged
from mini8s.app.deploying.folder import parse
from mini8s.app.networks import completed
from mini8s.config import ServerSettings
from mini8s.objects.kinds import (
    ENDPOINTS,
    INGRESSCLASSES,
    NAMESPACES,
    NODES,
    PRIORITYCLASSES,
    SERVICES,
    STORAGECLASSES,
)


def ensure(cluster: Cluster, address: str) -> None:
    settings = completed(ServerSettings(advertise_address=address))
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
    settings = completed(ServerSettings(advertise_address="10.99.0.1", disable=("ingress",)))
    for _ in range(2):
        first_objects.ensure(cluster.machine, cluster.ctx, settings, "10.43.0.1")
        assert cluster.names(INGRESSCLASSES) == []


def test_another_class_of_that_name_is_left_alone() -> None:
    """Who brings Rancher's provisioner calls its class so, and has ours disabled."""
    cluster = Cluster()
    theirs = {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": "local-path"}}
    cluster.create(STORAGECLASSES, theirs | {"provisioner": "rancher.io/local-path"})
    settings = completed(ServerSettings(advertise_address="10.99.0.1", disable=("local-storage",)))
    first_objects.ensure(cluster.machine, cluster.ctx, settings, "10.43.0.1")
    assert cluster.get(STORAGECLASSES, "local-path")["provisioner"] == "rancher.io/local-path"


def test_packaged_files_are_laid_anew_and_those_that_are_disabled_go(tmp_path: Path) -> None:
    folder = tmp_path / "server/manifests/packaged"
    settings = ServerSettings(data_dir=str(tmp_path), cluster_dns="10.43.0.53")
    packaged.lay(settings)
    assert sorted(path.stem for path in folder.iterdir()) == sorted(packaged.COMPONENTS)
    assert 'clusterIP: "10.43.0.53"' in (folder / "dns.yaml").read_text()
    (folder / "dns.yaml").write_text("{}")
    (folder / "of-an-older-release.yaml").write_text("{}")
    (folder / "ingress.yaml.skip").touch()
    packaged.lay(replace(settings, disable=("local-storage",)))
    names = {path.name for path in folder.iterdir()}
    assert names == {"dns.yaml", "ingress.yaml", "ingress.yaml.skip", "priority-classes.yaml"}
    assert "clusterIP" in (folder / "dns.yaml").read_text()


def test_what_is_to_be_left_alone_is_neither_made_nor_removed(tmp_path: Path) -> None:
    folder = tmp_path / "server/manifests/packaged"
    folder.mkdir(parents=True)
    (folder / "ingress.yaml.skip").touch()
    for disable in ((), ("ingress",)):
        settings = ServerSettings(data_dir=str(tmp_path), disable=disable)
        for disabled in (False, True):
            kinds = {obj["kind"] for obj in packaged.objects(settings, disabled=disabled)}
            assert "IngressClass" not in kinds


def test_the_folder_of_manifests_takes_them() -> None:
    for name in packaged.COMPONENTS:
        source = parse(packaged.text(ServerSettings(), name).encode())
        assert source.says
        assert source.objects


def test_a_second_start_changes_the_address_and_nothing_else() -> None:
    cluster = Cluster()
    ensure(cluster, "10.99.0.1")
    before = cluster.store.revision
    ensure(cluster, "10.99.0.1")
    assert cluster.store.revision == before
    ensure(cluster, "10.99.0.2")
    assert cluster.get(ENDPOINTS, "kubernetes")["subsets"][0]["addresses"] == [{"ip": "10.99.0.2"}]


def test_a_cluster_that_gets_a_second_family_gives_each_node_a_range_of_it() -> None:
    cluster = Cluster()
    ensure(cluster, "10.99.0.1")
    for number in range(3):
        cluster.create(NODES, {"metadata": {"name": f"n{number}"}})
    before = [cluster.get(NODES, f"n{number}")["spec"]["podCIDR"] for number in range(3)]
    cidrs = {"service_cidr": "10.43.0.0/16,fd43::/112", "cluster_cidr": "10.42.0.0/16,fd42::/48"}
    settings = completed(replace(ServerSettings(advertise_address="10.99.0.1"), **cidrs))
    both = Cluster(cluster.store, **cidrs, cluster_dns=settings.cluster_dns)
    for _ in range(2):  # the second start finds all done
        first_objects.ensure(both.machine, both.ctx, settings, "10.43.0.1")
        specs = [both.get(NODES, f"n{number}")["spec"] for number in range(3)]
        assert [spec["podCIDRs"][0] for spec in specs] == before
        assert {spec["podCIDRs"][1] for spec in specs} == {"fd42::/64", "fd42:0:0:1::/64", "fd42:0:0:2::/64"}
        resolver = both.get(SERVICES, "kube-dns", namespace="kube-system")["spec"]
        assert resolver["clusterIPs"] == ["10.43.0.10", "fd43::a"]
