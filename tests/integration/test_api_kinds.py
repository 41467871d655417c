"""Every kind through kubectl: made, applied, printed in every form, described, explained, deleted."""

from __future__ import annotations

import base64
import json
import re
import shlex
from collections.abc import Iterator
from copy import deepcopy
from datetime import UTC, datetime
from pathlib import Path

import kubectls
import pytest
from fakes.examples import EXAMPLES
from integration.kubectl import Kubectl, running

from mini8s.objects.kinds import (
    AUTOSCALERS_V1,
    EVENTS,
    EVENTS_V1,
    KINDS,
    NAMESPACES,
    SIGNINGREQUESTS,
    STATEFULSETS,
    Kind,
    Obj,
)
from mini8s.wire import tls

ENDS = sorted(
    {*kubectls.installed(since=27)[:1], *kubectls.installed(since=27)[-2:]}
)  # 1.32 began with protobuf
SHOWN = [kind for kind in KINDS if kind.kept and kind.storage is None]
GENERATORS = """
create job j --image=busybox -- sleep 1
create cronjob cj --image=busybox --schedule='*/5 * * * *' -- sleep 1
create job again --from=cronjob/cj
create role r --verb=get,list --resource=pods,deployments.apps
create clusterrole cr --verb=get --non-resource-url=/metrics
create rolebinding rb --role=r --user=jane --serviceaccount=default:x
create clusterrolebinding crb --clusterrole=cr --group=dev
create quota q --hard=pods=5,limits.cpu=2
create poddisruptionbudget b --selector=app=web --min-available=1
create priorityclass pc --value=1000 --description=x
create ingress i --class=nginx --rule='foo.com/*=svc:80,tls=s'
create serviceaccount sa
create namespace n1
create configmap c --from-literal=a=b
create secret generic s --from-literal=a=b
create service clusterip svc --tcp=80
create deployment web --image=x --replicas=2
autoscale deployment web --min=1 --max=5 --cpu-percent=60
"""


@pytest.fixture(params=ENDS, ids=str)
def kubectl(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Kubectl]:
    with running(request.param, tmp_path) as found:
        yield found


def manifest(kind: Kind) -> Obj:
    obj = {"apiVersion": kind.api_version, "kind": kind.kind, **deepcopy(EXAMPLES[kind])}
    if kind is SIGNINGREQUESTS:  # kubectl describe reads it
        obj["spec"]["request"] = base64.b64encode(tls.new_request(tls.Leaf("x")).certificate).decode()
    if kind in {EVENTS, EVENTS_V1}:
        obj["eventTime"] = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return obj


def test_the_generators(kubectl: Kubectl) -> None:
    for line in GENERATORS.strip().splitlines():
        kubectl(*shlex.split(line))
    job = json.loads(kubectl("get", "job", "j", "-o", "json"))
    assert job["spec"]["template"]["spec"]["containers"][0]["command"] == ["sleep", "1"]
    quota = json.loads(kubectl("get", "quota", "q", "-o", "json"))
    assert quota["spec"]["hard"] == {"pods": "5", "limits.cpu": "2"}
    binding = json.loads(kubectl("get", "rolebinding", "rb", "-o", "json"))
    assert [subject["kind"] for subject in binding["subjects"]] == ["User", "ServiceAccount"]
    assert "cpu: <unknown>/60%" in kubectl("get", "hpa", "web")
    assert kubectl("create", "token", "sa").count(".") == 2


def versions(kubectl: Kubectl) -> list[str]:
    words = ",".join(kind.resource for kind in SHOWN)
    path = "{range .items[*]}{.kind}/{.metadata.name} {.metadata.resourceVersion}{'\\n'}{end}"
    return sorted(kubectl("get", words, "-A", "-o", f"jsonpath={path}").splitlines())


