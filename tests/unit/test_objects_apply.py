"""Server-side apply as the Kubernetes documentation tells it: its examples, and what its prose promises."""

from __future__ import annotations

from typing import Any

import pytest

from mini8s.objects import apply, schema
from mini8s.objects.apply import Manager, Managers, Writing, apply_as_kubectl, problems
from mini8s.objects.apply.conflicts import ApplyConflict
from mini8s.objects.apply.last_applied import ANNOTATION
from mini8s.objects.kinds import CONFIGMAPS, DEPLOYMENTS, NODES, PODS, SERVICES, Kind, Obj

NOW = "2026-01-01T00:00:00Z"


class Thing:
    """One object and its managers, changed by whoever speaks."""

    def __init__(self, kind: Kind) -> None:
        self.kind = kind
        self.obj: Obj = {}
        self.managers: Managers = {}

    def writing(self, name: str, operation: str, now: str = NOW) -> Writing:
        by = Manager(name, operation, self.kind.api_version)
        return Writing(schema.root(self.kind), by, now)

    def apply(self, name: str, config: Obj, *, force: bool = False, now: str = NOW) -> None:
        writing = self.writing(name, apply.APPLY, now)
        self.obj, self.managers = apply_as_kubectl(writing, self.obj, config, self.managers, force=force)

    def update(self, name: str, new: Obj, now: str = NOW) -> None:
        self.managers = apply.update(self.writing(name, apply.UPDATE, now), self.obj, new, self.managers)
        self.obj = new

    def fields(self, name: str) -> Any:
        return next((entry.fields for entry in self.managers.values() if entry.manager.name == name), None)


def config_map(**data: str) -> Obj:
    return {"metadata": {"name": "test-cm", "labels": {"test-label": "test"}}, "data": data}


def deployment(replicas: int | None = None, image: str = "nginx:1.14.2") -> Obj:
    spec: Obj = {
        "selector": {"matchLabels": {"app": "nginx"}},
        "template": {
            "metadata": {"labels": {"app": "nginx"}},
            "spec": {"containers": [{"name": "nginx", "image": image}]},
        },
    }
    if replicas is not None:
        spec["replicas"] = replicas
    return {"metadata": {"name": "nginx"}, "spec": spec}


def test_the_documents_first_example() -> None:
    thing = Thing(CONFIGMAPS)
    thing.apply("kubectl", config_map(key="some value"))
    assert apply.encode(thing.managers) == [
        {
            "manager": "kubectl",
            "operation": "Apply",
            "apiVersion": "v1",
            "time": NOW,
            "fieldsType": "FieldsV1",
            "fieldsV1": {"f:metadata": {"f:labels": {"f:test-label": {}}}, "f:data": {"f:key": {}}},
        }
    ]


def test_an_update_takes_a_field_over() -> None:
    """The documents' second example: kube-controller-manager changes data.key."""
    thing = Thing(CONFIGMAPS)
    thing.apply("kubectl", config_map(key="some value"))
    thing.update("kube-controller-manager", config_map(key="new value"), now="2026-01-01T00:00:09Z")
    assert thing.fields("kubectl") == {"f:metadata": {"f:labels": {"f:test-label": {}}}}
    assert thing.fields("kube-controller-manager") == {"f:data": {"f:key": {}}}
    with pytest.raises(ApplyConflict) as refused:
        thing.apply("kubectl", config_map(key="some value"))
    assert refused.value.message == (
        'Apply failed with 1 conflict: conflict with "kube-controller-manager" using v1 '
        "at 2026-01-01T00:00:09Z: .data.key"
    )


def test_handing_replicas_over_to_an_autoscaler() -> None:
    """The documents' walk: the user stops applying replicas once the autoscaler has them."""
    thing = Thing(DEPLOYMENTS)
    thing.apply("kubectl", deployment(3))
    thing.update("autoscaler", deployment(5))
    thing.apply("kubectl", deployment())
    assert thing.obj["spec"]["replicas"] == 5
    assert "f:replicas" not in thing.fields("kubectl")["f:spec"]


def test_replicas_that_nobody_took_over_go() -> None:
    thing = Thing(DEPLOYMENTS)
    thing.apply("kubectl", deployment(3))
    thing.apply("kubectl", deployment())
    assert "replicas" not in thing.obj["spec"]


def test_a_shared_field_stays_until_the_last_lets_go() -> None:
    thing = Thing(DEPLOYMENTS)
    thing.apply("one", deployment(3))
    thing.apply("two", deployment(3))
    thing.apply("one", deployment())
    assert thing.obj["spec"]["replicas"] == 3
    thing.apply("two", deployment())
    assert "replicas" not in thing.obj["spec"]


