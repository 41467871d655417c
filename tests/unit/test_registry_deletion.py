"""Deleting: grace, finalizers, propagation, preconditions, namespaces."""

from __future__ import annotations

from typing import Any

import pytest
from fakes.cluster import Cluster, config_map, deployment, pod

from mini8s.objects.errors import Conflict, Forbidden, Invalid, NotFound
from mini8s.objects.kinds import CONFIGMAPS, DEPLOYMENTS, EVENTS, NAMESPACES, PODS, Obj
from mini8s.registry.base import DeleteOptions, ListOptions


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


def with_finalizer(obj: Obj, *finalizers: str) -> Obj:
    return obj | {"metadata": obj["metadata"] | {"finalizers": list(finalizers)}}


def test_without_reasons_to_wait_it_is_gone_at_once(cluster: Cluster) -> None:
    made = cluster.create(CONFIGMAPS, config_map())
    last, gone = cluster.delete(CONFIGMAPS, "settings")
    assert gone
    assert int(last["metadata"]["resourceVersion"]) > int(made["metadata"]["resourceVersion"])
    assert not cluster.exists(CONFIGMAPS, "settings")


def test_the_update_that_empties_the_finalizers_deletes(cluster: Cluster) -> None:
    cluster.create(CONFIGMAPS, with_finalizer(config_map(), "x.io/a", "x.io/b"))
    marked, gone = cluster.delete(CONFIGMAPS, "settings")
    assert not gone
    assert marked["metadata"]["deletionTimestamp"] == "2026-01-01T00:00:00Z"
    assert marked["metadata"]["deletionGracePeriodSeconds"] == 0
    cluster.patch(CONFIGMAPS, "settings", {"metadata": {"finalizers": ["x.io/b"]}})
    assert cluster.exists(CONFIGMAPS, "settings")
    cluster.patch(CONFIGMAPS, "settings", {"metadata": {"finalizers": None}})
    assert not cluster.exists(CONFIGMAPS, "settings")


def test_no_new_finalizers_on_what_is_going(cluster: Cluster) -> None:
    cluster.create(CONFIGMAPS, with_finalizer(config_map(), "x.io/a"))
    cluster.delete(CONFIGMAPS, "settings")
    with pytest.raises(Invalid, match=r'found new finalizers \[\]string\{"x.io/b"\}'):
        cluster.patch(CONFIGMAPS, "settings", {"metadata": {"finalizers": ["x.io/a", "x.io/b"]}})


def test_a_deletion_can_not_be_taken_back(cluster: Cluster) -> None:
    cluster.create(CONFIGMAPS, with_finalizer(config_map(), "x.io/a"))
    cluster.delete(CONFIGMAPS, "settings")
    kept = cluster.patch(CONFIGMAPS, "settings", {"metadata": {"deletionTimestamp": None}})
    assert kept["metadata"]["deletionTimestamp"] == "2026-01-01T00:00:00Z"
    later = {"metadata": {"deletionTimestamp": "2030-01-01T00:00:00Z"}}
    assert cluster.patch(CONFIGMAPS, "settings", later) == kept


@pytest.mark.parametrize(
    ("propagation", "finalizer"), [("Foreground", "foregroundDeletion"), ("Orphan", "orphan")]
)
def test_the_collector_is_asked_by_a_finalizer(cluster: Cluster, propagation: str, finalizer: str) -> None:
    cluster.create(DEPLOYMENTS, deployment())
    marked, gone = cluster.delete(DEPLOYMENTS, "web", propagation=propagation)
    assert not gone
    assert marked["metadata"]["finalizers"] == [finalizer]
    assert marked["metadata"]["generation"] == 2
    assert cluster.delete(DEPLOYMENTS, "web", propagation="Background")[1]


def test_deleting_twice_changes_nothing(cluster: Cluster) -> None:
    cluster.create(CONFIGMAPS, with_finalizer(config_map(), "x.io/a"))
    marked, _ = cluster.delete(CONFIGMAPS, "settings")
    cluster.clock.step(10)
    assert cluster.delete(CONFIGMAPS, "settings") == (marked, False)


def test_preconditions(cluster: Cluster) -> None:
    made = cluster.create(CONFIGMAPS, config_map())
    with pytest.raises(Conflict, match="Precondition failed: UID in precondition: other"):
        cluster.delete(CONFIGMAPS, "settings", uid="other")
    with pytest.raises(Conflict, match="Precondition failed: ResourceVersion in precondition: 1"):
        cluster.delete(CONFIGMAPS, "settings", resource_version="1")
    assert cluster.delete(CONFIGMAPS, "settings", uid=made["metadata"]["uid"])[1]


def test_a_pod_without_a_node_goes_at_once(cluster: Cluster) -> None:
    cluster.create(PODS, pod())
    assert cluster.delete(PODS, "web")[1]


