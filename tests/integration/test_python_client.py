"""The official Python client against the API process over TLS: typed and dynamic, every kind and every verb,
its watch, its informer, its leader election and its files."""

from __future__ import annotations

import json
import queue
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fakes.cluster import deployment, pod
from fakes.examples import EXAMPLES
from integration import api_process
from integration.api_process import ApiProcess
from kubernetes import client, config, dynamic, informer, utils, watch
from kubernetes.client.rest import ApiException
from kubernetes.dynamic import exceptions as dynamic_errors
from kubernetes.leaderelection import electionconfig, leaderelection
from kubernetes.leaderelection.resourcelock.configmaplock import ConfigMapLock
from kubernetes.leaderelection.resourcelock.leaselock import LeaseLock

from mini8s.objects.kinds import (
    EVENTS_V1,
    NAMESPACES,
    PERSISTENTVOLUMECLAIMS,
    PERSISTENTVOLUMES,
    Kind,
    Obj,
)

SECONDS = 90  # what is waited for comes much sooner
MERGE = "application/merge-patch+json"
APPLY = "application/apply-patch+yaml"


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiProcess]:
    with api_process.running(tmp_path_factory.mktemp("api")) as running:
        config.load_kube_config_from_dict(kubeconfig(running))
        yield running
        client.Configuration.set_default(None)


def kubeconfig(api: ApiProcess, user: str = "admin") -> Obj:
    """As `mini8s server` writes it, with files instead of their contents."""
    files = {"client-certificate": f"{api.folder}/{user}.crt", "client-key": f"{api.folder}/{user}.key"}
    server = {"server": api.url, "certificate-authority": f"{api.folder}/ca.crt"}
    return {
        "current-context": "here",
        "contexts": [{"name": "here", "context": {"cluster": "here", "user": "me"}}],
        "clusters": [{"name": "here", "cluster": server}],
        "users": [{"name": "me", "user": files}],
    }


@pytest.fixture(scope="module")
def http(api: ApiProcess) -> Iterator[client.ApiClient]:
    with client.ApiClient() as made:
        yield made


@pytest.fixture(scope="module")
def core(http: client.ApiClient) -> client.CoreV1Api:
    return client.CoreV1Api(http)


@pytest.fixture(scope="module")
def resources(http: client.ApiClient) -> dynamic.DynamicClient:
    return dynamic.DynamicClient(http)


@pytest.fixture
def space(core: client.CoreV1Api, request: pytest.FixtureRequest) -> Iterator[str]:
    """A namespace of the test's own."""
    name = re.sub(r"[^a-z0-9]+", "-", request.node.name.lower()).strip("-")
    core.create_namespace(config_map(name))
    yield name
    core.delete_namespace(name)


def config_map(name: str, **data: str) -> Obj:
    return {"metadata": {"name": name}} | ({"data": data} if data else {})


def refused(code: int, reason: str, call: Any, *args: Any, **options: Any) -> Obj:
    """The Status that a call is answered with."""
    with pytest.raises(ApiException) as caught:
        call(*args, **options)
    status: Obj = json.loads(caught.value.body)
    assert (caught.value.status, status["reason"], status["kind"]) == (code, reason, "Status")
    return status


class Typed:
    """The typed API's functions of one kind, found by the client's own naming."""

    def __init__(self, http: client.ApiClient, kind: Kind) -> None:
        group = (kind.group.removesuffix(".k8s.io") or "core").replace(".", "") + kind.version + "api"
        self._api = getattr(client, next(name for name in dir(client) if name.lower() == group))(http)
        words = re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", kind.kind).lower()
        self._suffix = f"_namespaced_{words}" if kind.namespaced else f"_{words}"
        self._space = {"namespace": "default"} if kind.namespaced else {}

    def __call__(self, verb: str, *args: Any, **options: Any) -> Any:
        return getattr(self._api, verb + self._suffix)(*args, **self._space, **options)


def full(kind: Kind, obj: Obj) -> Obj:
    return {"apiVersion": kind.api_version, "kind": kind.kind} | obj


KIND = pytest.mark.parametrize(
    "kind", EXAMPLES, ids=lambda kind: f"{kind.plural}-{kind.group or 'core'}-{kind.version}"
)
MINE = "example.com/mine"
# What the client insists on, and the server does not.
INSISTED = {EVENTS_V1: {"eventTime": "2026-01-01T00:00:00.000000Z"}}
# Their finalizers are taken away by controllers, which do not run here
ENDED_BY_CONTROLLERS = (NAMESPACES, PERSISTENTVOLUMES, PERSISTENTVOLUMECLAIMS)


