"""NetworkPolicies: the elements against a plain reading of the API's documentation, packet by packet."""

from __future__ import annotations

import ipaddress
import itertools
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mini8s.agent.policy import model
from mini8s.agent.policy.layout import BLOCKS, FIRST, PEERS, SHAPE
from mini8s.agent.policy.plan import Book, Picture, kin
from mini8s.objects.kinds import Obj
from tests.fakes.policy_packet import passes

NAMESPACES = {"a": {"team": "x"}, "b": {"team": "y", "env": "prod"}, "c": {}}
OUTSIDE = ("10.42.0.250", "10.42.9.9", "192.0.2.1", "192.0.2.130", "198.51.100.7")


def pod(name: str, namespace: str, address: str, labels: dict[str, str], *ports: tuple[str, str, int]) -> Obj:
    listed = [{"name": one, "protocol": proto, "containerPort": number} for one, proto, number in ports]
    return {
        "metadata": {"name": name, "namespace": namespace, "uid": name, "labels": labels},
        "spec": {"containers": [{"ports": listed}]},
        "status": {"podIP": address, "phase": "Running"},
    }


PODS = [
    pod("web", "a", "10.42.1.2", {"app": "web"}, ("http", "TCP", 80), ("dns", "UDP", 53)),
    pod("web2", "a", "10.42.1.3", {"app": "web"}, ("http", "TCP", 8080)),
    pod("db", "a", "10.42.1.4", {"app": "db", "tier": "back"}, ("sql", "SCTP", 99)),
    pod("web", "b", "10.42.2.2", {"app": "web"}, ("http", "TCP", 81)),
    pod("cli", "b", "10.42.2.3", {"app": "cli"}),
    pod("odd", "c", "10.42.2.4", {}),
]
LOCAL = [one for one in PODS if one["status"]["podIP"].startswith("10.42.1.")]


def policy(name: str, namespace: str = "a", **spec: Any) -> Obj:
    return {"metadata": {"name": name, "namespace": namespace}, "spec": {"podSelector": {}, **spec}}


def picture(policies: Sequence[Obj], pods: Sequence[Obj] = PODS, local: Sequence[Obj] = LOCAL) -> Picture:
    here = [found for found in map(model.pod, local) if found]
    return Picture(
        [model.policy(one) for one in policies],
        {name: model.labels(labels) for name, labels in NAMESPACES.items()},
        kin(found for found in map(model.pod, pods) if found),
        here,
    )


def elements(*policies: Obj) -> dict[Any, Any]:
    book = Book()
    book.change(picture(policies))
    return book.elements


# --- the oracle: slow, and as the documentation puts it


def allowed(policies: Sequence[Obj], source: str, target: str, protocol: str, port: int) -> bool:
    """Whether the host of LOCAL lets a connection through."""
    if source == target:
        return True
    sender, receiver = _at(source), _at(target)
    if sender in LOCAL and not _direction(policies, "egress", sender, receiver, target, protocol, port):
        return False
    return receiver not in LOCAL or _direction(policies, "ingress", receiver, sender, source, protocol, port)


def _direction(
    policies: Sequence[Obj], way: str, own: Obj, peer: Obj | None, address: str, protocol: str, port: int
) -> bool:
    destination = own if way == "ingress" else peer
    applying = [one for one in policies if _applies(one, own, way)]
    return not applying or any(
        _rule(one["metadata"]["namespace"], rule, way, peer, address, destination, protocol, port)
        for one in applying
        for rule in one["spec"].get(way) or ()
    )


def _applies(one: Obj, own: Obj, way: str) -> bool:
    types = one["spec"].get("policyTypes") or ["Ingress", *(["Egress"] if one["spec"].get("egress") else [])]
    same = one["metadata"]["namespace"] == own["metadata"]["namespace"]
    return (
        way.capitalize() in types and same and _selects(one["spec"]["podSelector"], own["metadata"]["labels"])
    )


def _rule(
    namespace: str, rule: Obj, way: str, peer: Obj | None, address: str, destination: Obj | None,
    protocol: str, port: int,
) -> bool:  # fmt: skip
    peers, ports = rule.get("from" if way == "ingress" else "to"), rule.get("ports")
    if peers and not any(_peer(namespace, one, peer, address) for one in peers):
        return False
    return not ports or any(_port(one, destination, protocol, port) for one in ports)


