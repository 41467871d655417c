"""A pass that is kept true move by move decides as one that is made anew each time, on random clusters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from mini8s.objects.kinds import Obj
from mini8s.scheduler.base import Placed, PodFacts, Refused
from mini8s.scheduler.board import Board
from mini8s.scheduler.decide import Decider
from mini8s.scheduler.facts import node_state, pod_facts
from mini8s.scheduler.passes import refusal
from mini8s.scheduler.profiles import profile

WEB = {"matchLabels": {"app": "web"}}
REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
HOST, ZONE = "kubernetes.io/hostname", "zone"


def node(number: int, zone: int, cpu: int, *, taint: bool = False) -> Obj:
    name = f"n{number}"
    labels = {HOST: name} | ({ZONE: str(zone)} if zone else {})
    taints = [{"key": "x", "effect": "NoSchedule"}] if taint else []
    allocatable = {"cpu": str(cpu), "memory": "8Gi", "pods": "8"}
    return {
        "metadata": {"name": name, "labels": labels},
        "spec": {"taints": taints},
        "status": {"allocatable": allocatable},
    }


def shape(app: str, cpu: int, **spec: object) -> Obj:
    container = {"name": "c", "image": "i", "resources": {"requests": {"cpu": str(cpu)}}}
    metadata: Obj = {
        "namespace": "default",
        "labels": {"app": app},
        "ownerReferences": [{"uid": f"{app}-{cpu}", "controller": True}],
    }
    return {"metadata": metadata, "spec": {"containers": [container]} | spec}


def even(key: str, skew: int = 1, when: str = "DoNotSchedule") -> Obj:
    rule = {"topologyKey": key, "maxSkew": skew, "whenUnsatisfiable": when, "labelSelector": WEB}
    return {"topologySpreadConstraints": [rule]}


def apart(part: str, key: str) -> Obj:
    return {"affinity": {part: {REQUIRED: [{"topologyKey": key, "labelSelector": WEB}]}}}


SHAPES = (
    shape("web", 1),
    shape("db", 2),
    shape("web", 1, **even(ZONE)),
    shape("web", 1, **even(HOST)),
    shape("web", 1, **even(HOST, 2, "ScheduleAnyway")),
    shape("web", 1, **apart("podAntiAffinity", HOST)),
    shape("web", 1, **apart("podAffinity", ZONE)),
    shape("db", 1, **apart("podAntiAffinity", ZONE)),
    shape("web", 1, **apart("podAffinity", HOST)),
    shape("db", 1, tolerations=[{"operator": "Exists"}], nodeSelector={ZONE: "1"}),
)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("pod"), st.integers(0, 1)),
        st.tuples(st.just("pod"), st.integers(0, 1)),
        st.tuples(st.just("drop"), st.integers(0, 20)),
        st.tuples(st.just("node"), st.tuples(st.integers(0, 4), st.integers(0, 2), st.integers(1, 5))),
        st.tuples(st.just("lose"), st.integers(0, 4)),
    ),
    min_size=5,
    max_size=40,
)


def feasible(wanted: PodFacts, board: Board) -> set[str]:
    views = profile().surveyed(wanted, board)
    return {
        name
        for name, state in board.nodes.items()
        if not profile().why_not(wanted, state) and not refusal(views, state)
    }


@settings(max_examples=300)
@given(
    zones=st.lists(st.tuples(st.integers(0, 2), st.integers(1, 9)), min_size=5, max_size=5),
    kinds=st.tuples(st.sampled_from(SHAPES), st.sampled_from(SHAPES)),
    steps=STEPS,
)
def test_kept_passes_decide_as_new_ones(
    zones: Sequence[tuple[int, int]], kinds: tuple[Obj, Obj], steps: Sequence[tuple[str, object]]
) -> None:
    board = Board()
    for number, (zone, room) in enumerate(zones):
        board.put_node(node_state(node(number, zone, room)))
    kept = Decider(board)
    liking = any("podAffinity" in str(kind) for kind in kinds)  # its points are right within a factor of two
    placed: list[str] = []
    for number, (what, value) in enumerate(steps):
        match what, value:
            case "drop", int(which) if placed:
                board.drop(placed.pop(which % len(placed)))
            case "node", (int(which), int(zone), int(cpu)):
                board.put_node(node_state(node(which, zone, cpu, taint=cpu == 5)))
            case "lose", int(which):
                board.drop_node(f"n{which}")
            case "pod", int(which):
                obj = kinds[which]
                obj["metadata"]["uid"] = obj["metadata"]["name"] = f"p{number}"
                wanted = pod_facts(obj)
                able = feasible(wanted, board)
                decision = kept.decide(wanted)
                new = Decider(board).decide(wanted)
                assert decision == new or (liking and isinstance(new, Placed))
                if isinstance(decision, Refused):
                    assert not able
                    continue
                assert isinstance(decision, Placed)
                assert decision.node in able
                board.put(replace(wanted, node_name=decision.node))
                placed.append(wanted.uid)
