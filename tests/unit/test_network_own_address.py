"""When a host takes another address for its own, and what the kernel's messages say to whom they matter."""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass, field

import pytest

from mini8s.agent.network.changes import PROTOCOL, foreign
from mini8s.agent.network.own_address import OwnAddress, hang_up
from mini8s.util.workers import Stop

OLD, NEW = "192.0.2.11", "192.0.2.55"


@dataclass
class Host:
    """A host's addresses and the one that leads out; what was said of its own."""

    has: set[str] = field(default_factory=lambda: {OLD})
    way_out: str = OLD
    said: list[str] = field(default_factory=list)

    def address(self, given: str = "") -> OwnAddress:
        found = OwnAddress(
            given,
            OLD,
            Stop(),
            note=self.said.append,
            has_address=lambda address: address in self.has,
            way_out=lambda _family: self.way_out,
        )
        found.on_move(lambda: self.said.append("moved to " + ",".join(found())))
        return found


def looked(address: OwnAddress) -> str:
    address.look()
    address.close()
    (found,) = address()
    return found


def test_the_address_that_is_gone_is_replaced_by_that_of_the_default_route() -> None:
    host = Host(has={NEW}, way_out=NEW)
    assert looked(host.address()) == NEW
    assert host.said == [NEW, "moved to " + NEW]


@pytest.mark.parametrize(
    ("has", "way_out", "given"),
    [
        ({OLD, NEW}, NEW, ""),  # a second way out
        (set(), "", ""),  # no way at all
        ({NEW}, NEW, OLD),  # --node-ip
    ],
)
def test_it_stays(has: set[str], way_out: str, given: str, caplog: pytest.LogCaptureFixture) -> None:
    host = Host(has, way_out)
    assert looked(host.address(given)) == OLD
    assert host.said == []
    assert [record.levelname for record in caplog.records] == (["WARNING"] if OLD not in has else [])


def test_connections_from_the_old_address_end_and_others_do_not() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname(), source_address=("127.0.0.3", 0)) as gone,
        socket.create_connection(server.getsockname(), source_address=("127.0.0.4", 0)) as stays,
    ):
        hang_up("127.0.0.3")
        gone.settimeout(60)
        assert gone.recv(1) == b""
        stays.send(b"!")


def message(kind: int, body: bytes) -> bytes:
    return struct.pack("=IHHII", 16 + len(body), kind, 0, 0, 0) + body


def route(protocol: int) -> bytes:
    return struct.pack("=BBBBBBBBI", 2, 24, 0, 0, 254, protocol, 0, 1, 0)


@pytest.mark.parametrize(
    ("data", "counts"),
    [
        (message(24, route(PROTOCOL)), False),
        (message(25, route(PROTOCOL)) + message(24, route(2)), True),
        (message(21, bytes(8)), True),
        (b"", False),
        (bytes(16), False),
    ],
)
def test_our_own_routes_are_no_news(data: bytes, counts: bool) -> None:
    assert foreign(data) == counts