def _peer(namespace: str, one: Obj, peer: Obj | None, address: str) -> bool:
    if block := one.get("ipBlock"):
        inside = ipaddress.ip_address(address) in ipaddress.ip_network(block["cidr"])
        return inside and not any(
            ipaddress.ip_address(address) in ipaddress.ip_network(hole) for hole in block.get("except") or ()
        )
    if peer is None:
        return False
    where = peer["metadata"]["namespace"]
    if "namespaceSelector" in one:
        if not _selects(one["namespaceSelector"], NAMESPACES[where]):
            return False
    elif where != namespace:
        return False
    return _selects(one.get("podSelector") or {}, peer["metadata"]["labels"])


def _port(one: Obj, destination: Obj | None, protocol: str, port: int) -> bool:
    if one.get("protocol", "TCP") != protocol:
        return False
    wanted = one.get("port")
    if isinstance(wanted, str):
        named = destination["spec"]["containers"][0]["ports"] if destination else ()
        return any(
            (each["name"], each["protocol"], each["containerPort"]) == (wanted, protocol, port)
            for each in named
        )
    return wanted is None or wanted <= port <= one.get("endPort", wanted)


def _selects(selector: Obj, labels: dict[str, str]) -> bool:
    exact = all(labels.get(key) == value for key, value in (selector.get("matchLabels") or {}).items())
    return exact and all(_expression(one, labels) for one in selector.get("matchExpressions") or ())


def _expression(one: Obj, labels: dict[str, str]) -> bool:
    match one["operator"]:
        case "In":
            return labels.get(one["key"]) in one["values"]
        case "NotIn":
            return labels.get(one["key"]) not in one["values"]
        case "Exists":
            return one["key"] in labels
    return one["key"] not in labels


def _at(address: str) -> Obj | None:
    return next((one for one in PODS if one["status"]["podIP"] == address), None)


# --- random policies

KEYS, VALUES = st.sampled_from(["app", "tier", "team", "env"]), ["web", "db", "back", "x", "y", "prod"]
VALUE = st.sampled_from(VALUES)
EXPRESSION = st.one_of(
    st.builds(
        lambda key, op, values: {"key": key, "operator": op, "values": values},
        KEYS, st.sampled_from(["In", "NotIn"]), st.lists(VALUE, min_size=1, max_size=3),
    ),
    st.builds(lambda key, op: {"key": key, "operator": op},
              KEYS, st.sampled_from(["Exists", "DoesNotExist"])),
)  # fmt: skip
SELECTOR = st.one_of(
    st.just({}),
    st.builds(lambda key, value: {"matchLabels": {key: value}}, KEYS, VALUE),
    st.builds(lambda one: {"matchExpressions": [one]}, EXPRESSION),
)
BLOCK = st.sampled_from(
    [
        {"cidr": "0.0.0.0/0"},
        {"cidr": "10.42.0.0/16", "except": ["10.42.1.0/30", "10.42.2.2/32"]},
        {"cidr": "192.0.2.0/24", "except": ["192.0.2.128/25", "192.0.2.0/25"]},
        {"cidr": "192.0.2.0/25"},
        {"cidr": "0.0.0.0/0", "except": ["10.42.0.0/16", "10.42.1.0/24", "198.51.100.0/24"]},
        {"cidr": "10.42.1.3/32"},
    ]
)
PEER = st.one_of(
    st.builds(lambda one: {"podSelector": one}, SELECTOR),
    st.builds(lambda one: {"namespaceSelector": one}, SELECTOR),
    st.builds(lambda one, two: {"namespaceSelector": one, "podSelector": two}, SELECTOR, SELECTOR),
    st.builds(lambda one: {"ipBlock": one}, BLOCK),
)
PORT = st.sampled_from(
    [
        {"port": 80}, {"port": 80, "endPort": 90, "protocol": "TCP"}, {"port": 85, "endPort": 8080},
        {"port": "http"}, {"port": "dns", "protocol": "UDP"}, {"port": "sql", "protocol": "SCTP"},
        {"protocol": "UDP"}, {"protocol": "SCTP", "port": 99}, {"port": 53, "protocol": "UDP"}, {"port": 91},
    ]
)  # fmt: skip


def rules(peers: str) -> st.SearchStrategy[list[Obj]]:
    parts = {peers: st.lists(PEER, max_size=3), "ports": st.lists(PORT, max_size=3)}
    return st.lists(st.fixed_dictionaries({}, optional=parts), max_size=3)


def _called(name: str, one: Obj) -> Obj:
    return {**one, "metadata": {**one["metadata"], "name": name}}


