"""Load balancers: which hosts a Service gets, who has a port, and what is told of it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from mini8s.controllers.kinds.endpoints.slices import EndpointSlices
from mini8s.controllers.kinds.servicelb.controller import ServiceLoadBalancers
from mini8s.controllers.settings import ControllerSettings
from mini8s.objects import conditions
from mini8s.objects.ingresses import SERVED
from mini8s.objects.kinds import INGRESSCLASSES, INGRESSES, NODES, PODS, SERVICES, Obj
from tests.fakes import ingresses
from tests.fakes.world import NAMESPACE, World, node, pod, service


@pytest.fixture
def world() -> Iterator[World]:
    made = World([ServiceLoadBalancers, EndpointSlices], ControllerSettings(api_port=6443))
    for number in (1, 2, 3):
        host(made, number)
    yield made
    made.close()


def host(world: World, number: int, **labels: str) -> Obj:
    made = node(f"h{number}")
    made["metadata"]["labels"] = labels
    made["status"]["addresses"] = [{"type": "InternalIP", "address": f"10.99.0.{10 + number}"}]
    return world.api.create(NODES, made)


def balancer(world: World, name: str = "web", **spec: object) -> None:
    world.api.create(SERVICES, service(name, type="LoadBalancer", **spec))
    world.settle()


def addresses(world: World, name: str = "web") -> list[int]:
    """The last parts of those that the Service has."""
    given = world.get(SERVICES, name).get("status", {}).get("loadBalancer", {}).get("ingress") or []
    assert all(one["ipMode"] == "VIP" for one in given)
    return [int(one["ip"].rpartition(".")[2]) for one in given]


def label(world: World, name: str, value: str | None, kind: object = NODES) -> None:
    space = NAMESPACE if kind is SERVICES else ""
    world.api.patch(kind, space, name, {"metadata": {"labels": {"mini8s.io/lb": value}}})  # type: ignore[arg-type]
    world.settle()


def ready(world: World, name: str, status: str) -> None:
    world.api.patch_status(NODES, "", name, {"status": {"conditions": [{"type": "Ready", "status": status}]}})
    world.settle()


def test_a_load_balancer_gets_all_hosts_that_are_ready(world: World) -> None:
    balancer(world)
    assert addresses(world) == [11, 12, 13]
    assert world.told() == ["EnsuredLoadBalancer: Ensured load balancer"]
    world.writes()
    world.settle()
    assert world.writes() == []
    ready(world, "h2", "Unknown")
    assert addresses(world) == [11, 13]
    for name in ("h1", "h3"):
        ready(world, name, "Unknown")
    assert addresses(world) == [13], "when nobody is ready it is the server that is cut off"
    ready(world, "h2", "True")
    assert addresses(world) == [12]


def test_only_labelled_hosts_once_one_is_labelled_and_pools(world: World) -> None:
    balancer(world)
    label(world, "h2", "true")
    assert addresses(world) == [12]
    label(world, "h3", "edge")
    assert addresses(world) == [12]
    label(world, "web", "edge", SERVICES)
    assert addresses(world) == [13]
    label(world, "h3", None)
    assert addresses(world) == []
    label(world, "web", None, SERVICES)
    label(world, "h2", None)
    assert addresses(world) == [11, 12, 13]


def test_other_classes_are_left_alone_and_what_is_none_any_more_is_cleaned(world: World) -> None:
    balancer(world, "other", loadBalancerClass="example.com/lb")
    balancer(world, "own", loadBalancerClass="mini8s.io/servicelb", ports=[{"port": 81, "protocol": "TCP"}])
    assert (addresses(world, "other"), addresses(world, "own")) == ([], [11, 12, 13])
    status = {"status": {"loadBalancer": {"ingress": [{"ip": "198.51.100.1", "ipMode": "VIP"}]}}}
    world.api.patch_status(SERVICES, NAMESPACE, "other", status)
    world.api.patch(SERVICES, NAMESPACE, "own", {"spec": {"type": "ClusterIP", "loadBalancerClass": None}})
    world.settle()
    assert (addresses(world, "other"), addresses(world, "own")) == ([1], [])


def test_nothing_is_given_when_it_is_disabled() -> None:
    world = World([ServiceLoadBalancers], ControllerSettings(service_load_balancers=False))
    host(world, 1)
    balancer(world)
    assert addresses(world) == []
    world.close()


def test_a_local_policy_gives_only_hosts_with_endpoints(world: World) -> None:
    balancer(world, externalTrafficPolicy="Local")
    assert addresses(world) == []
    world.api.create(PODS, pod("p", node="h2", labels={"app": "web"}))
    world.set_ready("p", True)
    world.settle()
    assert addresses(world) == [12]
    world.set_ready("p", False)
    world.settle()
    assert addresses(world) == []


def test_the_older_service_has_the_port_and_the_younger_is_told(world: World) -> None:
    balancer(world)
    world.told()
    world.clock.step(1)
    balancer(world, "young")
    assert (addresses(world), addresses(world, "young")) == ([11, 12, 13], [])
    said = "port 80/TCP of 10.99.0.11 is taken by Service default/web; "
    (told,) = world.told()
    assert told.startswith(f"SyncLoadBalancerFailed: Error syncing load balancer: {said}")
    found = conditions.get(world.get(SERVICES, "young"), "LoadBalancerPortsError")
    assert found
    assert (found["status"], found["reason"]) == ("True", "PortConflict")
    label(world, "h1", "edge")
    label(world, "web", "edge", SERVICES)
    label(world, "h2", "true")
    assert (addresses(world), addresses(world, "young")) == ([11], [12])
    assert conditions.get(world.get(SERVICES, "young"), "LoadBalancerPortsError") is None
    label(world, "young", "edge", SERVICES)
    assert addresses(world, "young") == []
    world.api.delete(SERVICES, NAMESPACE, "web")
    world.settle()
    assert addresses(world, "young") == [11]


@pytest.mark.parametrize(
    ("port", "by"),
    [
        (6443, "the API server"),
        (30080, "Service default/other as its node port"),
        (8443, "Service default/other"),
    ],
)
def test_what_hosts_need_for_others_is_not_given(world: World, port: int, by: str) -> None:
    ports = [{"port": 8443, "nodePort": 30080, "protocol": "TCP"}]
    world.api.create(SERVICES, service("other", type="NodePort", externalIPs=["10.99.0.12"], ports=ports))
    world.clock.step(1)
    balancer(world, ports=[{"port": port, "protocol": "TCP"}])
    assert addresses(world) == ([11, 13] if port == 8443 else [])
    assert any(f"port {port}/TCP of 10.99.0.12 is taken by {by}" in one for one in world.told())


def with_port(name: str, number: int, **port: object) -> Obj:
    ports = [{"containerPort": 8080, "hostPort": number, "protocol": "TCP", **port}]
    return pod(name, node="h2", containers=[{"name": "c", "image": "i", "ports": ports}])


def test_a_pods_host_port_is_its_own_whoever_came_first(world: World) -> None:
    world.api.create(PODS, with_port("before", 80))
    world.clock.step(1)
    balancer(world)
    assert addresses(world) == [11, 13]
    (told,) = world.told()
    assert told.endswith(
        "Error syncing load balancer: port 80/TCP of 10.99.0.12 is taken by Pod default/before"
    )
    for change in ({"status": {"phase": "Succeeded"}}, {"status": {"phase": "Running"}}):
        world.api.patch_status(PODS, NAMESPACE, "before", change)
        world.settle()
        assert addresses(world) == ([11, 12, 13] if "Succeeded" in str(change) else [11, 13])
    world.told()
    world.api.delete(PODS, NAMESPACE, "before", grace_seconds=0)
    world.settle()
    assert addresses(world) == [11, 12, 13]
    assert conditions.get(world.get(SERVICES, "web"), "LoadBalancerPortsError") is None
    for number, port in enumerate(({"hostIP": "10.99.0.99"}, {"protocol": "UDP"}, {"hostPort": 81})):
        world.api.create(PODS, with_port(f"other-{number}", 80, **port))
    world.settle()
    assert addresses(world) == [11, 12, 13]
    world.told()
    world.api.create(PODS, with_port("after", 80, hostIP="10.99.0.12"))
    world.settle()
    assert addresses(world) == [11, 13]
    assert any("taken by Pod default/after" in one for one in world.told())


def test_a_services_own_pods_are_nobody_else(world: World) -> None:
    world.api.create(
        PODS,
        with_port("own", 80)
        | {"metadata": {"namespace": NAMESPACE, "name": "own", "labels": {"app": "web"}}},
    )
    balancer(world)
    assert addresses(world) == [11, 12, 13]
    balancer(world, "other", selector={"app": "other"}, ports=[{"port": 81, "protocol": "TCP"}])
    assert addresses(world, "other") == [11, 12, 13]
    world.api.patch(SERVICES, NAMESPACE, "web", {"spec": {"selector": {"app": "none"}}})
    world.settle()
    assert addresses(world) == [11, 13]


def serves(world: World, name: str, ports: str | None) -> None:
    world.api.patch(NODES, "", name, {"metadata": {"annotations": {SERVED: ports}}})
    world.settle()


def test_the_ports_of_older_ingresses_are_theirs_where_they_are_served(world: World) -> None:
    world.api.create(INGRESSCLASSES, ingresses.CLASS)
    world.clock.step(1)
    balancer(world)
    world.clock.step(1)
    world.api.create(
        INGRESSES, ingresses.ingress("young") | {"metadata": {"namespace": NAMESPACE, "name": "young"}}
    )
    serves(world, "h2", "80,443")
    assert addresses(world) == [11, 12, 13], "the Service is older: the agent steps back"
    world.clock.step(1)
    balancer(world, "second", ports=[{"port": 443, "protocol": "TCP"}])
    assert addresses(world, "second") == [11, 13]
    assert any("port 443/TCP of 10.99.0.12 is taken by Ingress default/young" in one for one in world.told())
    serves(world, "h2", None)
    assert addresses(world, "second") == [11, 12, 13]
    serves(world, "h3", "8080,443")
    assert addresses(world, "second") == [11, 12]
    world.api.delete(INGRESSES, NAMESPACE, "young")
    world.settle()
    assert addresses(world, "second") == [11, 12, 13]
