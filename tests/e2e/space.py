"""A namespace for one test: what the test makes in it and how it looks at it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, TypeVar
from urllib.parse import quote

import pytest
from hosts import HostError
from hosts.cluster import Cluster

Obj = dict[str, Any]
T = TypeVar("T")
BUSYBOX = "mini8s-busybox:1"


class Space:
    """kubectl in one namespace. What is waited for is read through root's own door, which costs less."""

    def __init__(self, cluster: Cluster, name: str) -> None:
        self.cluster = cluster
        self.name = name

    def kubectl(self, *arguments: str, stdin: str = "", timeout: float = 180) -> str:
        return self.cluster.kubectl("--namespace", self.name, *arguments, stdin=stdin, timeout=timeout)

    def apply(self, *objects: Obj) -> None:
        whole = {"apiVersion": "v1", "kind": "List", "items": objects}
        self.kubectl("apply", "--filename=-", stdin=json.dumps(whole))

    def refused(self, *arguments: str, stdin: str = "") -> str:
        """What kubectl says when it is refused."""
        command = self.cluster.kubectl_command("--namespace", self.name, *arguments)
        answer = self.cluster.hosts[self.cluster.server_number].call(*command, stdin=stdin)
        if answer.returncode == 0:
            raise HostError(f"kubectl {' '.join(arguments)} was not refused: {answer.stdout}")
        return answer.stderr

    def get(self, *arguments: str) -> Any:
        return json.loads(self.kubectl("get", *arguments, "--output=json"))

    def all(self, plural: str, labels: str = "", *, group: str = "api/v1") -> list[Obj]:
        """What there is of a kind, through root's own door."""
        path = f"/{group}/namespaces/{self.name}/{plural}?labelSelector={quote(labels)}"
        found: list[Obj] = json.loads(self.cluster.api(path))["items"]
        return found

    def pod(self, name: str) -> Obj:
        """A pod as root's own door shows it; empty when there is none."""
        found: Obj = json.loads(self.cluster.api(f"/api/v1/namespaces/{self.name}/pods/{name}"))
        return found if found["kind"] == "Pod" else {}

    def wait(self, name: str, what: str, look: Callable[[Obj], T], *, seconds: float = 120) -> T:
        """Until `look` finds something in the pod's status."""
        return self.cluster.wait_for(
            f"{self.name}/{name}: {what}", lambda: look(self.pod(name).get("status", {})), seconds=seconds
        )

    def wait_phase(self, name: str, phase: str, *, seconds: float = 120) -> Obj:
        """The pod once it is in that phase."""
        self.wait(name, phase, lambda status: status.get("phase") == phase, seconds=seconds)
        return self.pod(name)

    def logs(self, *arguments: str) -> str:
        return self.kubectl("logs", *arguments)

    def exec(self, name: str, command: str, container: str = "main") -> str:
        """What a shell in a pod's running container prints."""
        status = self.wait(name, f"{container} to run", lambda status: container_of(status, container))
        container_id = status["containerID"].removeprefix("docker://")
        number = int(self.pod(name)["spec"]["nodeName"].removeprefix("h"))
        return self.cluster.hosts[number].docker("exec", container_id, "sh", "-c", command)


def space_of(cluster: Cluster, request: pytest.FixtureRequest) -> AbstractContextManager[Space]:
    """A namespace named after the test."""
    return space(cluster, name_of(request.node))


def name_of(test: pytest.Item) -> str:
    return test.name.removeprefix("test_").replace("_", "-")[:40].strip("-")


@contextmanager
def space(cluster: Cluster, name: str) -> Iterator[Space]:
    """A namespace while the block runs; its end is not waited for."""
    make_namespace(cluster, name)
    try:
        yield Space(cluster, name)
    finally:
        cluster.kubectl("delete", "namespace", name, "--wait=false")


def make_namespace(cluster: Cluster, name: str) -> None:
    cluster.wait_for("that name to be free", lambda: _made(cluster, name))


def _made(cluster: Cluster, name: str) -> bool:
    """Whether there is a new namespace; that of a try before may still be going."""
    command = cluster.kubectl_command("create", "namespace", name)
    said = cluster.hosts[cluster.server_number].call(*command)
    if said.returncode and "AlreadyExists" not in said.stderr:
        raise HostError(f"no namespace {name}: {said.stderr}")
    return said.returncode == 0


def container_of(status: Obj, name: str = "main") -> Obj:
    """A container's status when it runs, else nothing."""
    listed = [*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ())]
    return next((one for one in listed if one["name"] == name and "running" in one["state"]), {})


def container(script: str = "", **more: Any) -> Obj:
    """A shell that runs a script and never outlives its grace."""
    found: Obj = {"name": "main", "image": BUSYBOX, **more}
    return found | {"command": ["sh", "-c", script]} if script else found


def pod(name: str, *containers: Obj, **spec: Any) -> Obj:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {"containers": containers, "terminationGracePeriodSeconds": 0} | spec,
    }


def config_map(name: str, **data: str) -> Obj:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def secret(name: str, **data: str) -> Obj:
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": data}
