"""What the proxy programs is what the kernel holds: the fake and the real nf_tables under one suite, and the
`nft` command as a second reader of the real one."""

from __future__ import annotations

import functools
import json
import os
import socket
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from mini8s.agent.network import netns, ruleset
from mini8s.agent.network.elements import Elements
from mini8s.agent.network.ruleset import RulesetError
from mini8s.agent.policy import features as policy_features
from mini8s.agent.proxy.base import Kernel
from mini8s.agent.proxy.layout import LEARNED, MAPS, STEP, Needs
from mini8s.agent.proxy.model import Home, service
from mini8s.agent.proxy.plan import Book, Flow, Round
from mini8s.agent.proxy.table import Table, remove
from tests.fakes import network_objects as objects
from tests.fakes.kernel import FakeKernel

SPACE = f"m8t{os.getpid()}"
ONE = Needs({0})  # the chains of small groups
Held = Callable[[], dict[Any, Any]]


@pytest.fixture
def space() -> Iterator[str]:
    subprocess.run(["ip", "netns", "add", SPACE], check=True)
    yield f"/run/netns/{SPACE}"
    subprocess.run(["ip", "netns", "del", SPACE], check=True)


def _held(table: Table) -> dict[Any, Any]:
    return {
        (name, key): data
        for name in MAPS
        if name != LEARNED
        for key, data in table._nft.elements(name).items()
    }


@pytest.fixture(params=["fake", "real"])
def kernel(request: pytest.FixtureRequest) -> Iterator[tuple[Kernel, Held]]:
    if request.param == "fake":
        fake = FakeKernel()
        yield fake, lambda: dict(fake.elements)
        return
    path = request.getfixturevalue("space")
    table = netns.inside(path, lambda: Table("10.43.0.0/16", "10.42.0.0/16"))

    class Inside:
        """The table, from whatever thread the test runs in: `nft` must run in the namespace too."""

        def __getattr__(self, name: str) -> Any:
            method = getattr(table, name)
            return lambda *given: netns.inside(path, functools.partial(method, *given))

    yield Inside(), lambda: netns.inside(path, lambda: _held(table))  # type: ignore[misc]
    table.close()


def web(book: Book, number: int, ends: int, affinity: str = "ClientIP") -> Round:
    obj = objects.service(
        f"web{number}",
        f"10.43.0.{number}",
        objects.port(80, node_port=30000 + number),
        objects.port(53, name="dns", protocol="UDP"),
        sessionAffinity=affinity,
    )
    endpoints = [objects.endpoint(f"10.42.0.{i}", node="h1") for i in range(1, ends + 1)]
    ports = (objects.port(8080), objects.port(53, name="dns", protocol="UDP"))
    piece = objects.slice_of(obj, endpoints, *ports)
    return book.change({f"default/web{number}": service(obj, [piece], Home("h1"))})


def test_replace_makes_it_all_there_is(kernel: tuple[Kernel, Held]) -> None:
    table, held = kernel
    book = Book()
    for number in range(1, 20):
        web(book, number, number % 5)
    table.replace(book.elements, ONE)
    assert held() == book.elements
    table.replace(book.elements, ONE)
    assert held() == book.elements
    small: Elements = {("fe", ("10.43.0.1", "tcp", 80)): (0,)}
    table.replace(small, ONE)
    assert held() == small


def test_change_is_what_the_plan_says(kernel: tuple[Kernel, Held]) -> None:
    table, held = kernel
    book = Book()
    table.replace(book.elements, ONE)
    for number, ends in [(1, 3), (2, 0), (1, 2), (1, 5), (2, 1), (1, 0), (2, 4)]:
        change = web(book, number, ends)
        table.change(change)
        table.forget(change)
        assert held() == book.elements
    table.forget_others(book.flows)
    table.change(book.change({"default/web1": None, "default/web2": None}))
    assert held() == {}


def test_a_refused_change_changes_nothing(kernel: tuple[Kernel, Held]) -> None:
    table, held = kernel
    book = Book()
    web(book, 1, 3)
    table.replace(book.elements, ONE)
    wrong = Round(
        remove={("fe", ("10.43.0.77", "tcp", 80)): (0,)}, add={("fe", ("10.43.0.78", "tcp", 80)): (0,)}
    )
    with pytest.raises(RulesetError, match="ENOENT"):
        table.change(wrong)
    assert held() == book.elements


def test_chains_come_with_the_first_that_needs_them(kernel: tuple[Kernel, Held]) -> None:
    table, held = kernel
    book = Book()
    table.replace(book.elements, ONE)
    for ends in (STEP, STEP + 1, 600):  # of one block, of two, and more than 510
        change = web(book, 1, ends)
        assert table.has_room(change.needs) == (ends == STEP)
        if ends == STEP:
            table.change(change)
        else:
            table.replace(book.elements, book.needs)
        assert table.has_room(change.needs)
        assert held() == book.elements
    sticky = objects.service("sticky", "10.43.0.200", objects.port(80), sessionAffinity="ClientIP")
    for seconds in (1, 600, 86400):
        sticky["spec"]["sessionAffinityConfig"] = {"clientIP": {"timeoutSeconds": seconds}}
        piece = objects.slice_of(sticky, [objects.endpoint("10.42.0.1")], objects.port(8080))
        table.change(book.change({"default/sticky": service(sticky, [piece], Home("h1"))}))
        assert held() == book.elements
        assert (seconds,) in held().values()


