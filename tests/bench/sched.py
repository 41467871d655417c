"""How many placements a second, decided one after the other on one board, with nothing on the wire."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

from bench.figure import Figure
from mini8s.objects.kinds import Obj
from mini8s.scheduler.base import Placed
from mini8s.scheduler.board import Board
from mini8s.scheduler.decide import Decider
from mini8s.scheduler.facts import node_state, pod_facts

SIZES = (100, 1_000, 5_000)
PODS = 10_000
ZONES = 3
WEB = {"matchLabels": {"app": "web"}}
REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"


def run() -> Iterator[Figure]:
    for name, spec in SPECS.items():
        for size in SIZES:
            yield decisions(name, spec, size)


def decisions(name: str, spec: Callable[[int], Obj], size: int) -> Figure:
    board = Board()
    for number in range(size):
        board.put_node(node_state(_node(number)))
    decider = Decider(board)
    count = min(PODS, 50 * size)
    if name == "one a node":
        count = min(count, size - size // 10)  # the others have a taint
    bodies = [_pod(number, spec(number)) for number in range(count)]
    began = time.process_time()
    for body in bodies:
        pod = pod_facts(body)
        decision = decider.decide(pod)
        if not isinstance(decision, Placed):
            raise RuntimeError(f"{name}: {decision}")
        board.put(replace(pod, node_name=decision.node))
    took = time.process_time() - began
    note = f"{count} pods, {1e6 * took / count:.0f} us each"
    return Figure(f"{name}, {size} nodes", count / took, "1/s", note)


def _even(number: int) -> Obj:
    def rule(key: str, when: str) -> Obj:
        return {"topologyKey": key, "maxSkew": 1, "whenUnsatisfiable": when, "labelSelector": WEB}

    both = [rule("zone", "DoNotSchedule"), rule("kubernetes.io/hostname", "ScheduleAnyway")]
    return {"topologySpreadConstraints": both}


def _mixed(number: int) -> Obj:
    return tuple(SPECS.values())[number % 3](number)


SPECS: dict[str, Callable[[int], Obj]] = {
    "resources": lambda number: {},
    "taints and node affinity": lambda number: {
        "tolerations": [{"key": "edge", "operator": "Exists"}],
        "affinity": {
            "nodeAffinity": {
                REQUIRED: {
                    "nodeSelectorTerms": [
                        {"matchExpressions": [{"key": "zone", "operator": "In", "values": ["0", "1"]}]}
                    ]
                }
            }
        },
    },
    "spread over zones and hosts": _even,
    "one a node": lambda number: {
        "affinity": {
            "podAntiAffinity": {REQUIRED: [{"topologyKey": "kubernetes.io/hostname", "labelSelector": WEB}]}
        }
    },
    "three kinds by turns": _mixed,
}


def _node(number: int) -> Obj:
    name = f"node-{number:04}"
    taints = [{"key": "edge", "effect": "NoSchedule"}] if number % 10 == 9 else []
    return {
        "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name, "zone": str(number % ZONES)}},
        "spec": {"taints": taints},
        "status": {"allocatable": {"cpu": "16", "memory": "64Gi", "pods": "110"}},
    }


_numbers = itertools.count()


def _pod(number: int, spec: Obj) -> Obj:
    container = {"name": "c", "image": "i", "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}}}
    uid = f"uid-{next(_numbers)}"
    metadata = {
        "namespace": "default", "name": f"web-{number}", "uid": uid, "labels": {"app": "web"},
        "ownerReferences": [{"uid": f"rs-{sorted(spec)}", "controller": True}],
    }  # fmt: skip
    return {"metadata": metadata, "spec": {"containers": [container]} | spec}