def test_every_kind(kubectl: Kubectl) -> None:
    listed = {line.split()[0] for line in kubectl("api-resources", "--no-headers").splitlines()}
    assert listed == {kind.plural for kind in KINDS}
    objects = [manifest(kind) for kind in SHOWN]
    everything = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
    assert kubectl("apply", "-f", "-", stdin=everything).count("created") == len(SHOWN)
    before = versions(kubectl)
    kubectl("apply", "-f", "-", stdin=everything)
    assert versions(kubectl) == before  # whatever kubectl calls it, nothing has changed
    words = ",".join(kind.resource for kind in SHOWN)
    assert len(kubectl("get", words, "-o", "wide").strip().split("\n\n")) == len(SHOWN)
    found = json.loads(kubectl("get", words, "-o", "json"))["items"]
    assert {item["kind"] for item in found} == {kind.kind for kind in SHOWN}
    kubectl("delete", "-f", "-", "--wait=false", stdin=everything)
    for protected in ("pv", "pvc"):  # until somebody sees that nobody uses them
        kubectl("patch", protected, "x", "--patch", '{"metadata": {"finalizers": null}}')
    assert kubectl("get", ",".join(kind.resource for kind in SHOWN), "-A", "-o", "name").split() == [
        "namespace/default", "namespace/x"
    ]  # fmt: skip


def test_what_describe_and_explain_say(kubectl: Kubectl) -> None:
    objects = [manifest(kind) for kind in SHOWN if kind is not NAMESPACES]
    kubectl("create", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))
    described = kubectl("describe", ",".join(kind.resource for kind in SHOWN))
    assert re.findall(r"^Name: +x$", described, re.MULTILINE)
    for kind in (STATEFULSETS, AUTOSCALERS_V1, SIGNINGREQUESTS):
        assert kind.kind in kubectl("explain", kind.plural, f"--api-version={kind.api_version}")


def test_one_object_in_two_versions(kubectl: Kubectl) -> None:
    spec = EXAMPLES[AUTOSCALERS_V1]["spec"] | {"targetCPUUtilizationPercentage": 44}
    text = json.dumps(manifest(AUTOSCALERS_V1) | {"metadata": {"name": "h"}, "spec": spec})
    kubectl("apply", "-f", "-", stdin=text)
    kubectl("apply", "-f", "-", stdin=text.replace("44", "45"))
    share = "{.spec.metrics[0].resource.target.averageUtilization}"
    assert kubectl("get", "hpa", "h", "-o", f"jsonpath={share}") == "45"
    assert "cpu: <unknown>/45%" in kubectl("get", "horizontalpodautoscalers.v1.autoscaling")


def test_who_may_what(kubectl: Kubectl) -> None:
    assert kubectl("auth", "can-i", "create", "pods").strip() == "yes"
    assert kubectl("auth", "can-i", "get", "pods", "--as=jane", fails=True).strip() == "no"
    assert "*.*" in kubectl("auth", "can-i", "--list")
    if kubectl.minor >= 28:  # before, it asked for a version that has gone
        assert "system:admin" in kubectl("auth", "whoami")


def test_a_certificate_is_approved(kubectl: Kubectl) -> None:
    kubectl("create", "-f", "-", stdin=json.dumps(manifest(SIGNINGREQUESTS)))
    kubectl("certificate", "approve", "x")
    shown = kubectl("get", "csr", "x", "--no-headers").split()
    assert (shown[0], shown[2], shown[3], shown[-1]) == ("x", "a.io/signer", "system:admin", "Approved")


def test_drain(kubectl: Kubectl) -> None:
    pod = {"metadata": {"name": "p"}, "spec": {"nodeName": "n", "containers": [{"name": "c", "image": "i"}]}}
    for kind, obj in (("Node", {"metadata": {"name": "n"}}), ("Pod", pod)):
        kubectl("create", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": kind, **obj}))
    drained = kubectl("drain", "n", "--force", "--grace-period=0", "--timeout=20s")
    assert "pod/p evicted" in drained
    assert kubectl("get", "pods", "-o", "name") == ""
