"""The shipped roles: they say what their lists say, come back when they are gone, and keep what was added."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from fakes.http import FakeServer

from mini8s.objects.kinds import CLUSTERROLEBINDINGS, CLUSTERROLES, Kind, Obj
from mini8s.objects.rbac import AUTOUPDATE, Rule, missing, rules_of
from mini8s.registry.base import Context, DeleteOptions, User
from mini8s.registry.policy import reconcile, shipped
from mini8s.util.clock import FakeClock
from mini8s.wire.codec import decode_json

ROLES = {obj["metadata"]["name"]: obj for _, obj in shipped.roles()}
ANN = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "ann"}
NOTES = {"metadata": {"annotations": {AUTOUPDATE: "false"}}}


@pytest.fixture
def api() -> FakeServer:
    api = FakeServer()
    api.ask("POST", "/api/v1/namespaces", b'{"metadata":{"name":"kube-system"}}')
    return api


def ensure(api: FakeServer) -> None:
    context = Context(User("system:apiserver", ("system:masters",)), FakeClock().now())
    for step in reconcile.steps(api.machine, lambda: context):
        step()


def change(api: FakeServer, kind: Kind, name: str, patch: Obj) -> None:
    context = Context(User("system:admin", ("system:masters",)), FakeClock().now())
    api.machine.patch(context, kind, "", name, patch, "application/merge-patch+json")


def found(api: FakeServer, kind: Kind, name: str) -> Any:
    return decode_json(api.machine.get(kind, "", name))


def test_the_lists_are_read_as_they_are_meant() -> None:
    assert ROLES["cluster-admin"]["rules"] == [
        {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]},
        {"nonResourceURLs": ["*"], "verbs": ["*"]},
    ]
    assert ROLES["system:aggregate-to-edit"]["rules"][0]["verbs"] == ["get", "list", "watch"]
    assert ROLES["system:aggregate-to-edit"]["rules"][0]["apiGroups"] == [""]
    edit = ROLES["edit"]
    assert edit["metadata"]["labels"]["rbac.authorization.k8s.io/aggregate-to-admin"] == "true"
    assert "rules" not in edit
    assert "get" in ROLES["system:discovery"]["rules"][0]["verbs"]
    place = ROLES["extension-apiserver-authentication-reader"]["metadata"]
    assert place["namespace"] == "kube-system"


def test_a_viewer_sees_no_secrets_and_an_editor_no_roles() -> None:
    view, edit = (rules_of(ROLES[f"system:aggregate-to-{word}"]) for word in ("view", "edit"))
    assert not any(rule.about("", "secrets", "") for rule in view)
    assert not any(rule.about("rbac.authorization.k8s.io", "roles", "") for rule in (*view, *edit))


ONE = Rule(("get",), ("",), ("pods",), ("p",))


@pytest.mark.parametrize(
    ("held", "wanted", "lacking"),
    [
        (ONE, ONE, None),
        (replace(ONE, names=()), ONE, None),
        (ONE, replace(ONE, names=()), replace(ONE, names=())),  # who has one of them has not all
        (ONE, replace(ONE, names=("p", "q")), replace(ONE, names=("q",))),
        (ONE, replace(ONE, verbs=("get", "list", "watch")), replace(ONE, verbs=("list", "watch"))),
        (replace(ONE, verbs=("*",), groups=("*",), resources=("*",)), ONE, None),
        (replace(ONE, resources=("*/log",)), replace(ONE, resources=("pods/log",)), None),
        (replace(ONE, resources=("pods/log",)), ONE, ONE),
        (replace(ONE, groups=("apps",)), ONE, ONE),
        (Rule(("get",), urls=("/a/*",)), Rule(("get",), urls=("/a/b", "/b")), Rule(("get",), urls=("/b",))),
        (Rule(("get",), urls=("/a",)), Rule(("get",), urls=("/a/*",)), Rule(("get",), urls=("/a/*",))),
    ],
)
def test_what_somebody_lacks_of_what_he_gives_away(held: Rule, wanted: Rule, lacking: Rule | None) -> None:
    assert missing([held], [wanted]) == ([lacking] if lacking else [])


def test_a_second_start_changes_nothing(api: FakeServer) -> None:
    ensure(api)
    before = api.store.revision
    ensure(api)
    assert api.store.revision == before


def test_what_is_missing_comes_back_and_what_was_added_stays(api: FakeServer) -> None:
    more = {"apiGroups": ["x"], "resources": ["y"], "verbs": ["z"]}
    change(api, CLUSTERROLES, "system:basic-user", {"rules": [more], "metadata": {"labels": {"own": "1"}}})
    change(api, CLUSTERROLEBINDINGS, "system:basic-user", {"subjects": [ANN]})
    context = Context(User("system:admin", ("system:masters",)), FakeClock().now())
    api.machine.delete(context, CLUSTERROLES, "", "view", DeleteOptions())
    ensure(api)
    role = found(api, CLUSTERROLES, "system:basic-user")
    assert role["rules"][0] == more
    assert role["metadata"]["labels"]["own"] == "1"
    assert not missing(rules_of(role), rules_of(ROLES["system:basic-user"]))
    assert [s["name"] for s in found(api, CLUSTERROLEBINDINGS, "system:basic-user")["subjects"]] == [
        "ann",
        "system:authenticated",
    ]
    assert found(api, CLUSTERROLES, "view")["aggregationRule"]


def test_who_says_so_is_left_alone(api: FakeServer) -> None:
    change(api, CLUSTERROLES, "system:basic-user", NOTES | {"rules": []})
    change(api, CLUSTERROLEBINDINGS, "system:discovery", NOTES | {"subjects": []})
    ensure(api)
    assert not found(api, CLUSTERROLES, "system:basic-user").get("rules")
    assert not found(api, CLUSTERROLEBINDINGS, "system:discovery").get("subjects")


def test_a_binding_to_another_role_is_made_anew(api: FakeServer) -> None:
    context = Context(User("system:admin", ("system:masters",)), FakeClock().now())
    binding = found(api, CLUSTERROLEBINDINGS, "system:discovery")
    api.machine.delete(context, CLUSTERROLEBINDINGS, "", "system:discovery", DeleteOptions())
    other = {**binding, "roleRef": {**binding["roleRef"], "name": "view"}, "subjects": [ANN]}
    other["metadata"] = {"name": "system:discovery"}
    api.machine.create(context, CLUSTERROLEBINDINGS, "", other)
    ensure(api)
    made = found(api, CLUSTERROLEBINDINGS, "system:discovery")
    assert made["roleRef"]["name"] == "system:discovery"
    assert [subject["name"] for subject in made["subjects"]] == ["ann", "system:authenticated"]
