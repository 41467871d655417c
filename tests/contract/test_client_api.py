"""What every implementation of `client.base.Api` does: the fake in memory, the client over HTTP to
the fake, and the client to the real server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from mini8s.client.base import Api
from mini8s.client.rest import Endpoint, Rest
from mini8s.objects import errors, meta
from mini8s.objects.kinds import CONFIGMAPS, DEPLOYMENTS, NAMESPACES, PODS, SERVICEACCOUNTS, Obj
from mini8s.objects.time import parse_time
from mini8s.wire import together
from tests.fakes.api import FakeApi
from tests.fakes.server import serving
from tests.integration.api_process import ApiProcess, running

IMPLEMENTATIONS = ("fake", "http", "unix", "server-unix", "server-tls")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiProcess]:
    with running(tmp_path_factory.mktemp("server")) as process:
        yield process


@pytest.fixture(params=IMPLEMENTATIONS)
def api(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Api]:
    if request.param.startswith("server"):
        yield from over_server(request.getfixturevalue("server"), request.param)
        return
    fake = FakeApi()
    fake.create(NAMESPACES, {"metadata": {"name": "default"}})
    if request.param == "fake":
        yield fake
        return
    path = str(tmp_path / "s") if request.param == "unix" else ""
    with serving(fake, unix_socket=path) as address:
        rest = Rest(Endpoint(unix_socket=path, url="" if path else address), user_agent="test")
        yield rest
        rest.close()
        fake.cut_watches()


def over_server(server: ApiProcess, way: str) -> Iterator[Api]:
    """The real server; it is emptied afterwards."""
    folder = server.folder
    if way == "server-unix":
        endpoint = Endpoint(unix_socket=server.socket_path)
    else:
        files = [str(folder / name) for name in ("ca.crt", "admin.crt", "admin.key")]
        endpoint = Endpoint(url=server.url, ca_file=files[0], cert_file=files[1], key_file=files[2])
    rest = Rest(endpoint, user_agent="test")
    yield rest
    for kind in (CONFIGMAPS, DEPLOYMENTS, PODS):
        for obj in rest.list(kind).items:
            rest.patch(kind, meta.namespace(obj), meta.name(obj), {"metadata": {"finalizers": None}})
            with suppress(errors.NotFound):
                rest.delete(kind, meta.namespace(obj), meta.name(obj), grace_seconds=0)
    rest.close()


def config(name: str, **labels: str) -> Obj:
    return {"metadata": {"namespace": "default", "name": name, "labels": labels}, "data": {"k": "v"}}


def pod(name: str) -> Obj:
    return {
        "metadata": {"namespace": "default", "name": name},
        "spec": {"containers": [{"name": "c", "image": "i"}]},
    }


def _create(obj: Obj, api: Api) -> Obj:
    return api.create(CONFIGMAPS, obj)


def deployment(name: str) -> Obj:
    labels = {"app": name}
    return {
        "metadata": {"namespace": "default", "name": name},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod(name)["spec"]},
        },
    }


def test_create_gives_identity_and_get_returns_it(api: Api) -> None:
    made = api.create(CONFIGMAPS, config("a"))
    assert made["kind"] == "ConfigMap"
    assert meta.uid(made)
    assert meta.revision(made) > 0
    assert api.get(CONFIGMAPS, "default", "a") == made


def test_a_second_create_of_the_name_is_refused(api: Api) -> None:
    api.create(CONFIGMAPS, config("a"))
    with pytest.raises(errors.AlreadyExists):
        api.create(CONFIGMAPS, config("a"))


def test_generated_names_differ(api: Api) -> None:
    body: Obj = {"metadata": {"namespace": "default", "generateName": "g-"}}
    names = {meta.name(api.create(CONFIGMAPS, body)) for _ in range(3)}
    assert len(names) == 3
    assert all(name.startswith("g-") for name in names)


def test_writes_go_together_and_each_has_its_own_answer(api: Api) -> None:
    """The server of the fake has no door for them, so they go one after the other."""
    api.create(CONFIGMAPS, config("there"))
    api.create(PODS, pod("p"))
    made, taken, changed, bound, gone, absent = api.together(
        [
            lambda api: api.create(CONFIGMAPS, config("new", tier="x")),
            lambda api: api.create(CONFIGMAPS, config("there")),
            lambda api: api.patch(CONFIGMAPS, "default", "there", {"data": {"k": "w"}}),
            lambda api: api.bind("default", "p", "n1"),
            lambda api: api.delete(CONFIGMAPS, "default", "no", uid="u"),
            lambda api: api.patch_status(PODS, "default", "none", {"status": {}}),
        ]
    )
    assert not isinstance(made, errors.ApiError)
    assert meta.labels(made) == {"tier": "x"}
    assert made == api.get(CONFIGMAPS, "default", "new")
    assert isinstance(taken, errors.AlreadyExists)
    assert not isinstance(changed, errors.ApiError)
    assert changed["data"] == {"k": "w"}
    assert not isinstance(bound, errors.ApiError)
    assert api.get(PODS, "default", "p")["spec"]["nodeName"] == "n1"
    assert isinstance(gone, errors.NotFound)
    assert isinstance(absent, errors.NotFound)


def test_more_writes_than_go_in_a_request(api: Api) -> None:
    count = together.MOST + 2
    asks = [partial(_create, config(f"c{number}")) for number in range(count)]
    names = [meta.name(made) for made in api.together(asks) if not isinstance(made, errors.ApiError)]
    assert names == [f"c{number}" for number in range(count)]


def test_what_is_not_there_is_not_found(api: Api) -> None:
    for call in (
        lambda: api.get(CONFIGMAPS, "default", "no"),
        lambda: api.update(CONFIGMAPS, config("no") | {"kind": "ConfigMap", "apiVersion": "v1"}),
        lambda: api.patch(CONFIGMAPS, "default", "no", {"data": {}}),
        lambda: api.delete(CONFIGMAPS, "default", "no"),
    ):
        with pytest.raises(errors.NotFound):
            call()


def test_an_update_from_an_old_version_conflicts(api: Api) -> None:
    made = api.create(CONFIGMAPS, config("a"))
    newer = api.update(CONFIGMAPS, made | {"data": {"k": "w"}})
    assert meta.revision(newer) > meta.revision(made)
    with pytest.raises(errors.Conflict):
        api.update(CONFIGMAPS, made | {"data": {"k": "x"}})


def test_an_update_that_changes_nothing_keeps_the_version(api: Api) -> None:
    made = api.create(CONFIGMAPS, config("a"))
    assert api.update(CONFIGMAPS, made) == made


def test_a_merge_patch_merges_and_null_removes(api: Api) -> None:
    api.create(CONFIGMAPS, config("a", x="1", y="2"))
    patched = api.patch(CONFIGMAPS, "default", "a", {"metadata": {"labels": {"x": None, "z": "3"}}})
    assert meta.labels(patched) == {"y": "2", "z": "3"}


def test_status_and_spec_are_written_apart(api: Api) -> None:
    made = api.create(DEPLOYMENTS, deployment("d"))
    wrong = made | {"status": {"replicas": 7}, "spec": made["spec"] | {"replicas": 2}}
    updated = api.update(DEPLOYMENTS, wrong)
    assert (updated["spec"]["replicas"], updated.get("status", {}).get("replicas")) == (2, None)
    assert meta.generation(updated) == meta.generation(made) + 1
    both = updated | {"status": {"replicas": 5}, "spec": made["spec"] | {"replicas": 9}}
    status = api.update_status(DEPLOYMENTS, both)
    assert (status["spec"]["replicas"], status["status"]["replicas"]) == (2, 5)
    assert meta.generation(status) == meta.generation(updated)
    patched = api.patch_status(DEPLOYMENTS, "default", "d", {"status": {"replicas": 6}})
    assert patched["status"]["replicas"] == 6


def test_lists_select_and_watches_go_on_from_them(api: Api) -> None:
    api.create(CONFIGMAPS, config("a", app="x"))
    api.create(CONFIGMAPS, config("b", app="y"))
    listed = api.list(CONFIGMAPS, "default", labels="app=x")
    assert [meta.name(obj) for obj in listed.items] == ["a"]
    assert [obj["kind"] for obj in listed.items] == ["ConfigMap"]
    assert [meta.name(obj) for obj in api.list(CONFIGMAPS, fields="metadata.name=b").items] == ["b"]
    api.create(CONFIGMAPS, config("c", app="x"))
    api.patch(CONFIGMAPS, "default", "c", {"metadata": {"labels": {"app": "y"}}})
    api.delete(CONFIGMAPS, "default", "a")
    watch = api.watch(CONFIGMAPS, "default", resource_version=listed.resource_version, labels="app=x")
    events = take(watch, 3)
    assert [(change, meta.name(obj)) for change, obj in events] == [
        ("ADDED", "c"), ("DELETED", "c"), ("DELETED", "a")
    ]  # fmt: skip
    versions = [meta.revision(obj) for _, obj in events]
    assert versions == sorted(versions)
    assert versions[0] > int(listed.resource_version)


def test_a_watch_that_is_closed_ends(api: Api) -> None:
    watch = api.watch(CONFIGMAPS, resource_version=api.list(CONFIGMAPS).resource_version)
    watch.close()
    assert list(watch) == []


def test_delete_keeps_to_its_preconditions(api: Api) -> None:
    made = api.create(CONFIGMAPS, config("a"))
    with pytest.raises(errors.Conflict):
        api.delete(CONFIGMAPS, "default", "a", uid="another")
    with pytest.raises(errors.Conflict):
        api.delete(CONFIGMAPS, "default", "a", resource_version="1")
    api.delete(CONFIGMAPS, "default", "a", uid=meta.uid(made))
    assert not api.list(CONFIGMAPS, "default", fields="metadata.name=a").items


def test_a_namespace_goes_when_it_is_finalized(api: Api) -> None:
    api.create(NAMESPACES, {"metadata": {"name": "team"}})
    api.delete(NAMESPACES, "", "team")
    going = api.get(NAMESPACES, "", "team")
    assert (going["spec"]["finalizers"], going["status"]["phase"]) == (["kubernetes"], "Terminating")
    api.update(NAMESPACES, going | {"spec": {"finalizers": []}}, subresource="finalize")
    with pytest.raises(errors.NotFound):
        api.get(NAMESPACES, "", "team")


def test_finalizers_hold_an_object_until_they_are_gone(api: Api) -> None:
    made = config("a")
    made["metadata"]["finalizers"] = ["example.com/hold"]
    api.create(CONFIGMAPS, made)
    api.delete(CONFIGMAPS, "default", "a")
    held = api.get(CONFIGMAPS, "default", "a")
    assert meta.deleting(held)
    api.patch(CONFIGMAPS, "default", "a", {"metadata": {"finalizers": None}})
    with pytest.raises(errors.NotFound):
        api.get(CONFIGMAPS, "default", "a")


@pytest.mark.parametrize(
    ("propagation", "finalizer"), [("Foreground", "foregroundDeletion"), ("Orphan", "orphan")]
)
def test_propagation_leaves_a_finalizer_for_the_collector(api: Api, propagation: str, finalizer: str) -> None:
    api.create(DEPLOYMENTS, deployment("d"))
    api.delete(DEPLOYMENTS, "default", "d", propagation=propagation)
    assert meta.finalizers(api.get(DEPLOYMENTS, "default", "d")) == [finalizer]


def test_a_bound_pod_leaves_gracefully(api: Api) -> None:
    api.create(PODS, pod("p"))
    api.bind("default", "p", "node-1")
    with pytest.raises(errors.Conflict):
        api.bind("default", "p", "node-2")
    assert api.get(PODS, "default", "p")["spec"]["nodeName"] == "node-1"
    api.delete(PODS, "default", "p", grace_seconds=5)
    going = api.get(PODS, "default", "p")
    assert meta.deleting(going)
    assert going["metadata"]["deletionGracePeriodSeconds"] == 5
    api.delete(PODS, "default", "p", grace_seconds=0, uid=meta.uid(going))
    with pytest.raises(errors.NotFound):
        api.get(PODS, "default", "p")


def test_an_account_that_is_there_gets_tokens(api: Api) -> None:
    made = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "metadata": {"name": "robot"}}
    wish = made | {"spec": {"audiences": [], "expirationSeconds": 600}}
    with pytest.raises(errors.NotFound):
        api.request_token("default", "robot", wish)
    api.create(SERVICEACCOUNTS, {"metadata": {"namespace": "default", "name": "robot"}})
    first, second = (api.request_token("default", "robot", wish) for _ in range(2))
    assert first["spec"]["expirationSeconds"] == 600
    assert first["status"]["token"] != second["status"]["token"]
    parse_time(first["status"]["expirationTimestamp"])
    api.delete(SERVICEACCOUNTS, "default", "robot")


def test_an_unbound_pod_leaves_at_once(api: Api) -> None:
    api.create(PODS, pod("p"))
    api.delete(PODS, "default", "p")
    with pytest.raises(errors.NotFound):
        api.get(PODS, "default", "p")


def take(watch: Any, count: int) -> list[tuple[str, Obj]]:
    """The first events of a watch that are no bookmarks; the watch is closed."""
    found = []
    for change, obj in watch:
        if change != "BOOKMARK":
            found.append((change, obj))
        if len(found) == count:
            watch.close()
            break
    return found
