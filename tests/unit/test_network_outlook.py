"""Which hosts are counted on while the server is silent, and that nobody is asked while it isn't."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

import pytest

from mini8s.agent.network import echo
from mini8s.agent.network.outlook import ALONE_SECONDS, Outlook
from mini8s.objects.kinds import NODES
from mini8s.util.workers import Stop
from tests.fakes.informers import FakeInformers
from tests.fakes.network_objects import node


@dataclass
class Others:
    """Three nodes, h1 is our own; those in `there` answer."""

    there: set[str] = field(default_factory=lambda: {"10.99.0.12", "10.99.0.13"})
    heard: float | None = 1000.0
    now: float = 1000.0
    asked: list[set[str]] = field(default_factory=list)
    back_meanwhile: bool = False

    def __post_init__(self) -> None:
        self.informers = FakeInformers()
        for number in (1, 2, 3):
            self.informers.put(NODES, node(f"h{number}", f"10.99.0.1{number}", ""))
        self.informers.put(NODES, node("new", "", ""))
        self.changes = 0
        self.outlook = Outlook(
            informers=self.informers,  # type: ignore[arg-type]
            node_name="h1",
            heard=lambda: self.heard,
            stop=Stop(),
            answering=self._answering,
            monotonic=lambda: self.now,
        )
        self.outlook.subscribe(self._changed)

    def _answering(self, addresses: Collection[str]) -> set[str]:
        self.asked.append(set(addresses))
        if self.back_meanwhile:
            self.heard = self.now
        return set(addresses) & self.there

    def _changed(self) -> None:
        self.changes += 1

    def silent(self) -> set[str]:
        self.outlook.step()
        return set(self.outlook.silent())


@pytest.fixture
def others() -> Others:
    return Others()


def test_nobody_is_asked_while_the_server_is_heard(others: Others) -> None:
    others.now += ALONE_SECONDS - 1
    others.there = set()
    assert others.silent() == set()
    assert others.asked == []


def test_who_does_not_answer_is_silent_until_it_does_or_the_server_is_back(others: Others) -> None:
    others.now += ALONE_SECONDS
    assert others.silent() == set()
    assert others.asked == [{"10.99.0.12", "10.99.0.13"}]
    others.there = {"10.99.0.13"}
    assert others.silent() == {"h2"}
    assert others.silent() == {"h2"}
    assert others.changes == 1
    others.there = set()
    assert others.silent() == {"h2", "h3"}
    others.heard = others.now
    assert others.silent() == set()
    assert others.changes == 3


def test_a_host_that_starts_alone_does_not_wait(others: Others) -> None:
    others.heard, others.there = None, set()
    assert others.silent() == {"h2", "h3"}


def test_a_server_that_is_back_before_the_answers_counts(others: Others) -> None:
    others.heard, others.there, others.back_meanwhile = None, set(), True
    assert others.silent() == set()


def test_nothing_is_said_of_hosts_that_nobody_knows() -> None:
    others = Others()
    others.informers = FakeInformers(synced=False)
    outlook = Outlook(
        informers=others.informers,  # type: ignore[arg-type]
        node_name="h1",
        heard=lambda: None,
        stop=Stop(),
        answering=others._answering,
    )
    outlook.step()
    assert others.asked == []


def test_an_echo_request_has_the_checksum_of_rfc_1071() -> None:
    for identifier, number in ((0, 0), (0xFFFF, 1), (0xF7FF, 1), (4711, 2)):
        packet = echo._request(identifier, number)
        words = [int.from_bytes(packet[place : place + 2]) for place in range(0, len(packet), 2)]
        assert sum(words) % 0xFFFF == 0
        assert echo._answers(b"\x45" + bytes(19) + b"\x00" + packet[1:], identifier)
        assert not echo._answers(b"\x45" + bytes(19) + packet, identifier), "a request is no answer"
        assert not echo._answers(b"\x45" + bytes(19) + b"\x00" + packet[1:], identifier ^ 1)
    assert not echo._answers(b"\x45" + bytes(20), 0)