POLICIES = st.lists(
    st.builds(
        lambda namespace, spec: {"metadata": {"namespace": namespace}, "spec": spec},
        st.sampled_from("ab"),
        st.fixed_dictionaries(
            {"podSelector": SELECTOR},
            optional={
                "ingress": rules("from"),
                "egress": rules("to"),
                "policyTypes": st.sampled_from([["Ingress"], ["Egress"], ["Ingress", "Egress"]]),
            },
        ),
    ),
    max_size=4,
).map(
    lambda found: [{**one, "metadata": {**one["metadata"], "name": f"p{i}"}} for i, one in enumerate(found)]
)
# Policies that all speak of the same few pods, addresses and ports, so that what they say meets: holes lie in
# one another and end between the addresses that are asked for, rules overlap without being the same.


def _around(address: str, length: int) -> str:
    return str(ipaddress.ip_network(f"{address}/{length}", strict=False))


LENGTH = st.sampled_from([8, 15, 16, 17, 22, 23, 24, 25, 29, 30, 31, 32])
AROUND = st.builds(_around, st.deferred(lambda: st.sampled_from(ADDRESSES)), LENGTH)


def _block(cidr: str, holes: list[str]) -> Obj:
    """Holes lie within, as the API demands."""
    whole = ipaddress.ip_network(cidr)
    inside = [one for one in holes if one != cidr and ipaddress.ip_network(one).subnet_of(whole)]  # type: ignore[arg-type]
    return {"ipBlock": {"cidr": cidr, "except": inside}}


MEETING_PEER = st.one_of(
    st.builds(_block, st.one_of(st.just("0.0.0.0/0"), AROUND), st.lists(AROUND, max_size=4)),
    st.builds(lambda one: {"namespaceSelector": {}, "podSelector": one}, SELECTOR),
)
MEETING_PORT = st.sampled_from([{"port": 80}, {"port": 85, "endPort": 90}, {"port": "http"}, {"port": 91}])
MEETING_RULE = st.tuples(st.lists(MEETING_PEER, min_size=1, max_size=2), st.lists(MEETING_PORT, max_size=2))


def _meeting(way: str, found: list[Any]) -> Obj:
    peers = "from" if way == "ingress" else "to"
    written = [{peers: who, **({"ports": ports} if ports else {})} for who, ports in found]
    return policy("p", policyTypes=[way.capitalize()], **{way: written})


MEETING = st.builds(
    _meeting, st.sampled_from(["ingress", "egress"]), st.lists(MEETING_RULE, min_size=1, max_size=4)
)
PORTS = st.tuples(st.sampled_from(["TCP", "UDP", "SCTP"]), st.sampled_from([53, 80, 85, 90, 91, 99, 8080]))
ADDRESSES = [one["status"]["podIP"] for one in PODS] + list(OUTSIDE)
PAIRS = [
    pair
    for one in LOCAL
    for other in ADDRESSES
    for pair in ((one["status"]["podIP"], other), (other, one["status"]["podIP"]))
]


@given(POLICIES, st.lists(PORTS, min_size=1, max_size=3))
def test_the_kernel_is_told_what_the_documentation_says(policies: list[Obj], ports: list[Any]) -> None:
    book = Book()
    book.change(picture(policies))
    for (source, target), (protocol, port) in itertools.product(PAIRS, ports):
        said = passes(book.elements, source, target, protocol.lower(), port)
        assert said == allowed(policies, source, target, protocol, port), (source, target, protocol, port)


@given(MEETING)
def test_rules_that_meet_mean_what_each_of_them_says(one: Obj) -> None:
    found = elements(one)
    for (source, target), port in itertools.product(PAIRS, (80, 85, 91, 8080)):
        said = passes(found, source, target, "tcp", port)
        assert said == allowed([one], source, target, "TCP", port), (source, target, port)


@given(st.lists(POLICIES, min_size=1, max_size=4))
def test_rounds_lead_to_what_a_fresh_start_makes(history: list[list[Obj]]) -> None:
    """And a second round on the same picture is empty; no number ever means two things."""
    book, held, meant = Book(), {}, {}
    for policies in history:
        change = book.change(picture(policies))
        for place in change.remove:
            del held[place]
        assert not held.keys() & change.add.keys()
        held |= change.add
        assert held == book.elements
        assert not book.change(picture(policies))
        for key, number in book._numbers.items():
            assert meant.setdefault(number, key) == key
    fresh = Book()
    fresh.change(picture(history[-1]))
    assert len(fresh.elements) == len(book.elements)


# --- what people write


def test_nothing_is_isolated_until_selected() -> None:
    assert elements() == {}
    assert elements(policy("elsewhere", "b")) == {}


