"""What kubectl says of manifests that are refused, and that nothing of them is stored."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hosts.cluster import Cluster
from space import Space, container, pod, space

Obj = dict[str, Any]


def deployment(**changes: Any) -> Obj:
    template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [container("sleep 1")]}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web"},
        "spec": {"replicas": 0, "selector": {"matchLabels": {"app": "web"}}, "template": template} | changes,
    }


def service(**spec: Any) -> Obj:
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": spec}


@pytest.fixture(scope="module")
def here(one_host: Cluster) -> Iterator[Space]:
    with space(one_host, "bad-manifests") as made:
        published = "configmap/kube-root-ca.crt"
        one_host.wait_for("what every namespace gets", lambda: published in stored(made))
        yield made


def stored(here: Space) -> list[str]:
    kinds = "pods,deployments,replicasets,services,configmaps,secrets"
    return here.kubectl("get", kinds, "--output=name").split()


BAD = {
    "an unknown kind": (
        {"apiVersion": "apps/v1", "kind": "Deploiment", "metadata": {"name": "web"}},
        'no matches for kind "Deploiment" in version "apps/v1"',
    ),
    "an unknown version": (
        deployment() | {"apiVersion": "apps/v9"},
        'no matches for kind "Deployment" in version "apps/v9"',
    ),
    "a wrong type": (
        deployment(replicas="three"),
        "replicas",
    ),
    "an unknown field": (
        deployment(replicsa=3),
        'unknown field "spec.replicsa"',
    ),
    "an unknown field deep inside": (
        pod("web", container("sleep 1", imagePolicy="Always")),
        'unknown field "spec.containers[0].imagePolicy"',
    ),
    "a bad name": (
        pod("Web_1", container("sleep 1")),
        'metadata.name: Invalid value: "Web_1": a lowercase RFC 1123 subdomain must consist of',
    ),
    "a name of nothing": (
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {}},
        "resource name may not be empty",
    ),
    "no containers": (
        pod("web"),
        "spec.containers: Required value",
    ),
    "a container without an image": (
        pod("web", {"name": "main"}),
        "spec.containers[0].image: Required value",
    ),
    "two containers of one name": (
        pod("web", container("sleep 1"), container("sleep 1")),
        'spec.containers[1].name: Duplicate value: "main"',
    ),
    "a negative number of replicas": (
        deployment(replicas=-1),
        "spec.replicas: Invalid value: -1: must be greater than or equal to 0",
    ),
    "a roll-out that may neither add nor take away": (
        deployment(strategy={"rollingUpdate": {"maxSurge": 0, "maxUnavailable": 0}}),
        "spec.strategy.rollingUpdate.maxUnavailable: Invalid value: 0: may not be 0 when `maxSurge` is 0",
    ),
    "a selector that misses its own pods": (
        deployment(selector={"matchLabels": {"app": "other"}}),
        'spec.template.metadata.labels: Invalid value: {"app":"web"}: `selector` does not match template',
    ),
    "a port that is none": (
        service(ports=[{"port": 70000}]),
        "spec.ports[0].port: Invalid value: 70000: must be between 1 and 65535, inclusive",
    ),
    "a quantity that is none": (
        pod("web", container("sleep 1", resources={"limits": {"memory": "much"}})),
        "quantities must match the regular expression",
    ),
    "a volume that is not there": (
        pod("web", container("sleep 1", volumeMounts=[{"name": "data", "mountPath": "/data"}])),
        'spec.containers[0].volumeMounts[0].name: Not found: "data"',
    ),
    "a bad label": (
        pod("web", container("sleep 1")) | {"metadata": {"name": "web", "labels": {"app": "a b"}}},
        'metadata.labels: Invalid value: "a b"',
    ),
}


# before 1.25 kubectl looked by itself, with the types that the server publishes
OF_OLD_KUBECTLS = {
    'unknown field "spec.replicsa"': '(Deployment.spec): unknown field "replicsa" in io.k8s.api.apps.v1.',
    'unknown field "spec.containers[0].imagePolicy"': '(Pod.spec.containers[0]): unknown field "imagePolicy"',
}


@pytest.mark.parametrize(("manifest", "said"), BAD.values(), ids=BAD)
def test_refused(here: Space, manifest: Obj, said: str) -> None:
    before = stored(here)
    answer = here.refused("apply", "--filename=-", stdin=json.dumps(manifest))
    assert said in answer or OF_OLD_KUBECTLS.get(said, said) in answer
    assert stored(here) == before


def test_what_may_not_change_does_not(here: Space) -> None:
    here.apply(
        deployment(),
        pod("fixed", container("sleep 1"), nodeSelector={"no": "where"}),
        service(ports=[{"port": 80}]),
    )
    changed = deployment(
        selector={"matchLabels": {"app": "new"}},
        template={"metadata": {"labels": {"app": "new"}}, "spec": {"containers": [container("sleep 1")]}},
    )
    said = here.refused("apply", "--filename=-", stdin=json.dumps(changed))
    assert "spec.selector: Invalid value" in said
    assert "field is immutable" in said
    changed = pod("fixed", container("sleep 2"), nodeSelector={"no": "where"})
    said = here.refused("apply", "--filename=-", stdin=json.dumps(changed))
    assert "spec: Forbidden: pod updates may not change fields other than" in said
    patch = '{"spec": {"clusterIP": "10.43.77.77"}}'
    said = here.refused("patch", "service", "web", "--patch", patch)
    assert "spec.clusterIPs[0]: Invalid value" in said
    assert "may not change once set" in said
    assert here.get("deployment", "web")["spec"]["selector"] == {"matchLabels": {"app": "web"}}
    assert here.get("pod", "fixed")["spec"]["containers"][0]["command"][-1] == "sleep 1"


def post(here: Space, body: str) -> Obj:
    """The answer to a body that is to become a pod."""
    words = ("--request", "POST", "--header", "Content-Type: application/json", "--data", body)
    answer: Obj = json.loads(here.cluster.api(f"/api/v1/namespaces/{here.name}/pods", *words))
    return answer


def test_the_body_of_a_refusal_names_each_field(here: Space) -> None:
    said = post(here, json.dumps(pod("Web_1", {"name": "main"})))
    assert {"kind": "Status", "status": "Failure", "reason": "Invalid", "code": 422}.items() <= said.items()
    causes = {cause["field"]: cause["reason"] for cause in said["details"]["causes"]}
    assert causes == {
        "metadata.name": "FieldValueInvalid",
        "spec.containers[0].image": "FieldValueRequired",
    }


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("{", "truncated"),
        ('{"kind": "Pod"} {"kind": "Pod"}', "trailing"),
        ("[]", "object"),
        ('{"apiVersion": "v1", "kind": "Service", "metadata": {"name": "x"}}', "Service"),
    ],
)
def test_a_body_that_is_no_pod(here: Space, body: str, said: str) -> None:
    answer = post(here, body)
    assert answer["code"] == 400
    assert said in answer["message"]
