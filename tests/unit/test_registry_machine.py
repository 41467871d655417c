"""The machine's verbs, over the fake store: metadata, conflicts, generated names, no-op writes."""

from __future__ import annotations

from typing import Any

import pytest
from fakes.cluster import Cluster, config_map, deployment, pod
from fakes.store import FakeStore

from mini8s.objects.errors import (
    AlreadyExists,
    BadRequest,
    Conflict,
    Invalid,
    NotFound,
    ServiceUnavailable,
    UnsupportedMediaType,
)
from mini8s.objects.kinds import CONFIGMAPS, DEPLOYMENTS, LEASES, PODS, SECRETS
from mini8s.store.base import Durability, Encode, Row, Unavailable


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


def test_create_fills_in_what_the_server_keeps(cluster: Cluster) -> None:
    sent = deployment()
    sent["metadata"] |= {"uid": "mine", "generation": 7, "selfLink": "x", "managedFields": [{}]}
    made = cluster.create(DEPLOYMENTS, sent)
    assert list(made)[:3] == ["kind", "apiVersion", "metadata"]
    assert {part: value for part, value in made["metadata"].items() if part != "managedFields"} == {
        "name": "web",
        "namespace": "default",
        "uid": "uid-2",
        "creationTimestamp": "2026-01-01T00:00:00Z",
        "generation": 1,
        "resourceVersion": str(cluster.store.revision),
    }
    assert made["status"] == {}
    assert cluster.get(DEPLOYMENTS, "web") == made
    assert sent["metadata"]["uid"] == "mine"  # what the caller has is the caller's


def test_create_twice(cluster: Cluster) -> None:
    cluster.create(CONFIGMAPS, config_map())
    with pytest.raises(AlreadyExists, match=r'^configmaps "settings" already exists$') as refused:
        cluster.create(CONFIGMAPS, config_map())
    assert refused.value.status()["details"] == {"name": "settings", "kind": "configmaps"}


def test_create_while_the_old_one_is_being_deleted(cluster: Cluster) -> None:
    cluster.create(CONFIGMAPS, config_map() | {"metadata": {"name": "settings", "finalizers": ["x.io/y"]}})
    cluster.delete(CONFIGMAPS, "settings")
    with pytest.raises(AlreadyExists, match=r"^object is being deleted: configmaps"):
        cluster.create(CONFIGMAPS, config_map())


def test_generated_names_are_tried_until_one_is_free() -> None:
    suffixes = iter(["aaaaa", "aaaaa", "bbbbb"])
    cluster = Cluster(suffixes=lambda: next(suffixes))
    sent: dict[str, Any] = {"metadata": {"generateName": "job-"}}
    assert cluster.create(CONFIGMAPS, sent)["metadata"]["name"] == "job-aaaaa"
    assert cluster.create(CONFIGMAPS, sent)["metadata"]["name"] == "job-bbbbb"


def test_generated_names_run_out_in_the_end() -> None:
    cluster = Cluster(suffixes=lambda: "aaaaa")
    cluster.create(CONFIGMAPS, {"metadata": {"generateName": "job-"}})
    with pytest.raises(AlreadyExists):
        cluster.create(CONFIGMAPS, {"metadata": {"generateName": "job-"}})


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        ({"kind": "Secret"}, "does not match the expected kind"),
        ({"apiVersion": "v2"}, "the API version in the data (v2) does not match"),
        ({"metadata": {"name": "x", "namespace": "other"}}, "namespace of the provided object does not"),
        ({"metadata": {"name": "x", "resourceVersion": "5"}}, "resourceVersion should not be set"),
        ({"metadata": "x"}, "cannot unmarshal string into field metadata"),
        ({"metadata": {"name": "x"}, "data": {"a": 1}}, "cannot unmarshal number into field data.a"),
    ],
)
def test_what_the_door_refuses(cluster: Cluster, sent: dict[str, Any], said: str) -> None:
    before = cluster.store.revision
    with pytest.raises(BadRequest) as refused:
        cluster.create(CONFIGMAPS, sent)
    assert said in refused.value.message
    assert cluster.store.revision == before


def test_unknown_fields_by_mode(cluster: Cluster) -> None:
    sent = config_map("x") | {"dta": {}}
    why = 'strict decoding error: unknown field "dta"'
    with pytest.raises(
        BadRequest, match=f'^ConfigMap in version "v1" cannot be handled as a ConfigMap: {why}$'
    ):
        cluster.create(CONFIGMAPS, sent, field_validation="Strict")
    ctx = cluster.ctx()
    cluster.machine.create(ctx, CONFIGMAPS, "default", sent)
    assert ctx.warnings == ['unknown field "dta"']
    assert "dta" not in cluster.get(CONFIGMAPS, "x")


