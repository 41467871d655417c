"""A pod's volumes: what files they hold, whose they are, and what is said when they can't be made."""

from __future__ import annotations

import base64
import os
import socket
from pathlib import Path

import pytest
from fakes.volumes import Host, pod

from mini8s.agent.kubelet import volumes
from mini8s.agent.kubelet.lookup import Missing
from mini8s.agent.kubelet.references import References
from mini8s.agent.kubelet.volumes import ownership
from mini8s.agent.kubelet.volumes.empty_dir import memory_bytes
from mini8s.agent.kubelet.volumes.payload import File, payload
from mini8s.agent.kubelet.volumes.tokens import AccountTokens
from mini8s.client.informer import Informer
from mini8s.objects.errors import NotFound
from mini8s.objects.kinds import (
    CONFIGMAPS,
    PERSISTENTVOLUMECLAIMS,
    PERSISTENTVOLUMES,
    SECRETS,
    Obj,
)
from mini8s.objects.pods import ROOT_CA
from mini8s.util.workers import Stop

CONFIG = {"data": {"a": "1", "b": "two words"}, "binaryData": {"raw": base64.b64encode(b"\x00\xff").decode()}}
SECRET = {"data": {"key": base64.b64encode(b"hidden").decode()}}


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path, {(CONFIGMAPS, "config"): CONFIG, (SECRETS, "secret"): SECRET})


def claim(name: str = "data", **status: str) -> Obj:
    return {
        "metadata": {"namespace": "shop", "name": name, "uid": f"uid-{name}"},
        "spec": {"volumeName": f"pv-{name}", "accessModes": ["ReadWriteOnce"]},
        "status": {"phase": "Bound"} | status,
    }


def volume(name: str, **source: Obj) -> Obj:
    ref = {"namespace": "shop", "name": name, "uid": f"uid-{name}"}
    return {"metadata": {"name": f"pv-{name}"}, "spec": {"claimRef": ref, **source}}


def failure(host: Host, *wanted: Obj, **spec: object) -> str:
    with pytest.raises(volumes.MountFailed) as failed:
        volumes.prepare(host.setting(pod(*wanted, **spec)))
    return str(failed.value)


