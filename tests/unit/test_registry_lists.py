"""Lists and watches: selectors, pages, versions, and what a watch's selectors make of a change."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from typing import Any

import pytest
from fakes.cluster import Cluster, config_map, decoded, pod

from mini8s.objects.errors import BadRequest, Expired, Invalid, Timeout
from mini8s.objects.kinds import CONFIGMAPS, NAMESPACES, PODS
from mini8s.registry.base import ListOptions, WatchEvent


@pytest.fixture
def cluster() -> Cluster:
    cluster = Cluster()
    for number in range(5):
        parity = "even" if number % 2 == 0 else "odd"
        cluster.create(CONFIGMAPS, {"metadata": {"name": f"c{number}", "labels": {"is": parity}}})
    return cluster


def test_stored_bytes_go_out_as_they_are(cluster: Cluster) -> None:
    listed = cluster.machine.list(CONFIGMAPS, "default", ListOptions())
    assert listed.items[0] == cluster.machine.get(CONFIGMAPS, "default", "c0")
    assert (len(listed.items), listed.revision) == (5, cluster.store.revision)
    assert (listed.continue_token, listed.remaining) == ("", 0)


def test_namespaces_are_apart(cluster: Cluster) -> None:
    cluster.create(NAMESPACES, {"metadata": {"name": "other"}})
    cluster.create(CONFIGMAPS, config_map("there"), namespace="other")
    assert cluster.names(CONFIGMAPS, namespace="other") == ["there"]
    assert len(cluster.names(CONFIGMAPS)) == 6


def test_selectors(cluster: Cluster) -> None:
    assert cluster.names(CONFIGMAPS, label_selector="is=odd") == ["c1", "c3"]
    assert cluster.names(CONFIGMAPS, field_selector="metadata.name!=c2,metadata.namespace=default") == [
        "c0",
        "c1",
        "c3",
        "c4",
    ]
    assert cluster.names(CONFIGMAPS, namespace="default", field_selector="metadata.name=c2") == ["c2"]
    assert cluster.names(CONFIGMAPS, namespace="default", field_selector="metadata.name=no") == []
    chosen = {"field_selector": "metadata.name=c2", "label_selector": "is=odd"}
    assert cluster.names(CONFIGMAPS, namespace="default", **chosen) == []


def test_fields_of_pods(cluster: Cluster) -> None:
    cluster.create(PODS, pod("a", nodeName="n1"))
    cluster.create(PODS, pod("b", hostNetwork=True))
    assert cluster.names(PODS, field_selector="spec.nodeName=n1") == ["a"]
    assert cluster.names(PODS, field_selector="spec.nodeName=,status.phase=Pending") == ["b"]
    assert cluster.names(PODS, field_selector="spec.hostNetwork=true") == ["b"]


def test_unknown_field(cluster: Cluster) -> None:
    with pytest.raises(BadRequest) as refused:
        cluster.names(CONFIGMAPS, field_selector="data.a=b")
    assert refused.value.message == (
        '"data.a" is not a known field selector: only "metadata.name", "metadata.namespace"'
    )


@pytest.mark.parametrize("selector", ["", "is in (odd, even)"])
def test_pages_are_of_one_revision(cluster: Cluster, selector: str) -> None:
    seen: list[str] = []
    options = ListOptions(limit=2, label_selector=selector)
    first = listed = cluster.machine.list(CONFIGMAPS, "default", options)
    assert listed.remaining == (None if selector else 3)
    cluster.delete(CONFIGMAPS, "c3")
    cluster.create(CONFIGMAPS, config_map("c9"))
    seen += [decoded(item)["metadata"]["name"] for item in listed.items]
    while listed.continue_token:
        options = ListOptions(limit=2, label_selector=selector, continue_token=listed.continue_token)
        listed = cluster.machine.list(CONFIGMAPS, "default", options)
        assert listed.revision == first.revision
        seen += [decoded(item)["metadata"]["name"] for item in listed.items]
    assert seen == ["c0", "c1", "c2", "c3", "c4"]


def test_a_selective_page_reads_on_until_it_is_full(cluster: Cluster) -> None:
    options = ListOptions(limit=2, label_selector="is=odd")
    listed = cluster.machine.list(CONFIGMAPS, "default", options)
    assert [decoded(item)["metadata"]["name"] for item in listed.items] == ["c1", "c3"]
    options = ListOptions(limit=2, field_selector="metadata.name!=c0")
    listed = cluster.machine.list(CONFIGMAPS, "default", options)
    assert [decoded(item)["metadata"]["name"] for item in listed.items] == ["c1", "c2"]


def test_a_token_that_outlived_its_history(cluster: Cluster) -> None:
    listed = cluster.machine.list(CONFIGMAPS, "default", ListOptions(limit=2))
    cluster.delete(CONFIGMAPS, "c0")
    cluster.store.compact(cluster.store.revision)
    with pytest.raises(Expired, match="The provided continue parameter is too old") as refused:
        cluster.names(CONFIGMAPS, namespace="default", continue_token=listed.continue_token)
    cluster.create(CONFIGMAPS, config_map("c25"))
    rest = cluster.names(CONFIGMAPS, namespace="default", continue_token=refused.value.continue_token)
    assert rest == ["c2", "c25", "c3", "c4"]


@pytest.mark.parametrize(
    "token",
    ["???", "bm8", base64.urlsafe_b64encode(json.dumps({"v": "x", "rv": 1, "start": ""}).encode()).decode()],
)
def test_tokens_of_others(cluster: Cluster, token: str) -> None:
    with pytest.raises(BadRequest, match=r"^continue key is not valid"):
        cluster.names(CONFIGMAPS, continue_token=token)


def test_versions(cluster: Cluster) -> None:
    then = cluster.store.revision
    cluster.delete(CONFIGMAPS, "c0")
    newest = ["c1", "c2", "c3", "c4"]
    assert cluster.names(CONFIGMAPS, resource_version="0") == newest
    assert cluster.names(CONFIGMAPS, resource_version=str(then)) == newest
    exact = {"resource_version": str(then), "resource_version_match": "Exact"}
    assert cluster.names(CONFIGMAPS, **exact) == ["c0", *newest]
    assert cluster.names(CONFIGMAPS, resource_version=str(then), limit=10) == ["c0", *newest]
    cluster.store.compact(cluster.store.revision)
    with pytest.raises(Expired, match=r"^too old resource version"):
        cluster.names(CONFIGMAPS, **exact)


def test_versions_yet_to_come(cluster: Cluster) -> None:
    later = str(cluster.store.revision + 5)
    for options in ({}, {"resource_version_match": "Exact"}):
        with pytest.raises(Timeout, match="Too large resource version") as refused:
            cluster.names(CONFIGMAPS, resource_version=later, **options)
        assert refused.value.causes[0].reason == "ResourceVersionTooLarge"
    with pytest.raises(Timeout):
        cluster.machine.get(CONFIGMAPS, "default", "c0", resource_version=later)


@pytest.mark.parametrize(
    "options",
    [
        {"resource_version_match": "Exact"},
        {"resource_version_match": "Exact", "resource_version": "0"},
        {"resource_version_match": "Nearly", "resource_version": "1"},
        {"resource_version_match": "Exact", "resource_version": "1", "continue_token": "x"},
        {"resource_version": "-1"},
        {"resource_version": "²"},
    ],
)
def test_queries_that_contradict_themselves(cluster: Cluster, options: dict[str, Any]) -> None:
    with pytest.raises(Invalid, match=r'^ListOptions.meta.k8s.io "" is invalid: resourceVersion'):
        cluster.names(CONFIGMAPS, **options)


class Seen:
    """A watch and what it was told, as (type, name) pairs."""

    def __init__(self, cluster: Cluster, **options: str) -> None:
        self.events: list[WatchEvent] = []
        self.subscription = cluster.machine.watch(CONFIGMAPS, "default", ListOptions(**options), self._take)

    def _take(self, events: Sequence[WatchEvent]) -> None:
        self.events += events

    def pairs(self) -> list[tuple[str, str]]:
        said = [(event.type, decoded(event.value)["metadata"]["name"]) for event in self.events]
        self.events.clear()
        return said


def test_a_watch_begins_with_what_is_there(cluster: Cluster) -> None:
    seen = Seen(cluster)
    assert seen.pairs() == [("ADDED", f"c{number}") for number in range(5)]
    cluster.create(CONFIGMAPS, config_map("new"))
    cluster.patch(CONFIGMAPS, "new", {"data": {"a": "b"}})
    cluster.delete(CONFIGMAPS, "new")
    assert seen.pairs() == [("ADDED", "new"), ("MODIFIED", "new"), ("DELETED", "new")]
    seen.subscription.close()
    cluster.delete(CONFIGMAPS, "c0")
    assert seen.pairs() == []


def test_a_watch_from_a_version(cluster: Cluster) -> None:
    since = cluster.store.revision
    cluster.delete(CONFIGMAPS, "c1")
    seen = Seen(cluster, resource_version=str(since))
    last = seen.events[0]
    assert decoded(last.value)["metadata"]["resourceVersion"] == str(last.revision) == str(since + 1)
    assert seen.pairs() == [("DELETED", "c1")]


def test_leaving_a_selection_is_a_deletion(cluster: Cluster) -> None:
    seen = Seen(cluster, label_selector="is=odd", resource_version=str(cluster.store.revision))
    cluster.patch(CONFIGMAPS, "c1", {"data": {"a": "b"}})
    cluster.patch(CONFIGMAPS, "c1", {"metadata": {"labels": {"is": "even"}}})
    left = decoded(seen.events[-1].value)
    assert left["metadata"]["labels"] == {"is": "odd"}
    assert left["metadata"]["resourceVersion"] == str(cluster.store.revision)
    cluster.patch(CONFIGMAPS, "c1", {"data": {"a": "c"}})
    cluster.patch(CONFIGMAPS, "c1", {"metadata": {"labels": {"is": "odd"}}})
    cluster.delete(CONFIGMAPS, "c1")
    assert seen.pairs() == [("MODIFIED", "c1"), ("DELETED", "c1"), ("ADDED", "c1"), ("DELETED", "c1")]


def test_watches_that_come_too_late_or_too_early(cluster: Cluster) -> None:
    old = cluster.store.revision
    cluster.delete(CONFIGMAPS, "c0")
    cluster.store.compact(cluster.store.revision)
    with pytest.raises(Expired, match="too old resource version"):
        Seen(cluster, resource_version=str(old))
    with pytest.raises(Timeout):
        Seen(cluster, resource_version=str(cluster.store.revision + 9))
