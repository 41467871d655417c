"""What the scheduler decides, against a plain reference on random clusters, and how it words a refusal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mini8s.objects.kinds import Obj
from mini8s.scheduler.base import NodeState, Placed, PodFacts, Refused, Resources
from mini8s.scheduler.board import Board
from mini8s.scheduler.decide import Decider
from mini8s.scheduler.facts import node_state, pod_facts
from mini8s.scheduler.profiles import profile

ROOM = Resources(cpu=1000, memory=1 << 30, pods=110)


def pod(name: str = "p", cpu: int = 0, memory: int = 0, **more: object) -> PodFacts:
    wanted = Resources(cpu, memory, 1)
    return PodFacts("default", name, f"uid-{name}", wanted, shape=f"{cpu}", **more)  # type: ignore[arg-type]


def node(name: str, **more: object) -> NodeState:
    return NodeState(name, **({"allocatable": ROOM} | more))  # type: ignore[arg-type]


def decide(wanted: PodFacts, nodes: Sequence[NodeState]) -> Placed | Refused:
    return Decider(board(nodes)).decide(wanted)


def board(nodes: Sequence[NodeState]) -> Board:
    """With what counts against each node as it is given."""
    made = Board()
    for item in nodes:
        made.put_node(item)
    return made


TAINT = {"key": "gpu", "value": "yes", "effect": "NoSchedule"}


@pytest.mark.parametrize(
    ("wanted", "there", "reason"),
    [
        (pod(), node("a", unschedulable=True), "node(s) were unschedulable"),
        (pod(node_name="b"), node("a"), "node(s) didn't match the requested node name"),
        (pod(), node("a", taints=[TAINT]), "node(s) had untolerated taint {gpu: yes}"),
        (pod(node_selector={"disk": "ssd"}), node("a"), "node(s) didn't match Pod's node affinity/selector"),
        (pod(cpu=1001), node("a"), "Insufficient cpu"),
        (pod(memory=2 << 30), node("a"), "Insufficient memory"),
        (pod(), node("a", requested=Resources(pods=110)), "Too many pods"),
        (
            pod(host_ports=frozenset({("", "TCP", 80)})),
            node("a", host_ports=frozenset({("10.0.0.1", "TCP", 80)})),
            "node(s) didn't have free ports for the requested pod ports",
        ),
    ],
)
def test_each_reason_for_a_refusal(wanted: PodFacts, there: NodeState, reason: str) -> None:
    assert decide(wanted, [there]) == Refused(1, {reason: 1})


@pytest.mark.parametrize(
    ("wanted", "there"),
    [
        (pod(tolerations=[{"operator": "Exists"}]), node("a", taints=[TAINT])),
        (pod(tolerations=[{"operator": "Exists"}]), node("a", unschedulable=True)),
        (pod(node_selector={"disk": "ssd"}), node("a", labels={"disk": "ssd"})),
        (pod(cpu=1000), node("a")),
        (pod(), node("a", allocatable=Resources(pods=1), requested=Resources(cpu=5000))),
        (
            pod(host_ports=frozenset({("10.0.0.2", "TCP", 80), ("", "UDP", 80)})),
            node("a", host_ports=frozenset({("10.0.0.1", "TCP", 80)})),
        ),
    ],
)
def test_what_fits(wanted: PodFacts, there: NodeState) -> None:
    assert decide(wanted, [there]) == Placed("a")


def required(*expressions: Obj) -> Obj:
    terms = [{"matchExpressions": list(expressions)}]
    return {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}


@pytest.mark.parametrize(
    ("expression", "fits"),
    [
        ({"key": "cores", "operator": "Gt", "values": ["3"]}, True),
        ({"key": "cores", "operator": "Lt", "values": ["3"]}, False),
        ({"key": "cores", "operator": "In", "values": ["4", "8"]}, True),
        ({"key": "cores", "operator": "NotIn", "values": ["4", "8"]}, False),
        ({"key": "cores", "operator": "Exists"}, True),
        ({"key": "cores", "operator": "DoesNotExist"}, False),
        ({"key": "name", "operator": "Gt", "values": ["3"]}, False),
    ],
)
def test_node_affinity_operators(expression: Obj, fits: bool) -> None:
    wanted = pod(node_affinity=required(expression))
    assert (profile().why_not(wanted, node("a", labels={"cores": "4", "name": "x"})) == ()) is fits


def test_an_empty_affinity_term_matches_nothing() -> None:
    assert profile().why_not(pod(node_affinity=required()), node("a"))


def test_a_refusal_counts_nodes_by_reason_in_kube_schedulers_words() -> None:
    nodes = [node("a", taints=[TAINT]), node("b"), node("c")]
    refused = decide(pod(cpu=2000, memory=2 << 30), nodes)
    assert str(refused) == (
        "0/3 nodes are available: 1 node(s) had untolerated taint {gpu: yes}, "
        "2 Insufficient cpu, 2 Insufficient memory."
    )
    assert str(decide(pod(), [])) == "no nodes available to schedule pods"


def test_replicas_of_one_owner_spread_before_anything_else() -> None:
    busy = node("a", owners={"rs": 1})
    idle_but_fuller = node("b", requested=Resources(500, 1 << 29, 50))
    assert decide(pod(owner="rs"), [busy, idle_but_fuller]) == Placed("b")


def test_the_emptier_node_wins_and_equals_go_by_name() -> None:
    assert decide(pod(cpu=100), [node("a", requested=Resources(cpu=500)), node("b")]) == Placed("b")
    assert decide(pod(cpu=100), [node("b"), node("a")]) == Placed("a")


def test_soft_taints_only_make_a_node_less_liked() -> None:
    soft = [{"key": "old", "effect": "PreferNoSchedule"}]
    assert decide(pod(), [node("a", taints=soft), node("b")]) == Placed("b")
    assert decide(pod(), [node("a", taints=soft)]) == Placed("a")


sizes = st.integers(0, 700)


@given(rooms=st.lists(sizes, max_size=5), wants=st.lists(sizes, max_size=20))
def test_never_over_commits_and_refuses_only_what_fits_nowhere(
    rooms: Sequence[int], wants: Sequence[int]
) -> None:
    nodes = [{"metadata": {"name": f"n{i}"}, "status": {"allocatable": {"cpu": f"{room}m", "pods": "3"}}}
             for i, room in enumerate(rooms)]  # fmt: skip
    there = board(list(map(node_state, nodes)))
    decider = Decider(there)
    left = {f"n{i}": [room, 3] for i, room in enumerate(rooms)}
    for index, cpu in enumerate(wants):
        wanted = pod(f"p{index}", cpu=cpu)
        decision = decider.decide(wanted)
        fits = {name for name, (room, count) in left.items() if count and (cpu <= room or not cpu)}
        if isinstance(decision, Refused):
            assert not fits
            continue
        assert decision.node in fits
        there.put(replace(wanted, node_name=decision.node))
        left[decision.node][0] -= cpu
        left[decision.node][1] -= 1


def test_facts_of_an_api_object() -> None:
    facts = pod_facts({
        "metadata": {
            "namespace": "default", "name": "web", "uid": "u",
            "ownerReferences": [{"uid": "rs", "controller": True}],
        },
        "spec": {
            "schedulerName": "default-scheduler",
            "containers": [{
                "resources": {"requests": {"cpu": "250m", "memory": "64Mi"}},
                "ports": [{"containerPort": 80, "hostPort": 8080, "hostIP": "0.0.0.0"}],
            }],
            "initContainers": [
                {"restartPolicy": "Always", "ports": [{"containerPort": 81, "hostPort": 8081}]},
                {"ports": [{"containerPort": 82, "hostPort": 8082}]},
            ],
        },
    })  # fmt: skip
    assert facts.requests == Resources(250, 64 << 20, 1)
    assert (facts.owner, facts.host_ports) == ("rs", frozenset({("", "TCP", 8080), ("", "TCP", 8081)}))


def test_a_node_that_says_no_allocatable_is_judged_by_its_capacity() -> None:
    state = node_state(
        {"metadata": {"name": "a"}, "status": {"capacity": {"cpu": "2", "memory": "1Gi", "pods": "10"}}}
    )
    assert state.allocatable == Resources(2000, 1 << 30, 10)
