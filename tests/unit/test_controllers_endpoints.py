"""EndpointSlices and Endpoints: who answers for a Service, in objects that change as little as possible."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mini8s.controllers.actions import Create, Delete, Update
from mini8s.controllers.kinds.endpoints.hints import hints
from mini8s.controllers.kinds.endpoints.legacy import Endpoints
from mini8s.controllers.kinds.endpoints.members import Member, Port, members
from mini8s.controllers.kinds.endpoints.mirroring import EndpointMirrors
from mini8s.controllers.kinds.endpoints.slices import EndpointSlices, plan
from mini8s.controllers.settings import ControllerSettings
from mini8s.objects import meta
from mini8s.objects.kinds import ENDPOINTS, ENDPOINTSLICES, NODES, PODS, SERVICES, Obj
from tests.fakes.world import NAMESPACE, World, node, pod, service

APP = {"app": "web"}


@pytest.fixture
def world() -> Iterator[World]:
    world = World([EndpointSlices, Endpoints, EndpointMirrors])
    yield world
    world.close()


def run(world: World, name: str, ip: str, *, ready: bool = True, node: str = "n1", **spec: object) -> Obj:
    world.api.create(PODS, pod(name, node=node, labels=APP, **spec))
    world.set_ready(name, ready, ip)
    return world.get(PODS, name)


def slice_of(world: World) -> Obj:
    (found,) = world.all(ENDPOINTSLICES)
    return found


def test_a_service_without_pods_has_an_empty_slice(world: World) -> None:
    made = world.api.create(SERVICES, service())
    world.settle()
    found = slice_of(world)
    assert meta.labels(found) == {
        "kubernetes.io/service-name": "web",
        "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
    }
    assert found["metadata"]["ownerReferences"] == [meta.new_controller_ref(made, SERVICES)]
    assert (found["addressType"], found["endpoints"], found["ports"]) == ("IPv4", [], [])
    assert world.get(ENDPOINTS, "web")["subsets"] == []


def test_pods_are_endpoints_with_all_that_is_known_of_them(world: World) -> None:
    zoned = node("n1")
    zoned["metadata"]["labels"] = {"topology.kubernetes.io/zone": "attic"}
    world.api.create(NODES, zoned)
    world.api.create(SERVICES, service())
    made = run(world, "p", "10.42.0.2")
    world.settle()
    found = slice_of(world)
    reference = {"kind": "Pod", "namespace": NAMESPACE, "name": "p", "uid": meta.uid(made)}
    assert found["endpoints"] == [
        {
            "addresses": ["10.42.0.2"],
            "conditions": {"ready": True, "serving": True, "terminating": False},
            "targetRef": reference,
            "nodeName": "n1",
            "zone": "attic",
        }
    ]
    assert found["ports"] == [{"name": "http", "port": 8080, "protocol": "TCP"}]
    assert world.get(ENDPOINTS, "web")["subsets"] == [
        {
            "addresses": [{"ip": "10.42.0.2", "nodeName": "n1", "targetRef": reference}],
            "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
        }
    ]


def test_conditions_follow_readiness_and_deletion(world: World) -> None:
    world.api.create(SERVICES, service())
    run(world, "p", "10.42.0.2", ready=False)
    world.settle()
    conditions = [slice_of(world)["endpoints"][0]["conditions"]]
    assert list(world.get(ENDPOINTS, "web")["subsets"][0]) == ["notReadyAddresses", "ports"]
    world.set_ready("p", True, "10.42.0.2")
    world.settle()
    conditions.append(slice_of(world)["endpoints"][0]["conditions"])
    world.api.delete(PODS, NAMESPACE, "p")
    world.settle()
    conditions.append(slice_of(world)["endpoints"][0]["conditions"])
    assert world.get(ENDPOINTS, "web")["subsets"] == []
    assert [(one["ready"], one["serving"], one["terminating"]) for one in conditions] == [
        (False, False, False), (True, True, False), (False, True, True)
    ]  # fmt: skip
    world.api.delete(PODS, NAMESPACE, "p", grace_seconds=0)
    world.settle()
    assert slice_of(world)["endpoints"] == []


def test_all_addresses_at_all_times_when_the_service_says_so(world: World) -> None:
    world.api.create(SERVICES, service(publishNotReadyAddresses=True))
    run(world, "p", "10.42.0.2", ready=False)
    world.api.delete(PODS, NAMESPACE, "p")
    world.settle()
    assert slice_of(world)["endpoints"][0]["conditions"] == {
        "ready": True,
        "serving": False,
        "terminating": True,
    }
    assert list(world.get(ENDPOINTS, "web")["subsets"][0]) == ["addresses", "ports"]


def test_a_named_port_may_be_another_number_in_each_pod(world: World) -> None:
    ports = [{"name": "http", "port": 80, "targetPort": "web", "protocol": "TCP", "appProtocol": "http"}]
    world.api.create(SERVICES, service(ports=ports))
    for number in (1, 2):
        container = {"name": "c", "ports": [{"name": "web", "containerPort": 8000 + number}]}
        run(world, f"p{number}", f"10.42.0.{number}", containers=[container])
    world.settle()
    found = {one["ports"][0]["port"]: one["endpoints"][0]["addresses"] for one in world.all(ENDPOINTSLICES)}
    assert found == {8001: ["10.42.0.1"], 8002: ["10.42.0.2"]}
    assert world.all(ENDPOINTSLICES)[0]["ports"][0]["appProtocol"] == "http"
    assert len(world.get(ENDPOINTS, "web")["subsets"]) == 2


def test_headless_services_and_host_names(world: World) -> None:
    world.api.create(SERVICES, service(clusterIP="None", ports=[]))
    run(world, "p", "10.42.0.2", hostname="db-0", subdomain="web")
    world.settle()
    found = slice_of(world)
    assert "service.kubernetes.io/headless" in meta.labels(found)
    assert (found["endpoints"][0]["hostname"], found["ports"]) == ("db-0", [])
    assert world.get(ENDPOINTS, "web")["subsets"][0]["addresses"][0]["hostname"] == "db-0"


def endpoints(name: str, *subsets: Obj, **metadata: object) -> Obj:
    return {"metadata": {"namespace": NAMESPACE, "name": name, **metadata}, "subsets": list(subsets)}


def test_endpoints_that_somebody_wrote_are_mirrored(world: World) -> None:
    world.api.create(SERVICES, service("db", selector={}))
    http, pg = {"name": "http", "port": 80, "protocol": "TCP"}, {"port": 5432}
    first = {
        "addresses": [{"ip": "192.0.2.1", "hostname": "one", "nodeName": "n1"}, {"ip": "fd00::1"}],
        "notReadyAddresses": [{"ip": "192.0.2.2"}],
        "ports": [http],
    }
    annotations = {"kept": "yes", "kubectl.kubernetes.io/last-applied-configuration": "{}"}
    made = endpoints(
        "db", first, {"addresses": [{"ip": "192.0.2.3"}], "ports": [pg]}, annotations=annotations
    )
    world.api.create(ENDPOINTS, made)
    world.settle()
    found = {(one["addressType"], one["ports"][0]["port"]): one for one in world.all(ENDPOINTSLICES)}
    assert set(found) == {("IPv4", 80), ("IPv6", 80), ("IPv4", 5432)}
    piece = found["IPv4", 80]
    assert piece["endpoints"] == [
        {"addresses": ["192.0.2.1"], "conditions": {"ready": True}, "hostname": "one", "nodeName": "n1"},
        {"addresses": ["192.0.2.2"], "conditions": {"ready": False}},
    ]
    assert meta.annotations(piece) == {"kept": "yes"}
    assert meta.labels(piece) == {
        "kubernetes.io/service-name": "db",
        "endpointslice.kubernetes.io/managed-by": "endpointslicemirroring-controller.k8s.io",
    }
    assert meta.owners(piece)[0]["kind"] == "Endpoints"
    world.writes()
    world.api.patch(ENDPOINTS, NAMESPACE, "db", {"subsets": [first | {"addresses": [{"ip": "192.0.2.9"}]}]})
    world.settle()
    (piece,) = world.all(ENDPOINTSLICES)
    assert [one["addresses"] for one in piece["endpoints"]] == [["192.0.2.9"], ["192.0.2.2"]]
    world.writes()
    world.api.patch(SERVICES, NAMESPACE, "db", {"metadata": {"labels": {"of": "no interest"}}})
    world.settle()
    assert [said for said in world.writes() if "endpointslices" in said] == []
    world.api.delete(ENDPOINTS, NAMESPACE, "db")
    world.settle()
    assert world.all(ENDPOINTSLICES) == []


def test_more_addresses_than_a_mirror_holds_are_told_of(world: World) -> None:
    world.api.create(SERVICES, service("db", selector={}))
    addresses = [{"ip": f"192.0.{number >> 8}.{number & 255}"} for number in range(1002)]
    world.api.create(ENDPOINTS, endpoints("db", {"addresses": addresses, "ports": [{"port": 80}]}))
    world.settle()
    assert len(slice_of(world)["endpoints"]) == 1000
    limit = "A max of 1000 addresses can be mirrored to EndpointSlices per Endpoints subset"
    assert world.told() == [f"TooManyAddressesToMirror: {limit}. 2 addresses were skipped"]


@pytest.mark.parametrize(
    "metadata",
    [
        {"labels": {"endpointslice.kubernetes.io/skip-mirror": "true"}},
        {"annotations": {"control-plane.alpha.kubernetes.io/leader": "{}"}},
        {"name": "of-nobody"},
    ],
    ids=["skipped", "lock", "no-service"],
)
def test_endpoints_that_are_not_mirrored(world: World, metadata: dict[str, object]) -> None:
    world.api.create(SERVICES, service("db", selector={}))
    subset = {"addresses": [{"ip": "192.0.2.1"}], "ports": [{"port": 80}]}
    made = endpoints("db", subset)
    made["metadata"] |= metadata
    world.api.create(ENDPOINTS, made)
    world.settle()
    assert world.all(ENDPOINTSLICES) == []


def test_a_service_that_selects_again_needs_no_mirror(world: World) -> None:
    world.api.create(SERVICES, service("db", selector={}))
    world.api.create(
        ENDPOINTS, endpoints("db", {"addresses": [{"ip": "192.0.2.1"}], "ports": [{"port": 80}]})
    )
    world.settle()
    assert slice_of(world)["endpoints"][0]["addresses"] == ["192.0.2.1"]
    world.api.patch(SERVICES, NAMESPACE, "db", {"spec": {"selector": {"app": "web"}}})
    world.settle()
    assert [one["endpoints"] for one in world.all(ENDPOINTSLICES)] == [[]]


def test_services_without_a_selector_are_left_alone(world: World) -> None:
    world.api.create(SERVICES, service("manual", selector={}))
    world.api.create(SERVICES, service("outside", type="ExternalName"))
    own = {
        "metadata": {"namespace": NAMESPACE, "name": "manual"},
        "subsets": [{"addresses": [{"ip": "1.2.3.4"}]}],
    }
    world.api.create(ENDPOINTS, own)
    world.settle()
    assert slice_of(world)["endpoints"][0]["addresses"] == ["1.2.3.4"]
    world.api.delete(SERVICES, NAMESPACE, "manual")
    world.settle()
    assert world.names(ENDPOINTS) == ["manual"]


def test_the_endpoints_of_a_deleted_service_go(world: World) -> None:
    world.api.create(SERVICES, service())
    world.settle()
    world.api.delete(SERVICES, NAMESPACE, "web")
    world.settle()
    assert world.names(ENDPOINTS) == []


def test_a_settled_service_writes_nothing(world: World) -> None:
    world.api.create(SERVICES, service())
    run(world, "p", "10.42.0.2")
    world.settle()
    world.writes()
    world.api.patch_status(PODS, NAMESPACE, "p", {"status": {"message": "of no interest"}})
    world.settle()
    assert [said for said in world.writes() if "pods" not in said] == []


def test_what_others_change_is_put_right(world: World) -> None:
    world.api.create(SERVICES, service())
    run(world, "p", "10.42.0.2")
    world.settle()
    name = world.names(ENDPOINTSLICES)[0]
    world.api.patch(ENDPOINTSLICES, NAMESPACE, name, {"endpoints": []})
    world.api.patch(ENDPOINTS, NAMESPACE, "web", {"subsets": []})
    world.settle()
    assert len(slice_of(world)["endpoints"]) == 1
    assert len(world.get(ENDPOINTS, "web")["subsets"]) == 1


def test_many_pods_fill_slices_and_one_change_touches_one_slice() -> None:
    world = World([EndpointSlices], ControllerSettings(endpoints_per_slice=10))
    world.api.create(SERVICES, service())
    for number in range(25):
        run(world, f"p{number:02}", f"10.42.0.{number}")
    world.settle()
    assert sorted(len(one["endpoints"]) for one in world.all(ENDPOINTSLICES)) == [5, 10, 10]
    world.writes()
    world.set_ready("p03", False, "10.42.0.3")
    world.settle()
    assert len([said for said in world.writes() if "endpointslices" in said]) == 1
    world.api.delete(PODS, NAMESPACE, "p03", grace_seconds=0)
    world.settle()
    assert len([said for said in world.writes() if "endpointslices" in said]) == 1
    world.close()


counts = st.lists(
    st.tuples(st.integers(0, 40), st.integers(1, 3), st.booleans()), max_size=40, unique_by=lambda one: one[0]
)


@given(counts, counts)
def test_slices_hold_each_endpoint_once_and_then_rest(
    before: list[tuple[int, int, bool]], after: list[tuple[int, int, bool]]
) -> None:
    owner = service()
    owner["metadata"] |= {"uid": "s", "resourceVersion": "1"}
    there: list[Obj] = []
    for found in (before, after):
        wanted = [made(*one) for one in found]
        there = applied(there, plan(owner, wanted, there, most=5).actions)
        assert all(len(one["endpoints"]) <= 5 for one in there)
        addresses = [address for one in there for item in one["endpoints"] for address in item["addresses"]]
        assert sorted(addresses) == sorted(member.address for member in wanted)
        assert all(one["endpoints"] for one in there) or len(there) == 1
        assert plan(owner, wanted, there, most=5).actions == ()


def made(number: int, port: int, ready: bool) -> Member:
    found = pod(f"p{number}", node="n1", labels=APP)
    found["metadata"]["uid"] = f"u{number}"
    return Member(found, f"10.42.0.{number}", (Port("http", port, "TCP"),), ready, False)


def applied(there: list[Obj], actions: tuple[object, ...]) -> list[Obj]:
    found = {meta.uid(one): one for one in there}
    for action in actions:
        match action:
            case Create(_, obj):
                uid = f"slice{len(found)}-{obj['ports']}-{obj['endpoints']}"
                found[uid] = obj | {
                    "metadata": obj["metadata"] | {"uid": uid, "name": uid, "resourceVersion": "1"}
                }
            case Update(_, obj):
                found[meta.uid(obj)] = obj
            case Delete():
                del found[action.uid]
    return list(found.values())


def test_pods_without_an_address_or_at_their_end_are_no_members() -> None:
    waiting, ended = pod("waiting", labels=APP), pod("ended", labels=APP)
    ended["status"] = {"phase": "Succeeded", "podIP": "10.42.0.1"}
    assert members(service(), [waiting, ended], {}) == []


def zoned(name: str, zone: str, cpu: str = "2") -> Obj:
    made = node(name)
    made["metadata"]["labels"] = {"topology.kubernetes.io/zone": zone} if zone else {}
    made["status"]["allocatable"] = {"cpu": cpu}
    return made


def hinted(world: World) -> dict[str, str]:
    """The zone that each pod's endpoint is for."""
    return {
        one["targetRef"]["name"]: one["hints"]["forZones"][0]["name"]
        for one in slice_of(world)["endpoints"]
        if "hints" in one
    }


