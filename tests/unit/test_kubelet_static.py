"""Static pods: what a file means, what the folder says as it changes, and the mirrors that show it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from fakes.api import FakeApi
from fakes.informers import FakeInformers

from mini8s.agent.kubelet.static.folder import StaticPods
from mini8s.agent.kubelet.static.manifests import Step, is_static, mirror_of, mirror_step, parse
from mini8s.agent.kubelet.static.mirrors import Mirrors
from mini8s.agent.kubelet.static.sources import Sources
from mini8s.client.workqueue import WorkQueue
from mini8s.objects import meta
from mini8s.objects.errors import BadRequest
from mini8s.objects.kinds import NODES, PODS, Obj
from mini8s.objects.pods import MIRROR
from mini8s.util.clock import FakeClock

SEEN = "2026-01-01T00:00:00Z"
TEXT = "{apiVersion: v1, kind: Pod, metadata: {name: web}, spec: {containers: [{name: c, image: 'app:1'}]}}"


def manifest(**spec: object) -> Obj:
    given = {"containers": [{"name": "c", "image": "app:1"}], **spec}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web"}, "spec": given}


def parsed(said: Obj, content: bytes = b"x", path: str = "/m/a.yaml") -> Obj:
    return parse(said, content, path=path, node="N1", seen=SEEN)


def test_what_a_file_means() -> None:
    pod = parsed(manifest())
    assert (meta.key(pod), pod["spec"]["nodeName"]) == ("default/web-n1", "N1")
    assert pod["spec"]["terminationGracePeriodSeconds"] == 30
    assert pod["spec"]["tolerations"] == [{"operator": "Exists", "effect": "NoExecute"}]
    assert is_static(meta.uid(pod))
    assert meta.uid(pod) == meta.uid(parsed(manifest())), "an agent that starts again knows its pods"
    others = [parsed(manifest(), b"y"), parsed(manifest(), b"x", "/m/b.yaml")]
    assert len({meta.uid(one) for one in (pod, *others)}) == 3


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ([], "holds one object, a Pod of v1"),
        ({"apiVersion": "v1", "kind": "Service"}, "holds one object, a Pod of v1"),
        (manifest(containers=[]), "spec.containers: Required value"),
        (manifest(containers=[{"name": "c"}]), "needs a name and an image"),
        (manifest(hostNetwork="yes"), "hostNetwork"),
        (manifest(hostNet=True), "unknown field spec.hostNet"),
        (manifest(serviceAccountName="a"), "may not reference a service account"),
        (manifest(volumes=[{"name": "v", "secret": {"secretName": "s"}}]), "may not reference secrets"),
        (manifest(volumes=[{"name": "v", "configMap": {"name": "s"}}]), "may not reference configmaps"),
        (manifest() | {"metadata": {"name": "W_"}}, "metadata.name"),
    ],
)
def test_what_is_no_static_pod(said: Obj, why: str) -> None:
    with pytest.raises(BadRequest, match=why):
        parsed(said)


def test_a_mirror_shows_its_pod_and_goes_with_its_node() -> None:
    pod = parsed(manifest())
    mirror = mirror_of(pod, "node-uid")
    said = meta.annotations(mirror)
    assert said[MIRROR] == said["kubernetes.io/config.hash"] == meta.uid(pod)
    assert "uid" not in mirror["metadata"]
    (owner,) = meta.owners(mirror)
    assert (owner["kind"], owner["uid"], owner["controller"]) == ("Node", "node-uid", True)


def test_what_to_do_about_a_mirror() -> None:
    pod, other = parsed(manifest()), parsed(manifest(), b"y")
    mirror = mirror_of(pod, "n")
    going = {**mirror, "metadata": {**mirror["metadata"], "deletionTimestamp": SEEN}}
    assert mirror_step(pod, None, leaving=False) is Step.CREATE
    assert mirror_step(pod, mirror, leaving=False) is Step.NOTHING
    assert mirror_step(pod, going, leaving=False) is Step.DELETE
    assert mirror_step(other, mirror, leaving=False) is Step.DELETE
    assert mirror_step(None, mirror, leaving=True) is Step.NOTHING
    assert mirror_step(None, mirror, leaving=False) is Step.DELETE
    assert mirror_step(None, None, leaving=False) is Step.NOTHING


class Folder:
    """A folder of manifests and what was told of it; files are old unless said otherwise."""

    def __init__(self, path: Path) -> None:
        self.path, self.clock, self.told = path, FakeClock(), []
        self.statics = StaticPods(path, "n1", self.clock, lambda uid, key: self.told.append((uid, key)))

    def write(self, name: str, text: str, *, age: float = 10) -> None:
        path = self.path / name
        path.write_text(text)
        when = self.clock.now().timestamp() - age
        os.utime(path, (when, when))

    def scan(self) -> list[str]:
        """The names that a look told of."""
        self.told.clear()
        self.statics.scan()
        return [key for _, key in self.told]


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def test_files_come_change_and_go(folder: Folder) -> None:
    folder.write("a.yaml", TEXT)
    assert folder.scan() == ["default/web-n1"]
    assert folder.scan() == []
    (first,) = folder.statics.all()
    folder.write("a.yaml", TEXT.replace("app:1", "app:2"), age=5)
    assert folder.scan() == ["default/web-n1"] * 2, "the one that goes and the one that comes"
    assert folder.statics.leaves("default/web-n1")
    folder.statics.left(first)
    assert not folder.statics.leaves("default/web-n1")
    (folder.path / "a.yaml").unlink()
    assert folder.scan() == ["default/web-n1"]
    assert folder.statics.all() == {}


def test_a_file_that_is_wrong_keeps_what_it_said(folder: Folder) -> None:
    folder.write("a.yaml", TEXT)
    folder.write("b.yaml", TEXT)
    folder.write("c.txt", TEXT.replace("web", "other"))
    folder.write(".d.yaml", TEXT.replace("web", "other"))
    folder.scan()
    assert len(folder.statics.all()) == 1, "a name is one pod's, and other files don't count"
    folder.write("a.yaml", TEXT + "}", age=5)
    assert folder.scan() == []
    assert len(folder.statics.all()) == 1


def test_a_file_that_is_being_written_is_looked_at_later(folder: Folder) -> None:
    folder.write("a.yaml", TEXT, age=0.1)
    assert folder.scan() == []
    folder.clock.step(1)
    assert folder.scan() == ["default/web-n1"]


def pods_of(api: FakeApi) -> Any:
    """An informer that has just listed."""
    informers = FakeInformers()
    found = informers.of(PODS, indexers={"uid": lambda pod: (meta.uid(pod),)})
    for pod in api.list(PODS).items:
        informers.put(PODS, pod)
    return found


class World(Folder):
    """The folder with an API beside it."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.api = FakeApi(now=self.clock.now)
        self.api.create(NODES, {"metadata": {"name": "n1"}})

    def sync(self) -> None:
        """A round of the mirrors, with what the API has now."""
        self.sources = Sources(pods_of(self.api), self.statics, lambda: True)
        Mirrors(self.api, self.sources, "n1", WorkQueue(self.clock.monotonic)).sync("default/web-n1")

    def mirrors(self) -> list[str]:
        return [meta.annotations(pod)[MIRROR] for pod in self.api.list(PODS).items]


