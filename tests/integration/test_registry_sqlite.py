"""The registry over the real store: writers that meet, a restart, and the sorts of durability."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from fakes.cluster import Cluster, config_map, decoded, deployment, pod, service

from mini8s.objects.errors import ApiError, Conflict
from mini8s.objects.kinds import CONFIGMAPS, DEPLOYMENTS, EVENTS, NODES, PODS, SERVICES, Obj
from mini8s.registry.base import ListOptions, WatchEvent
from mini8s.store.sqlite import SqliteStore, open_store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    store = open_store(str(tmp_path / "state.db"))
    yield store
    store.close()


@pytest.fixture
def cluster(store: SqliteStore) -> Cluster:
    return Cluster(store)


def together(*work: Callable[[], object]) -> list[Exception]:
    """Run all at the same moment; what they raised."""
    failed: list[Exception] = []
    start = threading.Barrier(len(work))

    def run(one: Callable[[], object]) -> None:
        start.wait(60)
        try:
            one()
        except ApiError as error:
            failed.append(error)

    threads = [threading.Thread(target=run, args=(one,)) for one in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return failed


def test_patches_that_meet_all_count(cluster: Cluster) -> None:
    cluster.create(CONFIGMAPS, config_map())
    failed = together(
        *(
            lambda key=f"k{number}": cluster.patch(CONFIGMAPS, "settings", {"data": {key: "x"}})  # type: ignore[misc]
            for number in range(16)
        )
    )
    assert not failed
    assert len(cluster.get(CONFIGMAPS, "settings")["data"]) == 16


def test_of_updates_from_one_version_one_wins(cluster: Cluster) -> None:
    made = cluster.create(DEPLOYMENTS, deployment())

    def scale(count: int) -> Callable[[], Obj]:
        return lambda: cluster.update(DEPLOYMENTS, made | {"spec": made["spec"] | {"replicas": count}})

    failed = together(*(scale(count) for count in range(2, 10)))
    assert len(failed) == 7
    assert all(isinstance(error, Conflict) for error in failed)


def test_services_that_are_made_at_once(cluster: Cluster) -> None:
    def create(number: int) -> Callable[[], Obj]:
        return lambda: cluster.create(SERVICES, service(f"s{number}", type="NodePort"))

    def create_node(number: int) -> Callable[[], Obj]:
        return lambda: cluster.create(NODES, {"metadata": {"name": f"n{number}"}})

    assert not together(*map(create, range(24)), *map(create_node, range(8)))
    specs = [cluster.get(SERVICES, name)["spec"] for name in cluster.names(SERVICES)]
    assert len({spec["clusterIP"] for spec in specs}) == 24
    assert len({spec["ports"][0]["nodePort"] for spec in specs}) == 24
    assert len({cluster.get(NODES, f"n{number}")["spec"]["podCIDR"] for number in range(8)}) == 8


def test_a_restart_forgets_nothing_that_must_last(cluster: Cluster, tmp_path: Path) -> None:
    made = cluster.create(SERVICES, service())
    cluster.create(PODS, pod())
    event = {"metadata": {"name": "e"}, "involvedObject": {"namespace": "default"}}
    cluster.create(EVENTS, event)
    cluster.store.close()
    again = open_store(str(tmp_path / "state.db"))
    try:
        after = Cluster(again)
        assert after.get(SERVICES, "web") == made
        assert after.exists(PODS, "web")
        other = after.create(SERVICES, service("b"))
        assert other["spec"]["clusterIP"] != made["spec"]["clusterIP"]
        assert int(other["metadata"]["resourceVersion"]) > int(made["metadata"]["resourceVersion"])
    finally:
        again.close()


def test_a_watch_misses_nothing_while_others_write(cluster: Cluster) -> None:
    seen: list[WatchEvent] = []
    done = threading.Event()

    def take(events: Sequence[WatchEvent]) -> None:
        seen.extend(events)
        if len(seen) == 40:
            done.set()

    subscription = cluster.machine.watch(CONFIGMAPS, "default", ListOptions(), take)
    writers = [
        lambda part=part: [cluster.create(CONFIGMAPS, config_map(f"c{part}-{n}")) for n in range(10)]  # type: ignore[misc]
        for part in range(4)
    ]
    assert not together(*writers)
    assert done.wait(60)
    subscription.close()
    revisions = [event.revision for event in seen]
    assert revisions == sorted(set(revisions))
    assert {decoded(event.value)["metadata"]["name"] for event in seen} == set(cluster.names(CONFIGMAPS))
