"""The constant part of the proxy's table: a golden of the whole, and what its text says of elements."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mini8s.agent.network.elements import pack, unpack
from mini8s.agent.proxy import skeleton
from mini8s.agent.proxy.layout import AFFINITY, DROP, MAPS, MOST_ENDPOINTS, REJECT, SHAPE, STEP, Needs

GOLDEN = Path(__file__).parents[1] / "cases" / "nft" / "skeleton.nft"
CIDRS = ("10.43.0.0/16", "10.42.0.0/16")


def test_the_whole_skeleton(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(skeleton, "STEP", 2)
    text = skeleton.Skeleton(*CIDRS).table(Needs({0, 3}, {600}))
    assert text == GOLDEN.read_text()


def test_every_class_has_its_chain() -> None:
    needs = Needs()
    for size in (1, STEP, STEP + 1, MOST_ENDPOINTS):
        needs.size(size)
    text = skeleton.chains(needs)
    classes = dict(re.findall(r"(\d+) : goto ([an]\d+)", text))
    sizes = [*range(1, 2 * STEP + 1), *range(MOST_ENDPOINTS // STEP * STEP + 1, MOST_ENDPOINTS + 1)]
    assert sorted(map(int, classes)) == sorted([*sizes, *(size | AFFINITY for size in sizes)])
    for number, chain in classes.items():
        size = int(chain[1:])
        assert int(number) == (size if chain[0] == "n" else size | AFFINITY)
        assert f"chain {chain} {{" in text
    assert {DROP, REJECT}.isdisjoint(map(int, classes))


def test_the_version_follows_from_the_text_and_not_from_its_chains() -> None:
    made = skeleton.Skeleton(*CIDRS)
    assert made.version != skeleton.Skeleton("10.44.0.0/16", CIDRS[1]).version
    assert made.version != skeleton.Skeleton(*CIDRS, ["10.99.0.0/24"]).version
    assert f"chain {made.version} {{ }}" in made.table(Needs({0, 1}, {5}))
    assert skeleton.chains(Needs()) == ""


def test_node_ports_on_chosen_addresses() -> None:
    text = skeleton.Skeleton(*CIDRS, ["10.99.0.0/24", "127.0.0.1/32"]).table(Needs())
    (line,) = [one for one in text.splitlines() if "map @np" in one]
    assert "ip daddr { 10.99.0.0/24, 127.0.0.1/32 }" in line


def test_elements_as_text() -> None:
    elements = {
        ("fe", ("10.43.0.1", "tcp", 80)): (0x403,),
        ("eps", (0x400, 2)): ("10.42.0.5", 8080),
        ("hp", ("10.42.0.5", "10.42.0.5")): (),
        ("src", ("10.99.0.1", "tcp", 80, "10.0.0.0/8")): (),
        ("aft", (0x2000,)): (600,),
    }
    assert list(SHAPE.additions(elements)) == [
        "add element ip mini8s_proxy fe { 10.43.0.1 . tcp . 80 : 0x00000403 }\n",
        "add element ip mini8s_proxy eps { 0x00000400 . 2 : 10.42.0.5 . 8080 }\n",
        "add element ip mini8s_proxy hp { 10.42.0.5 . 10.42.0.5 }\n",
        "add element ip mini8s_proxy src { 10.99.0.1 . tcp . 80 . 10.0.0.0/8 }\n",
        "add element ip mini8s_proxy aft { 0x00002000 : goto t600 }\n",
    ]


def test_keys_are_packed_as_the_kernel_has_them() -> None:
    key = ("10.43.0.1", "udp", 53)
    packed = pack(MAPS["fe"].key, key)
    assert packed == bytes((10, 43, 0, 1, 17, 0, 0, 0, 0, 53, 0, 0))
    assert unpack(MAPS["fe"].key, packed) == key