def test_a_pod_on_a_node_waits_for_its_kubelet(cluster: Cluster) -> None:
    cluster.create(PODS, pod(nodeName="n1"))
    marked, gone = cluster.delete(PODS, "web")
    assert not gone
    assert marked["metadata"]["deletionGracePeriodSeconds"] == 30
    assert marked["metadata"]["deletionTimestamp"] == "2026-01-01T00:00:30Z"
    assert cluster.delete(PODS, "web") == (marked, False)
    shorter, gone = cluster.delete(PODS, "web", grace_seconds=5)
    assert (shorter["metadata"]["deletionTimestamp"], gone) == ("2026-01-01T00:00:05Z", False)
    assert cluster.delete(PODS, "web", grace_seconds=10) == (shorter, False)
    cluster.patch(PODS, "web", {"status": {"phase": "Running"}}, subresource="status")
    last, gone = cluster.delete(PODS, "web", grace_seconds=0)
    assert gone
    assert last["metadata"]["deletionGracePeriodSeconds"] == 0


def test_a_pod_that_has_ended_goes_at_once(cluster: Cluster) -> None:
    cluster.create(PODS, pod(nodeName="n1"))
    cluster.patch(PODS, "web", {"status": {"phase": "Succeeded"}}, subresource="status")
    assert cluster.delete(PODS, "web")[1]


def test_a_pod_with_a_finalizer_outlives_its_kubelet(cluster: Cluster) -> None:
    cluster.create(PODS, with_finalizer(pod(nodeName="n1"), "x.io/a"))
    assert not cluster.delete(PODS, "web", grace_seconds=0)[1]
    cluster.patch(PODS, "web", {"metadata": {"finalizers": []}})
    assert not cluster.exists(PODS, "web")


def test_collections(cluster: Cluster) -> None:
    for number in range(3):
        cluster.create(CONFIGMAPS, config_map(f"c{number}"))
    cluster.create(CONFIGMAPS, {"metadata": {"name": "other", "labels": {"keep": "me"}}})
    chosen = ListOptions(label_selector="!keep")
    gone = cluster.machine.delete_collection(cluster.ctx(), CONFIGMAPS, "default", chosen, DeleteOptions())
    assert len(gone.items) == 3
    assert cluster.names(CONFIGMAPS) == ["other"]


def test_a_namespace_ends_when_its_controller_says_so(cluster: Cluster) -> None:
    made = cluster.create(NAMESPACES, {"metadata": {"name": "shop"}})
    assert made["spec"] == {"finalizers": ["kubernetes"]}
    assert made["status"] == {"phase": "Active"}
    assert made["metadata"]["labels"] == {"kubernetes.io/metadata.name": "shop"}
    marked, gone = cluster.delete(NAMESPACES, "shop")
    assert not gone
    assert marked["status"]["phase"] == "Terminating"
    assert "deletionGracePeriodSeconds" not in marked["metadata"]
    with pytest.raises(Forbidden) as refused:
        cluster.create(CONFIGMAPS, config_map(), namespace="shop")
    assert refused.value.message == (
        'configmaps "settings" is forbidden: unable to create new content in namespace shop because it is '
        "being terminated"
    )
    assert refused.value.causes[0].reason == "NamespaceTerminating"
    assert cluster.delete(NAMESPACES, "shop") == (marked, False)
    cluster.update(NAMESPACES, marked | {"spec": {"finalizers": []}})
    assert cluster.get(NAMESPACES, "shop") == marked  # only finalize changes them
    cluster.update(NAMESPACES, marked | {"spec": {"finalizers": []}}, "finalize")
    assert not cluster.exists(NAMESPACES, "shop")


def test_the_namespaces_that_stay(cluster: Cluster) -> None:
    with pytest.raises(Forbidden, match=r'^namespaces "default" is forbidden: this namespace may not be del'):
        cluster.delete(NAMESPACES, "default")


def test_no_namespace_no_object(cluster: Cluster) -> None:
    with pytest.raises(NotFound, match=r'^namespaces "nowhere" not found$'):
        cluster.create(CONFIGMAPS, config_map(), namespace="nowhere")


def event(name: str, seen: str) -> dict[str, Any]:
    return {
        "metadata": {"name": name},
        "involvedObject": {"kind": "Pod", "namespace": "default", "name": "web"},
        "lastTimestamp": seen,
    }


def test_events_are_forgotten_after_an_hour(cluster: Cluster) -> None:
    cluster.create(EVENTS, event("old", "2026-01-01T00:00:00Z"))
    cluster.create(EVENTS, event("new", "2026-01-01T00:30:00Z"))
    cluster.clock.step(3601)
    assert cluster.machine.expire() == 1
    assert cluster.names(EVENTS) == ["new"]


def test_too_many_events(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mini8s.registry.expiry.MOST", 2)
    for number in range(4):
        cluster.create(EVENTS, event(f"e{number}", f"2026-01-01T00:00:0{9 - number}Z"))
    assert cluster.machine.expire() == 2
    assert cluster.names(EVENTS) == ["e0", "e1"]
