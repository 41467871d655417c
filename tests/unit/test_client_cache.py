"""The cache: objects by name, by namespace, by label, by index."""

from __future__ import annotations

import pytest

from mini8s.client.cache import Cache
from mini8s.objects import labels
from mini8s.objects.kinds import Obj


def obj(name: str, namespace: str = "a", node: str = "", **marks: str) -> Obj:
    return {"metadata": {"namespace": namespace, "name": name, "labels": marks}, "spec": {"nodeName": node}}


def by_node(pod: Obj) -> list[str]:
    return [pod["spec"]["nodeName"]] if pod["spec"]["nodeName"] else []


def test_lists_by_namespace_and_selector() -> None:
    cache = Cache()
    one, two, three = obj("1", x="1"), obj("2", x="2"), obj("3", "b", x="1")
    for item in (one, two, three):
        cache.put(item)
    assert cache.list() == [one, two, three]
    assert cache.list("a") == [one, two]
    assert cache.list("c") == []
    assert cache.list(selector=labels.parse("x=1")) == [one, three]
    assert (cache.get("b", "3"), cache.get("b", "1"), len(cache)) == (three, None, 3)


def test_indexes_follow_changes() -> None:
    cache = Cache({"node": by_node})
    cache.put(obj("1"))
    assert cache.index("node", "n") == []
    bound = obj("1", node="n")
    assert cache.put(bound) == obj("1")
    assert cache.index("node", "n") == [bound]
    cache.put(obj("1", node="m"))
    assert (cache.index("node", "n"), cache.index("node", "m")) == ([], [obj("1", node="m")])
    assert cache.remove("a", "1") == obj("1", node="m")
    assert cache.index("node", "m") == []
    assert cache.remove("a", "1") is None


def test_an_index_added_later_has_what_is_there() -> None:
    cache = Cache()
    cache.put(obj("1", node="n"))
    cache.add_index("node", by_node)
    cache.add_index("node", by_node)
    assert cache.index("node", "n") == [obj("1", node="n")]
    with pytest.raises(ValueError, match="another function"):
        cache.add_index("node", lambda _: [])