@pytest.mark.parametrize(
    ("kind", "fits", "said"),
    [
        ("", {"folder", "file", "socket", "/dev/null", "nowhere"}, ""),
        ("Directory", {"folder"}, "is not a directory"),
        ("DirectoryOrCreate", {"folder", "nowhere"}, "is not a directory"),
        ("File", {"file"}, "is not a file"),
        ("FileOrCreate", {"file", "nowhere"}, "is not a file"),
        ("Socket", {"socket"}, "is not a socket file"),
        ("CharDevice", {"/dev/null"}, "is not a character device"),
        ("BlockDevice", set(), "is not a block device"),
    ],
)
def test_each_type_of_a_host_path(host: Host, tmp_path: Path, kind: str, fits: set[str], said: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
    for name in ("folder", "file", "socket", "/dev/null", "nowhere"):
        path = tmp_path / name
        wanted = {"name": "v", "hostPath": {"path": str(path), "type": kind}}
        if name in fits:
            assert volumes.prepare(host.setting(pod(wanted))).sources["v"].path == str(path)
            assert path.exists() or not kind
        else:
            assert failure(host, wanted).endswith(f"hostPath type check failed: {path} {said}")


def names(source: volumes.Source) -> list[str]:
    """What a container sees, but for the folder with the time in its name."""
    return sorted(path.name for path in Path(source.path).iterdir() if len(path.name) < 30)


def test_files_of_volumes(host: Host) -> None:
    setting = host.setting(pod())
    config = {"configMap": {"name": "config", "items": [{"key": "a", "path": "dir/a", "mode": 0o400}]}}
    assert payload(setting, config) == {"dir/a": File(b"1", 0o400)}
    secret = {"secret": {"secretName": "secret", "defaultMode": 0o600}}
    assert payload(setting, secret) == {"key": File(b"hidden", 0o600)}
    field = {"path": "n", "fieldRef": {"fieldPath": "metadata.name"}}
    sources = [{"configMap": {"name": "config"}}, {"downwardAPI": {"items": [field]}}]
    mixed = {"projected": {"sources": sources}}
    assert payload(setting, mixed)["raw"] == File(b"\x00\xff", 0o644)
    assert payload(setting, mixed)["n"] == File(b"web-0", 0o644)
    trust = {"projected": {"sources": [{"clusterTrustBundle": {"path": "x"}}]}}
    with pytest.raises(Missing, match="clusterTrustBundle is not served"):
        payload(setting, trust)


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ({"configMap": {"name": "no"}}, 'configmap "no" not found'),
        ({"secret": {"secretName": "no"}}, 'secret "no" not found'),
        (
            {"configMap": {"name": "config", "items": [{"key": "z", "path": "z"}]}},
            "configmap references non-existent config key: z",
        ),
        (
            {"secret": {"secretName": "secret", "items": [{"key": "z", "path": "z"}]}},
            "references non-existent secret key: z",
        ),
        (
            {"hostPath": {"path": "/no", "type": "Directory"}},
            "hostPath type check failed: /no is not a directory",
        ),
        ({"emptyDir": {"medium": "HugePages"}}, 'unknown storage medium "HugePages"'),
        ({"nfs": {"server": "s", "path": "/"}}, "no volume plugin matched: nfs (this node serves emptyDir"),
        ({"image": {"reference": "i"}}, "no volume plugin matched: image (this node serves emptyDir"),
        ({"persistentVolumeClaim": {"claimName": "no"}}, 'persistentvolumeclaim "no" not found'),
    ],
)
def test_what_can_not_be_mounted_is_said_as_upstream_says_it(host: Host, wanted: Obj, said: str) -> None:
    message = failure(host, {"name": "v"} | wanted)
    assert message.startswith(f'MountVolume.SetUp failed for volume "v" : {said}')


def test_optional_sources_may_be_missing(host: Host) -> None:
    items = [{"key": "z", "path": "z"}, {"key": "a", "path": "a"}]
    wanted = [
        {"name": "none", "configMap": {"name": "no", "optional": True}},
        {"name": "some", "configMap": {"name": "config", "optional": True, "items": items}},
    ]
    found = volumes.prepare(host.setting(pod(*wanted))).sources
    assert [names(found[name]) for name in ("none", "some")] == [
        ["..data"],
        ["..data", "a"],
    ]
    assert found["none"].read_only


def test_a_disk_that_refuses_is_named(host: Host) -> None:
    (host.folder / "agent" / "pods" / "u").mkdir(parents=True)
    (host.folder / "agent" / "pods" / "u" / "volumes").write_text("a file where a folder should be")
    assert failure(host, {"name": "v", "configMap": {"name": "config"}}).endswith("not a directory")


def test_what_is_shown_already_goes_on_when_its_object_goes(host: Host) -> None:
    setting = host.setting(pod({"name": "v", "configMap": {"name": "config"}}))
    volumes.prepare(setting)
    del host.objects[CONFIGMAPS, "config"]
    found = volumes.prepare(setting)
    assert Path(found.sources["v"].path, "a").read_text() == "1"
    assert found.stale == ['MountVolume.SetUp failed for volume "v" : configmap "config" not found']


def test_files_belong_to_the_pods_group(host: Host) -> None:
    group = os.getgid()
    wanted = {"name": "v", "configMap": {"name": "config", "defaultMode": 0o400}}
    setting = host.setting(pod(wanted, {"name": "e", "emptyDir": {}}, securityContext={"fsGroup": group}))
    found = volumes.prepare(setting).sources
    assert Path(found["v"].path, "a").stat().st_mode & 0o7777 == 0o440
    assert Path(found["v"].path).stat().st_mode & 0o2000
    assert Path(found["e"].path).stat().st_mode & 0o7777 == 0o2777
    files = set(Path(found["v"].path).iterdir())
    volumes.prepare(setting)
    assert set(Path(found["v"].path).iterdir()) == files, "the same again writes nothing"


