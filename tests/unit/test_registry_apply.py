"""Who manages what, through the registry: every way of writing an object keeps the books."""

from __future__ import annotations

from typing import Any

import pytest
from fakes.cluster import Cluster, config_map, decoded, deployment, pod

from mini8s.objects.apply.conflicts import ApplyConflict
from mini8s.objects.errors import BadRequest, Conflict, Forbidden, NotFound
from mini8s.objects.kinds import CONFIGMAPS, DEPLOYMENTS, LEASES, PODS, Kind, Obj

APPLY = "application/apply-patch+yaml"


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


def applied(
    cluster: Cluster, kind: Kind, config: Obj, by: str = "me", subresource: str = "", **said: Any
) -> tuple[Obj, bool]:
    sent = {"apiVersion": kind.api_version, "kind": kind.kind, **config}
    name = config["metadata"]["name"]
    value, created = cluster.machine.patch(
        cluster.ctx(field_manager=by, **said), kind, "default", name, sent, APPLY, subresource=subresource
    )
    return decoded(value), created


def managers(obj: Obj) -> list[str]:
    return [
        f"{entry['operation']} {entry['manager']} {entry.get('subresource', '')}".strip()
        for entry in obj["metadata"].get("managedFields", [])
    ]


def fields(obj: Obj, manager: str) -> Any:
    found = obj["metadata"].get("managedFields", [])
    return next((entry["fieldsV1"] for entry in found if entry["manager"] == manager), None)


def test_applying_creates(cluster: Cluster) -> None:
    made, created = applied(cluster, DEPLOYMENTS, deployment())
    assert created
    assert made["spec"]["replicas"] == 1  # a default, which nobody owns
    assert managers(made) == ["Apply me"]
    assert "f:replicas" not in fields(made, "me")["f:spec"]
    again, created = applied(cluster, DEPLOYMENTS, deployment())
    assert not created
    assert again == made  # its version too: nothing was written


def test_applying_may_create_only_with_leave(cluster: Cluster) -> None:
    def refuse() -> None:
        raise Forbidden("no")

    with pytest.raises(Forbidden):
        applied(cluster, DEPLOYMENTS, deployment(), check_create=refuse)
    applied(cluster, DEPLOYMENTS, deployment())
    applied(cluster, DEPLOYMENTS, deployment(replicas=2), check_create=refuse)


def test_applying_to_what_should_be_there(cluster: Cluster) -> None:
    absent = config_map()
    absent["metadata"]["resourceVersion"] = "7"
    with pytest.raises(NotFound):
        applied(cluster, CONFIGMAPS, absent)
    applied(cluster, CONFIGMAPS, config_map(a="1"))
    with pytest.raises(Conflict, match="the object has been modified"):
        applied(cluster, CONFIGMAPS, absent)


def test_a_dry_run_tells_and_keeps_nothing(cluster: Cluster) -> None:
    told, created = applied(cluster, CONFIGMAPS, config_map(a="1"), dry_run=True)
    assert created
    assert managers(told) == ["Apply me"]
    assert not cluster.exists(CONFIGMAPS, "settings")


def test_what_is_no_longer_applied_goes(cluster: Cluster) -> None:
    applied(cluster, CONFIGMAPS, config_map(a="1", b="2"))
    left, _ = applied(cluster, CONFIGMAPS, config_map(b="2"))
    assert left["data"] == {"b": "2"}
    emptied, _ = applied(cluster, CONFIGMAPS, {"metadata": {"name": "settings"}})
    assert "data" not in emptied
    assert managers(emptied) == []


def test_every_write_is_noted(cluster: Cluster) -> None:
    cluster.create(CONFIGMAPS, config_map(a="1"), field_manager="creator")
    cluster.update(CONFIGMAPS, config_map(a="1", b="2"), field_manager="updater")
    patched = cluster.patch(CONFIGMAPS, "settings", {"data": {"c": "3"}})
    assert managers(patched) == ["Update creator", "Update unknown", "Update updater"]
    assert fields(patched, "updater") == {"f:data": {"f:b": {}}}
    assert fields(patched, "unknown") == {"f:data": {"f:c": {}}}


def test_an_update_that_changes_nothing_is_not_noted(cluster: Cluster) -> None:
    made = cluster.create(CONFIGMAPS, config_map(a="1"), field_manager="creator")
    cluster.clock.step(5)
    assert cluster.update(CONFIGMAPS, config_map(a="1"), field_manager="another") == made


def test_applying_the_same_again_later_writes_nothing(cluster: Cluster) -> None:
    """`1000m` is kept as `1`: to the books that is a change each time, to the store it is none."""
    config = pod()
    config["spec"]["containers"][0]["resources"] = {"requests": {"cpu": "1000m"}}
    made, _ = applied(cluster, PODS, config)
    cluster.clock.step(5)
    assert applied(cluster, PODS, config)[0] == made


def test_status_is_managed_apart(cluster: Cluster) -> None:
    cluster.create(DEPLOYMENTS, deployment(), field_manager="creator")
    there = cluster.get(DEPLOYMENTS, "web")
    there["status"] = {"replicas": 1}
    there["spec"]["replicas"] = 9  # which a status update has no say in
    after = cluster.update(DEPLOYMENTS, there, "status", field_manager="controller")
    assert managers(after) == ["Update controller status", "Update creator"]
    assert fields(after, "controller") == {"f:status": {"f:replicas": {}}}
    assert fields(after, "creator")["f:spec"]["f:replicas"] == {}


