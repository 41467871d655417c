"""What a cache keeps of equal objects."""

from __future__ import annotations

import copy

from mini8s.client import sharing
from mini8s.client.informer import Informers
from mini8s.client.sharing import Shared
from mini8s.objects.kinds import PODS, Obj
from mini8s.util.workers import Stop
from tests.fakes.api import FakeApi


def pod(name: str, **spec: object) -> Obj:
    labels = {"app": "web"}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": "default",
            "labels": labels,
            "managedFields": [{"manager": "x"}],
        },
        "spec": {"containers": [{"name": "c", "image": "i"}], "nodeName": "n1"} | spec,
    }


def test_an_object_is_equal_but_for_who_manages_what() -> None:
    given = pod("a", number=1, truth=True, nothing=None, empty={}, none=[])
    before = copy.deepcopy(given)
    slim = Shared().slim(given)
    assert given == before, "what came in is left alone"
    del before["metadata"]["managedFields"]
    assert slim == before
    assert slim["spec"]["truth"] is True


def test_equal_parts_are_one_and_others_are_not() -> None:
    shared = Shared()
    one, other = shared.slim(pod("a", ports=[1])), shared.slim(pod("b", ports=[True]))
    assert one["spec"]["containers"] is other["spec"]["containers"]
    assert one["metadata"]["labels"] is other["metadata"]["labels"]
    assert one["spec"]["nodeName"] is other["spec"]["nodeName"]
    assert (one["spec"]["ports"], other["spec"]["ports"][0]) == ([1], True)
    assert one["spec"]["ports"] is not other["spec"]["ports"], "1 is not true"
    large = {"key": "x" * sharing.MOST_BYTES}
    assert shared.slim(pod("a", large=large))["spec"]["large"] is large


def test_what_is_asked_for_again_and_again_is_not_forgotten_and_the_rest_is() -> None:
    shared = Shared()
    first = shared.slim(pod("a"))["spec"]["containers"]
    for number in range(3 * sharing.MOST):
        slim = shared.slim(pod("b", ports=[number]))
        assert slim["spec"]["containers"] is first
    assert len(shared.parts) <= 2 * sharing.MOST + 1
    for number in range(3 * sharing.MOST_TEXTS):
        shared.slim(pod("b", hostname=f"h{number}"))
    assert len(shared.texts) <= 2 * sharing.MOST_TEXTS + 1


def test_informers_share_when_told_to() -> None:
    api = FakeApi()
    for name in ("a", "b"):
        api.create(PODS, pod(name))
    for sharing_ in (True, False):
        informer = Informers(api, Stop(), sharing=sharing_).of(PODS)
        informer.step()
        one, other = informer.cache.list()
        assert (one["spec"]["containers"] is other["spec"]["containers"]) == sharing_
        assert ("managedFields" in one["metadata"]) != sharing_
