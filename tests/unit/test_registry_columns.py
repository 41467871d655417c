"""What `kubectl get` and `-o wide` show of each kind."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from fakes.cluster import deployment, pod, service

from mini8s.objects.kinds import (
    CONFIGMAPS,
    DEPLOYMENTS,
    ENDPOINTS,
    ENDPOINTSLICES,
    EVENTS,
    KINDS,
    LEASES,
    NAMESPACES,
    NODES,
    PODS,
    REPLICASETS,
    SECRETS,
    SERVICEACCOUNTS,
    SERVICES,
    Kind,
    Obj,
)
from mini8s.registry.kinds import BY_KIND, STRATEGIES

NOW = datetime(2026, 1, 1, 0, 5, tzinfo=UTC)
CREATED = "2026-01-01T00:00:00Z"
KEPT = tuple(kind for kind in KINDS if kind.kept)


def row(kind: Kind, obj: Obj, *, wide: bool = False) -> dict[str, Any]:
    aged = obj | {"metadata": {"name": "x", "creationTimestamp": CREATED} | obj.get("metadata", {})}
    shown = [column for column in BY_KIND[kind].columns if wide or not column.priority]
    return {column.name.upper(): column.cell(aged, NOW) for column in shown}


def test_every_kind_has_a_strategy_in_the_order_of_the_table() -> None:
    assert tuple(strategy.kind for strategy in STRATEGIES) == KEPT


@pytest.mark.parametrize("kind", KEPT, ids=lambda kind: f"{kind.plural}-{kind.version}")
def test_columns_stand_an_empty_object(kind: Kind) -> None:
    shown = row(kind, {}, wide=True)
    assert shown.get("NAME") == "x"
    assert all(value is not None for value in shown.values())


def test_pods() -> None:
    found = pod("web", nodeName="n1", readinessGates=[{"conditionType": "a"}]) | {
        "status": {"podIP": "10.42.0.5"}
    }
    assert row(PODS, found, wide=True) == {
        "NAME": "web",
        "READY": "0/1",
        "STATUS": "Unknown",
        "RESTARTS": "0",
        "AGE": "5m",
        "IP": "10.42.0.5",
        "NODE": "n1",
        "NOMINATED NODE": "<none>",
        "READINESS GATES": "0/1",
    }


def test_workloads() -> None:
    said = {"readyReplicas": 2, "replicas": 3, "updatedReplicas": 1, "availableReplicas": 2}
    found = deployment(replicas=3) | {"status": said}
    wide = {"CONTAINERS": "main", "IMAGES": "busybox:1", "SELECTOR": "app=web"}
    assert row(DEPLOYMENTS, found, wide=True) == {
        "NAME": "web", "READY": "2/3", "UP-TO-DATE": 1, "AVAILABLE": 2, "AGE": "5m", **wide,
    }  # fmt: skip
    assert row(REPLICASETS, found, wide=True) == {
        "NAME": "web", "DESIRED": 3, "CURRENT": 3, "READY": 2, "AGE": "5m", **wide,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("spec", "external", "ports"),
    [
        ({"type": "ClusterIP", "clusterIP": "10.43.0.7"}, "<none>", "80/TCP"),
        ({"type": "NodePort", "ports": [{"port": 80, "nodePort": 30080}]}, "<none>", "80:30080/TCP"),
        ({"type": "LoadBalancer"}, "<pending>", "80/TCP"),
        ({"type": "ExternalName", "externalName": "a.example", "ports": []}, "a.example", "<none>"),
        ({"externalIPs": ["1.2.3.4", "1.2.3.5"]}, "1.2.3.4,1.2.3.5", "80/TCP"),
    ],
)
def test_services(spec: Obj, external: str, ports: str) -> None:
    shown = row(SERVICES, service(**spec, selector={"b": "2", "a": "1"}), wide=True)
    assert (shown["EXTERNAL-IP"], shown["PORT(S)"], shown["SELECTOR"]) == (external, ports, "a=1,b=2")
    assert shown["CLUSTER-IP"] == spec.get("clusterIP", "<none>")


@pytest.mark.parametrize(
    ("status", "spec", "word"),
    [
        ("True", {}, "Ready"),
        ("False", {}, "NotReady"),
        ("Unknown", {"unschedulable": True}, "NotReady,SchedulingDisabled"),
    ],
)
def test_nodes(status: str, spec: Obj, word: str) -> None:
    found = {
        "metadata": {"labels": {"node-role.kubernetes.io/worker": "", "kubernetes.io/role": "edge"}},
        "spec": spec,
        "status": {
            "conditions": [{"type": "Ready", "status": status}],
            "addresses": [{"type": "InternalIP", "address": "10.99.0.1"}],
            "nodeInfo": {"kubeletVersion": "v1.33.0", "osImage": "Debian"},
        },
    }
    assert row(NODES, found, wide=True) == {
        "NAME": "x",
        "STATUS": word,
        "ROLES": "edge,worker",
        "AGE": "5m",
        "VERSION": "v1.33.0",
        "INTERNAL-IP": "10.99.0.1",
        "EXTERNAL-IP": "<none>",
        "OS-IMAGE": "Debian",
        "KERNEL-VERSION": "<unknown>",
        "CONTAINER-RUNTIME": "<unknown>",
    }


def test_events() -> None:
    found = {
        "involvedObject": {"kind": "Pod", "name": "web", "fieldPath": "spec.containers{main}"},
        "type": "Normal",
        "reason": "Pulled",
        "message": "done\n",
        "firstTimestamp": CREATED,
        "lastTimestamp": "2026-01-01T00:04:50Z",
        "count": 3,
        "source": {"component": "kubelet", "host": "n1"},
    }
    assert row(EVENTS, found) == {
        "LAST SEEN": "10s", "TYPE": "Normal", "REASON": "Pulled", "OBJECT": "pod/web", "MESSAGE": "done",
    }  # fmt: skip
    wide = row(EVENTS, found, wide=True)
    assert (wide["SOURCE"], wide["FIRST SEEN"], wide["COUNT"]) == ("kubelet, n1", "5m", 3)


def test_endpoints() -> None:
    subset = {"addresses": [{"ip": f"10.0.0.{number}"} for number in range(1, 6)], "ports": [{"port": 80}]}
    assert row(ENDPOINTS, {"subsets": [subset]})["ENDPOINTS"] == (
        "10.0.0.1:80,10.0.0.2:80,10.0.0.3:80 + 2 more..."
    )
    sliced = {
        "addressType": "IPv4",
        "ports": [{"port": 80}],
        "endpoints": [{"addresses": ["10.0.0.1"]}],
    }
    assert row(ENDPOINTSLICES, sliced) == {
        "NAME": "x", "ADDRESSTYPE": "IPv4", "PORTS": "80", "ENDPOINTS": "10.0.0.1", "AGE": "5m",
    }  # fmt: skip
    assert row(ENDPOINTSLICES, {})["ENDPOINTS"] == "<unset>"


@pytest.mark.parametrize(
    ("kind", "found", "title", "value"),
    [
        (CONFIGMAPS, {"data": {"a": ""}, "binaryData": {"b": ""}}, "DATA", 2),
        (SECRETS, {"type": "Opaque", "data": {"a": ""}}, "DATA", 1),
        (NAMESPACES, {"status": {"phase": "Active"}}, "STATUS", "Active"),
        (SERVICEACCOUNTS, {"secrets": [{}]}, "SECRETS", 1),
        (LEASES, {"spec": {"holderIdentity": "me"}}, "HOLDER", "me"),
    ],
)
def test_small_kinds(kind: Kind, found: Obj, title: str, value: Any) -> None:
    assert row(kind, found)[title] == value