def test_several_conflicts_are_told_by_manager() -> None:
    thing = Thing(DEPLOYMENTS)
    thing.apply("b", deployment(3))
    thing.apply("a", deployment(3))
    thing.update("c", deployment(3, "nginx:2"))
    with pytest.raises(ApplyConflict) as refused:
        thing.apply("me", deployment(4, "nginx:3"))
    assert refused.value.message == (
        "Apply failed with 3 conflicts: "
        'conflicts with "a":\n- .spec.replicas\n'
        'conflicts with "b":\n- .spec.replicas\n'
        f'conflicts with "c" using apps/v1 at {NOW}:\n'
        '- .spec.template.spec.containers[name="nginx"].image'
    )
    assert {(cause.reason, cause.field) for cause in refused.value.causes} == {
        ("FieldManagerConflict", ".spec.replicas"),
        ("FieldManagerConflict", '.spec.template.spec.containers[name="nginx"].image'),
    }


def test_force_takes_fields_from_others() -> None:
    thing = Thing(DEPLOYMENTS)
    thing.apply("one", deployment(3))
    thing.apply("two", {"metadata": {"name": "nginx"}, "spec": {"replicas": 4}}, force=True)
    assert thing.obj["spec"]["replicas"] == 4
    assert "f:replicas" not in thing.fields("one")["f:spec"]
    assert thing.fields("two") == {"f:spec": {"f:replicas": {}}}


def test_a_created_deployment_is_noted_as_upstream_does() -> None:
    """What `kubectl create deployment` leaves, defaults and all, on a real cluster."""
    made: Obj = schema.apply_defaults(DEPLOYMENTS, deployment(1, "nginx"))
    thing = Thing(DEPLOYMENTS)
    thing.update("kubectl-create", made)
    container = {
        ".": {},
        "f:image": {},
        "f:imagePullPolicy": {},
        "f:name": {},
        "f:resources": {},
        "f:terminationMessagePath": {},
        "f:terminationMessagePolicy": {},
    }
    assert thing.fields("kubectl-create") == {
        "f:spec": {
            "f:progressDeadlineSeconds": {},
            "f:replicas": {},
            "f:revisionHistoryLimit": {},
            "f:selector": {},
            "f:strategy": {
                "f:rollingUpdate": {".": {}, "f:maxSurge": {}, "f:maxUnavailable": {}},
                "f:type": {},
            },
            "f:template": {
                "f:metadata": {"f:labels": {".": {}, "f:app": {}}},
                "f:spec": {
                    "f:containers": {'k:{"name":"nginx"}': container},
                    "f:dnsPolicy": {},
                    "f:restartPolicy": {},
                    "f:schedulerName": {},
                    "f:securityContext": {},
                    "f:terminationGracePeriodSeconds": {},
                },
            },
        }
    }


def test_lists_are_told_apart_by_their_keys() -> None:
    """A port's protocol is TCP when nobody says it."""
    thing = Thing(SERVICES)
    port = {"port": 80, "name": "http"}
    thing.apply("me", {"metadata": {"name": "s"}, "spec": {"ports": [port], "selector": {"app": "x"}}})
    assert thing.fields("me")["f:spec"] == {
        "f:ports": {'k:{"port":80,"protocol":"TCP"}': {".": {}, "f:name": {}, "f:port": {}}},
        "f:selector": {},  # atomic
    }
    thing.obj["spec"]["ports"][0]["protocol"] = "TCP"
    udp = {"port": 80, "protocol": "UDP", "name": "udp"}
    thing.apply("you", {"metadata": {"name": "s"}, "spec": {"ports": [udp]}})
    assert [found["name"] for found in thing.obj["spec"]["ports"]] == ["http", "udp"]


def test_sets_and_their_members() -> None:
    thing = Thing(PODS)
    thing.apply("one", {"metadata": {"name": "p", "finalizers": ["x/a", "x/b"]}})
    thing.apply("two", {"metadata": {"name": "p", "finalizers": ["x/c"]}})
    assert thing.obj["metadata"]["finalizers"] == ["x/a", "x/b", "x/c"]
    thing.apply("one", {"metadata": {"name": "p", "finalizers": ["x/b"]}})
    assert thing.obj["metadata"]["finalizers"] == ["x/b", "x/c"]
    assert thing.fields("one") == {"f:metadata": {"f:finalizers": {'v:"x/b"': {}}}}


@pytest.mark.parametrize(
    ("live", "config", "merged"),
    [
        ("abc", "xb", "axbc"),
        ("ab", "ba", "ba"),
        ("bd", "xby", "xbdy"),
        ("abcd", "dxa", "bcdxa"),
        ("", "ba", "ba"),
        ("ab", "", "ab"),
    ],
)
def test_the_order_of_a_merged_list(live: str, config: str, merged: str) -> None:
    def node(taints: str) -> Obj:
        return {"metadata": {"name": "n", "finalizers": [f"x/{name}" for name in taints]}}

    thing = Thing(NODES)
    thing.obj = node(live)
    thing.apply("me", node(config))
    assert thing.obj["metadata"]["finalizers"] == [f"x/{name}" for name in merged]