def test_a_volume_is_walked_through_only_when_its_root_differs(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir(mode=0o700)
    (tmp_path / "sub" / "file").write_text("x")
    (tmp_path / "sub" / "file").chmod(0o600)
    (tmp_path / "link").symlink_to("/nowhere")
    ownership.give(tmp_path, os.getgid(), policy=ownership.ON_ROOT_MISMATCH)
    assert (tmp_path / "sub" / "file").stat().st_mode & 0o777 == 0o660
    assert (tmp_path / "sub").stat().st_mode & 0o7777 == 0o2770
    (tmp_path / "sub" / "file").chmod(0o600)
    ownership.give(tmp_path, os.getgid(), policy=ownership.ON_ROOT_MISMATCH)
    assert (tmp_path / "sub" / "file").stat().st_mode & 0o777 == 0o600
    ownership.give(tmp_path, os.getgid())
    assert (tmp_path / "sub" / "file").stat().st_mode & 0o777 == 0o660


def test_memory_is_the_least_of_what_is_allowed(host: Host) -> None:
    placed = host.setting(pod()).placed
    assert memory_bytes(placed, {}) == 64 << 20
    assert memory_bytes(placed, {"sizeLimit": "1Mi"}) == 1 << 20
    assert memory_bytes(placed, {"sizeLimit": "1Gi"}) == 64 << 20
    bare = host.setting(pod(containers=[{"name": "c"}])).placed
    assert memory_bytes(bare, {}) == 1 << 30


def token_volume(**more: object) -> Obj:
    wish = {"path": "token", "expirationSeconds": 1000} | more
    return {"name": "t", "projected": {"sources": [{"serviceAccountToken": wish}]}}


def test_a_token_is_renewed_when_four_fifths_of_its_life_are_over(host: Host) -> None:
    setting = host.setting(pod(token_volume(audience="vault"), serviceAccountName="robot"))
    wanted = setting.pod["spec"]["volumes"][0]
    assert payload(setting, wanted) == {"token": File(b"shop/robot#1", 0o644)}
    asked = host.api.tokens[0]["spec"]
    assert asked["audiences"] == ["vault"]
    assert asked["expirationSeconds"] == 1000
    assert asked["boundObjectRef"] == {"apiVersion": "v1", "kind": "Pod", "name": "web-0", "uid": "u"}
    assert host.tokens.renew_in("u") == 800
    host.clock.step(799)
    assert payload(setting, wanted)["token"].data == b"shop/robot#1"
    host.clock.step(1)
    assert payload(setting, wanted)["token"].data == b"shop/robot#2"
    host.tokens.forget("u")
    assert host.tokens.renew_in("u") is None
    assert payload(setting, wanted)["token"].data == b"shop/robot#3"


def test_a_token_of_before_is_used_by_an_agent_that_starts_without_its_server(host: Host) -> None:
    kept: dict[str, Obj] = {}
    wanted = pod(token_volume())
    wish = wanted["spec"]["volumes"][0]["projected"]["sources"][0]["serviceAccountToken"]
    AccountTokens(host.api, host.clock, kept).token(wanted, wish)
    host.api.down = True
    later = AccountTokens(host.api, host.clock, kept, random=lambda: 0.0)
    assert later.token(wanted, wish) == "shop/default#1"
    assert later.renew_in("u") == 800


def test_a_token_lives_a_day_at_most(host: Host) -> None:
    setting = host.setting(pod(token_volume(expirationSeconds=14 * 86400)))
    payload(setting, setting.pod["spec"]["volumes"][0])
    assert host.tokens.renew_in("u") == 86400


def test_a_token_that_can_not_be_renewed_is_used_to_its_end(host: Host) -> None:
    setting = host.setting(pod(token_volume()))
    wanted = setting.pod["spec"]["volumes"][0]
    payload(setting, wanted)
    host.api.down = True
    host.clock.step(900)
    assert payload(setting, wanted)["token"].data == b"shop/default#1"
    assert host.tokens.renew_in("u") == 10
    host.clock.step(100)
    with pytest.raises(Missing, match="failed to fetch token: cannot reach the server"):
        payload(setting, wanted)
    host.api.down = False
    assert payload(setting, wanted)["token"].data == b"shop/default#2"


def test_an_account_that_is_gone_gives_no_token(host: Host) -> None:
    host.api.fail_next("token", NotFound('serviceaccounts "default" not found'))
    assert failure(host, token_volume()).endswith(
        'failed to fetch token: serviceaccounts "default" not found'
    )


@pytest.mark.parametrize(
    ("spec", "mode", "user"),
    [
        ({}, 0o644, None),
        ({"securityContext": {"runAsUser": 7}}, 0o600, 7),
        ({"securityContext": {"fsGroup": os.getgid()}}, 0o640, None),
        ({"containers": [{"name": "a", "securityContext": {"runAsUser": 1}}, {"name": "b"}]}, 0o644, None),
    ],
)
def test_a_token_is_for_who_can_be_told(host: Host, spec: Obj, mode: int, user: int | None) -> None:
    setting = host.setting(pod(token_volume(), **spec))
    found = payload(setting, setting.pod["spec"]["volumes"][0])["token"]
    assert (found.mode, found.user) == (mode, user)


def test_a_claim_is_mounted_once_it_is_bound(host: Host, tmp_path: Path) -> None:
    wanted = {"name": "v", "persistentVolumeClaim": {"claimName": "data", "readOnly": True}}
    host.objects[PERSISTENTVOLUMECLAIMS, "data"] = claim(phase="Pending")
    assert failure(host, wanted).endswith("error processing PVC shop/data: PVC is not bound")
    host.objects[PERSISTENTVOLUMECLAIMS, "data"] = claim()
    host.objects[PERSISTENTVOLUMES, "pv-data"] = volume("other", local={"path": str(tmp_path)})
    assert "volume pv-other is another claim's" in failure(host, wanted)
    host.objects[PERSISTENTVOLUMES, "pv-data"] = volume("data", local={"path": str(tmp_path / "no")})
    assert failure(host, wanted).endswith(f'path "{tmp_path}/no" does not exist')
    host.objects[PERSISTENTVOLUMES, "pv-data"] = volume("data", csi={})
    assert "no volume plugin matched: csi" in failure(host, wanted)
    host.objects[PERSISTENTVOLUMES, "pv-data"] = volume("data", local={"path": str(tmp_path)})
    found = volumes.prepare(host.setting(pod(wanted)))
    assert found.sources["v"] == volumes.Source(str(tmp_path), read_only=True)


def test_an_ephemeral_claim_must_be_the_pods_own(host: Host, tmp_path: Path) -> None:
    wanted = {"name": "data", "ephemeral": {"volumeClaimTemplate": {}}}
    mine = claim("web-0-data")
    host.objects[PERSISTENTVOLUMECLAIMS, "web-0-data"] = mine
    host.objects[PERSISTENTVOLUMES, "pv-web-0-data"] = volume("web-0-data", hostPath={"path": str(tmp_path)})
    assert "was not created for pod shop/web-0 (pod is not owner)" in failure(host, wanted)
    mine["metadata"]["ownerReferences"] = [{"uid": "u", "controller": True}]
    assert volumes.prepare(host.setting(pod(wanted))).sources["data"].path == str(tmp_path)


@pytest.mark.parametrize(
    ("mount", "said"),
    [
        ({"name": "w"}, 'cannot find volume "w" to mount into container "c"'),
        ({"subPathExpr": "$(NO)/x"}, 'missing value for "NO"'),
        ({"recursiveReadOnly": "Enabled"}, "but it is not read-only"),
        (
            {"recursiveReadOnly": "IfPossible", "readOnly": True, "mountPropagation": "HostToContainer"},
            'but it is not compatible with propagation "HostToContainer"',
        ),
    ],
)
def test_mounts_that_are_refused(host: Host, mount: Obj, said: str) -> None:
    setting = host.setting(pod({"name": "v", "emptyDir": {}}))
    prepared = volumes.prepare(setting)
    wanted = {"name": "c", "volumeMounts": [{"name": "v", "mountPath": "/v"} | mount]}
    with pytest.raises(Missing) as refused:
        volumes.mounts(prepared, wanted, {}, setting.folder)
    assert said in str(refused.value)


def test_mounts_of_a_container(host: Host) -> None:
    setting = host.setting(pod({"name": "v", "emptyDir": {}}, {"name": "m", "configMap": {"name": "config"}}))
    prepared = volumes.prepare(setting)
    mount = {"name": "v", "mountPath": "/v"}
    wanted = [
        mount | {"readOnly": True, "recursiveReadOnly": "Enabled"},
        mount | {"mountPropagation": "Bidirectional"},
        {"name": "m", "mountPath": "/m"},
    ]
    found = volumes.mounts(prepared, {"name": "c", "volumeMounts": wanted}, {}, setting.folder)
    assert [(one.read_only, one.propagation) for one in found] == [(True, ""), (False, "rshared"), (True, "")]
    device = {"name": "c", "volumeDevices": [{"name": "v", "devicePath": "/dev/x"}]}
    with pytest.raises(Missing, match='cannot find volume "v" to pass into container "c"'):
        volumes.mounts(prepared, device, {}, setting.folder)


def references(host: Host, told: list[str]) -> tuple[References, Informer]:
    """And what brings the certificates, which a test moves on by hand."""
    host.api.endless = False
    certificates = Informer(host.api, CONFIGMAPS, Stop(), fields=f"metadata.name={ROOT_CA}")
    volumes = Informer(host.api, PERSISTENTVOLUMES, Stop())
    return References(host.api, told.append, volumes, certificates), certificates


def test_what_never_changes_is_not_watched(host: Host) -> None:
    for name, more in (("frozen", {"immutable": True}), ("free", {})):
        host.api.create(
            CONFIGMAPS, {"metadata": {"namespace": "shop", "name": name}, "data": {"a": "1"}} | more
        )
    wanted = pod(*({"name": name, "configMap": {"name": name}} for name in ("frozen", "free")))
    followed, _ = references(host, [])
    followed.follow(wanted)
    seen = {name: followed.lookup(CONFIGMAPS, "shop", name) for name in ("frozen", "free")}
    assert all(found and found["data"] == {"a": "1"} for found in seen.values())
    ended = {key[2]: bool(one.stop) for key, one in followed._followed.items()}
    followed.close()
    assert ended == {"frozen": True, "free": False}


def test_the_certificate_of_all_namespaces_is_one_watch(host: Host) -> None:
    told: list[str] = []
    followed, certificates = references(host, told)
    followed.follow(pod({"name": "api", "configMap": {"name": ROOT_CA}}))
    certificates.step()
    assert followed.lookup(CONFIGMAPS, "shop", ROOT_CA) is None
    for namespace in ("shop", "other"):
        host.api.create(CONFIGMAPS, {"metadata": {"namespace": namespace, "name": ROOT_CA}, "data": {}})
    certificates.step()
    assert told == ["u"], "whoever waits for it hears of it, and nobody else"
    assert followed.lookup(CONFIGMAPS, "shop", ROOT_CA)
    followed.forget("u")
    followed.close()
    assert not certificates._stop, "it is everybody's"
