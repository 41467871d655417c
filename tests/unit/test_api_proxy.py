"""Whom a proxied request is for, and which of its headers go on: no socket is needed to tell."""

from __future__ import annotations

from typing import Any

import pytest
from fakes.cluster import Cluster, pod

from mini8s.api import headers
from mini8s.api.backends import Backend, Backends
from mini8s.api.target import Target, parse
from mini8s.objects.errors import BadRequest, NotFound, ServiceUnavailable
from mini8s.objects.kinds import ENDPOINTS, NODES, PODS, SERVICES, Obj

IP = "10.42.0.5"


@pytest.fixture
def cluster() -> Cluster:
    made = Cluster()
    made.create(NODES, {"metadata": {"name": "n1"}})
    for name, ip in (("web", IP), ("other", "10.42.0.6"), ("nowhere", "")):
        ports = [{"containerPort": 8080}] if name == "web" else []
        container = {"name": "main", "image": "i", "ports": ports}
        made.create(PODS, pod(name, nodeName="n1", containers=[container]))
        if ip:
            status = {"podIP": ip, "podIPs": [{"ip": ip}]}
            made.patch(PODS, name, {"status": status}, subresource="status")
    ports = [{"name": "http", "port": 80}, {"name": "admin", "port": 81}]
    made.create(SERVICES, {"metadata": {"name": "web"}, "spec": {"ports": ports}})
    made.create(SERVICES, {"metadata": {"name": "lonely"}, "spec": {"ports": [{"port": 80}]}})
    return made


def address(name: str = "web", ip: str = IP, **more: Any) -> Obj:
    return {"ip": ip, "targetRef": {"kind": "Pod", "namespace": "default", "name": name} | more}


def endpoints(cluster: Cluster, *addresses: Obj, service: str = "web") -> None:
    ports = [{"name": "http", "port": 8080}, {"name": "admin", "port": 9090}]
    subsets = [{"addresses": list(addresses), "ports": ports}] if addresses else []
    cluster.create(ENDPOINTS, {"metadata": {"name": service}, "subsets": subsets})


def find(cluster: Cluster, path: str) -> Backend:
    target = parse(path)
    assert target is not None
    return Backends(cluster.machine, lambda found: found[0]).find(target)


def test_a_target_ends_where_the_backends_path_begins() -> None:
    for path in ("", "/", "/a//b"):
        found = parse(f"/api/v1/namespaces/default/services/http:web:80/proxy{path}")
        assert found == Target(SERVICES, "default", "http:web:80", "proxy")
        assert parse(f"/api/v1/nodes/n1/proxy{path}") == Target(NODES, "", "n1", "proxy")
    assert parse("/api/v1/namespaces/default/configmaps/a/proxy/x") is None
    assert parse("/api/v1/pods/web/proxy/") is None


@pytest.mark.parametrize(
    ("path", "road", "host"),
    [
        ("pods/web/proxy", "/connect/pods/default/web/8080?scheme=", f"{IP}:8080"),
        ("pods/web:9000/proxy/", "/connect/pods/default/web/9000?scheme=", f"{IP}:9000"),
        ("pods/other/proxy/", "/connect/pods/default/other/80?scheme=", "10.42.0.6:80"),
        ("pods/https:other:/proxy/", "/connect/pods/default/other/443?scheme=https", "10.42.0.6:443"),
    ],
)
def test_pods(cluster: Cluster, path: str, road: str, host: str) -> None:
    assert find(cluster, f"/api/v1/namespaces/default/{path}") == Backend("n1", road, host)


def test_nodes(cluster: Cluster) -> None:
    for name in ("n1", "n1:10250", "https:n1:"):
        assert find(cluster, f"/api/v1/nodes/{name}/proxy/healthz") == Backend("n1", "", "n1")
    assert find(cluster, "/api/v1/nodes/n1:9100/proxy/") == Backend(
        "n1", "/connect/node/9100?scheme=", "n1:9100"
    )


@pytest.mark.parametrize("port", ["http", "80"])
def test_a_services_port_by_name_or_number(cluster: Cluster, port: str) -> None:
    endpoints(cluster, address())
    found = find(cluster, f"/api/v1/namespaces/default/services/web:{port}/proxy/")
    assert found == Backend("n1", "/connect/pods/default/web/8080?scheme=", f"{IP}:8080")
    cluster.create(SERVICES, {"metadata": {"name": "one"}, "spec": {"ports": [{"name": "http", "port": 80}]}})
    endpoints(cluster, address(), service="one")
    assert find(cluster, "/api/v1/namespaces/default/services/one/proxy/") == found
    assert find(cluster, "/api/v1/namespaces/default/services/web:admin/proxy/").host == f"{IP}:9090"


