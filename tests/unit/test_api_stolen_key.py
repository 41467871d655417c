"""A stolen node key, tried against everything: every kind, every verb, other people's objects by name.

What it opens is one table; all else must be refused before anything is looked at.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest
from fakes.examples import REQUEST
from fakes.http import FakeServer

from mini8s.agent.dns import custom
from mini8s.objects import kinds
from mini8s.objects.kinds import KINDS, Kind

NOT_OURS = "theirs"
READ = {"get", "list", "watch"}

# What a node may with objects that are not its own, by kind and subresource.
OPEN: dict[tuple[str, str], set[str]] = {
    ("nodes", ""): READ | {"create"},  # of which admission takes its own only
    ("pods", ""): {"create"},  # a mirror of its own
    ("services", ""): READ,
    ("endpoints", ""): READ,
    ("endpointslices.discovery.k8s.io", ""): READ,
    ("namespaces", ""): READ,
    ("networkpolicies.networking.k8s.io", ""): READ,
    ("ingresses.networking.k8s.io", ""): READ,
    ("ingressclasses.networking.k8s.io", ""): READ,
    ("runtimeclasses.node.k8s.io", ""): READ,
    ("persistentvolumes", ""): READ,  # nothing in them is secret
    ("serviceaccounts", "token"): {"create"},  # bound to a pod of its own: admission
    ("events", ""): {"create", "update", "patch"},
    ("certificatesigningrequests.certificates.k8s.io", ""): {"create"},
    ("selfsubjectreviews.authentication.k8s.io", ""): {"create"},
    ("selfsubjectaccessreviews.authorization.k8s.io", ""): {"create"},
    ("selfsubjectrulesreviews.authorization.k8s.io", ""): {"create"},
}
METHODS = {
    "get": "GET",
    "list": "GET",
    "watch": "GET",
    "create": "POST",
    "update": "PUT",
    "patch": "PATCH",
    "delete": "DELETE",
    "deletecollection": "DELETE",
}
CONTAINER = {"name": "c", "image": "i"}


CLAIM = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
DISK = {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": "/x"}}


def pod(name: str, node: str, word: str) -> Any:
    sources = [{"secretRef": {"name": word}}, {"configMapRef": {"name": word}}]
    volumes = [
        {"name": "v", "persistentVolumeClaim": {"claimName": word}},
        {"name": "made", "ephemeral": {"volumeClaimTemplate": {"spec": CLAIM}}},
    ]
    spec = {
        "nodeName": node,
        "serviceAccountName": word,
        "containers": [CONTAINER | {"envFrom": sources}],
        "volumes": volumes,
    }
    return {"metadata": {"name": name}, "spec": spec}


@pytest.fixture(scope="module")
def api() -> FakeServer:
    """A pod on n1, whose key is stolen, and one on n2, each with things of its own."""
    api = FakeServer()
    for word, node in (("own", "n1"), (NOT_OURS, "n2")):
        post(api, kinds.NODES, {"metadata": {"name": node}})
        post(api, kinds.SECRETS, {"metadata": {"name": word}, "stringData": {"k": "v"}})
        post(api, kinds.CONFIGMAPS, {"metadata": {"name": word}})
        post(api, kinds.SERVICEACCOUNTS, {"metadata": {"name": word}})
        for name in (word, f"{word}-made"):
            post(api, kinds.PERSISTENTVOLUMECLAIMS, {"metadata": {"name": name}, "spec": CLAIM})
        post(api, kinds.PERSISTENTVOLUMES, {"metadata": {"name": word}, "spec": DISK})
        post(api, kinds.PODS, pod(word, node, word))
    return api


def post(api: FakeServer, kind: Kind, obj: Any) -> None:
    heard = api.ask("POST", kind.path("default" if kind.namespaced else ""), json.dumps(obj).encode())
    assert heard.code == 201, heard.body


def questions() -> Iterator[tuple[Kind, str, str]]:
    for kind in KINDS:
        yield from ((kind, "", verb) for verb in kind.verbs)
        for subresource in kind.subresources:
            yield from ((kind, subresource, verb) for verb in ("get", "create", "update", "patch", "delete"))


@pytest.mark.parametrize(
    ("kind", "subresource", "verb"),
    [q for q in questions() if q[2] not in OPEN.get((q[0].resource, q[1]), ())],
    ids=lambda value: value.resource if isinstance(value, Kind) else value,
)
def test_it_is_refused(api: FakeServer, kind: Kind, subresource: str, verb: str) -> None:
    namespace = "default" if kind.namespaced else ""
    name = "" if verb in {"list", "watch", "create", "deletecollection"} and not subresource else NOT_OURS
    name = "n2" if name and kind is kinds.NODES else name
    path = kind.path(namespace, name, subresource) + ("?watch=true" if verb == "watch" else "")
    headers = {"Content-Type": "application/merge-patch+json"} if verb == "patch" else {}
    heard = api.ask(METHODS[verb], path, b"{}", user="node", headers=headers)
    assert heard.code == 403, heard.body


@pytest.mark.parametrize(
    "query",
    [
        "",
        "fieldSelector=metadata.name%3Dtheirs",
        "fieldSelector=metadata.name!%3Dx",
        "fieldSelector=metadata.name%3Down,metadata.namespace%3Ddefault",
        "fieldSelector=metadata.name%3D",
        "labelSelector=a%3Db",
        "watch=1",
    ],
)
def test_no_selector_opens_all(api: FakeServer, query: str) -> None:
    for plural in ("pods", "secrets", "configmaps", "serviceaccounts", "persistentvolumeclaims"):
        for path in (f"/api/v1/{plural}", f"/api/v1/namespaces/default/{plural}"):
            assert api.ask("GET", f"{path}?{query}", user="node").code == 403, path


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/api/v1/nodes", {"metadata": {"name": "n3"}}),
        ("PATCH", "/api/v1/nodes/n1", {"metadata": {"labels": {"node-restriction.kubernetes.io/zone": "a"}}}),
        ("PATCH", "/api/v1/nodes/n1", {"spec": {"taints": [{"key": "a", "effect": "NoSchedule"}]}}),
        ("PATCH", "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/n2", {}),
        ("POST", "/apis/coordination.k8s.io/v1/namespaces/default/leases", {"metadata": {"name": "n1"}}),
        ("POST", "/api/v1/namespaces/default/pods", pod("x", "n1", "own")),
        ("POST", "/api/v1/namespaces/default/serviceaccounts/theirs/token", {"spec": {"audiences": []}}),
        ("POST", "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", {"metadata": {"name": "x"}}),
        ("GET", "/metrics", None),
        ("GET", "/nothing", None),
        ("GET", "/v1-mini8s/tunnel?node=n2", None),
    ],
)  # fmt: skip
def test_nor_does_a_body_or_a_path(api: FakeServer, method: str, path: str, body: Any) -> None:
    headers = {"Content-Type": "application/merge-patch+json"} if method == "PATCH" else {}
    heard = api.ask(method, path, json.dumps(body).encode(), user="node", headers=headers)
    assert heard.code == 403, heard.body


@pytest.mark.parametrize(
    ("header", "value"), [("Impersonate-User", "system:admin"), ("Impersonate-User", "system:node:n2")]
)
def test_it_speaks_for_nobody_else(api: FakeServer, header: str, value: str) -> None:
    assert api.ask("GET", "/api/v1/nodes", user="node", headers={header: value}).code == 403


def test_applying_many_at_once_is_no_way_round(api: FakeServer) -> None:
    body = b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n"
    heard = api.ask("POST", "/apply", body, user="node")
    assert heard.code == 403
    assert b"Forbidden" in heard.body


def test_the_name_server_reads_what_an_administrator_adds(api: FakeServer) -> None:
    """That one alone, by the list that its informer asks for; without it no name would ever be answered."""
    path = f"/api/v1/namespaces/{custom.NAMESPACE}/configmaps?fieldSelector=metadata.name%3D"
    assert api.ask("GET", path + custom.NAME, user="node").code == 200
    assert api.ask("GET", path + "other", user="node").code == 403
    assert api.ask("GET", f"{path}{custom.NAME}".replace("kube-system", "default"), user="node").code == 403


@pytest.mark.parametrize(
    "path",
    [
        "secrets/own",
        "secrets?fieldSelector=metadata.name%3Down",
        "configmaps/own",
        "configmaps/kube-root-ca.crt",
        "serviceaccounts/own",
        "persistentvolumeclaims/own",
        "persistentvolumeclaims/own-made",
        "pods/own",
        "pods?fieldSelector=spec.nodeName%3Dn1",
    ],
)
def test_what_its_own_pods_use_is_open(api: FakeServer, path: str) -> None:
    assert api.ask("GET", f"/api/v1/namespaces/default/{path}", user="node").code in {200, 404}


def test_of_certificates_it_reads_its_own_wishes(api: FakeServer) -> None:
    path = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
    for user, name in (("node", "mine"), ("admin", "another")):
        pem = base64.b64encode(REQUEST).decode()
        spec = {"request": pem, "signerName": "example.com/x", "usages": ["client auth"]}
        body = json.dumps({"metadata": {"name": name}, "spec": spec}).encode()
        assert api.ask("POST", path, body, user=user).code == 201
    assert api.ask("GET", f"{path}/mine", user="node").code == 200
    assert api.ask("GET", f"{path}/another", user="node").code == 403