def test_status_can_be_applied(cluster: Cluster) -> None:
    applied(cluster, DEPLOYMENTS, deployment())
    config = {"metadata": {"name": "web"}, "spec": {"replicas": 9}, "status": {"replicas": 2}}
    after, _ = applied(cluster, DEPLOYMENTS, config, by="controller", subresource="status")
    assert after["status"] == {"replicas": 2}
    assert after["spec"]["replicas"] == 1
    assert fields(after, "controller") == {"f:status": {"f:replicas": {}}}
    with pytest.raises(NotFound):
        applied(cluster, DEPLOYMENTS, {"metadata": {"name": "no"}}, subresource="status")


def test_a_scale_is_noted_as_such(cluster: Cluster) -> None:
    applied(cluster, DEPLOYMENTS, deployment(replicas=3))
    cluster.patch(DEPLOYMENTS, "web", {"spec": {"replicas": 5}}, subresource="scale")
    after = cluster.get(DEPLOYMENTS, "web")
    assert managers(after) == ["Apply me", "Update unknown scale"]
    with pytest.raises(ApplyConflict) as refused:
        applied(cluster, DEPLOYMENTS, deployment(replicas=3))
    assert refused.value.message == (
        'Apply failed with 1 conflict: conflict with "unknown" with subresource "scale" using apps/v1 at '
        "2026-01-01T00:00:00Z: .spec.replicas"
    )
    applied(cluster, DEPLOYMENTS, deployment(replicas=3), force=True)
    assert managers(cluster.get(DEPLOYMENTS, "web")) == ["Apply me"]


def test_a_scale_can_be_applied(cluster: Cluster) -> None:
    cluster.create(DEPLOYMENTS, deployment(), field_manager="creator")
    scale = {"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {"name": "web"}}
    told, _ = applied(
        cluster, DEPLOYMENTS, scale | {"spec": {"replicas": 4}}, by="hpa", subresource="scale", force=True
    )
    assert (told["kind"], told["spec"]) == ("Scale", {"replicas": 4})
    after = cluster.get(DEPLOYMENTS, "web")
    assert after["spec"]["replicas"] == 4
    assert managers(after) == ["Apply hpa scale", "Update creator"]


def test_books_can_be_thrown_away_and_handed_over(cluster: Cluster) -> None:
    made = cluster.create(CONFIGMAPS, config_map(a="1"), field_manager="creator")
    for said in ([], [{"operation": "Sing"}]):  # no statement
        assert cluster.patch(CONFIGMAPS, "settings", {"metadata": {"managedFields": said}}) == made
    entry = made["metadata"]["managedFields"][0] | {"manager": "heir"}
    after = cluster.patch(CONFIGMAPS, "settings", {"metadata": {"managedFields": [entry]}})
    assert managers(after) == ["Update heir"]
    after = cluster.patch(CONFIGMAPS, "settings", {"metadata": {"managedFields": [{}]}})
    assert managers(after) == []
    after = cluster.patch(CONFIGMAPS, "settings", {"data": {"b": "2"}})
    assert managers(after) == []  # upstream: what has no books gets none before it is applied to
    after, _ = applied(cluster, CONFIGMAPS, config_map(a="1"))
    assert managers(after) == ["Apply me", "Update before-first-apply"]


def test_what_controllers_make_has_no_books_until_it_is_applied_to(cluster: Cluster) -> None:
    owned = pod()
    owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web", "uid": "u", "controller": True}
    owned["metadata"]["ownerReferences"] = [owner]
    assert managers(cluster.create(PODS, owned, field_manager="control")) == []
    assert managers(cluster.create(LEASES, {"metadata": {"name": "l"}, "spec": {}})) == []
    after, _ = applied(cluster, PODS, {"metadata": {"name": "web", "labels": {"x": "y"}}})
    assert managers(after) == ["Apply me", "Update before-first-apply"]


def test_binding_is_not_noted(cluster: Cluster) -> None:
    made = cluster.create(PODS, pod())
    target = {"target": {"kind": "Node", "name": "n1"}}
    cluster.machine.create_subresource(cluster.ctx(), PODS, "default", "web", "binding", target)
    assert managers(cluster.get(PODS, "web")) == managers(made)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (
            {"apiVersion": "v2"},
            r"^Incorrect version specified in apply patch. Specified patch version: v2, exp",
        ),
        ({"metadata": {"name": "settings", "managedFields": [{}]}}, "^metadata.managedFields must be nil$"),
        (
            {"dat": {}},
            r"^failed to create typed patch object \(/settings; v1, Kind=ConfigMap\): \.dat: field not decl",
        ),
        ({"metadata": {"name": "other"}}, "the name of the object .other. does not match"),
        ({"kind": "Secret"}, "Secret"),
    ],
)
def test_what_can_not_be_applied(cluster: Cluster, change: Obj, why: str) -> None:
    sent = {"apiVersion": "v1", "kind": "ConfigMap", **config_map(a="1"), **change}
    for _ in range(2):  # when it is not there, and when it is
        with pytest.raises(BadRequest, match=why):
            cluster.machine.patch(
                cluster.ctx(field_manager="me"), CONFIGMAPS, "default", "settings", sent, APPLY
            )
        applied(cluster, CONFIGMAPS, config_map(a="1"))


@pytest.mark.parametrize("sent", [None, [], "text", {"apiVersion": "v1", "metadata": []}])
def test_nonsense_can_not_be_applied(cluster: Cluster, sent: Any) -> None:
    with pytest.raises(BadRequest):
        cluster.machine.patch(cluster.ctx(field_manager="me"), CONFIGMAPS, "default", "x", sent, APPLY)
