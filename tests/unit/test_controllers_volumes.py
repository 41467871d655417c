"""Claims and volumes find each other, are made for each other, and go when nobody needs them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from mini8s.app import packaged
from mini8s.config import ServerSettings
from mini8s.controllers.kinds.volumes.binder import ClaimBinder
from mini8s.controllers.kinds.volumes.ephemeral import EphemeralVolumes
from mini8s.controllers.kinds.volumes.volume import PersistentVolumes
from mini8s.objects import claims, meta
from mini8s.objects.errors import NotFound
from mini8s.objects.kinds import (
    NODES,
    PERSISTENTVOLUMECLAIMS,
    PERSISTENTVOLUMES,
    PODS,
    STORAGECLASSES,
    Obj,
)
from tests.fakes.world import NAMESPACE, World, node, pod


@pytest.fixture
def world() -> Iterator[World]:
    world = World([EphemeralVolumes, ClaimBinder, PersistentVolumes])
    yield world
    world.close()


def claim(world: World, name: str = "data", size: str = "1Gi", **spec: object) -> Obj:
    said = {
        "accessModes": ["ReadWriteOnce"],
        "storageClassName": "",
        "resources": {"requests": {"storage": size}},
        **spec,
    }
    made = world.api.create(
        PERSISTENTVOLUMECLAIMS, {"metadata": {"namespace": NAMESPACE, "name": name}, "spec": said}
    )
    world.settle()
    return made


def volume(world: World, name: str, size: str = "1Gi", labels: Obj | None = None, **spec: object) -> None:
    said = {
        "capacity": {"storage": size},
        "accessModes": ["ReadWriteOnce", "ReadOnlyMany"],
        "hostPath": {"path": "/x"},
        "persistentVolumeReclaimPolicy": "Retain",
        **spec,
    }
    world.api.create(PERSISTENTVOLUMES, {"metadata": {"name": name, "labels": labels or {}}, "spec": said})
    world.settle()


def ours(world: World) -> None:
    """The class and a node that can make volumes for it."""
    [storage_class] = [one for one in packaged.objects(ServerSettings()) if one["kind"] == "StorageClass"]
    world.api.create(STORAGECLASSES, storage_class)
    made = node("n1")
    made["metadata"]["annotations"] = {claims.OUR_FOLDER: "/storage"}
    world.api.create(NODES, made)
    world.settle()


def phase(world: World, name: str = "data") -> tuple[str, str]:
    found = world.get(PERSISTENTVOLUMECLAIMS, name)
    return found["status"]["phase"], found["spec"].get("volumeName", "")


def volume_phase(world: World, name: str) -> str:
    return str(world.get(PERSISTENTVOLUMES, name)["status"]["phase"])


def choose(world: World, node_name: str = "n1", name: str = "data") -> None:
    """What the scheduler says once a pod has its node."""
    notes = {"metadata": {"annotations": {claims.SELECTED_NODE: node_name}}}
    world.api.patch(PERSISTENTVOLUMECLAIMS, NAMESPACE, name, notes)
    world.settle()


def settled(world: World) -> list[str]:
    """What a further round writes."""
    world.writes()
    for runner in world.runners:
        for obj in (*world.all(PERSISTENTVOLUMECLAIMS), *world.all(PERSISTENTVOLUMES), *world.all(PODS)):
            runner.queue.add(meta.key(obj))
    world.step(1)
    return world.writes()


def test_the_smallest_volume_that_fits_is_bound(world: World) -> None:
    for name, size in (("big", "5Gi"), ("fits", "2Gi"), ("small", "500Mi")):
        volume(world, name, size)
    assert volume_phase(world, "fits") == "Available"
    claim(world)
    assert phase(world) == ("Bound", "fits")
    bound = world.get(PERSISTENTVOLUMECLAIMS, "data")
    assert bound["status"]["capacity"] == {"storage": "2Gi"}
    assert bound["status"]["accessModes"] == ["ReadWriteOnce", "ReadOnlyMany"]
    assert meta.finalizers(bound) == [claims.CLAIM_PROTECTION]
    assert world.get(PERSISTENTVOLUMES, "fits")["spec"]["claimRef"]["uid"] == meta.uid(bound)
    assert [volume_phase(world, name) for name in ("big", "fits")] == ["Available", "Bound"]
    assert settled(world) == []


@pytest.mark.parametrize(
    "spec",
    [
        {"accessModes": ["ReadWriteMany"]},
        {"storageClassName": "fast"},
        {"volumeMode": "Block"},
        {"selector": {"matchLabels": {"disk": "ssd"}}},
        {"resources": {"requests": {"storage": "2Gi"}}},
    ],
)
def test_what_does_not_fit_is_not_bound(world: World, spec: Obj) -> None:
    volume(world, "pv")
    claim(world, **spec)
    assert phase(world) == ("Pending", "")
    assert volume_phase(world, "pv") == "Available"


def test_a_claim_without_a_class_says_what_it_waits_for_and_is_bound_when_it_comes(world: World) -> None:
    claim(world, selector={"matchLabels": {"disk": "ssd"}})
    why = "no persistent volumes available for this claim and no storage class is set"
    assert world.told()[0] == f"FailedBinding: {why}"
    volume(world, "pv", labels={"disk": "ssd"})
    assert phase(world) == ("Bound", "pv")


def test_a_claim_may_name_its_volume_and_a_volume_its_claim(world: World) -> None:
    volume(world, "small", "1Gi")
    volume(world, "mine", "9Gi")
    claim(world, volumeName="mine")
    assert phase(world) == ("Bound", "mine")
    assert claims.BOUND_BY_CONTROLLER not in meta.annotations(world.get(PERSISTENTVOLUMECLAIMS, "data"))
    volume(world, "kept", "9Gi", claimRef={"namespace": NAMESPACE, "name": "later"})
    claim(world, "other", size="3Gi")
    assert phase(world, "other")[0] == "Pending"
    claim(world, "later")
    assert phase(world, "later") == ("Bound", "kept")


def test_a_volume_that_is_another_claims_is_told(world: World) -> None:
    volume(world, "pv")
    claim(world)
    world.told()
    claim(world, "second", volumeName="pv")
    assert phase(world, "second") == ("Pending", "pv")
    assert world.told()[0] == 'FailedBinding: volume "pv" already bound to a different claim.'
    volume(world, "tiny", "1Mi")
    claim(world, "third", volumeName="tiny")
    assert 'VolumeMismatch: Cannot bind to requested volume "tiny": requested PV is too small' in world.told()


def test_a_volume_is_made_where_the_first_pod_goes(world: World) -> None:
    ours(world)
    made = claim(world, storageClassName="local-path")
    first = "WaitForFirstConsumer: waiting for first consumer to be created before binding"
    assert (phase(world), world.told()[0]) == (("Pending", ""), first)
    user = pod("web", volumes=[{"name": "v", "persistentVolumeClaim": {"claimName": "data"}}])
    world.api.create(PODS, user)
    world.settle()
    assert "WaitForPodScheduled: waiting for pod web to be scheduled" in world.told()
    choose(world)
    name = f"pvc-{meta.uid(made)}"
    assert phase(world) == ("Bound", name)
    assert f"ProvisioningSucceeded: Successfully provisioned volume {name}" in world.told()
    found = world.get(PERSISTENTVOLUMES, name)
    assert found["spec"]["local"] == {"path": f"/storage/{name}"}
    assert claims.on_node(found) == "n1"
    assert claims.reachable(
        found, world.get(NODES, "n1") | {"metadata": {"name": "n1", "labels": {claims.HOST_NAME: "n1"}}}
    )
    assert (found["spec"]["persistentVolumeReclaimPolicy"], volume_phase(world, name)) == ("Delete", "Bound")
    assert settled(world) == []


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"accessModes": ["ReadWriteMany"]}, "only the access modes ReadWriteOnce and ReadWriteOncePod"),
        ({"volumeMode": "Block"}, "volumeMode Block is not served"),
        ({"selector": {"matchLabels": {"a": "b"}}}, "claim.spec.selector is not supported"),
    ],
)
def test_what_a_disk_can_not_be_is_told(world: World, spec: Obj, said: str) -> None:
    ours(world)
    claim(world, storageClassName="local-path", **spec)
    choose(world)
    failed = 'ProvisioningFailed: failed to provision volume with StorageClass "local-path": '
    assert any(text.startswith(failed + said) for text in world.told())
    assert world.all(PERSISTENTVOLUMES) == []


def test_a_node_that_is_gone_is_chosen_anew(world: World) -> None:
    ours(world)
    claim(world, storageClassName="local-path")
    choose(world, "gone")
    assert claims.SELECTED_NODE not in meta.annotations(world.get(PERSISTENTVOLUMECLAIMS, "data"))


def test_other_provisioners_are_waited_for(world: World) -> None:
    claim(world, storageClassName="fast")
    assert world.told()[0] == 'ProvisioningFailed: storageclass.storage.k8s.io "fast" not found'
    world.api.create(STORAGECLASSES, {"metadata": {"name": "fast"}, "provisioner": "other.io/x"})
    world.settle()
    said = next(text for text in world.told() if text.startswith("ExternalProvisioning"))
    assert "by the external provisioner 'other.io/x' or manually" in said
    notes = meta.annotations(world.get(PERSISTENTVOLUMECLAIMS, "data"))
    assert notes[claims.STORAGE_PROVISIONER] == "other.io/x"
    none = {"metadata": {"name": "none"}, "provisioner": claims.NO_PROVISIONER}
    world.api.create(STORAGECLASSES, none)
    claim(world, "static", storageClassName="none")
    assert f"ProvisioningFailed: no volume plugin matched name: {claims.NO_PROVISIONER}" in world.told()


def test_a_claim_that_names_no_class_gets_the_default_one_when_it_comes(world: World) -> None:
    made = {"metadata": {"namespace": NAMESPACE, "name": "data"}, "spec": {"accessModes": ["ReadWriteOnce"]}}
    made["spec"]["resources"] = {"requests": {"storage": "1Gi"}}
    world.api.create(PERSISTENTVOLUMECLAIMS, made)
    world.settle()
    ours(world)
    assert world.get(PERSISTENTVOLUMECLAIMS, "data")["spec"]["storageClassName"] == "local-path"


def test_a_claim_stays_until_no_pod_uses_it_and_a_volume_until_its_claim_goes(world: World) -> None:
    volume(world, "pv")
    claim(world)
    user = pod("web", node="n1", volumes=[{"name": "v", "persistentVolumeClaim": {"claimName": "data"}}])
    world.api.create(PODS, user)
    world.settle()
    world.api.delete(PERSISTENTVOLUMECLAIMS, NAMESPACE, "data")
    world.api.delete(PERSISTENTVOLUMES, "", "pv")
    world.settle()
    assert phase(world)[0] == "Bound"
    assert volume_phase(world, "pv") == "Bound"
    world.api.delete(PODS, NAMESPACE, "web", grace_seconds=0)
    world.settle()
    for kind in (PERSISTENTVOLUMECLAIMS, PERSISTENTVOLUMES):
        assert world.all(kind) == []


def test_a_released_volume_is_kept_or_thrown_away_as_it_says(world: World) -> None:
    for name, policy in (("keep", "Retain"), ("drop", "Delete"), ("wash", "Recycle")):
        volume(world, name, persistentVolumeReclaimPolicy=policy)
        claim(world, name, volumeName=name)
        world.api.delete(PERSISTENTVOLUMECLAIMS, NAMESPACE, name)
        world.settle()
    assert [volume_phase(world, name) for name in ("keep", "drop", "wash")] == [
        "Released",
        "Failed",
        "Failed",
    ]
    assert (
        'VolumeFailedDelete: error getting deleter volume plugin for volume "drop": '
        "no deletable volume plugin matched"
    ) in world.told()
    claim(world, "keep", volumeName="keep")
    assert phase(world, "keep")[0] == "Pending", "what was another claim's is not given away"


def test_a_volume_of_a_disk_goes_once_its_node_has_removed_the_files(world: World) -> None:
    ours(world)
    made = claim(world, storageClassName="local-path")
    choose(world)
    name = f"pvc-{meta.uid(made)}"
    world.api.delete(PERSISTENTVOLUMECLAIMS, NAMESPACE, "data")
    world.settle()
    left = world.get(PERSISTENTVOLUMES, name)
    assert meta.deleting(left)
    assert meta.finalizers(left) == [claims.OUR_FINALIZER]
    world.api.delete(NODES, "", "n1")
    world.settle()
    with pytest.raises(NotFound):
        world.get(PERSISTENTVOLUMES, name)
    assert "VolumeDelete: node n1 is gone, and the volume with it" in world.told()


def test_a_claim_grows_once_its_node_has_made_it_bigger(world: World) -> None:
    ours(world)
    made = claim(world, storageClassName="local-path")
    choose(world)
    name = f"pvc-{meta.uid(made)}"
    world.api.patch(
        PERSISTENTVOLUMES, "", name, {"metadata": {"annotations": {claims.SIZE_MADE: str(1 << 30)}}}
    )
    larger = {"spec": {"resources": {"requests": {"storage": "2Gi"}}}}
    world.api.patch(PERSISTENTVOLUMECLAIMS, NAMESPACE, "data", larger)
    world.settle()
    assert world.get(PERSISTENTVOLUMES, name)["spec"]["capacity"] == {"storage": "2Gi"}
    assert world.get(PERSISTENTVOLUMECLAIMS, "data")["status"]["capacity"] == {"storage": "1Gi"}
    world.api.patch(
        PERSISTENTVOLUMES, "", name, {"metadata": {"annotations": {claims.SIZE_MADE: str(2 << 30)}}}
    )
    world.settle()
    assert world.get(PERSISTENTVOLUMECLAIMS, "data")["status"]["capacity"] == {"storage": "2Gi"}
    assert settled(world) == []


def test_a_claim_whose_volume_is_gone_is_lost(world: World) -> None:
    volume(world, "pv")
    claim(world)
    world.api.patch(PERSISTENTVOLUMES, "", "pv", {"metadata": {"finalizers": None}})
    world.api.delete(PERSISTENTVOLUMES, "", "pv")
    world.settle()
    assert phase(world)[0] == "Lost"
    said = "ClaimLost: Bound claim has lost its PersistentVolume. Data on the volume is lost!"
    assert world.told().count(said) == 1


def test_two_that_took_the_same_volume(world: World) -> None:
    """A volume whose claim went to another is free again."""
    volume(world, "pv", claimRef={"namespace": NAMESPACE, "name": "data"})
    volume(world, "other")
    claim(world, volumeName="other")
    assert phase(world) == ("Bound", "other")
    uid = meta.uid(world.get(PERSISTENTVOLUMECLAIMS, "data"))
    world.api.patch(PERSISTENTVOLUMES, "", "pv", {"spec": {"claimRef": {"uid": uid}}})
    world.settle()
    assert "uid" not in world.get(PERSISTENTVOLUMES, "pv")["spec"]["claimRef"]
    assert volume_phase(world, "pv") == "Available"


def test_an_ephemeral_volume_gets_a_claim_of_the_pods_own(world: World) -> None:
    ours(world)
    wish = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    template = {"metadata": {"labels": {"a": "b"}}, "spec": wish | {"storageClassName": "local-path"}}
    volumes = [{"name": "scratch", "ephemeral": {"volumeClaimTemplate": template}}]
    owner = world.api.create(PODS, pod("web", volumes=volumes))
    world.settle()
    made = world.get(PERSISTENTVOLUMECLAIMS, "web-scratch")
    assert made["metadata"]["ownerReferences"] == [meta.new_controller_ref(owner, PODS)]
    assert meta.labels(made) == {"a": "b"}
    assert settled(world) == []
    claim(world, "db-scratch")
    world.api.create(PODS, pod("db", volumes=volumes))
    world.settle()
    assert any("was not created for pod default/db (pod is not owner)" in text for text in world.told())