@KIND
def test_every_kind_through_the_typed_api(http: client.ApiClient, kind: Kind) -> None:
    """The client builds its own objects, which refuse what a kind must have and does not."""
    call = Typed(http, kind)
    example = EXAMPLES[kind] | INSISTED.get(kind, {})
    made = call("create", body=full(kind, example), field_validation="Strict")
    assert call("read", "x").to_dict() == made.to_dict()
    made.metadata.labels = {**(made.metadata.labels or {}), MINE: "yes"}
    written = call("replace", "x", body=made)
    assert int(written.metadata.resource_version) > int(made.metadata.resource_version)
    refused(409, "Conflict", call, "replace", "x", body=made)
    patched = call("patch", "x", body={"metadata": {"annotations": {"a": "b"}}})
    assert (patched.metadata.labels[MINE], patched.metadata.annotations["a"]) == ("yes", "b")
    listed = call("list", label_selector=f"{MINE}=yes", field_selector="metadata.name=x")
    assert [item.to_dict() for item in listed.items] == [patched.to_dict()]
    assert not call("list", label_selector=f"{MINE}=no").items
    call("delete", "x", dry_run="All")
    call("read", "x")
    gone = call("delete", "x", propagation_policy="Background")
    if kind not in ENDED_BY_CONTROLLERS:
        refused(404, "NotFound", call, "read", "x")
        assert gone["status"] == "Success" if isinstance(gone, dict) else gone.metadata.name == "x"


@KIND
def test_every_kind_through_the_dynamic_api(resources: dynamic.DynamicClient, kind: Kind) -> None:
    resource = resources.resources.get(api_version=kind.api_version, kind=kind.kind)
    space = {"namespace": "default"} if kind.namespaced else {}
    made = resource.create(body=full(kind, EXAMPLES[kind] | {"metadata": {"name": "y"}}), **space)
    assert resource.get(name="y", **space).to_dict() == made.to_dict()
    since = resource.get(**space).metadata.resourceVersion
    mine = full(kind, {"metadata": {"name": "y", "labels": {MINE: "1"}}})
    applied = resource.server_side_apply(body=mine, field_manager="one", **space)
    assert applied.metadata.labels[MINE] == "1"
    mine["metadata"]["labels"][MINE] = "2"
    with pytest.raises(dynamic_errors.ConflictError, match="Apply failed with 1 conflict"):
        resource.server_side_apply(body=mine, field_manager="two", **space)
    forced = resource.server_side_apply(body=mine, field_manager="two", force_conflicts=True, **space)
    assert forced.metadata.labels[MINE] == "2"
    merged = resource.patch(
        name="y", body={"metadata": {"labels": {MINE: None}}}, content_type=MERGE, **space
    )
    assert MINE not in (merged.to_dict()["metadata"].get("labels") or {})
    resource.replace(body=merged.to_dict(), **space)  # what is there already
    resource.delete(name="y", propagation_policy="Background", **space)
    types = []
    for event in resource.watch(resource_version=since, field_selector="metadata.name=y", **space):
        types.append(event["type"])
        if len(types) == 4:
            break
    assert types == ["MODIFIED"] * 3 + ["MODIFIED" if kind in ENDED_BY_CONTROLLERS else "DELETED"]


def test_strict_validation_and_dry_runs(core: client.CoreV1Api, space: str) -> None:
    create = core.create_namespaced_config_map
    create(space, config_map("a"))
    change, odd = core.patch_namespaced_config_map, {"dat": {}, "data": {"k": "v"}}
    status = refused(422, "Invalid", change, "a", space, odd, field_validation="Strict")
    assert status["message"].endswith('strict decoding error: unknown field "dat"')
    assert change("a", space, odd, field_validation="Ignore").data == {"k": "v"}
    assert create(space, config_map("b"), dry_run="All").metadata.uid
    refused(404, "NotFound", core.read_namespaced_config_map, "b", space)
    status = refused(422, "Invalid", create, space, config_map("A b"))
    assert status["details"]["causes"][0]["field"] == "metadata.name"


def test_patches_of_every_type(core: client.CoreV1Api, http: client.ApiClient, space: str) -> None:
    apps = client.AppsV1Api(http)
    apps.create_namespaced_deployment(space, deployment("web"))
    more = {"spec": {"template": {"spec": {"containers": [{"name": "side", "image": "busybox:2"}]}}}}
    patch = apps.patch_namespaced_deployment

    def containers(patched: Any) -> list[str]:
        return [made.name for made in patched.spec.template.spec.containers]

    strategic = patch("web", space, more, _content_type="application/strategic-merge-patch+json")
    assert containers(strategic) == ["side", "main"]
    assert containers(patch("web", space, more, _content_type=MERGE)) == ["side"]
    steps = [{"op": "replace", "path": "/spec/replicas", "value": 3}]
    stepped = patch("web", space, steps, _content_type="application/json-patch+json")
    assert stepped.spec.replicas == 3
    mine = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web"},
        "spec": {"replicas": 4},
    }
    status = refused(409, "Conflict", patch, "web", space, mine, field_manager="me", _content_type=APPLY)
    assert status["details"]["causes"][0]["field"] == ".spec.replicas"
    forced = patch("web", space, mine, field_manager="me", force=True, _content_type=APPLY)
    assert forced.spec.replicas == 4