def test_ranges_of_clients(kernel: tuple[Kernel, Held]) -> None:
    table, held = kernel
    book = Book()
    table.replace(book.elements, ONE)
    obj = objects.service("lb", "10.43.0.201", objects.port(80), type="LoadBalancer")
    obj["status"] = {"loadBalancer": {"ingress": [{"ip": "10.99.0.11"}]}}
    for ranges in (["10.0.0.0/8", "10.1.0.0/16", "192.0.2.7/32"], ["10.0.0.0/9"], ["0.0.0.0/0"]):
        obj["spec"]["loadBalancerSourceRanges"] = ranges
        table.change(book.change({"default/lb": service(obj, [], Home("h1"))}))
        assert held() == book.elements
    table.replace(book.elements, ONE)
    assert held() == book.elements


def test_nft_reads_what_was_written(space: str) -> None:
    def write() -> None:
        table = Table("10.43.0.0/16", "10.42.0.0/16")
        book = Book()
        table.replace(book.elements, ONE)
        change = web(book, 1, 2)
        table.change(change)
        assert table.intact()
        table.close()

    def read() -> Any:
        command = ["nft", "-j", "list", "map", "ip", "mini8s_proxy", "fe"]
        return json.loads(subprocess.run(command, capture_output=True, check=True).stdout)

    netns.inside(space, write)
    found = next(one["map"] for one in netns.inside(space, read)["nftables"] if "map" in one)
    fronts = {tuple(key["concat"]): mark for key, mark in found["elem"]}
    assert fronts == {("10.43.0.1", "tcp", 80): 1 << 13 | 0x1002, ("10.43.0.1", "udp", 53): 2 << 13 | 0x1002}
    netns.inside(space, remove)
    netns.inside(space, remove)


def remembered(front: str) -> dict[str, int]:
    """How many UDP clients of a front the kernel has at each endpoint, as `conntrack` says."""
    words = ["conntrack", "-L", "-p", "udp", "--orig-dst", front]
    said = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    ends = [line.split("src=")[2].split()[0] for line in said.splitlines() if line.startswith("udp")]
    return {end: ends.count(end) for end in ends}


def ask(front: str, clients: int) -> None:
    for number in range(clients):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.bind(("10.42.0.3", 2000 + number))
            sock.sendto(b"?", (front, 53))


def test_thousands_of_udp_clients_are_forgotten_in_one_go(space: str) -> None:
    """And no other: neither of endpoints that stay, nor of other Services, nor who asked a pod itself."""

    def run() -> None:
        for text in ("link set lo up", "addr add 10.42.0.1/29 dev lo", "route add default dev lo"):
            subprocess.run(["ip", *text.split()], check=True)
        table, book = Table("10.43.0.0/16", "10.42.0.0/16"), Book()
        for number in (1, 2):
            web(book, number, 2, "None")
        table.replace(book.elements, ONE)
        table.forget_others(book.flows)
        ask("10.43.0.1", 6000)
        ask("10.43.0.2", 500)
        ask("10.42.0.2", 500)
        before, others = remembered("10.43.0.1"), remembered("10.43.0.2")
        assert (sum(before.values()), len(before)) == (6000, 2)
        change = web(book, 1, 1, "None")
        table.change(change)
        table.forget(change)
        assert remembered("10.43.0.1") == {"10.42.0.1": before["10.42.0.1"]}
        assert (remembered("10.43.0.2"), remembered("10.42.0.2")) == (others, {"10.42.0.2": 500})
        table.forget_others({flow for flow in book.flows if flow.slot != ("10.42.0.2", 53)})
        assert remembered("10.43.0.2") == {"10.42.0.1": others["10.42.0.1"]}
        table.forget_others({Flow("udp", "10.43.0.2", 53, None)})  # as when nobody serves it any more
        assert remembered("10.43.0.2") == {}
        table.close()

    netns.inside(space, run)


def test_this_kernel_lacks_nothing(space: str) -> None:
    assert netns.inside(space, lambda: policy_features.missing(ruleset.load)) == ""

    def ask() -> tuple[str, str, str]:
        table = Table("10.43.0.0/16", "10.42.0.0/16")
        try:
            said = table.lacks(), table.blocked()
            for text in (
                "table inet fw",
                "chain inet fw f { type filter hook forward priority 0; policy drop; }",
            ):
                subprocess.run(["nft", f"add {text}"], check=True)
            return *said, table.blocked()
        finally:
            table.close()

    lacks, before, after = netns.inside(space, ask)
    assert (lacks, before) == ("", "")
    assert after.startswith("the nftables chain inet fw f drops forwarded packets")