def test_not_found(cluster: Cluster) -> None:
    with pytest.raises(NotFound, match=r'^deployments.apps "web" not found$'):
        cluster.get(DEPLOYMENTS, "web")
    with pytest.raises(NotFound):
        cluster.update(DEPLOYMENTS, deployment())
    with pytest.raises(NotFound):
        cluster.delete(DEPLOYMENTS, "web")


def test_update_with_a_stale_version(cluster: Cluster) -> None:
    old = cluster.create(DEPLOYMENTS, deployment())
    cluster.update(DEPLOYMENTS, deployment(replicas=2))
    with pytest.raises(Conflict) as refused:
        cluster.update(DEPLOYMENTS, old)
    assert refused.value.message == (
        'Operation cannot be fulfilled on deployments.apps "web": the object has been modified; '
        "please apply your changes to the latest version and try again"
    )


def test_update_keeps_metadata_and_counts_generations(cluster: Cluster) -> None:
    made = cluster.create(DEPLOYMENTS, deployment())
    cluster.clock.step(60)
    changed = cluster.update(DEPLOYMENTS, deployment(replicas=3))
    for part in ("uid", "creationTimestamp", "namespace"):
        assert changed["metadata"][part] == made["metadata"][part]
    assert changed["metadata"]["generation"] == 2
    labelled = deployment(replicas=3)
    labelled["metadata"]["labels"] = {"a": "b"}
    assert cluster.update(DEPLOYMENTS, labelled)["metadata"]["generation"] == 2


def test_update_that_changes_nothing_writes_nothing(cluster: Cluster) -> None:
    made = cluster.create(DEPLOYMENTS, deployment())
    before = cluster.store.revision
    assert cluster.update(DEPLOYMENTS, made) == made
    assert cluster.update(DEPLOYMENTS, deployment()) == made
    assert cluster.patch(DEPLOYMENTS, "web", {"spec": {"replicas": 1}}) == made
    assert cluster.store.revision == before


@pytest.mark.parametrize("part", ["uid", "creationTimestamp", "name"])
def test_immutable_metadata(cluster: Cluster, part: str) -> None:
    made = cluster.create(CONFIGMAPS, config_map())
    made["metadata"][part] = "2020-01-01T00:00:00Z" if part == "creationTimestamp" else "other"
    with pytest.raises((Invalid, Conflict, BadRequest)):
        cluster.machine.update(cluster.ctx(), CONFIGMAPS, "default", "settings", made)


def test_another_uid_is_another_object(cluster: Cluster) -> None:
    made = cluster.create(CONFIGMAPS, config_map())
    made["metadata"] |= {"uid": "other", "resourceVersion": ""}
    with pytest.raises(Conflict, match="Precondition failed: UID in precondition: other, UID in object meta"):
        cluster.update(CONFIGMAPS, made)


def test_put_creates_some_kinds_and_not_others(cluster: Cluster) -> None:
    lease = {"metadata": {"name": "leader"}, "spec": {"holderIdentity": "me"}}
    value, created = cluster.machine.update(cluster.ctx(), LEASES, "default", "leader", lease)
    assert created
    assert b'"holderIdentity":"me"' in value
    with pytest.raises(NotFound):
        cluster.update(CONFIGMAPS, config_map())


def test_a_lease_is_only_changed_by_who_knows_its_version(cluster: Cluster) -> None:
    cluster.create(LEASES, {"metadata": {"name": "leader"}})
    with pytest.raises(Invalid, match=r"metadata.resourceVersion: Invalid value: 0: must be specified for"):
        cluster.update(LEASES, {"metadata": {"name": "leader"}, "spec": {"holderIdentity": "me"}})


def test_status_is_apart_from_the_rest(cluster: Cluster) -> None:
    made = cluster.create(DEPLOYMENTS, deployment() | {"status": {"replicas": 9}})
    assert made["status"] == {}
    wanted = deployment(replicas=5) | {"status": {"replicas": 1}}
    told = cluster.update(DEPLOYMENTS, wanted, "status")
    assert (told["spec"]["replicas"], told["status"]) == (1, {"replicas": 1})
    assert told["metadata"]["generation"] == 1
    kept = cluster.update(DEPLOYMENTS, deployment(replicas=5) | {"status": {"replicas": 7}})
    assert (kept["spec"]["replicas"], kept["status"]) == (5, {"replicas": 1})


def test_a_deployments_status_does_not_carry_labels(cluster: Cluster) -> None:
    made = cluster.create(DEPLOYMENTS, deployment())
    made["metadata"] |= {"labels": {"a": "b"}, "annotations": {"c": "d"}}
    told = cluster.update(DEPLOYMENTS, made, "status")["metadata"]
    assert ("labels" in told, told["annotations"]) == (False, {"c": "d"})


class Recorder(FakeStore):
    """Remembers how lasting each write was meant to be."""

    def __init__(self) -> None:
        super().__init__()
        self.meant: dict[str, Durability] = {}

    def put(
        self, key: str, encode: Encode, *, expected: int, durability: Durability = Durability.LASTING
    ) -> Row:
        self.meant[key.split("/")[1]] = durability
        return super().put(key, encode, expected=expected, durability=durability)


