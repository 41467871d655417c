"""What a scheduler configuration makes of the default plugins, and how it is refused."""

from __future__ import annotations

import pytest

from mini8s.objects.errors import BadRequest
from mini8s.objects.kinds import Obj
from mini8s.scheduler.base import NodeState, Placed, PodFacts, Refused, Resources
from mini8s.scheduler.board import Board
from mini8s.scheduler.decide import Decider
from mini8s.scheduler.profiles import API, KIND, profiles

ROOM = Resources(cpu=1000, memory=1 << 30, pods=110)


def configuration(*entries: Obj) -> Obj:
    return {"apiVersion": API, "kind": KIND, "profiles": list(entries)}


def placed(stated: Obj, scheduler: str, *nodes: NodeState) -> Placed | Refused:
    board = Board()
    for node in nodes:
        board.put_node(node)
    pod = PodFacts("default", "p", "p", Resources(100, 1 << 20, 1), scheduler=scheduler)
    return Decider(board, profiles(stated)).decide(pod)


EMPTY = NodeState("a", allocatable=ROOM)
FULLER = NodeState("b", allocatable=ROOM, requested=Resources(500, 1 << 29, 50))
CORDONED = NodeState("c", allocatable=ROOM, unschedulable=True)


def test_each_profile_has_its_own_strategy() -> None:
    strategy = {"scoringStrategy": {"type": "MostAllocated"}}
    packing = {
        "schedulerName": "packing",
        "pluginConfig": [{"name": "NodeResourcesFit", "args": strategy}],
        "plugins": {"score": {"enabled": [{"name": "NodeResourcesFit", "weight": 10}]}},
    }
    stated = configuration({"schedulerName": "default-scheduler"}, packing)
    assert placed(stated, "packing", EMPTY, FULLER) == Placed("b")
    assert placed(stated, "default-scheduler", EMPTY, FULLER) == Placed("a")


def test_a_plugin_that_is_off_refuses_nobody() -> None:
    off = {"plugins": {"multiPoint": {"disabled": [{"name": "NodeUnschedulable"}]}}}
    assert placed(configuration(off), "default-scheduler", CORDONED) == Placed("c")
    assert isinstance(placed(configuration(), "default-scheduler", CORDONED), Refused)


def test_all_scores_off_leaves_the_filters() -> None:
    off = {"plugins": {"score": {"disabled": [{"name": "*"}]}}}
    assert placed(configuration(off), "default-scheduler", FULLER, EMPTY, CORDONED) == Placed("a")


@pytest.mark.parametrize(
    ("stated", "message"),
    [
        ({"kind": KIND}, f"a scheduler configuration begins with apiVersion: {API} and kind: {KIND}"),
        (configuration() | {"extenders": []}, "KubeSchedulerConfiguration: extenders is not known"),
        (configuration({}, {}), "profiles: two are called default-scheduler"),
        (
            configuration({"plugins": {"score": {"enabled": [{"name": "Magic"}]}}}),
            "plugins: there is no Magic; there are",
        ),
        (
            configuration({"plugins": {"score": {"enabled": [{"name": "NodeAffinity", "weight": 101}]}}}),
            "plugins: the weight of NodeAffinity must be 1 to 100",
        ),
        (configuration({"plugins": {"reserve": {}}}), "plugins: reserve is not known"),
        (
            configuration({"pluginConfig": [{"name": "NodeAffinity"}]}),
            "pluginConfig: NodeAffinity has no settings here",
        ),
        (
            configuration({
                "pluginConfig": [
                    {"name": "NodeResourcesFit", "args": {"scoringStrategy": {"type": "Magic"}}}
                ]
            }),
            "pluginConfig: scoringStrategy is one of LeastAllocated, MostAllocated",
        ),
    ],
)  # fmt: skip
def test_what_is_not_understood_is_refused_in_words(stated: Obj, message: str) -> None:
    with pytest.raises(BadRequest) as refused:
        profiles(stated)
    assert str(refused.value).startswith(message)
