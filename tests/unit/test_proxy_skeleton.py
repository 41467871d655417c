"""The constant part of the proxy's table: a golden of the whole, and what its text says of elements."""

from __future__ import annotations

import re
from pathlib import Path

from mini8s.agent.proxy import skeleton
from mini8s.agent.proxy.layout import MAPS, MOST_ENDPOINTS, pack, unpack

GOLDEN = Path(__file__).parents[1] / "cases" / "nft" / "skeleton.nft"
CIDRS = ("10.43.0.0/16", "10.42.0.0/16")


def test_the_whole_skeleton() -> None:
    assert skeleton.table(*CIDRS, 2) == GOLDEN.read_text()


def test_every_class_has_its_chain() -> None:
    text = skeleton.table(*CIDRS)
    classes = dict(re.findall(r"(\d+) : goto ([an]\d+)", text))
    assert len(classes) == 2 * skeleton.STEP
    for number, chain in classes.items():
        size = int(chain[1:])
        assert int(number) == (size if chain[0] == "n" else size | 0x200)
        assert f"chain {chain} {{" in text


def test_the_version_follows_from_the_text_and_not_from_its_size() -> None:
    version = skeleton.version(*CIDRS)
    assert version != skeleton.version("10.44.0.0/16", CIDRS[1])
    assert f"chain {version} {{ }}" in skeleton.table(*CIDRS, 128)


def test_room_grows_in_steps_up_to_what_a_class_can_name() -> None:
    assert [skeleton.room(n) for n in (0, 1, 64, 65, 400, 510)] == [64, 64, 64, 128, 448, MOST_ENDPOINTS]


def test_elements_as_text() -> None:
    elements = {
        ("fe", ("10.43.0.1", "tcp", 80)): (0x403,),
        ("eps", (0x400, 2)): ("10.42.0.5", 8080),
        ("hp", ("10.42.0.5", "10.42.0.5")): (),
    }
    assert list(skeleton.additions(elements)) == [
        "add element ip mini8s_proxy fe { 10.43.0.1 . tcp . 80 : 0x00000403 }\n",
        "add element ip mini8s_proxy eps { 0x00000400 . 2 : 10.42.0.5 . 8080 }\n",
        "add element ip mini8s_proxy hp { 10.42.0.5 . 10.42.0.5 }\n",
    ]


def test_keys_are_packed_as_the_kernel_has_them() -> None:
    key = ("10.43.0.1", "udp", 53)
    packed = pack(MAPS["fe"].key, key)
    assert packed == bytes((10, 43, 0, 1, 17, 0, 0, 0, 0, 53, 0, 0))
    assert unpack(MAPS["fe"].key, packed) == key