def test_mirrors_follow_their_pods(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.write("a.yaml", TEXT)
    world.scan()
    world.sync()
    (uid,) = world.statics.all()
    assert world.mirrors() == [uid]
    world.api.delete(PODS, "default", "web-n1")
    world.sync()
    world.sync()
    assert world.mirrors() == [uid], "it comes back"
    world.write("a.yaml", TEXT.replace("app:1", "app:2"), age=5)
    world.scan()
    world.statics.left(uid)
    world.sync()
    world.sync()
    assert world.mirrors() == list(world.statics.all())
    (tmp_path / "a.yaml").unlink()
    world.scan()
    world.sync()
    assert world.mirrors() != [], "until the pod has ended"
    for gone in world.told:
        world.statics.left(gone[0])
    world.sync()
    assert world.mirrors() == []


def test_a_mirror_is_shown_and_not_run(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.write("a.yaml", TEXT)
    world.scan()
    world.sync()
    (uid,) = world.statics.all()
    mirror = world.api.get(PODS, "default", "web-n1")
    world.api.patch_status(PODS, "default", "web-n1", {"status": {"phase": "Running"}})
    world.sync()
    assert world.sources.wanted(meta.uid(mirror)) is None
    wanted = world.sources.wanted(uid)
    assert wanted is not None
    assert wanted["status"]["phase"] == "Running"
    assert meta.uid(world.sources.named("default", "web-n1") or {}) == uid
    assert meta.uid(world.sources.shown_by(wanted) or {}) == meta.uid(mirror)


def test_who_may_be_judged_when(folder: Folder) -> None:
    api, known = FakeApi(now=folder.clock.now), [False]
    pods = pods_of(api)
    pods.heard = False
    sources = Sources(pods, folder.statics, lambda: known[0])
    assert sources.wait("some-uid") == 0.1
    assert sources.wait("0" * 32) == 0.1, "the folder has not been read"
    folder.scan()
    assert sources.wait("0" * 32) == 0
    known[0] = True
    assert sources.wait("some-uid") is None
    pods.heard = True
    assert sources.wait("some-uid") == 0
