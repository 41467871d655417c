"""What the proxy programs is what the kernel holds: the fake and the real nf_tables under one suite, and the
`nft` command as a second reader of the real one."""

from __future__ import annotations

import functools
import json
import os
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from mini8s.agent.network import netns
from mini8s.agent.network.ruleset import RulesetError
from mini8s.agent.proxy.base import Kernel
from mini8s.agent.proxy.layout import LEARNED, MAPS, Elements
from mini8s.agent.proxy.model import service
from mini8s.agent.proxy.plan import Book, Round
from mini8s.agent.proxy.table import Table, remove
from tests.fakes import network_objects as objects
from tests.fakes.kernel import FakeKernel

SPACE = f"m8t{os.getpid()}"
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


def web(book: Book, number: int, ends: int) -> Round:
    obj = objects.service(
        f"web{number}",
        f"10.43.0.{number}",
        objects.port(80, node_port=30000 + number),
        objects.port(53, name="dns", protocol="UDP"),
        sessionAffinity="ClientIP",
    )
    endpoints = [objects.endpoint(f"10.42.0.{i}", node="h1") for i in range(1, ends + 1)]
    ports = (objects.port(8080), objects.port(53, name="dns", protocol="UDP"))
    piece = objects.slice_of(obj, endpoints, *ports)
    return book.change({f"default/web{number}": service(obj, [piece], "h1")})


def test_replace_makes_it_all_there_is(kernel: tuple[Kernel, Held]) -> None:
    table, held = kernel
    book = Book()
    for number in range(1, 20):
        web(book, number, number % 5)
    table.replace(book.elements, 5)
    assert held() == book.elements
    table.replace(book.elements, 5)
    assert held() == book.elements
    small: Elements = {("fe", ("10.43.0.1", "tcp", 80)): (0,)}
    table.replace(small, 0)
    assert held() == small


def test_change_is_what_the_plan_says(kernel: tuple[Kernel, Held]) -> None:
    table, held = kernel
    book = Book()
    table.replace(book.elements, 0)
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
    table.replace(book.elements, 3)
    wrong = Round(
        remove={("fe", ("10.43.0.77", "tcp", 80)): (0,)}, add={("fe", ("10.43.0.78", "tcp", 80)): (0,)}
    )
    with pytest.raises(RulesetError, match="ENOENT"):
        table.change(wrong)
    assert held() == book.elements


def test_a_larger_group_takes_a_larger_table(kernel: tuple[Kernel, Held]) -> None:
    table, held = kernel
    book = Book()
    table.replace(book.elements, 0)
    change = web(book, 1, 70)
    assert not table.has_room(change.largest)
    table.replace(book.elements, change.largest)
    assert table.has_room(change.largest)
    assert held() == book.elements


def test_nft_reads_what_was_written(space: str) -> None:
    def write() -> None:
        table = Table("10.43.0.0/16", "10.42.0.0/16")
        book = Book()
        table.replace(book.elements, 0)
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
    assert fronts == {("10.43.0.1", "tcp", 80): 1 << 10 | 0x202, ("10.43.0.1", "udp", 53): 2 << 10 | 0x202}
    netns.inside(space, remove)
    netns.inside(space, remove)
