"""Volumes that the kernel makes: parts of a volume held fast, memory of a size, files on their own disk."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from fakes.api import FakeEvents
from fakes.volumes import Host, pod

from mini8s.agent.kubelet import mounting, volumes
from mini8s.agent.kubelet.lookup import Missing
from mini8s.agent.kubelet.volumes import local_disks
from mini8s.agent.kubelet.volumes.local_disks import DiskError, LocalDisks
from mini8s.agent.kubelet.volumes.local_volumes import LocalVolumes
from mini8s.client.cache import Cache
from mini8s.client.workqueue import WorkQueue
from mini8s.objects import claims
from mini8s.objects.errors import NotFound
from mini8s.objects.kinds import CONFIGMAPS, PERSISTENTVOLUMES, Obj

SIZE = 16 << 20


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    yield Host(tmp_path)
    mounting.unmount_below(tmp_path)


@pytest.fixture
def disks(tmp_path: Path) -> Iterator[LocalDisks]:
    yield LocalDisks(tmp_path / "storage")
    mounting.unmount_below(tmp_path)


def sub_path(host: Host, volume: Obj, path: str, **env: str) -> Path:
    """Where a mount of a part of the volume is taken from."""
    setting = host.setting(pod({"name": "v"} | volume))
    prepared = volumes.prepare(setting)
    word = "subPathExpr" if env else "subPath"
    wanted = {"name": "c", "volumeMounts": [{"name": "v", "mountPath": "/v", word: path}]}
    return Path(volumes.mounts(prepared, wanted, env, setting.folder)[0].source)


def test_a_part_of_a_volume_is_held_fast(host: Host) -> None:
    root = host.folder / "agent" / "pods" / "u" / "volumes" / "v"
    held = sub_path(host, {"emptyDir": {}}, "$(POD)/deep", POD="web")
    (held / "file").write_text("x")
    assert (root / "web" / "deep" / "file").read_text() == "x"
    assert [path.stat().st_mode & 0o777 for path in (root / "web", held)] == [0o777] * 2
    (root / "web" / "deep").rename(root / "moved")
    (root / "web" / "deep").symlink_to("/etc")
    assert (held / "file").exists(), "exchanging it for a link moves nothing"
    with pytest.raises(
        Missing, match=r"failed to prepare subPath for volumeMount .* leads out of its volume"
    ):
        sub_path(host, {"emptyDir": {}}, "web/deep")
    (root / "inside").symlink_to("moved")
    assert (sub_path(host, {"emptyDir": {}}, "inside") / "file").exists(), (
        "a link that stays inside is followed"
    )
    (root / "plain").write_text("")
    with pytest.raises(Missing, match="plain/x: not a directory"):
        sub_path(host, {"emptyDir": {}}, "plain/x")


def test_a_file_of_a_config_map_stays_until_the_container_starts_again(host: Host) -> None:
    host.objects[CONFIGMAPS, "config"] = {"data": {"a": "1"}}
    held = sub_path(host, {"configMap": {"name": "config"}}, "a")
    host.objects[CONFIGMAPS, "config"] = {"data": {"a": "2"}}
    volumes.prepare(host.setting(pod({"name": "v", "configMap": {"name": "config"}})))
    assert held.read_text() == "1"
    assert sub_path(host, {"configMap": {"name": "config"}}, "a").read_text() == "2"
    assert len([point for point in mounting.sources() if point == str(held)]) == 1


def test_memory_has_the_size_that_was_asked_for(host: Host) -> None:
    wanted = {"name": "v", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}}
    path = Path(volumes.prepare(host.setting(pod(wanted))).sources["v"].path)
    with pytest.raises(OSError, match="No space left"):
        (path / "big").write_bytes(bytes(2 << 20))
    setting = host.setting(pod(wanted))
    setting.folder.remove()
    assert not mounting.below(host.folder)


def test_recursive_read_only_is_kept_or_refused(host: Host) -> None:
    """With something mounted below, the mount alone would leave that writable."""
    (host.folder / "tree" / "in").mkdir(parents=True)
    setting = host.setting(pod({"name": "v", "hostPath": {"path": str(host.folder / "tree")}}))
    mount = {"name": "v", "mountPath": "/v", "readOnly": True, "recursiveReadOnly": "Enabled"}
    wanted = {"name": "c", "volumeMounts": [mount]}
    assert volumes.mounts(volumes.prepare(setting), wanted, {}, setting.folder)[0].read_only
    mounting.mount("tmpfs", host.folder / "tree" / "in", "tmpfs")
    with pytest.raises(Missing, match="but it is not supported by the runtime"):
        volumes.mounts(volumes.prepare(setting), wanted, {}, setting.folder)


def test_a_volume_of_the_hosts_disk_has_its_size(disks: LocalDisks) -> None:
    folder = disks.make("pv", SIZE)
    assert disks.enforced("pv")
    assert (list(folder.iterdir()), folder.stat().st_mode & 0o777) == ([], 0o777)
    with pytest.raises(OSError, match="No space left"):
        (folder / "big").write_bytes(bytes(SIZE))
    (folder / "big").unlink()
    (folder / "kept").write_text("kept")
    disks.grow("pv", 2 * SIZE)
    disks.unmount("pv")
    assert not (folder / "kept").exists()
    assert (disks.make("pv", 2 * SIZE) / "kept").read_text() == "kept", "a reboot finds it again"
    (folder / "big").write_bytes(bytes(SIZE))
    assert disks.grow("pv", 2 * SIZE), "it has grown, now or when it was mounted again"
    disks.remove("pv")
    assert not list(disks.root.iterdir())
    disks.remove("pv")


def test_a_volume_that_was_half_made_is_made_anew(disks: LocalDisks) -> None:
    disks.root.mkdir()
    (disks.root / "pv.new").write_bytes(b"garbage")
    (disks.root / "pv").mkdir()
    assert disks.make("pv", SIZE).is_mount()
    (disks.root / "pv.ext4").rename(disks.root / "pv.new")  # killed between the mount and the file's name
    assert disks.make("pv", SIZE).is_mount()
    assert disks.enforced("pv")


def test_without_programs_a_volume_is_a_folder(disks: LocalDisks, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    folder = disks.make("pv", SIZE)
    assert not folder.is_mount()
    assert not disks.enforced("pv")
    monkeypatch.undo()
    (folder / "kept").write_text("")
    assert not disks.make("pv", SIZE).is_mount(), "it stays what it was made as"
    assert (folder / "kept").exists()


def test_a_refusal_is_the_programs_own(disks: LocalDisks) -> None:
    with pytest.raises(DiskError, match=r"mkfs\.ext4: "):
        disks.make("pv", 4096)
    assert not list(disks.root.iterdir())


class Node:
    """The part of an agent that looks after PersistentVolumes, driven by hand."""

    def __init__(self, host: Host) -> None:
        self.host, self.events, self.cache = host, FakeEvents(), Cache()
        self.disks = LocalDisks(host.folder / "storage")
        self.queue = WorkQueue(host.clock.monotonic)
        self.volumes = LocalVolumes(
            api=host.api, events=self.events, cache=self.cache, node="n1", disks=self.disks, queue=self.queue
        )

    def create(self, policy: str = "Delete") -> Obj:
        volume = {
            "metadata": {
                "name": "pv",
                "annotations": {claims.PROVISIONED_BY: claims.PROVISIONER, claims.OUR_NODE: "n1"},
                "finalizers": [claims.VOLUME_PROTECTION, claims.OUR_FINALIZER],
            },
            "spec": {
                "capacity": {"storage": "16Mi"},
                "persistentVolumeReclaimPolicy": policy,
                "claimRef": {"namespace": "shop", "name": "data", "uid": "u"},
            },
        }
        return self.told(self.host.api.create(PERSISTENTVOLUMES, volume))

    def told(self, volume: Obj) -> Obj:
        """The informer shows the volume as it is."""
        self.volumes.changed(self.cache.put(volume), volume)
        return volume

    def work(self) -> None:
        while len(self.queue):
            self.volumes.step(0)


def test_a_volume_lives_as_long_as_its_object(host: Host) -> None:
    node = Node(host)
    volume = node.create()
    node.work()
    assert not node.disks.root.exists(), "it is made when a pod needs it"
    folder = node.volumes.folder(volume)
    node.work()
    said = node.told(host.api.get(PERSISTENTVOLUMES, "", "pv"))["metadata"]["annotations"]
    assert (said[claims.SIZE_ENFORCED], said[claims.SIZE_MADE]) == ("true", str(SIZE))
    grown = host.api.patch(PERSISTENTVOLUMES, "", "pv", {"spec": {"capacity": {"storage": "32Mi"}}})
    node.told(grown)
    node.work()
    node.disks.unmount("pv")
    node.volumes.folder(grown)
    node.work()
    assert os.statvfs(folder).f_blocks * os.statvfs(folder).f_frsize > SIZE
    said = node.told(host.api.get(PERSISTENTVOLUMES, "", "pv"))["metadata"]["annotations"]
    assert said[claims.SIZE_MADE] == str(2 * SIZE)
    node.told(host.api.delete(PERSISTENTVOLUMES, "", "pv"))
    node.work()
    assert folder.is_mount(), "somebody may still use it"
    node.told(
        host.api.patch(PERSISTENTVOLUMES, "", "pv", {"metadata": {"finalizers": [claims.OUR_FINALIZER]}})
    )
    node.work()
    assert not list(node.disks.root.iterdir())
    with pytest.raises(NotFound):
        host.api.get(PERSISTENTVOLUMES, "", "pv")


def test_what_is_mounted_elsewhere_is_not_resized(disks: LocalDisks, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another mount namespace has a copy of the mount, as a container's has while it starts."""
    monkeypatch.setattr(local_disks, "LET_GO_SECONDS", 0.2)
    folder = disks.make("pv", SIZE)
    words = ["unshare", "--mount", "--propagation=private", "sh", "-c", "echo there; exec sleep 600"]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as elsewhere:
        try:
            assert elsewhere.stdout is not None
            assert elsewhere.stdout.readline() == b"there\n"
            (folder / "kept").write_text("kept")
            disks._growing("pv").touch()  # as when the kernel refused to grow what is mounted
            os.truncate(disks.root / "pv.ext4", 2 * SIZE)
            disks.unmount("pv")
            assert (disks.make("pv", 2 * SIZE) / "kept").read_text() == "kept"
            assert os.statvfs(folder).f_blocks * os.statvfs(folder).f_frsize < SIZE
        finally:
            elsewhere.kill()
    monkeypatch.setattr(local_disks, "LET_GO_SECONDS", 60.0)
    disks.unmount("pv")
    assert (disks.make("pv", 2 * SIZE) / "kept").read_text() == "kept"
    assert os.statvfs(folder).f_blocks * os.statvfs(folder).f_frsize > SIZE


def test_what_is_to_be_retained_outlives_its_object(host: Host) -> None:
    node = Node(host)
    folder = node.volumes.folder(node.create("Retain"))
    (folder / "kept").write_text("")
    host.api.patch(PERSISTENTVOLUMES, "", "pv", {"metadata": {"finalizers": [claims.OUR_FINALIZER]}})
    node.told(host.api.delete(PERSISTENTVOLUMES, "", "pv"))
    node.work()
    assert not folder.is_mount()
    assert (node.disks.root / "pv.ext4").exists()


def test_loop_devices_are_given_back(host: Host) -> None:
    disks = LocalDisks(host.folder / "storage")
    disks.make("pv", SIZE)
    disks.remove("pv")
    listed = subprocess.run(["losetup", "--list", "--noheadings"], capture_output=True, text=True, check=True)
    assert str(host.folder) not in listed.stdout


def test_another_hosts_volume_is_none_of_ours(host: Host) -> None:
    node = Node(host)
    volume = node.create()
    volume["metadata"]["annotations"][claims.OUR_NODE] = "n2"
    with pytest.raises(Missing, match="volume pv is on node n2"):
        node.volumes.folder(volume)
