"""What Services are told of that they did not get as it was meant."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from mini8s.controllers.kinds.endpoints.mirroring import EndpointMirrors
from mini8s.controllers.kinds.endpoints.slices import EndpointSlices
from mini8s.controllers.kinds.servicewarnings import ServiceWarnings
from mini8s.controllers.settings import ControllerSettings
from mini8s.objects.kinds import ENDPOINTS, ENDPOINTSLICES, NODES, PODS, SERVICES, Obj
from tests.fakes.world import NAMESPACE, World, node, pod, service


@pytest.fixture
def world() -> Iterator[World]:
    kinds = [ServiceWarnings, EndpointSlices, EndpointMirrors]
    made = World(kinds, ControllerSettings(cluster_cidr="10.42.0.0/16"))
    for number in (1, 2):
        found = node(f"h{number}", podCIDR=f"10.42.{number}.0/24")
        found["status"]["addresses"] = [{"type": "InternalIP", "address": f"10.99.0.{10 + number}"}]
        made.api.create(NODES, found)
    yield made
    made.close()


def by_hand(*endpoints: Obj, name: str = "web-x") -> Obj:
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "namespace": NAMESPACE,
            "name": name,
            "labels": {"kubernetes.io/service-name": "web"},
        },
        "addressType": "IPv4",
        "endpoints": list(endpoints),
    }


def at(address: str, node: str = "") -> Obj:
    return {"addresses": [address]} | ({"nodeName": node} if node else {})


def test_endpoints_at_which_no_pod_can_be(world: World) -> None:
    world.api.create(SERVICES, service(selector={}))
    fine = [
        *(at(one) for one in ("192.0.2.7", "10.42.1.9", "10.99.0.11", "10.99.0.77", "fd00::1")),
        *(at("10.42.2.9", "h2"), at("10.99.0.12", "h2"), at("10.42.9.9", "gone")),
        {"addresses": ["db.example"]},
    ]
    world.api.create(ENDPOINTSLICES, by_hand(*fine))
    world.settle()
    assert world.told() == []
    odd = (at("10.42.9.9"), at("10.42.1.9", "h2"), at("192.0.2.7", "h2"))
    world.api.create(ENDPOINTSLICES, by_hand(*odd, *odd, name="web-y"))
    world.settle()
    said = "EndpointOutOfRange: {} of EndpointSlice web-y is no address of {}"
    assert world.told() == [
        said.format("10.42.9.9", "any node, though in the range of pods"),
        said.format("10.42.1.9", "node h2"),
        said.format("192.0.2.7", "node h2"),
    ]
    world.api.patch(SERVICES, NAMESPACE, "web", {"metadata": {"labels": {"a": "b"}}})
    world.settle()
    assert world.told() == [], "once is enough"
    world.api.create(NODES, node("h9", podCIDR="10.42.9.0/24"))
    world.api.delete(ENDPOINTSLICES, NAMESPACE, "web-y")
    world.settle()
    world.api.create(ENDPOINTSLICES, by_hand(*odd, name="web-y"))
    world.settle()
    assert len(world.told()) == 2, "it is told anew, but for what has its node by now"


def test_a_node_that_goes_leaves_its_range_to_nobody(world: World) -> None:
    world.api.create(SERVICES, service(selector={}))
    world.api.create(ENDPOINTSLICES, by_hand(at("10.42.2.9")))
    world.settle()
    assert world.told() == []
    world.api.delete(NODES, "", "h2")
    world.settle()
    assert len(world.told()) == 1


def test_pods_are_not_looked_at_and_mirrored_endpoints_are(world: World) -> None:
    world.api.create(SERVICES, service())
    world.api.create(PODS, pod("p", node="h1", labels={"app": "web"}))
    world.set_ready("p", True, "10.42.77.1")
    world.api.create(SERVICES, service("old", selector={}))
    metadata = {"namespace": NAMESPACE, "name": "old"}
    world.api.create(ENDPOINTS, {"metadata": metadata, "subsets": [{"addresses": [{"ip": "10.42.78.1"}]}]})
    world.settle()
    (told,) = world.told()
    assert "10.42.78.1 of EndpointSlice old-" in told


def test_who_comes_second_to_an_external_address_is_told(world: World) -> None:
    world.api.create(SERVICES, service("old", externalIPs=["192.0.2.7"]))
    world.clock.step(1)
    world.api.create(SERVICES, service("young", externalIPs=["192.0.2.8", "192.0.2.7"]))
    other = [{"port": 81, "protocol": "TCP"}]
    world.api.create(SERVICES, service("beside", externalIPs=["192.0.2.7"], ports=other))
    world.settle()
    said = "ExternalAddressTaken: port 80/TCP of 192.0.2.7 is taken by Service default/old, which is older"
    assert world.told() == [said]
    world.api.patch(SERVICES, NAMESPACE, "old", {"spec": {"externalIPs": None}})
    world.settle()
    world.api.patch(SERVICES, NAMESPACE, "old", {"spec": {"externalIPs": ["192.0.2.7"]}})
    world.settle()
    assert world.told() == [said]