def test_what_may_be_lost_is_written_lazily() -> None:
    store = Recorder()
    cluster = Cluster(store)
    cluster.create(LEASES, {"metadata": {"name": "leader"}})
    cluster.create(CONFIGMAPS, config_map())
    assert store.meant[LEASES.resource] is Durability.EPHEMERAL
    assert store.meant[CONFIGMAPS.resource] is Durability.LASTING


def test_patches(cluster: Cluster) -> None:
    cluster.create(DEPLOYMENTS, deployment())
    merged = cluster.patch(DEPLOYMENTS, "web", {"metadata": {"labels": {"a": "b"}}})
    assert merged["metadata"]["labels"] == {"a": "b"}
    ops = [{"op": "replace", "path": "/spec/replicas", "value": 4}]
    assert cluster.patch(DEPLOYMENTS, "web", ops, type="json-patch")["spec"]["replicas"] == 4
    container = {"name": "main", "image": "busybox:2"}
    patch = {"spec": {"template": {"spec": {"containers": [container]}}}}
    patched = cluster.patch(DEPLOYMENTS, "web", patch, type="strategic-merge-patch")
    assert patched["spec"]["template"]["spec"]["containers"][0]["image"] == "busybox:2"
    assert patched["spec"]["replicas"] == 4


def test_a_patch_that_names_its_version(cluster: Cluster) -> None:
    cluster.create(CONFIGMAPS, config_map())
    with pytest.raises(Conflict):
        cluster.patch(CONFIGMAPS, "settings", {"metadata": {"resourceVersion": "1"}, "data": {"a": "b"}})


def test_an_unknown_patch_is_refused(cluster: Cluster) -> None:
    cluster.create(CONFIGMAPS, config_map())
    with pytest.raises(UnsupportedMediaType, match="accepted media types include: application/json-patch"):
        cluster.machine.patch(cluster.ctx(), CONFIGMAPS, "default", "settings", {}, "application/xml")


def test_dry_run_stores_nothing(cluster: Cluster) -> None:
    before = cluster.store.revision
    made = cluster.create(PODS, pod(), dry_run=True)
    assert made["metadata"]["uid"]
    assert not cluster.exists(PODS, "web")
    assert cluster.store.revision == before


def test_scale(cluster: Cluster) -> None:
    made = cluster.create(DEPLOYMENTS, deployment(replicas=2))
    scale = cluster.machine.get_subresource(DEPLOYMENTS, "default", "web", "scale")
    assert b'"spec":{"replicas":2}' in scale
    assert b'"selector":"app=web"' in scale
    patched = cluster.patch(DEPLOYMENTS, "web", {"spec": {"replicas": 5}}, subresource="scale")
    assert (patched["kind"], patched["spec"], patched["status"]) == (
        "Scale",
        {"replicas": 5},
        {"replicas": 0, "selector": "app=web"},
    )
    assert cluster.get(DEPLOYMENTS, "web")["spec"]["replicas"] == 5
    stale = patched | {"metadata": made["metadata"]}
    with pytest.raises(Conflict):
        cluster.update(DEPLOYMENTS, stale, "scale")
    with pytest.raises(
        Invalid, match=r"spec.replicas: Invalid value: -1: must be greater than or equal to 0"
    ):
        cluster.patch(DEPLOYMENTS, "web", {"spec": {"replicas": -1}}, subresource="scale")
    with pytest.raises(Invalid, match=r"patch: Invalid value: .*many.*: json: cannot unmarshal string into"):
        cluster.patch(DEPLOYMENTS, "web", {"spec": {"replicas": "many"}}, subresource="scale")


def test_a_disk_that_refuses(cluster: Cluster) -> None:
    cluster.store.refuse = Unavailable("no space left on device")  # type: ignore[attr-defined]
    with pytest.raises(ServiceUnavailable, match="no space left on device"):
        cluster.create(CONFIGMAPS, config_map())


def test_secrets_take_plain_strings(cluster: Cluster) -> None:
    made = cluster.create(SECRETS, {"metadata": {"name": "s"}, "stringData": {"a": "b"}})
    assert (made["data"], made["type"], "stringData" in made) == ({"a": "Yg=="}, "Opaque", False)


def test_immutable_configmap(cluster: Cluster) -> None:
    cluster.create(CONFIGMAPS, config_map(a="b") | {"immutable": True})
    with pytest.raises(Invalid) as refused:
        cluster.update(CONFIGMAPS, config_map(a="c"))
    assert refused.value.message == (
        'ConfigMap "settings" is invalid: [immutable: Forbidden: field is immutable when `immutable` is set, '
        "data: Forbidden: field is immutable when `immutable` is set]"
    )
