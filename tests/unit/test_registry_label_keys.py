"""Spreading, and the keys of a pod's own labels that spreading and affinity may go by."""

from __future__ import annotations

from typing import Any

import pytest
from fakes.cluster import Cluster, pod

from mini8s.objects.errors import Invalid
from mini8s.objects.kinds import PODS, Obj

MUST, LIKE = (f"{way}DuringSchedulingIgnoredDuringExecution" for way in ("required", "preferred"))
SPREAD = {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}
SELECTOR: Obj = {"matchLabels": {"app": "web"}}
ONLY_STRICT = "can only use minDomains if whenUnsatisfiable=DoNotSchedule"
NO_SELECTOR = "Forbidden: must not be specified when labelSelector is not set"
TWICE = 'Invalid value: "app": exists in both matchLabelKeys and labelSelector'


def spread(**parts: Any) -> Obj:
    return pod(topologySpreadConstraints=[SPREAD | parts])


def term(**parts: Any) -> Obj:
    return pod(affinity={"podAffinity": {MUST: [{"topologyKey": "zone"} | parts]}})


@pytest.mark.parametrize(
    ("obj", "part", "why"),
    [
        (spread(minDomains=0), "minDomains", "Invalid value: 0: must be greater than zero"),
        (
            spread(minDomains=2, whenUnsatisfiable="ScheduleAnyway"),
            "minDomains",
            f"Invalid value: 2: {ONLY_STRICT}, not ScheduleAnyway",
        ),
        (
            spread(nodeTaintsPolicy="Obey"),
            "nodeTaintsPolicy",
            'Unsupported value: "Obey": supported values: "Honor", "Ignore"',
        ),
        (
            spread(nodeAffinityPolicy="Obey"),
            "nodeAffinityPolicy",
            'Unsupported value: "Obey": supported values: "Honor", "Ignore"',
        ),
        (spread(matchLabelKeys=["app"]), "matchLabelKeys", NO_SELECTOR),
        (spread(matchLabelKeys=["app"], labelSelector=SELECTOR), "matchLabelKeys[0]", TWICE),
        (term(matchLabelKeys=["app"]), "matchLabelKeys", NO_SELECTOR),
        (term(mismatchLabelKeys=["app"]), "mismatchLabelKeys", NO_SELECTOR),
        (term(matchLabelKeys=["app"], labelSelector=SELECTOR), "[0]", TWICE),
        (
            term(matchLabelKeys=["x"], mismatchLabelKeys=["x"], labelSelector=SELECTOR),
            "matchLabelKeys[0]",
            'Invalid value: "x": exists in both matchLabelKeys and mismatchLabelKeys',
        ),
        (
            term(namespaceSelector={"matchExpressions": [{"key": "a", "operator": "Like"}]}),
            "namespaceSelector.matchExpressions[0].operator",
            'Invalid value: "Like": not a valid selector operator',
        ),
    ],
)
def test_what_is_refused(obj: Obj, part: str, why: str) -> None:
    with pytest.raises(Invalid) as refused:
        Cluster().create(PODS, obj)
    [cause] = refused.value.causes
    assert (cause.field.endswith(part), cause.message) == (True, why), cause


@pytest.mark.parametrize("part", ["matchLabelKeys", "mismatchLabelKeys"])
def test_a_name_that_is_none(part: str) -> None:
    with pytest.raises(Invalid, match=rf"{part}\[0\]: Invalid value: \"a b\""):
        Cluster().create(PODS, term(**{part: ["a b"]}, labelSelector=SELECTOR))


def test_a_new_pods_labels_become_expressions_and_its_manifest_can_be_put_again() -> None:
    keys = {"matchLabelKeys": ["hash", "none"], "mismatchLabelKeys": ["tenant"], "labelSelector": SELECTOR}
    found = {"topologyKey": "zone"} | keys
    obj = pod(affinity={"podAffinity": {MUST: [found]}, "podAntiAffinity": {LIKE: [
        {"weight": 1, "podAffinityTerm": found}
    ]}})  # fmt: skip
    obj["metadata"]["labels"] |= {"hash": "1", "tenant": "t"}
    cluster = Cluster()
    made = cluster.create(PODS, obj)
    affinity = made["spec"]["affinity"]
    for shown in (affinity["podAffinity"][MUST][0], affinity["podAntiAffinity"][LIKE][0]["podAffinityTerm"]):
        assert shown["labelSelector"]["matchExpressions"] == [
            {"key": "hash", "operator": "In", "values": ["1"]},
            {"key": "tenant", "operator": "NotIn", "values": ["t"]},
        ]
    assert cluster.update(PODS, made)["spec"] == made["spec"]