@pytest.mark.parametrize(
    "written",
    [
        address("gone"),
        address(ip="10.0.0.1"),
        address(namespace="kube-system"),
        {"ip": IP},
        address(kind="Node"),
    ],
)
def test_only_pods_of_the_namespace_are_reached(cluster: Cluster, written: Obj) -> None:
    endpoints(cluster, written, address("other", "10.42.0.6"))
    assert find(cluster, "/api/v1/namespaces/default/services/web:http/proxy/").host == "10.42.0.6:8080"


@pytest.mark.parametrize(
    ("path", "error", "message"),
    [
        ("services/web:http/proxy/", ServiceUnavailable, 'no endpoints available for service "web:http"'),
        ("services/web/proxy/", ServiceUnavailable, 'no endpoints available for service "web"'),
        ("services/lonely/proxy/", ServiceUnavailable, 'no endpoints available for service "lonely"'),
        ("services/web:82/proxy/", ServiceUnavailable, 'no service port 82 found for service "web"'),
        ("services/unknown/proxy/", NotFound, 'services "unknown" not found'),
        ("services/a:b:c:d/proxy/", BadRequest, 'invalid service request "a:b:c:d"'),
        ("services/ftp:web:80/proxy/", BadRequest, 'invalid service request "ftp:web:80"'),
        ("pods/nowhere/proxy/", BadRequest, "address not allowed"),
        ("pods/web:x/proxy/", BadRequest, 'invalid port "x"'),
        ("pods/web:²/proxy/", BadRequest, 'invalid port "²"'),
        (f"pods/web:{'9' * 5000}/proxy/", BadRequest, f'invalid port "{"9" * 5000}"'),
        ("services/web:²/proxy/", ServiceUnavailable, 'no endpoints available for service "web:²"'),
        ("pods/missing/proxy/", NotFound, 'pods "missing" not found'),
    ],
)
def test_refusals(cluster: Cluster, path: str, error: type[Exception], message: str) -> None:
    endpoints(cluster, {"ip": "192.0.2.1"})
    endpoints(cluster, service="lonely")
    with pytest.raises(error) as refused:
        find(cluster, f"/api/v1/namespaces/default/{path}")
    assert str(refused.value) == message


def test_the_clients_credentials_and_hops_stay_here() -> None:
    environ = {
        "HTTP_ACCEPT": "text/html",
        "HTTP_AUTHORIZATION": "Bearer secret",
        "HTTP_CONNECTION": "keep-alive, X-Hop",
        "HTTP_EXPECT": "100-continue",
        "HTTP_HOST": "api:6443",
        "HTTP_IMPERSONATE_USER": "jane",
        "HTTP_KEEP_ALIVE": "5",
        "HTTP_TRANSFER_ENCODING": "chunked",
        "HTTP_X_FORWARDED_FOR": "192.0.2.9",
        "HTTP_X_FORWARDED_HOST": "lie",
        "HTTP_X_HOP": "1",
        "CONTENT_TYPE": "text/plain",
        "REMOTE_ADDR": "192.0.2.1",
        "wsgi.url_scheme": "https",
    }
    assert headers.passed_on(environ, "/p/x") == [
        ("Accept", "text/html"),
        ("Content-Type", "text/plain"),
        ("X-Forwarded-For", "192.0.2.9, 192.0.2.1"),
        ("X-Forwarded-Host", "api:6443"),
        ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-Uri", "/p/x"),
    ]


def test_the_answers_hops_stay_here_and_who_may_read_it_is_ours_to_say() -> None:
    pairs = [("Set-Cookie", "a"), ("Set-Cookie", "b"), ("Connection", "close, X-Hop"), ("X-Hop", "1")]
    pairs += [("Transfer-Encoding", "chunked"), ("Access-Control-Allow-Origin", "*")]
    assert headers.handed_back(pairs) == [("Set-Cookie", "a"), ("Set-Cookie", "b")]


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("/a/?q=1#f", "/p/a/?q=1#f"),
        (f"http://{IP}:80/a", "/p/a"),
        ("https://api:6443/a", "https://api:6443/p/a"),
        ("https://example.com/a", "https://example.com/a"),
        ("../a", "../a"),
        ("/p/a", "/p/a"),
    ],
)
def test_redirects_stay_within_the_proxy(location: str, expected: str) -> None:
    assert headers.rewritten(location, prefix="/p", backend=f"{IP}:80", asked="api:6443") == expected
