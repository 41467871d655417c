"""Strategic merge without an oracle: laws, and that nothing given is changed."""

from __future__ import annotations

import contextlib
import copy
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mini8s.objects import schema
from mini8s.objects.errors import BadRequest
from mini8s.objects.kinds import PODS, SERVICES
from mini8s.objects.patch import strategic_merge

CASES = json.loads(Path(__file__).parent.parent.joinpath("cases/strategic.json").read_text())
NAMES = st.sampled_from("abcde")
CONTAINERS = st.lists(
    st.fixed_dictionaries({"name": NAMES, "image": st.sampled_from("12")}),
    unique_by=lambda item: item["name"],
    max_size=5,
)


def pod(containers):
    return {"metadata": {"name": "p"}, "spec": {"containers": containers}}


def merge_pods(doc, patch):
    return strategic_merge(doc, patch, schema.of(PODS))


@given(CONTAINERS, CONTAINERS)
def test_the_difference_as_kubectl_says_it_gives_the_new_list(old, new):
    """Changed elements, deletions, and the wanted order: what `kubectl apply` sends."""
    kept = {item["name"]: item for item in new}
    changes = [item for item in new if item not in old]
    changes += [{"name": item["name"], "$patch": "delete"} for item in old if item["name"] not in kept]
    order = [{"name": item["name"]} for item in new]
    patch = {"spec": {"containers": changes, "$setElementOrder/containers": order}}
    merged = merge_pods(pod(old), patch)
    assert merged["spec"]["containers"] == new
    assert merge_pods(merged, patch) == merged


@given(CONTAINERS, CONTAINERS)
def test_merge_keys_stay_unique_and_nobody_is_lost(old, new):
    before = copy.deepcopy(old)
    merged = merge_pods(pod(old), {"spec": {"containers": new}})
    names = [item["name"] for item in merged["spec"].get("containers") or []]
    assert sorted(names) == sorted({item["name"] for item in old + new})
    assert old == before


@given(CONTAINERS, st.lists(NAMES, unique=True))
def test_what_the_patch_does_not_name_keeps_its_order(old, order):
    patch = {"spec": {"$setElementOrder/containers": [{"name": name} for name in order]}}
    merged = [item["name"] for item in merge_pods(pod(old), patch)["spec"]["containers"]]
    names = [item["name"] for item in old]
    assert [name for name in merged if name not in order] == [name for name in names if name not in order]
    assert [name for name in merged if name in order] == [name for name in order if name in names]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["says"])
def test_cases_change_nothing_that_was_given(case):
    doc = pod([{"name": "a", "env": [{"name": "X", "value": "1"}]}, {"name": "b"}])
    patch = {"spec": case["patch"]}
    before = copy.deepcopy((doc, patch))
    with contextlib.suppress(BadRequest):
        merge_pods(doc, patch)
    assert (doc, patch) == before


def test_service_ports_merge_by_port():
    doc = {"spec": {"ports": [{"port": 80, "targetPort": 1}]}}
    patch = {"spec": {"ports": [{"port": 80, "targetPort": 2}]}}
    assert strategic_merge(doc, patch, schema.of(SERVICES)) == patch


@pytest.mark.parametrize(
    "patch",
    [
        [],
        {"metadata": {"$deleteFromPrimitiveList/finalizers": [{}]}},
        {"metadata": {"finalizers": [["x"]]}},
        {"metadata": {"finalizers": ["x", {}]}},
        {"spec": {"containers": [{"name": []}]}},
        {"spec": {"$retainKeys": "x"}},
        {"spec": {"$retainKeys": [{}]}},
        {"spec": {"$setElementOrder/containers": [{"name": {}}], "containers": [{"name": "a"}]}},
    ],
)
def test_what_is_no_patch(patch):
    doc = {"metadata": {"finalizers": ["a"]}, "spec": {"containers": [{"name": "a"}]}}
    with pytest.raises(BadRequest):
        merge_pods(doc, patch)


def test_a_directive_for_what_is_not_there_says_nothing():
    """As upstream does from 1.30 on at the latest: what comes with it is dropped too."""
    doc = pod([{"name": "a"}])
    gone = {"spec": {"securityContext": {"$patch": "delete"}}}
    new = {"spec": {"securityContext": {"$patch": "replace", "runAsUser": 1}}}
    assert merge_pods(doc, gone) == doc
    assert merge_pods(doc, new) == doc


VALUES = st.lists(st.sampled_from(["a/a", "b/b", "c/c", "d/d"]), unique=True, min_size=1)


@given(VALUES, VALUES, VALUES)
def test_lists_of_values_are_sets_that_keep_their_order(had, put, taken):
    doc = {"metadata": {"name": "p", "finalizers": had}}
    patch = {"metadata": {"finalizers": put, "$deleteFromPrimitiveList/finalizers": taken}}
    merged = merge_pods(doc, {"metadata": {"finalizers": put}})["metadata"]["finalizers"]
    assert set(merged) == {*had, *put}
    assert len(merged) == len(set(merged))
    assert [value for value in merged if value in put] == put
    left = merge_pods(doc, patch)["metadata"]["finalizers"]
    assert set(left) >= set(put) - set(taken)
    del patch["metadata"]["finalizers"]
    kept = merge_pods(doc, patch)["metadata"]["finalizers"]
    assert kept == [value for value in had if value not in taken]


def test_what_only_the_server_has_keeps_its_place():
    doc = pod([{"name": name} for name in "abcd"])
    wanted = {"spec": {"$setElementOrder/containers": [{"name": "d"}, {"name": "b"}]}}
    assert [item["name"] for item in merge_pods(doc, wanted)["spec"]["containers"]] == ["a", "c", "d", "b"]


def test_a_null_takes_away():
    doc = {"metadata": {"name": "p", "labels": {"a": "b", "c": "d"}}, "spec": {"hostname": "h"}}
    patch = {"metadata": {"labels": {"a": None, "z": None}}, "spec": {"hostname": None}}
    assert merge_pods(doc, patch) == {"metadata": {"name": "p", "labels": {"c": "d"}}, "spec": {}}
