"""Laws that any sequence of verbs keeps: what a watch tells adds up to what a list shows, versions rise,
generations count changes of what is wanted, and the same again writes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fakes.cluster import Cluster, decoded, deployment
from hypothesis import given, settings
from hypothesis import strategies as st

from mini8s.objects.errors import ApiError
from mini8s.objects.kinds import DEPLOYMENTS, Obj
from mini8s.registry.base import ListOptions, WatchEvent

NAMES = st.sampled_from(["a", "b"])
LABELS = st.dictionaries(st.sampled_from(["tier", "zone"]), st.sampled_from(["x", "y"]), max_size=2)
FINALIZERS = st.lists(st.sampled_from(["x.io/a", "x.io/b"]), unique=True, max_size=2)
REPLICAS = st.integers(0, 2)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("create"), NAMES, REPLICAS, FINALIZERS),
        st.tuples(st.just("update"), NAMES, REPLICAS, LABELS),
        st.tuples(st.just("labels"), NAMES, LABELS),
        st.tuples(st.just("finalizers"), NAMES, FINALIZERS),
        st.tuples(st.just("status"), NAMES, REPLICAS),
        st.tuples(st.just("scale"), NAMES, REPLICAS),
        st.tuples(st.just("delete"), NAMES, st.sampled_from(["Background", "Foreground", "Orphan"])),
    ),
    max_size=20,
)


class Mirror:
    """Objects as a watch with one selector tells of them."""

    def __init__(self, cluster: Cluster, selector: str) -> None:
        self.selector = selector
        self.objects: dict[str, Obj] = {}
        self._revision = 0
        options = ListOptions(label_selector=selector)
        cluster.machine.watch(DEPLOYMENTS, "default", options, self._take)

    def _take(self, events: Sequence[WatchEvent]) -> None:
        for event in events:
            obj = decoded(event.value)
            name = obj["metadata"]["name"]
            assert event.revision > self._revision
            assert obj["metadata"]["resourceVersion"] == str(event.revision)
            self._revision = event.revision
            assert (event.type == "ADDED") == (name not in self.objects)
            if event.type == "DELETED":
                del self.objects[name]
            else:
                self.objects[name] = obj


def perform(cluster: Cluster, step: tuple[Any, ...]) -> None:
    verb, name, *rest = step
    match verb:
        case "create":
            made = deployment(name, replicas=rest[0])
            made["metadata"]["finalizers"] = rest[1]
            cluster.create(DEPLOYMENTS, made)
        case "update":
            made = deployment(name, replicas=rest[0])
            made["metadata"]["labels"] = rest[1]
            cluster.update(DEPLOYMENTS, made)
        case "labels" | "finalizers":
            cluster.patch(DEPLOYMENTS, name, {"metadata": {verb: rest[0]}})
        case "status":
            cluster.patch(DEPLOYMENTS, name, {"status": {"replicas": rest[0]}}, subresource="status")
        case "scale":
            cluster.patch(DEPLOYMENTS, name, {"spec": {"replicas": rest[0]}}, subresource="scale")
        case _:
            cluster.delete(DEPLOYMENTS, name, propagation=rest[0])


def refusal(cluster: Cluster, step: tuple[Any, ...]) -> int:
    """The code of the error that a step ends in, 0 for none."""
    try:
        perform(cluster, step)
    except ApiError as error:
        return error.code
    return 0


def state(cluster: Cluster, selector: str = "") -> dict[str, Obj]:
    listed = cluster.machine.list(DEPLOYMENTS, "default", ListOptions(label_selector=selector))
    return {obj["metadata"]["name"]: obj for obj in map(decoded, listed.items)}


def check_step(before: dict[str, Obj], after: dict[str, Obj]) -> None:
    for name in before.keys() & after.keys():
        old, new = before[name], after[name]
        if old["metadata"]["uid"] != new["metadata"]["uid"]:
            continue
        wanted = old["spec"] != new["spec"] or (
            "deletionTimestamp" in new["metadata"] and "deletionTimestamp" not in old["metadata"]
        )
        assert new["metadata"]["generation"] == old["metadata"]["generation"] + wanted
        assert (old == new) == (old["metadata"]["resourceVersion"] == new["metadata"]["resourceVersion"])
        if "deletionTimestamp" in old["metadata"]:
            assert "deletionTimestamp" in new["metadata"]


@settings(max_examples=80, deadline=None)
@given(STEPS)
def test_any_sequence(steps: list[tuple[Any, ...]]) -> None:
    cluster = Cluster()
    mirrors = [Mirror(cluster, selector) for selector in ("", "tier=x", "!zone")]
    for step in steps:
        before, revision = state(cluster), cluster.store.revision
        refused = refusal(cluster, step)
        assert refused < 500
        assert not refused or cluster.store.revision == revision
        after = state(cluster)
        check_step(before, after)
        assert cluster.store.revision - revision == (before != after)
        for mirror in mirrors:
            assert mirror.objects == state(cluster, mirror.selector)
