"""Client libraries with HTTP stacks of their own, each once through a life of objects: kubernetes.aio has
aiohttp's, kr8s and lightkube have httpx's."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import kr8s
import lightkube
import pytest
from fakes.cluster import deployment
from integration import api_process
from integration.api_process import ApiProcess
from integration.test_python_client import config_map, kubeconfig
from kubernetes.aio import client as aio_client
from kubernetes.aio import config as aio_config
from kubernetes.aio import watch as aio_watch
from lightkube.core.exceptions import ApiError
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.apps_v1 import Deployment
from lightkube.resources.core_v1 import ConfigMap
from lightkube.types import PatchType


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiProcess]:
    with api_process.running(tmp_path_factory.mktemp("api")) as running:
        yield running


@pytest.fixture(scope="module")
def path(api: ApiProcess) -> Path:
    made = api.folder / "kubeconfig"
    made.write_text(json.dumps({"apiVersion": "v1", "kind": "Config", **kubeconfig(api)}))
    return made


def test_the_asynchronous_client(path: Path) -> None:
    async def live() -> list[tuple[str, str]]:
        await aio_config.load_kube_config(str(path))
        async with aio_client.ApiClient() as http:
            core = aio_client.CoreV1Api(http)
            since = (await core.list_namespaced_config_map("default")).metadata.resource_version
            await core.create_namespaced_config_map("default", config_map("aio", k="v"))
            await core.patch_namespaced_config_map("aio", "default", {"data": {"k": "w"}})
            await core.delete_namespaced_config_map("aio", "default")
            options = {"resource_version": since, "timeout_seconds": 1}
            stream = aio_watch.Watch().stream(core.list_namespaced_config_map, "default", **options)
            async with stream as events:
                return [(event["type"], event["object"].data["k"]) async for event in events]

    assert asyncio.run(live()) == [("ADDED", "v"), ("MODIFIED", "w"), ("DELETED", "w")]


def test_kr8s(path: Path) -> None:
    http = kr8s.api(kubeconfig=str(path))
    made = kr8s.objects.Deployment(deployment("kr8s"), namespace="default", api=http)
    made.create()
    made.scale(3)
    made.patch({"metadata": {"labels": {"a": "b"}}})
    [found] = http.get("deployments", namespace="default", label_selector={"a": "b"})
    assert (found.name, found.replicas) == ("kr8s", 3)
    made.delete()
    assert not made.exists()


def test_lightkube(api: ApiProcess, path: Path) -> None:
    http = lightkube.Client(config=lightkube.KubeConfig.from_file(path), field_manager="tests")
    http.create(ConfigMap(metadata=ObjectMeta(name="light", namespace="default"), data={"k": "v"}))
    for number in range(5):
        http.create(ConfigMap(metadata=ObjectMeta(name=f"l{number}", labels={"light": "yes"})))
    listed = [found.metadata.name for found in http.list(ConfigMap, labels={"light": "yes"}, chunk_size=2)]
    assert listed == [f"l{number}" for number in range(5)]
    applied = http.apply(ConfigMap(metadata=ObjectMeta(name="light"), data={"l": "w"}))
    assert applied.data == {"k": "v", "l": "w"}
    http.create(Deployment.from_dict(deployment("light")))
    scaled = http.patch(Deployment.Scale, "light", {"spec": {"replicas": 4}}, patch_type=PatchType.MERGE)
    assert scaled.spec.replicas == 4
    http.deletecollection(ConfigMap)
    with pytest.raises(ApiError) as gone:
        http.get(ConfigMap, "light")
    assert (gone.value.status.code, gone.value.status.reason) == (404, "NotFound")
    http.close()
