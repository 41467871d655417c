"""The proxy's plan: where a packet goes, given the elements, and what changes cost."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mini8s.agent.network.elements import Elements
from mini8s.agent.proxy import model
from mini8s.agent.proxy.layout import FRONTS, GROUP_MASK, HAIRPINS, MOST_ENDPOINTS, Slot
from mini8s.agent.proxy.plan import Book, Flow, Round, seat
from mini8s.objects.kinds import Obj
from tests.fakes.network_objects import endpoint, pod_with_ports, port, service, slice_of
from tests.fakes.packet import DROPPED, OUTSIDE, PASSES, REJECTED, packet, sent

VIP, NODE = "10.43.0.100", "10.99.0.11"
HOME = model.Home("h1", "attic")


def facts(
    obj: Obj, *endpoints: Obj, ports: tuple[Obj, ...] = (port(8080),)
) -> dict[str, model.Service | None]:
    found = model.service(obj, [slice_of(obj, endpoints, *ports)], HOME)
    return {f"{obj['metadata']['namespace']}/{obj['metadata']['name']}": found}


def planned(obj: Obj, *endpoints: Obj, ports: tuple[Obj, ...] = (port(8080),)) -> Elements:
    book = Book()
    book.change(facts(obj, *endpoints, ports=ports))
    return book.elements


def test_a_vip_goes_to_its_ready_endpoints() -> None:
    elements = planned(service("web", VIP, port(80)), endpoint("10.42.1.1"), endpoint("10.42.2.1"))
    assert packet(elements, VIP, 80) == sent(("10.42.1.1", 8080), ("10.42.2.1", 8080))
    assert packet(elements, VIP, 81) == REJECTED
    assert packet(elements, VIP, 80, protocol="udp") == REJECTED
    assert packet(elements, "1.2.3.4", 80) == PASSES


def test_a_client_that_is_no_pod_is_masqueraded() -> None:
    elements = planned(service("web", VIP, port(80)), endpoint("10.42.1.1"))
    assert packet(elements, VIP, 80, source="10.99.0.5").masqueraded
    assert not packet(elements, VIP, 80, source="10.42.1.9").masqueraded


def test_a_node_port_masquerades_unless_the_policy_is_local() -> None:
    web = service("web", VIP, port(80, node_port=30080), type="NodePort")
    near, far = endpoint("10.42.1.1", node="h1"), endpoint("10.42.2.1", node="h2")
    both = ("10.42.1.1", 8080), ("10.42.2.1", 8080)
    assert packet(planned(web, near, far), NODE, 30080, source=OUTSIDE) == sent(*both, masqueraded=True)
    web["spec"]["externalTrafficPolicy"] = "Local"
    assert packet(planned(web, near, far), NODE, 30080, source=OUTSIDE) == sent(both[0])
    assert len(packet(planned(web, near, far), VIP, 80).to) == 2
    assert packet(planned(web, far), NODE, 30080, source=OUTSIDE) == DROPPED
    assert packet(planned(web), NODE, 30080, source=OUTSIDE) == REJECTED


@pytest.mark.parametrize("client", ["10.42.2.9", NODE])
def test_clients_inside_are_not_held_to_the_external_policy(client: str) -> None:
    web = service(
        "web", VIP, port(80, node_port=30080), externalIPs=["198.51.100.7"], externalTrafficPolicy="Local"
    )
    elements = planned(web, endpoint("10.42.2.1", node="h2"))
    for address, number in ((NODE, 30080), ("198.51.100.7", 80)):
        assert packet(elements, address, number, source=OUTSIDE) == DROPPED
        assert packet(elements, address, number, source=client) == sent(("10.42.2.1", 8080))


def test_a_local_policy_falls_back_to_what_ends_here() -> None:
    web = service("web", VIP, port(80, node_port=30080), type="NodePort", externalTrafficPolicy="Local")
    ending, far = endpoint("10.42.1.1", node="h1", state="ending"), endpoint("10.42.2.1", node="h2")
    elements = planned(web, ending, far)
    assert packet(elements, NODE, 30080, source=OUTSIDE) == sent(("10.42.1.1", 8080))
    assert packet(elements, VIP, 80) == sent(("10.42.2.1", 8080))


def test_internal_policy_local_uses_this_hosts_endpoints_or_drops() -> None:
    web = service("web", VIP, port(80), internalTrafficPolicy="Local")
    near, far = endpoint("10.42.1.1", node="h1"), endpoint("10.42.2.1", node="h2")
    assert packet(planned(web, near, far), VIP, 80) == sent(("10.42.1.1", 8080))
    assert packet(planned(web, far), VIP, 80) == DROPPED


def test_endpoints_that_end_serve_only_when_no_other_does() -> None:
    web = service("web", VIP, port(80))
    ending, waiting = endpoint("10.42.1.1", state="ending"), endpoint("10.42.1.2", state="waiting")
    assert packet(planned(web, ending, endpoint("10.42.1.3")), VIP, 80).to == {("10.42.1.3", 8080)}
    assert packet(planned(web, ending, waiting), VIP, 80).to == {("10.42.1.1", 8080)}
    assert packet(planned(web, waiting), VIP, 80) == REJECTED


def test_endpoints_on_silent_hosts_serve_only_when_no_other_does() -> None:
    """Also one that ends is better than one that nobody reaches."""
    web = service("web", VIP, port(80))
    near, far = endpoint("10.42.1.1", node="h1"), endpoint("10.42.2.1", node="h2")
    homeless, ending = endpoint("10.42.3.1"), endpoint("10.42.1.2", node="h1", state="ending")

    home = model.Home("h1", silent=frozenset({"h2", "h3"}))

    def chosen(*ends: Obj) -> set[str]:
        found = model.service(web, [slice_of(web, ends, port(8080))], home)
        book = Book()
        book.change({"default/web": found})
        return {str(address) for address, _ in packet(book.elements, VIP, 80).to}

    assert chosen(near, far) == {"10.42.1.1"}
    assert chosen(far, homeless) == {"10.42.3.1"}
    assert chosen(far, ending) == {"10.42.1.2"}
    assert chosen(far) == {"10.42.2.1"}


def test_ports_are_told_apart_by_name_and_protocol() -> None:
    web = service("web", VIP, port(80, name="http"), port(53, name="dns", protocol="UDP"))
    ports = (port(8080, name="http"), port(5353, name="dns", protocol="UDP"))
    elements = planned(web, endpoint("10.42.1.1"), ports=ports)
    assert packet(elements, VIP, 80).to == {("10.42.1.1", 8080)}
    assert packet(elements, VIP, 53, protocol="udp").to == {("10.42.1.1", 5353)}


def balanced(*ingress: Obj, **spec: object) -> Obj:
    obj = service("web", VIP, port(80), type="LoadBalancer", **spec)
    obj["status"] = {"loadBalancer": {"ingress": list(ingress)}}
    return obj


def test_external_addresses_are_masqueraded_fronts() -> None:
    web = balanced({"ip": "10.99.0.201"}, {"hostname": "lb"}, externalIPs=["10.99.0.200"])
    elements = planned(web, endpoint("10.42.1.1"))
    for address in ("10.99.0.200", "10.99.0.201"):
        assert packet(elements, address, 80) == sent(("10.42.1.1", 8080), masqueraded=True)


def test_a_load_balancer_that_is_a_proxy_is_not_bypassed() -> None:
    web = balanced({"ip": "198.51.100.1", "ipMode": "Proxy"}, {"ip": "198.51.100.2", "ipMode": "VIP"})
    elements = planned(web, endpoint("10.42.1.1"))
    assert packet(elements, "198.51.100.1", 80) == PASSES
    assert packet(elements, "198.51.100.2", 80).word == "sent"
    web["spec"]["type"] = "NodePort"  # its status is out of date
    assert packet(planned(web, endpoint("10.42.1.1")), "198.51.100.2", 80) == PASSES


def test_only_some_clients_may_use_a_load_balancer() -> None:
    ranges = ["203.0.113.0/24", "203.0.113.7/32", "fd00::/8"]
    web = balanced({"ip": "198.51.100.1"}, loadBalancerSourceRanges=ranges, externalIPs=["198.51.100.3"])
    elements = planned(web, endpoint("10.42.1.1"))
    assert packet(elements, "198.51.100.1", 80, source="203.0.113.9").word == "sent"
    assert packet(elements, "198.51.100.1", 80, source=OUTSIDE) == DROPPED
    assert packet(elements, "198.51.100.1", 80, source="10.42.1.9") == DROPPED
    assert packet(elements, "198.51.100.3", 80, source=OUTSIDE).word == "sent", (
        "not an address of the balancer"
    )
    assert packet(elements, VIP, 80).word == "sent"
    web["spec"]["loadBalancerSourceRanges"] = ["0.0.0.0/0"]
    assert packet(planned(web, endpoint("10.42.1.1")), "198.51.100.1", 80, source=OUTSIDE).word == "sent"


@pytest.mark.parametrize("seconds", [None, 1, 600, 10800, 86400])
def test_affinity_lasts_as_long_as_the_service_says(seconds: int | None) -> None:
    web = service("web", VIP, port(80), sessionAffinity="ClientIP")
    if seconds:
        web["spec"]["sessionAffinityConfig"] = {"clientIP": {"timeoutSeconds": seconds}}
    assert packet(planned(web, endpoint("10.42.1.1")), VIP, 80).sticky == (seconds or 10800)


def test_a_change_of_the_timeout_is_a_change_of_one_element() -> None:
    book, web = Book(), service("web", VIP, port(80), sessionAffinity="ClientIP")
    web["spec"]["sessionAffinityConfig"] = {"clientIP": {"timeoutSeconds": 60}}
    assert book.change(facts(web, endpoint("10.42.1.1"))).needs.timeouts == {60}
    web["spec"]["sessionAffinityConfig"] = {"clientIP": {"timeoutSeconds": 61}}
    change = book.change(facts(web, endpoint("10.42.1.1")))
    assert (list(change.remove.values()), list(change.add.values())) == ([(60,)], [(61,)])


def hinted(address: str, *zones: str, **more: str) -> Obj:
    return endpoint(address, **more) | {"hints": {"forZones": [{"name": zone} for zone in zones]}}


def test_hints_keep_traffic_in_the_zone() -> None:
    web = service("web", VIP, port(80, node_port=30080), type="NodePort")
    near, far = hinted("10.42.1.1", "attic"), hinted("10.42.2.1", "cellar", node="h1")
    assert packet(planned(web, near, far), VIP, 80) == sent(("10.42.1.1", 8080))
    assert packet(planned(web, near, far), NODE, 30080, source=OUTSIDE).to == {("10.42.1.1", 8080)}
    web["spec"]["internalTrafficPolicy"] = "Local"
    assert packet(planned(web, near, far), VIP, 80) == sent(("10.42.2.1", 8080)), "the policy comes first"


def test_hints_count_only_when_all_have_some_and_one_is_for_this_zone() -> None:
    web, cellar = service("web", VIP, port(80)), hinted("10.42.2.1", "cellar")
    assert len(packet(planned(web, hinted("10.42.1.1", "attic"), endpoint("10.42.2.1")), VIP, 80).to) == 2
    assert packet(planned(web, cellar), VIP, 80) == sent(("10.42.2.1", 8080))
    ending = hinted("10.42.1.1", "attic", state="ending")
    assert packet(planned(web, ending, cellar), VIP, 80) == sent(("10.42.2.1", 8080))


def test_named_target_ports_come_as_the_slices_have_them() -> None:
    web = service("web", VIP, port(80, name="http"))
    slices = [
        slice_of(web, [endpoint(f"10.42.1.{i}")], port(8000 + i, name="http"), suffix=f"{i}") for i in (1, 2)
    ]
    found = model.service(web, slices, HOME)
    book = Book()
    book.change({"default/web": found})
    assert packet(book.elements, VIP, 80).to == {("10.42.1.1", 8001), ("10.42.1.2", 8002)}


@pytest.mark.parametrize("protocol", ["tcp", "udp", "sctp"])
def test_every_protocol(protocol: str) -> None:
    word = protocol.upper()
    web = service("web", VIP, port(80, protocol=word, node_port=30080), type="NodePort")
    elements = planned(web, endpoint("10.42.1.1"), ports=(port(8080, protocol=word),))
    for address, number in ((VIP, 80), (NODE, 30080)):
        assert packet(elements, address, number, protocol=protocol).to == {("10.42.1.1", 8080)}
        assert (
            packet(elements, address, number, protocol="tcp" if protocol != "tcp" else "udp").word != "sent"
        )


def test_unready_pods_that_are_published_serve() -> None:
    """The slice controller says ready of them, and nothing else is asked."""
    shown = {"addresses": ["10.42.1.1"], "conditions": {"ready": True, "serving": False, "terminating": True}}
    assert packet(planned(service("web", VIP, port(80)), shown), VIP, 80).word == "sent"


def test_an_endpoint_outside_the_cluster_is_served_like_any_other() -> None:
    elements = planned(service("db", VIP, port(80)), endpoint("198.51.100.20"))
    assert packet(elements, VIP, 80) == sent(("198.51.100.20", 8080))


def test_health_is_the_number_of_ready_pods_here() -> None:
    obj = balanced(externalTrafficPolicy="Local", healthCheckNodePort=31999)
    ends = (
        endpoint("10.42.1.1", node="h1"),
        endpoint("10.42.1.2", node="h1", state="ending"),
        endpoint("10.42.2.1", node="h2"),
    )
    found = model.service(obj, [slice_of(obj, ends, port(8080))], HOME)
    assert found
    assert (found.check_port, found.ready_here) == (31999, 1)
    obj["spec"]["externalTrafficPolicy"] = "Cluster"
    assert facts(obj)["default/web"].check_port == 0  # type: ignore[union-attr]


def test_endpoints_of_this_host_may_reach_themselves() -> None:
    ends = (endpoint("10.42.1.1", node="h1"), endpoint("10.42.2.1", node="h2"), endpoint("10.42.3.1"))
    elements = planned(service("web", VIP, port(80)), *ends)
    found = [key[0] for name, key in elements if name == HAIRPINS]
    assert found == ["10.42.1.1", "10.42.3.1"], "one that no node was named for may be here"


@pytest.mark.parametrize(
    "odd",
    [
        {"clusterIP": "None", "clusterIPs": ["None"]},
        {"type": "ExternalName", "externalName": "example.com"},
        {"clusterIP": "fd00::1", "clusterIPs": ["fd00::1"]},
        {"clusterIP": None, "clusterIPs": None},
        {"clusterIP": "not an address", "clusterIPs": None},
    ],
)
def test_services_without_an_address_have_no_front(odd: Obj) -> None:
    obj = service("web", VIP, port(80))
    obj["spec"] |= odd
    assert facts(obj, endpoint("10.42.1.1")) == {"default/web": None}


@pytest.mark.parametrize(
    "odd",
    [
        {},
        *(
            {"addresses": listed}
            for listed in (
                [],
                ["fd00::1"],
                ["10.42.1.999"],
                ["127.0.0.1"],
                ["0.0.0.0"],
                ["169.254.1.1"],
                ["224.0.0.1"],
            )
        ),
    ],
)
def test_odd_endpoints_and_ports_are_left_out(odd: Obj) -> None:
    web = service("web", VIP, port(80), {"port": "eighty"}, {"port": 81, "protocol": "QUIC"})
    assert packet(planned(web, odd), VIP, 80) == REJECTED


def test_a_second_service_on_a_front_waits_until_it_is_free() -> None:
    book = Book()
    book.change(facts(service("one", VIP, port(80)), endpoint("10.42.1.1")))
    assert not book.change(facts(service("two", VIP, port(80)), endpoint("10.42.1.2"))).remove
    assert packet(book.elements, VIP, 80).to == {("10.42.1.1", 8080)}
    assert book.change({"default/one": None}).again == {"default/two"}
    book.change(facts(service("two", VIP, port(80)), endpoint("10.42.1.2")))
    assert packet(book.elements, VIP, 80).to == {("10.42.1.2", 8080)}
    assert not book.waiting


def test_the_older_service_has_a_front_that_two_want() -> None:
    """Whatever the order of the news, so that all hosts agree; its guard goes along."""
    old = balanced({"ip": NODE}, loadBalancerSourceRanges=["203.0.113.0/24"])
    young = service("young", "10.43.0.2", port(80), externalIPs=[NODE])
    old["metadata"]["creationTimestamp"] = "2026-01-01T00:00:00Z"
    young["metadata"]["creationTimestamp"] = "2026-01-01T00:00:01Z"
    of_old, of_young = facts(old, endpoint("10.42.1.1")), facts(young, endpoint("10.42.1.2"))
    for rounds in ([of_old, of_young], [of_young, of_old], [of_young | of_old], [of_old | of_young]):
        book, kernel = Book(), {}  # type: ignore[var-annotated]
        for wanted in rounds:
            apply(kernel, book.change(wanted))
        assert kernel == book.elements
        assert packet(kernel, NODE, 80, source=OUTSIDE) == DROPPED
        assert packet(kernel, NODE, 80, source="203.0.113.1").to == {("10.42.1.1", 8080)}
        assert book.waiting == {(FRONTS, (NODE, "tcp", 80)): {"default/young"}}
        change = book.change({"default/web": None})
        apply(kernel, change)
        assert change.again == {"default/young"}
        apply(kernel, book.change(of_young))
        assert kernel == book.elements
        assert packet(kernel, NODE, 80, source=OUTSIDE).to == {("10.42.1.2", 8080)}


def test_a_shared_hairpin_stays_until_its_last_service_goes() -> None:
    book, end = Book(), endpoint("10.42.1.1", node="h1")
    book.change(facts(service("one", VIP, port(80)), end) | facts(service("two", "10.43.0.2", port(80)), end))
    place = (HAIRPINS, ("10.42.1.1", "10.42.1.1"))
    assert place not in book.change({"default/one": None}).remove
    assert place in book.change({"default/two": None}).remove


def test_udp_clients_of_a_gone_endpoint_are_forgotten() -> None:
    book, web = Book(), service("web", VIP, port(53, protocol="UDP", node_port=30053), type="NodePort")
    ports = (port(53, protocol="UDP"),)
    first = book.change(facts(web, endpoint("10.42.1.1"), endpoint("10.42.1.2"), ports=ports))
    assert first.stale == {Flow("udp", VIP, 53, None), Flow("udp", "", 30053, None)}
    gone = book.change(facts(web, endpoint("10.42.1.2"), ports=ports))
    assert gone.stale == {Flow("udp", VIP, 53, ("10.42.1.1", 53)), Flow("udp", "", 30053, ("10.42.1.1", 53))}


def test_udp_clients_of_a_front_that_nobody_serves_may_be_nowhere() -> None:
    """What a start forgets: whoever went to an endpoint that left while no agent looked."""
    book, web = Book(), service("web", VIP, port(53, protocol="UDP", node_port=30053), type="NodePort")
    nowhere = {Flow("udp", VIP, 53, None), Flow("udp", "", 30053, None)}
    ports = (port(53, protocol="UDP"),)
    assert not book.change(facts(web, ports=ports)).stale
    assert book.flows == nowhere
    assert book.change(facts(web, endpoint("10.42.1.1"), ports=ports)).stale == nowhere
    assert {flow.slot for flow in book.flows} == {("10.42.1.1", 53)}


def test_affinity_to_a_gone_endpoint_is_unlearned() -> None:
    book, web = Book(), service("web", VIP, port(80), sessionAffinity="ClientIP")
    book.change(facts(web, endpoint("10.42.1.1"), endpoint("10.42.1.2")))
    assert {slot for _, slot in book.change(facts(web, endpoint("10.42.1.2"))).unlearn} == {
        ("10.42.1.1", 8080)
    }
    web["spec"]["sessionAffinity"] = "None"
    book.change(facts(web, endpoint("10.42.1.2")))
    assert not book.change(facts(web)).unlearn, "nobody learned anything"


def test_one_endpoint_more_costs_three_elements() -> None:
    book, web = Book(), service("web", VIP, port(80))
    book.change(facts(web, *(endpoint(f"10.42.1.{i}", node="h2") for i in range(1, 40))))
    change = book.change(facts(web, *(endpoint(f"10.42.1.{i}", node="h2") for i in range(1, 41))))
    assert (len(change.remove), len(change.add)) == (1, 2)


def test_thousands_of_endpoints_and_then_a_cut() -> None:
    for count, used in ((511, 511), (2000, 2000), (5000, MOST_ENDPOINTS)):
        ends = [endpoint(f"10.42.{i // 250}.{i % 250 + 1}") for i in range(count)]
        book = Book()
        change = book.change(facts(service("web", VIP, port(80)), *ends))
        assert len(packet(book.elements, VIP, 80).to) == used
        assert change.needs.blocks == {(used - 1) // 64}


SLOTS = st.lists(st.tuples(st.sampled_from([f"10.42.0.{i}" for i in range(9)]), st.just(80)), unique=True)


@given(SLOTS, SLOTS)
def test_seats_are_dense_and_few_move(current: list[Slot], wanted: list[Slot]) -> None:
    seated = seat(tuple(current), wanted)
    assert Counter(seated) == Counter(wanted)
    stay = [i for i, slot in enumerate(current) if i < len(wanted) and slot in wanted]
    assert all(seated[i] == current[i] for i in stay)


STATES = st.lists(
    st.dictionaries(
        st.sampled_from(["a", "b", "c"]),
        st.tuples(
            st.sampled_from([VIP, "10.43.0.2"]),
            st.sampled_from([0, 30080, 30081]),
            st.booleans(),
            st.lists(st.tuples(st.integers(1, 6), st.sampled_from(["h1", "h2"])), unique_by=lambda e: e[0]),
        ),
        max_size=3,
    ),
    max_size=6,
)


def world(state: dict[str, tuple[str, int, bool, list[tuple[int, str]]]]) -> dict[str, model.Service | None]:
    wanted: dict[str, model.Service | None] = {f"default/{name}": None for name in "abc"}
    for name, (address, node_port, local, ends) in state.items():
        policy = "Local" if local else "Cluster"
        obj = service(name, address, port(80, node_port=node_port), externalTrafficPolicy=policy)
        wanted |= facts(obj, *(endpoint(f"10.42.0.{i}", node=node) for i, node in ends))
    return wanted


def apply(kernel: dict[object, object], change: Round) -> None:
    """As the kernel does: what is not there can't be removed, what is there can't be added otherwise."""
    for place in change.remove:
        del kernel[place]
    for place, data in change.add.items():
        assert place not in kernel
        kernel[place] = data


@given(STATES)
def test_any_history_ends_where_its_last_state_would_begin(states: list[dict[str, object]]) -> None:
    book, kernel = Book(), {}  # type: ignore[var-annotated]
    for state in states:
        change = book.change(world(state))  # type: ignore[arg-type]
        apply(kernel, change)
        again = change.again
        while again:
            change = book.change({key: world(state)[key] for key in again})  # type: ignore[arg-type]
            apply(kernel, change)
            again = change.again
        assert kernel == book.elements
        assert not book.change(world(state)), "a second plan is empty"  # type: ignore[arg-type]
        for (name, key), _ in list(kernel.items()):
            if name == FRONTS:
                packet(kernel, key[0], key[2])  # raises where a slot is missing
        used = Counter(mark[0] & GROUP_MASK for (name, _), mark in kernel.items() if name == FRONTS)
        used.pop(0, None)
        assert all(count == 1 for count in used.values())


def test_a_host_port_goes_to_its_pod_and_keeps_the_client() -> None:
    pod = pod_with_ports(
        "web",
        "10.42.1.1",
        {"containerPort": 80, "hostPort": 8080, "protocol": "TCP"},
        {"containerPort": 81, "hostPort": 8081, "hostIP": "10.99.0.11"},
        {"containerPort": 53, "hostPort": 8080, "protocol": "UDP", "hostIP": "0.0.0.0"},
        {"containerPort": 9},
    )
    book = Book()
    book.change({"pod:default/web": model.pod_service(pod)})
    assert packet(book.elements, "10.99.0.12", 8080, source=OUTSIDE) == sent(("10.42.1.1", 80))
    assert packet(book.elements, "10.99.0.12", 8080, protocol="udp") == sent(("10.42.1.1", 53))
    assert packet(book.elements, "10.99.0.11", 8081) == sent(("10.42.1.1", 81))
    assert packet(book.elements, "10.99.0.12", 8081) == PASSES
    assert packet(book.elements, "1.2.3.4", 8080) == PASSES
    assert (HAIRPINS, ("10.42.1.1", "10.42.1.1")) in book.elements
    delta = book.change({"pod:default/web": None})
    assert not book.elements
    assert delta.stale == {Flow("udp", "", 8080, ("10.42.1.1", 53))}


def test_pods_whose_host_ports_are_not_programmed() -> None:
    ports = {"containerPort": 80, "hostPort": 80}
    assert model.pod_service(pod_with_ports("web", "", ports)) is None
    assert model.pod_service(pod_with_ports("web", "10.99.0.11", ports, hostNetwork=True)) is None
    ended = pod_with_ports("web", "10.42.1.1", ports)
    ended["status"]["phase"] = "Failed"
    assert model.pod_service(ended) is None
    sidecar = {"name": "side", "restartPolicy": "Always", "ports": [ports]}
    assert model.pod_service(pod_with_ports("web", "10.42.1.1", initContainers=[sidecar]))
    assert not model.pod_service(pod_with_ports("web", "10.42.1.1", initContainers=[{"ports": [ports]}]))
