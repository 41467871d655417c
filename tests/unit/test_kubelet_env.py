"""Environment, files and names that containers are given: pure, from objects of the API."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mini8s.agent.kubelet import etc_files
from mini8s.agent.kubelet.downward import Placed, field_value, resource_value
from mini8s.agent.kubelet.env import environment, expand
from mini8s.agent.kubelet.isolation.resources import limits
from mini8s.agent.kubelet.lookup import Missing
from mini8s.agent.kubelet.references import references_of
from mini8s.objects.kinds import CONFIGMAPS, SECRETS, Kind, Obj

CONFIG = {"data": {"a": "1", "b": "two words"}, "binaryData": {"raw": base64.b64encode(b"\x00\xff").decode()}}
SECRET = {"data": {"key": base64.b64encode(b"hidden").decode()}}


def lookup(kind: Kind, namespace: str, name: str) -> Obj | None:
    return {(CONFIGMAPS, "config"): CONFIG, (SECRETS, "secret"): SECRET}.get((kind, name))


def placed(**spec: Any) -> Placed:
    metadata = {
        "namespace": "shop",
        "name": "web-0",
        "uid": "u",
        "labels": {"app": "web", "tier": 'a"b'},
        "annotations": {"note": "x"},
    }
    containers = [{"name": "c", "resources": {"limits": {"cpu": "1500m"}, "requests": {"memory": "64Mi"}}}]
    pod = {"metadata": metadata, "spec": {"containers": containers, "nodeName": "n1", **spec}}
    return Placed(pod, ("10.42.0.7", "fd42::7"), ("10.99.0.11", "fd99::11"), {"cpu": "2", "memory": "1Gi"})


def env(
    *variables: Obj, sources: tuple[Obj, ...] = (), services: tuple[Obj, ...] = (), **spec: Any
) -> dict[str, str]:
    container = {"name": "c", "env": list(variables), "envFrom": list(sources)}
    return dict(environment(placed(**spec), container, lookup, services))


def service(name: str, namespace: str, address: str, *ports: Obj) -> Obj:
    return {
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"clusterIP": address, "ports": list(ports)},
    }


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("$(A)", "1"),
        ("$$(A)", "$(A)"),
        ("$$$(A)", "$1"),
        ("$(B)", "$(B)"),
        ("$(A", "$(A"),
        ("a$(A)b$(A)$", "a1b1$"),
        ("$A", "$A"),
        ("$$", "$"),
    ],
)
def test_expansion(text: str, expanded: str) -> None:
    assert expand(text, {"A": "1"}) == expanded


@given(st.text(alphabet="ab $()A"))
def test_what_has_no_reference_stays(text: str) -> None:
    if "$" not in text:
        assert expand(text, {"A": "1"}) == text


def test_later_variables_speak_of_earlier_ones() -> None:
    found = env(
        {"name": "X", "value": "$(a)-$(Y)"},
        {"name": "Y", "value": "y"},
        {"name": "Z", "value": "$(X)/$(Y)"},
        sources=({"configMapRef": {"name": "config"}},),
    )
    assert found == {"a": "1", "b": "two words", "X": "1-$(Y)", "Y": "y", "Z": "1-$(Y)/y"}


def test_sources_of_variables() -> None:
    found = env(
        {"name": "K", "valueFrom": {"secretKeyRef": {"name": "secret", "key": "key"}}},
        {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
        {"name": "CPU", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}},
        {"name": "NO", "valueFrom": {"configMapKeyRef": {"name": "none", "key": "k", "optional": True}}},
        sources=(
            {"prefix": "P_", "secretRef": {"name": "secret"}},
            {"configMapRef": {"name": "no", "optional": True}},
        ),
    )
    assert found == {"P_key": "hidden", "K": "hidden", "IP": "10.42.0.7", "CPU": "2"}


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({"configMapKeyRef": {"name": "no", "key": "k"}}, 'configmap "no" not found'),
        ({"secretKeyRef": {"name": "no", "key": "k"}}, 'secret "no" not found'),
        ({"secretKeyRef": {"name": "secret", "key": "k"}}, "couldn't find key k in Secret shop/secret"),
        ({"fieldRef": {"fieldPath": "spec.color"}}, "unsupported fieldPath: spec.color"),
    ],
)
def test_what_is_missing_is_said(source: Obj, message: str) -> None:
    with pytest.raises(Missing, match=message):
        env({"name": "A", "valueFrom": source})


def test_services_are_told() -> None:
    api = service("kubernetes", "default", "10.43.0.1", {"name": "https", "port": 443})
    own = service("my-db", "shop", "10.43.0.9", {"port": 5432, "protocol": "TCP"})
    others = service("far", "elsewhere", "10.43.0.8", {"port": 1})
    headless = service("quiet", "shop", "None", {"port": 1})
    found = env(services=(api, own, others, headless))
    assert found["KUBERNETES_SERVICE_HOST"] == "10.43.0.1"
    assert found["KUBERNETES_SERVICE_PORT_HTTPS"] == "443"
    assert found["MY_DB_PORT_5432_TCP"] == "tcp://10.43.0.9:5432"
    assert not any(name.startswith(("FAR", "QUIET")) for name in found)
    assert not any(name.startswith("MY_DB") for name in env(services=(api, own), enableServiceLinks=False))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("metadata.name", "web-0"),
        ("metadata.labels['app']", "web"),
        ("metadata.annotations['none']", ""),
        ("metadata.labels", 'app="web"\ntier="a\\"b"'),
        ("spec.nodeName", "n1"),
        ("status.hostIP", "10.99.0.11"),
    ],
)
def test_fields(path: str, value: str) -> None:
    assert field_value(placed(), path) == value


@pytest.mark.parametrize(
    ("reference", "value"),
    [
        ({"resource": "limits.cpu", "divisor": "1m"}, "1500"),
        ({"resource": "requests.memory", "divisor": "1Mi"}, "64"),
        ({"resource": "limits.memory", "divisor": "1Mi"}, "1024"),
        ({"resource": "requests.cpu"}, "0"),
    ],
)
def test_resource_fields(reference: Obj, value: str) -> None:
    assert resource_value(placed(), reference, "c") == value


def test_references_of_a_pod() -> None:
    spec = {
        "initContainers": [{"name": "i", "envFrom": [{"secretRef": {"name": "s1"}}]}],
        "ephemeralContainers": [{"name": "e", "envFrom": [{"configMapRef": {"name": "m3"}}]}],
        "containers": [
            {"name": "c", "env": [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "m1"}}}]}
        ],
        "volumes": [
            {"name": "v", "secret": {"secretName": "s2"}},
            {"name": "p", "projected": {"sources": [{"configMap": {"name": "m2"}}]}},
            {"name": "d", "persistentVolumeClaim": {"claimName": "c1"}},
            {"name": "e", "ephemeral": {}},
        ],
    }
    found = {
        (kind.kind, name)
        for kind, _, name in references_of({"metadata": {"namespace": "n", "name": "web"}, "spec": spec})
    }
    assert found == {
        ("Secret", "s1"),
        ("ConfigMap", "m1"),
        ("Secret", "s2"),
        ("ConfigMap", "m2"),
        ("ConfigMap", "m3"),
        ("PersistentVolumeClaim", "c1"),
        ("PersistentVolumeClaim", "web-e"),
    }


def test_hosts_file() -> None:
    pod = placed(subdomain="db", hostAliases=[{"ip": "1.2.3.4", "hostnames": ["a", "b"]}]).pod
    text = etc_files.hosts(pod, ("10.42.0.7", "fd42::7"), "cluster.local")
    assert text.startswith("# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n")
    for address in ("10.42.0.7", "fd42::7"):
        assert f"{address}\tweb-0.db.shop.svc.cluster.local\tweb-0\n" in text
    assert text.endswith("# Entries added by HostAliases.\n1.2.3.4\ta\tb\n")


HOST = "# made by hand\nnameserver 9.9.9.9\nsearch office.example\noptions edns0\n"


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        ({}, "nameserver 10.43.0.10\nsearch shop.svc.c.l svc.c.l c.l office.example\noptions ndots:5\n"),
        ({"hostNetwork": True}, "nameserver 9.9.9.9\nsearch office.example\noptions edns0\n"),
        (
            {"hostNetwork": True, "dnsPolicy": "ClusterFirstWithHostNet"},
            "nameserver 10.43.0.10\nsearch shop.svc.c.l svc.c.l c.l office.example\noptions ndots:5\n",
        ),
        (
            {
                "dnsPolicy": "None",
                "dnsConfig": {"nameservers": ["1.1.1.1"], "options": [{"name": "ndots", "value": "2"}]},
            },
            "nameserver 1.1.1.1\noptions ndots:2\n",
        ),
    ],
)
def test_resolver(spec: Obj, text: str) -> None:
    host = etc_files.parse_resolver(HOST)
    assert etc_files.resolver(placed(**spec).pod, host, "10.43.0.10", "c.l").text() == text


def test_limits() -> None:
    found = limits({"resources": {"limits": {"cpu": "500m", "memory": "64Mi"}, "requests": {"cpu": "250m"}}})
    assert (found.cpu_shares, found.cpu_quota_us, found.memory_bytes) == (256, 50_000, 64 << 20)
    nothing = limits({})
    assert (nothing.cpu_shares, nothing.cpu_quota_us, nothing.memory_bytes) == (2, 0, 0)
