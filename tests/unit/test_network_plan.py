"""The pod network's plans: routes, tunnel entries, addresses, room in a firewall."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mini8s.agent.network import forwarding, masquerade
from mini8s.agent.network.base import NetworkError
from mini8s.agent.network.facts import pod_addresses
from mini8s.agent.network.ipam import Addresses
from mini8s.agent.network.netlink import link_name
from mini8s.agent.network.plan import (
    HOST_GW,
    TUNNEL,
    VXLAN,
    Add,
    Forward,
    Neighbour,
    Node,
    Remove,
    Route,
    diff,
    inside,
    node,
    tunnelled,
    wanted,
)
from mini8s.objects.kinds import Obj
from tests.fakes import network_objects as objects

OWN = Node("h1", "10.99.0.11", "10.42.1.0/24")
OTHER = Node("h2", "10.99.0.12", "10.42.2.0/24")


def test_a_node_says_its_address_and_range() -> None:
    assert node(objects.node("h2", "10.99.0.12", "10.42.2.0/24")) == OTHER
    assert node({"metadata": {"name": "new"}}) == Node("new", "", "")
    odd = objects.node("odd", "fd00::1", "fd00::/64")
    assert node(odd) == Node("odd", "", "")


def test_host_gw_is_a_route_by_the_other_nodes_address() -> None:
    assert wanted([OWN, OTHER], OWN, ()) == {Route("10.42.2.0/24", "10.99.0.12")}


def test_vxlan_needs_nothing_but_the_nodes_objects() -> None:
    assert wanted([OWN, OTHER], OWN, [OTHER.address]) == {
        Route("10.42.2.0/24", "10.42.2.0", TUNNEL),
        Neighbour("10.42.2.0", "0a:58:0a:2a:02:00"),
        Forward("0a:58:0a:2a:02:00", "10.99.0.12"),
    }


@pytest.mark.parametrize("other", [Node("new", "", "10.42.3.0/24"), Node("new", "10.99.0.13", "")])
def test_a_node_that_is_not_ready_has_no_route_yet(other: Node) -> None:
    assert wanted([OWN, other], OWN, ()) == set()


def test_routes_come_after_what_they_need_and_go_before() -> None:
    entries = wanted([OWN, OTHER], OWN, [OTHER.address])
    added, removed = diff([], entries), diff(entries, [])
    assert [type(one.entry) for one in added] == [Forward, Neighbour, Route]
    assert [type(one.entry) for one in removed] == [Route, Neighbour, Forward]
    assert diff(entries, entries) == []


def test_a_node_that_moved_changes_only_what_names_its_address() -> None:
    moved = Node("h2", "10.99.0.77", OTHER.pod_cidr)
    actions = diff(wanted([OTHER], OWN, [OTHER.address]), wanted([moved], OWN, [moved.address]))
    mac = "0a:58:0a:2a:02:00"
    assert actions == [Remove(Forward(mac, "10.99.0.12")), Add(Forward(mac, "10.99.0.77"))]


def test_each_pair_of_hosts_has_its_own_way() -> None:
    far = Node("h3", "198.51.100.3", "10.42.3.0/24")
    behind = tunnelled([OTHER, far], HOST_GW, {OTHER.address})
    assert behind == {far.address}
    assert tunnelled([OTHER, far], VXLAN, {OTHER.address}) == {OTHER.address, far.address}
    routes = {one for one in wanted([OWN, OTHER, far], OWN, behind) if isinstance(one, Route)}
    assert routes == {Route("10.42.2.0/24", OTHER.address), Route("10.42.3.0/24", "10.42.3.0", TUNNEL)}


def test_a_narrow_way_is_said_by_its_route() -> None:
    entries = wanted([OWN, OTHER], OWN, [OTHER.address], {OTHER.address: 1350})
    assert Route("10.42.2.0/24", "10.42.2.0", TUNNEL, 1350) in entries


def test_a_route_that_changes_is_replaced() -> None:
    near, far = wanted([OTHER], OWN, ()), wanted([OTHER], OWN, [OTHER.address])
    assert [type(one) for one in diff(near, far)] == [Add, Add, Add]
    assert [type(one.entry) for one in diff(far, near)] == [Neighbour, Forward, Route]
    assert diff(near, []) == [Remove(Route("10.42.2.0/24", OTHER.address))]


def test_only_what_leaves_the_cluster_is_masqueraded() -> None:
    ranges = inside([OWN, OTHER], "10.42.0.0/16", "10.43.0.0/16")
    assert ranges == ("10.42.0.0/16", "10.43.0.0/16", "10.99.0.11", "10.99.0.12")
    text = masquerade.table("10.42.1.0/24", ranges)
    assert "elements = { 10.42.0.0/16, 10.43.0.0/16, 10.99.0.11, 10.99.0.12 }" in text
    assert "ip saddr 10.42.1.0/24 ip daddr != @inside" in text


def test_a_links_name_fits_and_follows_from_the_uid() -> None:
    name = link_name("7ef8f0d5-0a26-4f1e-9d0b-0f2c8a3f3a11")
    assert len(name) == 15
    assert name != link_name("7ef8f0d5-0a26-4f1e-9d0b-0f2c8a3f3a12")


def test_a_pod_keeps_its_address_and_a_freed_one_rests() -> None:
    addresses = Addresses("10.42.1.0/29", {})
    first = addresses.take("a")
    assert first == "10.42.1.1"
    assert addresses.take("a") == first
    addresses.release("a")
    addresses.release("a")
    assert [addresses.take(uid) for uid in "bcdef"] == [f"10.42.1.{i}" for i in (2, 3, 4, 5, 6)]
    assert addresses.take("g") == first
    with pytest.raises(NetworkError, match=r"no address is left in this node's pod range 10\.42\.1\.0/29"):
        addresses.take("h")


def test_a_start_goes_on_behind_the_last_address() -> None:
    addresses = Addresses("10.42.1.0/24", {"a": "10.42.1.7", "old": "10.42.200.1"})
    assert addresses.of("a") == "10.42.1.7"
    assert addresses.take("b") == "10.42.1.8"


def test_a_pod_comes_back_to_the_address_it_is_known_by() -> None:
    """And nobody gets it first; what is no address of this range is known in vain."""
    known = {"a": "10.42.1.1", "b": "10.42.1.3", "c": "10.42.9.9", "d": "10.42.1.0", "e": "10.42.1.7"}
    addresses = Addresses("10.42.1.0/29", {"x": "10.42.1.4"})
    assert [addresses.take(uid, known) for uid in "ncba"] == [
        "10.42.1.5",
        "10.42.1.6",
        "10.42.1.3",
        "10.42.1.1",
    ]
    assert [addresses.take("d", known)] == ["10.42.1.2"]
    with pytest.raises(NetworkError):
        addresses.take("e", known)


def test_which_pods_are_known_by_an_address() -> None:
    def pod(uid: str, phase: str = "Running", **spec: Any) -> Obj:
        return {"metadata": {"uid": uid}, "spec": spec, "status": {"phase": phase, "podIP": f"10.42.1.{uid}"}}

    pods = [pod("1"), pod("2", "Failed"), pod("3", hostNetwork=True), pod("400"), {"metadata": {"uid": "5"}}]
    assert pod_addresses(pods) == {"1": ("10.42.1.1",)}


@given(st.lists(st.tuples(st.booleans(), st.sampled_from("abcdefgh")), max_size=60))
def test_no_address_is_given_twice_nor_lost(steps: Sequence[tuple[bool, str]]) -> None:
    addresses, held = Addresses("10.42.1.0/28", {}), set()
    for take, uid in steps:
        if take:
            addresses.take(uid)
            held.add(uid)
        else:
            addresses.release(uid)
            held.discard(uid)
        given_out = addresses.all()
        assert given_out.keys() == held
        assert len(set(given_out.values())) == len(given_out)
        assert not {"10.42.1.0", "10.42.1.15"} & set(given_out.values())


DOCKER = """-P INPUT ACCEPT
-P FORWARD DROP
-N DOCKER
-N DOCKER-USER
-A FORWARD -j DOCKER-USER
-A DOCKER-USER -j RETURN
"""
OURS = (
    "-A DOCKER-USER -d 10.42.0.0/16 -m comment --comment mini8s -j ACCEPT\n"
    "-A DOCKER-USER -s 10.42.0.0/16 -m comment --comment mini8s -j ACCEPT\n"
)


def test_docker_that_drops_is_told_to_let_pods_pass() -> None:
    room = forwarding.plan(DOCKER, "10.42.0.0/16")
    assert [" ".join(one[:4]) for one in room.commands] == [
        "-I DOCKER-USER -s 10.42.0.0/16",
        "-I DOCKER-USER -d 10.42.0.0/16",
    ]
    assert forwarding.plan(DOCKER + OURS, "10.42.0.0/16") == forwarding.Room()


def test_another_firewall_is_told_and_not_changed() -> None:
    room = forwarding.plan("-P FORWARD DROP\n", "10.42.0.0/16")
    assert room.commands == ()
    assert "until it accepts packets from and to 10.42.0.0/16" in room.warning


@pytest.mark.parametrize("rules", ["", "-P FORWARD ACCEPT\n-N DOCKER-USER\n"])
def test_a_host_that_forwards_is_left_alone(rules: str) -> None:
    assert forwarding.plan(rules, "10.42.0.0/16") == forwarding.Room()


def test_only_our_rules_are_taken_back() -> None:
    rules = DOCKER + OURS + "-A DOCKER-USER -s 10.42.0.0/16 -j ACCEPT\n"
    assert [" ".join(one[:4]) for one in forwarding.leftovers(rules).commands] == [
        "-D DOCKER-USER -d 10.42.0.0/16",
        "-D DOCKER-USER -s 10.42.0.0/16",
    ]
