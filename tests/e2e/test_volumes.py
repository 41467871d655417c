"""What pods keep and are shown, on real Docker and two hosts: storage that is made for them, files that
follow the API, and what is said when a volume can't be had."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hosts import Hosts
from hosts.cluster import Cluster
from space import Space, config_map, container, pod, secret, space_of

FOREVER = "sleep 1000"
Obj = dict[str, Any]


@pytest.fixture(scope="module")
def two_hosts(hosts: Hosts, image_archives: list[Path]) -> Iterator[Cluster]:
    with Cluster(hosts.up(2), image_archives) as cluster:
        cluster.server(1)
        cluster.wait_ready("h1")
        cluster.agent(2)
        cluster.wait_ready("h1", "h2")
        yield cluster


@pytest.fixture
def here(two_hosts: Cluster, request: pytest.FixtureRequest) -> Iterator[Space]:
    with space_of(two_hosts, request) as made:
        yield made


def claim(name: str, size: str = "16Mi", **spec: Any) -> Obj:
    wish = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": name},
        "spec": wish | spec,
    }


def user(name: str, source: Obj, script: str = FOREVER, **spec: Any) -> Obj:
    """A pod with one volume at /data."""
    mounts = [{"name": "data", "mountPath": "/data"}]
    return pod(name, container(script, volumeMounts=mounts), volumes=[{"name": "data"} | source], **spec)


def of_claim(name: str) -> Obj:
    return {"persistentVolumeClaim": {"claimName": name}}


def ready(here: Space, *names: str) -> None:
    pods = [f"pod/{name}" for name in names]
    here.kubectl("wait", "--for=condition=Ready", *pods, "--timeout=120s")


def events(here: Space, about: str) -> str:
    columns = "custom-columns=REASON:.reason,MESSAGE:.message"
    return here.kubectl(
        "get", "events", f"--field-selector=involvedObject.name={about}", f"--output={columns}"
    )


def told(here: Space, about: str, what: str) -> None:
    here.cluster.wait_for(f"an event about {about}: {what}", lambda: what in events(here, about))


def test_storage_is_made_where_its_pod_runs_and_outlives_it(here: Space) -> None:
    here.apply(claim("data"))
    told(here, "data", "waiting for first consumer to be created before binding")
    assert here.get("pvc", "data")["status"] == {"phase": "Pending"}
    here.apply(
        user(
            "first",
            of_claim("data"),
            f"echo kept >/data/file; {FOREVER}",
            nodeSelector={"kubernetes.io/hostname": "h2"},
        )
    )
    ready(here, "first")
    made = here.get("pvc", "data")
    name = made["spec"]["volumeName"]
    assert (made["status"]["phase"], made["status"]["capacity"]) == ("Bound", {"storage": "16Mi"})
    told(here, "data", f"Successfully provisioned volume {name}")
    assert "local-path (default)" in here.kubectl("get", "storageclass")
    full = here.exec("first", "dd if=/dev/zero of=/data/big bs=1M count=20 2>&1; rm /data/big")
    assert "No space left on device" in full
    here.kubectl("delete", "pod", "first")
    here.apply(user("second", of_claim("data")))
    ready(here, "second")
    assert here.pod("second")["spec"]["nodeName"] == "h2"
    assert here.exec("second", "cat /data/file") == "kept\n"
    volume = here.cluster.get("pv", name)
    assert volume["metadata"]["annotations"]["mini8s.io/size-enforced"] == "true"
    files = Path(volume["spec"]["local"]["path"])
    assert files.parent == here.cluster.hosts[2].data / "storage"
    here.kubectl("delete", "pvc", "data", "--wait=false")
    assert "Terminating" in here.kubectl("get", "pvc", "data"), "a pod still uses it"
    assert here.exec("second", "cat /data/file") == "kept\n"
    here.kubectl("delete", "pod", "second")
    here.cluster.wait_for("the volume to go", lambda: name not in here.cluster.kubectl("get", "pv"))
    assert not list(files.parent.glob(f"{name}*"))


def figures(here: Space, claim: str) -> Obj:
    """What the nodes' summaries say of a claim's volume."""
    said = {"name": claim, "namespace": here.name}
    for node in ("h1", "h2"):
        summary = json.loads(here.cluster.api(f"/api/v1/nodes/{node}/proxy/stats/summary"))
        found: list[Obj] = [volume for pod in summary["pods"] for volume in pod.get("volume", ())]
        for volume in found:
            if volume.get("pvcRef") == said:
                return volume
    return {}


def test_a_volume_grows(here: Space) -> None:
    here.apply(claim("data"), user("web", of_claim("data")))
    ready(here, "web")
    told = here.cluster.wait_for("figures of it", lambda: figures(here, "data"))
    assert 0 < told["usedBytes"] < told["capacityBytes"] <= 16 << 20
    wish = {"spec": {"resources": {"requests": {"storage": "32Mi"}}}}
    here.kubectl("patch", "pvc", "data", f"--patch={json.dumps(wish)}")
    name = here.get("pvc", "data")["spec"]["volumeName"]
    here.cluster.wait_for(
        "a bigger file", lambda: here.cluster.get("pv", name)["spec"]["capacity"] == {"storage": "32Mi"}
    )
    # a kernel that lets root grow what is mounted has done it; this one may wait for the next mount

    def grown_or_told() -> bool:
        grown: bool = here.get("pvc", "data")["status"]["capacity"]["storage"] == "32Mi"
        return grown or "FileSystemResizeRequired" in events(here, "data")

    here.cluster.wait_for("it to be bigger, or word of it", grown_or_told)


def test_static_volumes_are_bound_and_kept(here: Space, tmp_path: Path) -> None:
    (tmp_path / "given").write_text("by hand\n")
    host = {"key": "kubernetes.io/hostname", "operator": "In", "values": ["h1"]}
    volume = {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": "by-hand"},
        "spec": {
            "capacity": {"storage": "1Gi"},
            "accessModes": ["ReadWriteOnce"],
            "persistentVolumeReclaimPolicy": "Retain",
            "storageClassName": "",
            "local": {"path": str(tmp_path)},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [host]}]}},
        },
    }
    here.apply(volume, claim("data", storageClassName=""), user("web", of_claim("data")))
    ready(here, "web")
    assert here.exec("web", "cat /data/given") == "by hand\n"
    here.kubectl("delete", "pod/web", "pvc/data")
    here.cluster.wait_for(
        "the volume to be released",
        lambda: here.cluster.get("pv", "by-hand")["status"]["phase"] == "Released",
    )
    assert (tmp_path / "given").exists()
    here.apply(claim("orphan", storageClassName=""))
    told(here, "orphan", "no persistent volumes available for this claim and no storage class is set")
    here.kubectl("delete", "pv", "by-hand")


def test_an_ephemeral_volume_goes_with_its_pod(here: Space) -> None:
    template = {"spec": claim("x")["spec"]}
    here.apply(user("web", {"ephemeral": {"volumeClaimTemplate": template}}, f"touch /data/file; {FOREVER}"))
    ready(here, "web")
    name = here.get("pvc", "web-data")["spec"]["volumeName"]
    here.kubectl("delete", "pod", "web")
    here.cluster.wait_for("its claim to go", lambda: "web-data" not in here.kubectl("get", "pvc"))
    here.cluster.wait_for("its volume to go", lambda: name not in here.cluster.kubectl("get", "pv"))


def test_files_follow_the_api(here: Space) -> None:
    fields = [
        {"path": name, "fieldRef": {"fieldPath": f"metadata.{name}"}} for name in ("labels", "annotations")
    ]
    sources = [
        {"configMap": {"name": "map"}},
        {"secret": {"name": "hidden"}},
        {"downwardAPI": {"items": fields}},
    ]
    group = {"runAsUser": 1000, "fsGroup": 2000}
    mounts = [
        {"name": "data", "mountPath": "/data"},
        {"name": "data", "mountPath": "/one", "subPath": "color"},
        {"name": "frozen", "mountPath": "/frozen"},
    ]
    volumes = [
        {"name": "data", "projected": {"sources": sources, "defaultMode": 0o400}},
        {"name": "frozen", "configMap": {"name": "frozen"}},
    ]
    here.apply(
        config_map("map", color="green"),
        secret("hidden", word="sesame"),
        config_map("frozen", color="ice") | {"immutable": True},
        pod("web", container(FOREVER, volumeMounts=mounts), volumes=volumes, securityContext=group),
    )
    ready(here, "web")
    assert here.exec("web", "cat /data/color /data/word /one; stat -Lc '%a %g' /data/color") == (
        "greensesamegreen440 2000\n"
    )
    assert "Read-only file system" in here.exec("web", "touch /data/x 2>&1; true")
    here.kubectl("patch", "configmap", "map", "--patch", '{"data": {"color": "blue"}}')
    here.kubectl("patch", "secret", "hidden", "--patch", '{"stringData": {"word": "open"}}')
    here.kubectl("label", "pod", "web", "tier=front")
    here.kubectl("annotate", "pod", "web", "note=now")
    changed = "cat /data/color /data/word /one"
    here.cluster.wait_for("the new values", lambda: here.exec("web", changed) == "blueopengreen")
    read = "cat /data/labels /frozen/color; grep note /data/annotations; true"
    now = 'app="web"\ntier="front"icenote="now"\n'
    here.cluster.wait_for("the new labels", lambda: here.exec("web", read) == now)


def test_what_is_missing_is_said_and_recovers_when_it_comes(here: Space, tmp_path: Path) -> None:
    items = {"configMap": {"name": "map", "items": [{"key": "late", "path": "late"}]}}
    here.apply(
        user("no-map", {"configMap": {"name": "absent"}}),
        config_map("map", color="green"),
        user("no-key", items),
        user("no-folder", {"hostPath": {"path": f"{tmp_path}/late", "type": "Directory"}}),
        user("elsewhere", {"nfs": {"server": "10.99.0.1", "path": "/"}}),
        user("fine", {"emptyDir": {}}),
    )
    ready(here, "fine")
    setup = 'MountVolume.SetUp failed for volume "data" : '
    told(here, "no-map", f'{setup}configmap "absent" not found')
    told(here, "no-key", f"{setup}configmap references non-existent config key: late")
    told(here, "no-folder", f"{setup}hostPath type check failed: {tmp_path}/late is not a directory")
    told(here, "elsewhere", f"{setup}no volume plugin matched: nfs")
    waiting = here.pod("no-map")["status"]["containerStatuses"][0]["state"]["waiting"]["reason"]
    assert waiting == "ContainerCreating"
    here.apply(config_map("absent", a="b"))
    here.kubectl("patch", "configmap", "map", "--patch", '{"data": {"late": "now"}}')
    (tmp_path / "late").mkdir()
    ready(here, "no-map", "no-key", "no-folder")


def test_memory_ends_where_it_was_asked_to(here: Space) -> None:
    memory = {"emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}}
    script = "dd if=/dev/zero of=/data/big bs=1M count=2 2>&1; sleep 1000"
    here.apply(user("greedy", memory, script))
    ready(here, "greedy")
    here.cluster.wait_for("its complaint", lambda: "No space left on device" in here.logs("greedy"))


def test_a_disk_that_is_full_or_read_only_is_told_and_recovers(here: Space) -> None:
    """The disk of a node's pod folders is one of this test's own for a while."""
    host = here.cluster.hosts[2]
    folder = str(host.data / "agent" / "pods")
    big = {"configMap": {"name": "big"}}
    on_it = {"nodeName": "h2", "automountServiceAccountToken": False}
    host.run("mount", "-t", "tmpfs", "-o", "size=64k,mode=700", "small", folder)
    try:
        here.apply(config_map("big", data="x" * 200_000), user("full", big, **on_it))
        told(here, "full", 'MountVolume.SetUp failed for volume "data" : no space left on device')
        host.run("mount", "-o", "remount,size=8m", folder)
        ready(here, "full")
        host.run("mount", "-o", "remount,ro", folder)
        here.apply(user("frozen", big, **on_it))
        told(here, "frozen", "read-only file system")
        assert here.exec("full", "head -c 3 /data/data") == "xxx", "who runs goes on"
        host.run("mount", "-o", "remount,rw", folder)
        ready(here, "frozen")
        here.kubectl("delete", "pod", "full", "frozen")
        here.cluster.wait_for("their folders to go", lambda: not list(Path(folder).iterdir()))
    finally:
        host.run("umount", "--lazy", folder)


def test_a_pod_calls_the_api_as_its_service_account(here: Space) -> None:
    """With the machine's own curl: the server is known by the certificate that the pod was given."""
    mounts = [{"name": part, "mountPath": f"/{part}", "readOnly": True} for part in ("usr", "lib", "lib64")]
    volumes = [{"name": part, "hostPath": {"path": f"/{part}"}} for part in ("usr", "lib", "lib64")]
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "robot"}}
    here.apply(
        account,
        pod("caller", container(FOREVER, volumeMounts=mounts), volumes=volumes, serviceAccountName="robot"),
    )
    ready(here, "caller")
    review = json.dumps({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"})
    script = f"""
        cd /var/run/secrets/kubernetes.io/serviceaccount && cat namespace && echo
        /usr/bin/curl --silent --show-error --max-time 10 --cacert ca.crt \\
            --header "Authorization: Bearer $(cat token)" --header "Content-Type: application/json" \\
            --data '{review}' https://kubernetes.default.svc/apis/authentication.k8s.io/v1/selfsubjectreviews
    """
    namespace, _, answer = here.exec("caller", script).partition("\n")
    assert namespace == here.name
    who = json.loads(answer)["status"]["userInfo"]
    assert who["username"] == f"system:serviceaccount:{here.name}:robot"
    assert who["extra"]["authentication.kubernetes.io/pod-name"] == ["caller"]
    here.kubectl("delete", "pod", "caller")
