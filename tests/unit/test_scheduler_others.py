"""Pods that mind where others are: each reason, and random clusters against a plain reference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mini8s.objects.kinds import Obj
from mini8s.scheduler.base import Placed, Refused
from mini8s.scheduler.board import Board
from mini8s.scheduler.decide import Decider
from mini8s.scheduler.facts import node_state, pod_facts
from mini8s.scheduler.passes import refusal
from mini8s.scheduler.plugins.node_affinity import REASON as UNSELECTED
from mini8s.scheduler.plugins.pod_affinity import LONELY, REPELLED, UNWANTED
from mini8s.scheduler.plugins.topology_spread import UNEVEN, UNLABELLED
from mini8s.scheduler.profiles import profile

REQUIRED, PREFERRED = (f"{way}DuringSchedulingIgnoredDuringExecution" for way in ("required", "preferred"))
NAMESPACES = {"default": {"team": "x"}, "other": {"team": "y"}}
WEB = {"matchLabels": {"app": "web"}}
ALL = {"matchExpressions": [{"key": "app", "operator": "Exists"}]}


def node(name: str, zone: str = "", room: Mapping[str, str] | None = None) -> Obj:
    labels = {"host": name} | ({"zone": zone} if zone else {})
    allocatable = {"cpu": "8", "memory": "8Gi", "pods": "110"} | dict(room or {})
    return {"metadata": {"name": name, "labels": labels}, "status": {"allocatable": allocatable}}


def pod(name: str, app: str = "web", on: str = "", namespace: str = "default", **spec: Any) -> Obj:
    metadata: Obj = {"name": name, "namespace": namespace, "uid": name, "labels": {"app": app} if app else {}}
    return {"metadata": metadata, "spec": {"containers": [], "nodeName": on} | spec}


def term(key: str = "zone", selector: Obj | None = None, **more: Any) -> Obj:
    return {"topologyKey": key, "labelSelector": WEB if selector is None else selector} | more


def affine(part: str, *terms: Obj, way: str = REQUIRED) -> Obj:
    return {"affinity": {part: {way: list(terms)}}}


def even(key: str = "zone", when: str = "DoNotSchedule", **more: Any) -> Obj:
    rule = {"topologyKey": key, "maxSkew": 1, "whenUnsatisfiable": when, "labelSelector": WEB}
    return {"topologySpreadConstraints": [rule | more]}


def pictured(nodes: Sequence[Obj], there: Sequence[Obj]) -> Board:
    board = Board(NAMESPACES.__getitem__)
    for item in nodes:
        board.put_node(node_state(item))
    for number, item in enumerate(there):
        board.put(replace(pod_facts(item), uid=f"there-{number}"))
    return board


def judged(nodes: Sequence[Obj], there: Sequence[Obj], wanted: Obj) -> Placed | Refused:
    return Decider(pictured(nodes, there)).decide(pod_facts(wanted))


def refusals(nodes: Sequence[Obj], there: Sequence[Obj], wanted: Obj) -> dict[str, Sequence[str]]:
    board, facts = pictured(nodes, there), pod_facts(wanted)
    views = profile().surveyed(facts, board)
    return {
        name: profile().why_not(facts, state) or refusal(views, state) for name, state in board.nodes.items()
    }


ZONES = [node("a", "1"), node("b", "2"), node("c")]
LEAVING = pod("x", on="a")
LEAVING["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"


@pytest.mark.parametrize(
    ("there", "wanted", "reasons"),
    [
        ([pod("x", on="a")], pod("p", **even()), [UNEVEN, "", UNLABELLED]),
        ([LEAVING], pod("p", **even()), ["", "", UNLABELLED]),
        ([pod("x", on="a", namespace="other")], pod("p", **even()), ["", "", UNLABELLED]),
        (
            [pod("x", on="a"), pod("y", on="b")],
            pod("p", **even(minDomains=3)),
            [UNEVEN, UNEVEN, UNLABELLED],
        ),
        (
            [pod("x", "db", on="a")],
            pod("p", **even(labelSelector=ALL, matchLabelKeys=["app"])),
            ["", "", UNLABELLED],
        ),
        (
            [pod("x", on="a")],
            pod("p", nodeSelector={"host": "a"}, **even()),
            ["", UNSELECTED, UNSELECTED],
        ),
        (
            [pod("x", on="a")],
            pod("p", nodeSelector={"host": "a"}, **even(nodeAffinityPolicy="Ignore")),
            [UNEVEN, UNSELECTED, UNSELECTED],
        ),
        ([pod("x", on="a")], pod("p", "db", **affine("podAffinity", term())), ["", LONELY, LONELY]),
        ([], pod("p", "db", **affine("podAffinity", term())), [LONELY] * 3),
        ([], pod("p", **affine("podAffinity", term())), ["", "", LONELY]),
        ([pod("x", on="a")], pod("p", **affine("podAntiAffinity", term())), [REPELLED, "", ""]),
        ([pod("x", on="a", **affine("podAntiAffinity", term()))], pod("p"), [UNWANTED, "", ""]),
        (
            [pod("x", on="a", namespace="other")],
            pod("p", **affine("podAntiAffinity", term(namespaceSelector={"matchLabels": {"team": "y"}}))),
            [REPELLED, "", ""],
        ),
        (
            [pod("x", on="a", namespace="other")],
            pod("p", **affine("podAntiAffinity", term(namespaces=["other"]))),
            [REPELLED, "", ""],
        ),
        (
            [pod("x", app="db", on="a"), pod("y", on="b")],
            pod("p", **affine("podAntiAffinity", term(selector={}, mismatchLabelKeys=["app"]))),
            [REPELLED, "", ""],
        ),
    ],
)
def test_each_reason(there: Sequence[Obj], wanted: Obj, reasons: Sequence[str]) -> None:
    assert refusals(ZONES, there, wanted) == {
        name: (reason,) if reason else () for name, reason in zip("abc", reasons, strict=True)
    }


WISH = {"weight": 50, "podAffinityTerm": term()}


@pytest.mark.parametrize(
    ("there", "wanted", "best"),
    [
        ([pod("x", on="b")], pod("p", "db", **affine("podAffinity", WISH, way=PREFERRED)), "b"),
        ([pod("x", on="a")], pod("p", "db", **affine("podAntiAffinity", WISH, way=PREFERRED)), "b"),
        ([pod("x", "db", on="b", **affine("podAffinity", WISH, way=PREFERRED))], pod("p"), "b"),
        ([pod("x", on="a")], pod("p", **even(when="ScheduleAnyway")), "b"),
    ],
)
def test_wishes(there: Sequence[Obj], wanted: Obj, best: str) -> None:
    assert judged(ZONES, there, wanted) == Placed(best)


@pytest.mark.parametrize("name", ["nvidia.com/gpu", "ephemeral-storage", "hugepages-2Mi"])
def test_every_resource_counts(name: str) -> None:
    container = {"name": "c", "resources": {"requests": {name: "2"}}}
    wanted = {"containers": [container]}
    assert judged([node("a")], [], pod("p", **wanted)) == Refused(1, {f"Insufficient {name}": 1})
    room = [node("a", room={name: "3"})]
    assert judged(room, [], pod("p", **wanted)) == Placed("a")
    there = pod("x", on="a", **wanted)
    assert judged(room, [there], pod("p", **wanted)) == Refused(1, {f"Insufficient {name}": 1})


APPS = st.sampled_from(["web", "db"])
TERMS = st.builds(
    lambda key, app, everywhere: term(
        key, {"matchLabels": {"app": app}}, **({"namespaceSelector": {}} if everywhere else {})
    ),
    st.sampled_from(["zone", "host"]),
    APPS,
    st.booleans(),
)
SPECS = st.builds(
    lambda love, hate, spread: {
        "affinity": {"podAffinity": {REQUIRED: love}, "podAntiAffinity": {REQUIRED: hate}},
        "topologySpreadConstraints": [
            even(key, maxSkew=skew, minDomains=least)["topologySpreadConstraints"][0]
            for key, skew, least in spread
        ],
    },
    st.lists(TERMS, max_size=2),
    st.lists(TERMS, max_size=2),
    st.lists(st.tuples(st.sampled_from(["zone", "host"]), st.integers(1, 2), st.integers(1, 3)), max_size=2),
)
PODS = st.builds(
    lambda app, on, namespace, spec: pod("q", app, on, namespace, **spec),
    APPS,
    st.sampled_from("abcd"),
    st.sampled_from(["default", "other"]),
    SPECS,
)


@settings(max_examples=1000)
@given(
    zones=st.lists(st.sampled_from(["", "1", "2"]), min_size=4, max_size=4),
    there=st.lists(PODS, max_size=6),
    app=APPS,
    spec=SPECS,
)
def test_feasible_as_a_plain_reading_has_it(
    zones: Sequence[str], there: Sequence[Obj], app: str, spec: Obj
) -> None:
    nodes = [node(name, zone) for name, zone in zip("abcd", zones, strict=True)]
    wanted = pod("p", app, **spec)
    got = {name for name, said in refusals(nodes, there, wanted).items() if not said}
    labels = {item["metadata"]["name"]: item["metadata"]["labels"] for item in nodes}
    assert got == {name for name in labels if _may(wanted, name, labels, there)}


def _may(wanted: Obj, name: str, labels: Mapping[str, Mapping[str, str]], there: Sequence[Obj]) -> bool:
    def together(other: Obj, key: str) -> bool:
        return key in labels[name] and labels[other["spec"]["nodeName"]].get(key) == labels[name][key]

    love, hate = (_terms(wanted, part) for part in ("podAffinity", "podAntiAffinity"))
    if any(
        together(other, one["topologyKey"]) for other in there for one in hate if _hit(wanted, one, other)
    ):
        return False
    for other in there:
        for one in _terms(other, "podAntiAffinity"):
            if _hit(other, one, wanted) and together(other, one["topologyKey"]):
                return False
    friends = [other for other in there if all(_hit(wanted, one, other) for one in love)]
    placed = [
        (other, one)
        for other in friends
        for one in love
        if one["topologyKey"] in labels[other["spec"]["nodeName"]]
    ]
    alone = not placed and all(_hit(wanted, one, wanted) for one in love)
    for one in love:
        met = any(together(other, one["topologyKey"]) for other in friends)
        if one["topologyKey"] not in labels[name] or not (met or alone):
            return False
    return _even(wanted, name, labels, there)


def _even(wanted: Obj, name: str, labels: Mapping[str, Mapping[str, str]], there: Sequence[Obj]) -> bool:
    rules = wanted["spec"]["topologySpreadConstraints"]
    usable = [one for one in labels if all(rule["topologyKey"] in labels[one] for rule in rules)]
    for rule in rules:
        key = rule["topologyKey"]
        if key not in labels[name]:
            return False
        counts = {labels[one][key]: 0 for one in usable}
        for other in there:
            alike = other["metadata"]["namespace"] == "default" and _app(other) == "web"
            if alike and other["spec"]["nodeName"] in usable:
                counts[labels[other["spec"]["nodeName"]][key]] += 1
        least = min(counts.values()) if len(counts) >= rule["minDomains"] else 0
        if counts.get(labels[name][key], 0) + (_app(wanted) == "web") - least > rule["maxSkew"]:
            return False
    return True


def _terms(one: Obj, part: str) -> Sequence[Obj]:
    found: Sequence[Obj] = one["spec"]["affinity"][part][REQUIRED]
    return found


def _hit(owner: Obj, one: Obj, other: Obj) -> bool:
    near = owner["metadata"]["namespace"] == other["metadata"]["namespace"] or "namespaceSelector" in one
    return near and one["labelSelector"]["matchLabels"]["app"] == _app(other)


def _app(one: Obj) -> str:
    return str(one["metadata"]["labels"]["app"])