def test_what_was_there_before_the_first_apply_belongs_to_nobody_in_particular() -> None:
    thing = Thing(DEPLOYMENTS)
    thing.obj = deployment(3)
    with pytest.raises(ApplyConflict, match='conflict with "before-first-apply" using apps/v1'):
        thing.apply("me", deployment(4))
    thing.apply("me", deployment(3))
    assert thing.fields("before-first-apply")["f:spec"]["f:replicas"] == {}


def test_kubectl_takes_over_what_it_applied_from_the_client() -> None:
    thing = Thing(DEPLOYMENTS)
    sent = deployment(3)
    sent["metadata"]["annotations"] = {ANNOTATION: '{"spec":{"replicas":3},"metadata":{"name":"nginx"}}'}
    thing.update("kubectl-client-side-apply", sent)
    with pytest.raises(ApplyConflict):
        thing.apply("another", deployment(4))
    thing.apply("kubectl", deployment(4))
    assert thing.obj["spec"]["replicas"] == 4
    kept = thing.obj["metadata"]["annotations"][ANNOTATION]
    assert kept.startswith('{"metadata":{"annotations":{},"name":"nginx"},"spec":{"replicas":4,')


def test_kubectl_does_not_take_over_what_changed_since() -> None:
    thing = Thing(DEPLOYMENTS)
    sent = deployment(3)
    sent["metadata"]["annotations"] = {ANNOTATION: '{"spec":{"replicas":3}}'}
    thing.update("kubectl-client-side-apply", sent)
    thing.update("autoscaler", sent | {"spec": sent["spec"] | {"replicas": 7}})
    with pytest.raises(ApplyConflict, match="autoscaler"):
        thing.apply("kubectl", deployment(4))


def test_many_updaters_become_one() -> None:
    thing = Thing(CONFIGMAPS)
    for number in range(15):
        data = {f"k{count}": "v" for count in range(number + 1)}
        thing.update(f"m{number}", config_map(**data), now=f"2026-01-01T00:00:{number:02d}Z")
    assert len(thing.managers) == 10
    ancient = thing.fields("ancient-changes")
    assert set(ancient["f:data"]) == {".", *(f"f:k{count}" for count in range(6))}


GOT = "got &value.valueUnstructured{Value:%s}"
NAMELESS = (
    'associative list with keys has an element that omits all key fields ["name"] '
    "(and doesn't have default values for any key fields)"
)


def with_spec(**spec: Any) -> Obj:
    return {"spec": spec}


@pytest.mark.parametrize(
    ("config", "told"),
    [
        (with_spec(foo=1), ".spec.foo: field not declared in schema"),
        (
            with_spec(containers=[{"name": "a", "env": [{"name": "B", "value": 8080}]}]),
            f'.spec.containers[name="a"].env[name="B"].value: expected string, {GOT % 8080}',
        ),
        (
            with_spec(containers=[{"name": "a"}, {"name": "a"}]),
            '.spec.containers: duplicate entries for key [name="a"]',
        ),
        (with_spec(containers=[{"image": "a"}]), f".spec.containers[0]: {NAMELESS}"),
        ({"spec": []}, f".spec: expected map, {GOT % '[]'}"),
        (with_spec(containers={}), f".spec.containers: expected list, {GOT % '{}'}"),
        ({"metadata": {"finalizers": ["a", "a"]}}, '.metadata.finalizers: duplicate entries for key [="a"]'),
        (with_spec(hostNetwork=1), f".spec.hostNetwork: expected boolean, {GOT % 1}"),
    ],
)
def test_what_can_not_be_applied(config: Obj, told: str) -> None:
    assert problems(schema.root(PODS), config) == [told]


def test_managed_fields_that_make_no_sense() -> None:
    assert apply.decode([{"operation": "Sing"}]) is None
    assert apply.decode("nonsense") is None
    assert apply.decode([{"operation": "Apply", "fieldsV1": 7}]) is None
    assert apply.decode([]) == {}


def test_the_last_label_goes_without_a_quarrel_over_the_map_that_held_it() -> None:
    thing = Thing(CONFIGMAPS)
    thing.update("bob", {"metadata": {"name": "a", "labels": {"tier": "x"}}})
    thing.apply("ann", {"metadata": {"name": "a", "labels": {"tier": "y"}}}, force=True)
    thing.apply("ann", {"metadata": {"name": "a"}})
    assert not thing.obj["metadata"].get("labels")