def test_deny_all() -> None:
    found = elements(policy("deny", policyTypes=["Ingress", "Egress"]))
    assert not passes(found, "10.42.2.2", "10.42.1.2", "tcp", 80)
    assert not passes(found, "10.42.1.2", "192.0.2.1", "tcp", 80)
    assert passes(found, "10.42.1.2", "10.42.1.2", "tcp", 80)  # a pod can't bar itself from itself
    assert passes(found, "10.42.2.2", "10.42.2.3", "tcp", 80)


def test_pods_that_are_judged_alike_share_a_group() -> None:
    found = elements(policy("web", ingress=[{"from": [{"podSelector": {}}]}]))
    assert len([1 for name, _ in found if name == PEERS]) == 3  # one group, three peers
    named = elements(policy("web", ingress=[{"ports": [{"port": "http"}]}]))
    assert len({data for (name, _), data in named.items() if name == "in"}) == 3  # each its own number


def test_a_hole_in_a_hole() -> None:
    block = {"cidr": "10.42.0.0/16", "except": ["10.42.1.0/24", "10.42.0.0/17", "10.42.2.2/32"]}
    found = elements(policy("p", ingress=[{"from": [{"ipBlock": block}]}]))
    assert not any(passes(found, f"10.42.{one}", "10.42.1.2", "tcp", 80) for one in ("1.3", "2.2", "3.3"))
    assert passes(found, "10.42.200.1", "10.42.1.2", "tcp", 80)


def test_a_pod_may_do_what_its_address_may_besides() -> None:
    block = {"from": [{"ipBlock": {"cidr": "10.42.2.0/24"}}], "ports": [{"port": 80}]}
    pods = {"from": [{"namespaceSelector": {}}], "ports": [{"port": 81}]}
    found = elements(policy("p", ingress=[block, pods]))
    assert [passes(found, "10.42.2.2", "10.42.1.2", "tcp", port) for port in (80, 81, 82)] == [
        True,
        True,
        False,
    ]
    assert [passes(found, "10.42.2.9", "10.42.1.2", "tcp", port) for port in (80, 81)] == [True, False]


def test_everybody_costs_one_element() -> None:
    found = elements(policy("open", ingress=[{}]))
    assert [key for name, key in found if name in (PEERS, BLOCKS)] == [(FIRST, "0.0.0.0-255.255.255.255")]


def test_a_pod_that_comes_costs_its_own_elements() -> None:
    rule = {"from": [{"namespaceSelector": {}}]}
    book = Book()
    book.change(picture([policy("in", ingress=[rule])]))
    new = pod("new", "c", "10.42.3.3", {})
    change = book.change(picture([policy("in", ingress=[rule])], [*PODS, new]))
    assert change.remove == []
    assert list(change.add) == [(PEERS, (FIRST, "10.42.3.3"))]


@pytest.mark.parametrize(
    "changed", [{"spec": {"hostNetwork": True}}, {"status": {"podIP": "10.42.1.9", "phase": "Failed"}},
                {"status": {}}, {"status": {"podIP": "fd00::1"}}]
)  # fmt: skip
def test_who_is_not_judged(changed: Obj) -> None:
    assert model.pod({**PODS[0], **changed}) is None


def test_what_cannot_be_understood_allows_nothing() -> None:
    odd = [
        {"from": [{"ipBlock": {"cidr": "fd00::/64"}}]},
        {"from": [{}]},
        {"ports": [{"protocol": "ICMP"}]},
        {"from": [{"podSelector": {"matchExpressions": [{"key": "a", "operator": "Like"}]}}]},
    ]
    found = elements(policy("odd", ingress=odd))
    assert not any(passes(found, source, "10.42.1.2", "tcp", 80) for source in (*OUTSIDE, "10.42.2.2"))


def test_little_is_kept_of_other_hosts_pods() -> None:
    full = {**PODS[0], "status": {**PODS[0]["status"], "containerStatuses": [{}]}}
    full["spec"] = {**full["spec"], "nodeName": "h2", "volumes": [{}]}
    full["spec"]["containers"] = [
        {**full["spec"]["containers"][0], "env": [{"name": "A", "value": "secret"}]}
    ]
    kept = model.lean(full)
    assert model.pod(kept) == model.pod(full)
    assert "secret" not in str(kept)
    assert model.lean(kept) == kept


def test_elements_can_be_written_as_text() -> None:
    found = elements(
        policy("p", ingress=[{"from": [{"ipBlock": {"cidr": "192.0.2.0/24"}}], "ports": [{"port": 80}]}])
    )
    text = "".join(SHAPE.additions(found))
    assert "add element ip mini8s_policy blocks { 0:2 . 192.0.2.0-192.0.2.255 : 0:3 }\n" in text
    assert "add element ip mini8s_policy ports { 0:3 . tcp . 80-80 }\n" in text