def test_prefer_close_gives_each_ready_endpoint_to_its_zone(world: World) -> None:
    for number, zone in enumerate(("attic", "cellar", "")):
        world.api.create(NODES, zoned(f"z{number}", zone))
        run(world, f"p{number}", f"10.42.0.{number + 2}", node=f"z{number}")
    world.api.create(SERVICES, service(trafficDistribution="PreferClose"))
    world.settle()
    assert hinted(world) == {"p0": "attic", "p1": "cellar"}
    world.set_ready("p1", False, "10.42.0.3")
    world.settle()
    assert hinted(world) == {"p0": "attic"}
    world.api.patch(NODES, "", "z0", {"metadata": {"labels": {"topology.kubernetes.io/zone": "roof"}}})
    world.settle()
    assert hinted(world) == {"p0": "roof"}
    world.api.patch(SERVICES, NAMESPACE, "web", {"spec": {"trafficDistribution": None}})
    world.settle()
    assert hinted(world) == {}


def test_auto_shares_endpoints_out_by_processors(world: World) -> None:
    world.api.create(NODES, zoned("z0", "attic", "1"))
    world.api.create(NODES, zoned("z1", "cellar", "1"))
    for number in range(4):  # three in the attic, one in the cellar
        run(world, f"p{number}", f"10.42.0.{number + 2}", node="z1" if number == 3 else "z0")
    made = service(trafficDistribution="PreferClose")
    made["metadata"]["annotations"] = {"service.kubernetes.io/topology-mode": "Auto"}
    world.api.create(SERVICES, made)
    world.settle()
    assert sorted(hinted(world).values()) == ["attic", "attic", "cellar", "cellar"]
    assert hinted(world)["p3"] == "cellar"
    assert world.told() == [
        "TopologyAwareHintsEnabled: Topology Aware Hints has been enabled, addressType: IPv4"
    ]
    world.writes()
    world.settle()
    assert world.writes() == []
    world.api.patch(NODES, "", "z1", {"metadata": {"labels": {"topology.kubernetes.io/zone": None}}})
    world.settle()
    assert hinted(world) == {}
    assert world.told()[-1].startswith("TopologyAwareHintsDisabled: Insufficient Node information")


@pytest.mark.parametrize(
    ("cpus", "ready", "said"),
    [
        ((1, 1, 1), 2, "Insufficient number of endpoints"),
        ((1,), 2, "Nodes only ready in one zone"),
        ((0, 0), 2, "Insufficient Node information"),
        ((1, 3), 2, "Unable to allocate minimum required endpoints"),
    ],
)
def test_auto_gives_no_hints_when_a_zone_would_be_overloaded(
    cpus: tuple[int, ...], ready: int, said: str
) -> None:
    owner = service()
    owner["metadata"]["annotations"] = {"service.kubernetes.io/topology-mode": "Auto"}
    found = [replace(made(i, 80, True), zone=f"zone{i}") for i in range(ready)]
    nodes = [zoned(f"n{i}", f"zone{i}", str(cpu)) for i, cpu in enumerate(cpus)]
    wanted = hints(owner, found, nodes)
    assert wanted.zones == {}
    assert wanted.refused.startswith(said)
