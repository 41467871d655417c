"""Other people's client as the oracle: each kubectl on this machine against the API process."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import kubectls
import pytest
from integration.kubectl import Kubectl, running

MANIFEST = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: hello, labels: {app: hello}}
spec:
  replicas: 3
  selector: {matchLabels: {app: hello}}
  template:
    metadata: {labels: {app: hello}}
    spec: {containers: [{name: web, image: "hello:v1", ports: [{containerPort: 80}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: hello}
spec: {selector: {app: hello}, ports: [{port: 80}]}
---
apiVersion: v1
kind: Pod
metadata: {name: one, labels: {app: one}}
spec: {containers: [{name: web, image: "hello:v1"}]}
"""


@pytest.fixture(params=kubectls.installed(), ids=str)
def kubectl(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Kubectl]:
    with running(request.param, tmp_path) as found:
        yield found


def test_a_day_with_kubectl(kubectl: Kubectl) -> None:
    assert "deployments" in kubectl("api-resources")
    assert "apps/v1" in kubectl("api-versions").splitlines()
    assert kubectl("apply", "-f", "-", stdin=MANIFEST).splitlines() == [
        "deployment.apps/hello created",
        "service/hello created",
        "pod/one created",
    ]
    assert "unchanged" in kubectl("apply", "-f", "-", stdin=MANIFEST)
    changed = MANIFEST.replace("hello:v1", "hello:v2").replace("replicas: 3", "replicas: 4")
    assert "deployment.apps/hello configured" in kubectl("apply", "-f", "-", stdin=changed)
    assert kubectl("get", "deploy", "hello", "-o", "jsonpath={.spec.replicas}") == "4"
    lines = kubectl("get", "pods").splitlines()
    assert lines[0].split() == ["NAME", "READY", "STATUS", "RESTARTS", "AGE"]
    assert lines[1].split()[:4] == ["one", "0/1", "Pending", "0"]
    assert "NAMESPACE" in kubectl("get", "all", "-A", "-o", "wide")
    _changes(kubectl)
    _waits(kubectl)
    _refusals(kubectl)
    deleted = kubectl("delete", "service/hello", "deploy/hello", "--wait=false")
    assert deleted.splitlines() == ['service "hello" deleted', 'deployment.apps "hello" deleted']
    kubectl("delete", "pods", "--all", "--force", "--grace-period=0")
    assert kubectl("get", "pods", "-o", "name") == ""


def _changes(kubectl: Kubectl) -> None:
    kubectl("scale", "deploy/hello", "--replicas=5")
    kubectl("set", "image", "deploy/hello", "web=hello:v3")
    kubectl("label", "deploy/hello", "tier=front")
    kubectl("annotate", "deploy/hello", "note=x")
    kubectl("patch", "deploy", "hello", "--type=json", '-p=[{"op":"remove","path":"/metadata/labels/tier"}]')
    kubectl("patch", "deploy", "hello", "--type=merge", '-p={"spec":{"paused":true}}')
    found = json.loads(kubectl("get", "deploy", "hello", "-o", "json"))
    assert (found["spec"]["replicas"], found["spec"]["paused"]) == (5, True)
    assert found["spec"]["template"]["spec"]["containers"][0]["image"] == "hello:v3"
    assert found["metadata"]["labels"] == {"app": "hello"}
    assert "Replicas:" in kubectl("describe", "deploy", "hello")
    kubectl("create", "configmap", "settings", "--from-literal=a=1")
    kubectl("create", "deployment", "second", "--image=hello:v1")
    kubectl("create", "secret", "generic", "hidden", "--from-literal=password=x")
    assert kubectl("get", "cm", "settings", "-o", "jsonpath={.data.a}") == "1"
    assert "rollingUpdate" in kubectl("explain", "deployment.spec.strategy")
    assert kubectl("run", "try", "--image=x", "--dry-run=server", "-o", "name").strip() == "pod/try"


def _waits(kubectl: Kubectl) -> None:
    assert "timed out" in kubectl("wait", "--for=condition=Ready", "pod/one", "--timeout=1s", fails=True)
    if kubectl.minor >= 23:
        assert "condition met" in kubectl("wait", "--for=jsonpath={.status.phase}=Pending", "pod/one")
    kubectl("delete", "cm/settings", "deploy/second")
    assert "Pending" in kubectl("get", "pods", "--watch", "--request-timeout=1s")


def _refusals(kubectl: Kubectl) -> None:
    assert 'pods "nope" not found' in kubectl("get", "pod", "nope", fails=True)
    assert "already exists" in kubectl("create", "namespace", "default", fails=True)
    typo = MANIFEST.split("---", 1)[0].replace("replicas", "replicaz")
    said = kubectl("apply", "-f", "-", stdin=typo, fails=True)  # old ones look by themselves, new ones ask us
    assert re.search(r'unknown field "(spec\.)?replicaz"', said)
    assert "container other is not valid for pod one" in kubectl("logs", "one", "-c", "other", fails=True)
    assert kubectl("auth", "can-i", "get", "pods", "--as=jane", fails=True)