def test_subresources(core: client.CoreV1Api, http: client.ApiClient, space: str) -> None:
    apps = client.AppsV1Api(http)
    apps.create_namespaced_deployment(space, deployment("web"))
    scale = apps.read_namespaced_deployment_scale("web", space)
    scale.spec.replicas = 7
    assert apps.replace_namespaced_deployment_scale("web", space, scale).spec.replicas == 7
    seen = apps.patch_namespaced_deployment_status("web", space, {"status": {"replicas": 2}})
    assert (seen.spec.replicas, seen.status.replicas) == (7, 2)
    core.create_namespaced_pod(space, pod("p"))
    target = client.V1Binding(metadata={"name": "p"}, target={"kind": "Node", "name": "n1"})
    core.create_namespaced_pod_binding("p", space, target, _preload_content=False).read()
    assert core.read_namespaced_pod("p", space).spec.node_name == "n1"
    core.create_namespaced_pod_eviction("p", space, client.V1Eviction(metadata={"name": "p"}))
    assert core.read_namespaced_pod("p", space).metadata.deletion_grace_period_seconds == 30
    reviews = client.AuthorizationV1Api(http)
    asked = {"spec": {"resourceAttributes": {"verb": "get", "resource": "pods"}}}
    assert reviews.create_self_subject_access_review(asked).status.allowed


def test_pages_of_one_revision_and_what_is_left_of_an_old_list(
    api: ApiProcess, core: client.CoreV1Api, space: str
) -> None:
    for number in range(5):
        core.create_namespaced_config_map(space, config_map(f"c{number}"))
    pages = core.list_namespaced_config_map
    first = pages(space, limit=2)
    core.delete_namespaced_config_map("c2", space)
    second = pages(space, limit=2, _continue=first.metadata._continue)
    assert [item.metadata.name for item in second.items] == ["c2", "c3"]
    assert (first.metadata.remaining_item_count, second.metadata.remaining_item_count) == (3, 1)
    assert second.metadata.resource_version == first.metadata.resource_version
    api.forget()
    status = refused(410, "Expired", pages, space, limit=2, _continue=first.metadata._continue)
    assert "inconsistent list" in status["message"]
    rest = pages(space, limit=2, _continue=status["metadata"]["continue"])
    assert [item.metadata.name for item in rest.items] == ["c3", "c4"]
    assert int(rest.metadata.resource_version) > int(first.metadata.resource_version)


def test_watching_again_from_where_one_was(core: client.CoreV1Api, space: str) -> None:
    since = core.list_namespaced_config_map(space).metadata.resource_version
    names = [f"c{number}" for number in range(6)]
    for name in names:
        core.create_namespaced_config_map(space, config_map(name))
    seen: list[str] = []
    watcher = watch.Watch()
    options: dict[str, Any] = {"resource_version": since}
    while len(seen) < len(names):
        for event in watcher.stream(core.list_namespaced_config_map, space, **options):
            seen.append(event["object"].metadata.name)
            if len(seen) % 2 == 0:
                watcher.stop()
        options["resource_version"] = watcher.resource_version
    assert seen == names


def test_a_watch_that_ends_and_one_that_comes_too_late(
    api: ApiProcess, core: client.CoreV1Api, space: str
) -> None:
    since = core.list_namespaced_config_map(space).metadata.resource_version
    core.create_namespaced_config_map(space, config_map("a"))
    stream = watch.Watch().stream
    in_time = list(stream(core.list_namespaced_config_map, space, resource_version=since, timeout_seconds=1))
    assert [event["type"] for event in in_time] == ["ADDED"]
    api.forget()
    with pytest.raises(ApiException) as late:
        list(stream(core.list_namespaced_config_map, space, resource_version=since))
    assert (late.value.status, late.value.reason.split(":")[0]) == (410, "Expired")
    with pytest.raises(ApiException) as early:
        list(stream(core.list_namespaced_config_map, space, resource_version="99999999"))
    assert early.value.status == 504


def test_its_informer_follows_across_a_restart(tmp_path: Path) -> None:
    """What it last heard of is gone from the server's history by then, so that it has to list again."""
    heard: queue.SimpleQueue[tuple[str, str]] = queue.SimpleQueue()
    codes: set[int] = set()
    with api_process.running(tmp_path) as api:
        http = config.new_client_from_config_dict(kubeconfig(api))
        core = client.CoreV1Api(http)
        core.create_namespace(config_map("space"))
        core.create_namespaced_config_map("space", config_map("a"))
        follower = informer.SharedInformer(core.list_namespaced_config_map, namespace="space")
        for change in ("ADDED", "MODIFIED", "DELETED"):
            follower.add_event_handler(change, lambda obj, said=change: heard.put((said, obj.metadata.name)))
        follower.add_event_handler("ERROR", lambda error: codes.add(getattr(error, "status", 0)))
        follower.start()
        assert heard.get(timeout=SECONDS) == ("ADDED", "a")
        core.create_namespaced_config_map("space", config_map("b"))
        core.patch_namespaced_config_map("a", "space", {"data": {"k": "v"}})
        core.delete_namespaced_config_map("b", "space")
        said = [heard.get(timeout=SECONDS) for _ in range(3)]
        assert said == [("ADDED", "b"), ("MODIFIED", "a"), ("DELETED", "b")]
        api.forget()
        api.stop()
        again = api_process.start(api.folder, api.port)
        assert heard.get(timeout=SECONDS) == ("MODIFIED", "a")
        assert 410 in codes
        core.create_namespaced_config_map("space", config_map("c"))
        assert heard.get(timeout=SECONDS) == ("ADDED", "c")
        assert sorted(follower.cache.list_keys()) == ["space/a", "space/c"]
        assert follower.cache.get_by_key("space/a").data == {"k": "v"}
        again.stop()  # first: the informer's own end waits for an event
        follower.stop()
        http.close()
        assert again.process.stdout is not None
        again.process.stdout.close()


@pytest.mark.parametrize("lock", [ConfigMapLock, LeaseLock])
def test_one_leads_and_when_it_ends_the_other_does(api: ApiProcess, space: str, lock: Any) -> None:
    leads: queue.SimpleQueue[str] = queue.SimpleQueue()
    ends = {name: threading.Event() for name in ("one", "two")}

    def lead(name: str) -> None:
        leads.put(name)
        ends[name].wait(SECONDS)
        raise RuntimeError("leads no more")  # the only way out of an election that its own code has

    def run(name: str) -> None:
        chosen = electionconfig.Config(
            lock("lock", space, name),
            lease_duration=2,
            renew_deadline=1.3,
            retry_period=1,
            onstarted_leading=lambda: lead(name),
            onstopped_leading=lambda: leads.put(f"{name} has led"),
        )
        leaderelection.LeaderElection(chosen).run()

    electors = [threading.Thread(target=run, args=(name,), daemon=True) for name in ends]
    for elector in electors:
        elector.start()
    first = leads.get(timeout=SECONDS)
    second = next(name for name in ends if name != first)
    ends[first].set()
    assert leads.get(timeout=SECONDS) == f"{first} has led"
    assert leads.get(timeout=SECONDS) == second
    ends[second].set()
    assert leads.get(timeout=SECONDS) == f"{second} has led"
    for elector in electors:
        elector.join(SECONDS)


def test_files_are_created_and_applied(
    http: client.ApiClient, core: client.CoreV1Api, space: str, tmp_path: Path
) -> None:
    path = tmp_path / "web.yaml"
    path.write_text(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {k: v}\n---\n"
        "apiVersion: v1\nkind: List\nitems:\n"
        "- {apiVersion: v1, kind: Secret, metadata: {name: s}, stringData: {k: v}}\n"
        "- {apiVersion: v1, kind: Service, metadata: {name: w}, spec: {ports: [{port: 80}]}}\n"
    )
    utils.create_from_yaml(http, str(path), namespace=space)
    assert core.read_namespaced_secret("s", space).data == {"k": "dg=="}
    assert core.read_namespaced_service("w", space).spec.cluster_ip
    with pytest.raises(utils.FailToCreateError) as again:
        utils.create_from_yaml(http, str(path), namespace=space)
    assert [error.status for error in again.value.api_exceptions] == [409] * 3
    path.write_text(path.read_text().replace("{k: v}}", "{k: w}}"))
    utils.create_from_yaml(http, str(path), namespace=space, apply=True, force_conflicts=True)
    assert core.read_namespaced_secret("s", space).data == {"k": "dw=="}


def test_others_are_refused_as_the_client_expects(api: ApiProcess) -> None:
    jane = config.new_client_from_config_dict(kubeconfig(api, "jane"))
    status = refused(403, "Forbidden", client.CoreV1Api(jane).list_namespaced_pod, "default")
    assert 'User "jane" cannot list resource "pods"' in status["message"]
