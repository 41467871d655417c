"""What the proxy finds around its table: learned clients, a kernel's gaps, other programs' rules, checks."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from mini8s.agent.network.elements import Timed
from mini8s.agent.network.family import IPV4, IPV6, Family
from mini8s.agent.network.ruleset import RulesetError
from mini8s.agent.proxy import features
from mini8s.agent.proxy.foreign import Chain, drops_forwarding
from mini8s.agent.proxy.health import Check, HealthChecks, answer
from mini8s.agent.proxy.layout import AFFINITY, ENDPOINTS, FRONTS, mark
from mini8s.agent.proxy.learned import carried
from mini8s.util.workers import Stop


def test_clients_keep_their_endpoint_under_the_new_number() -> None:
    front = (FRONTS, ("10.43.0.1", "tcp", 80))
    old = {front: (mark(7, AFFINITY | 2),)}
    new = {front: (mark(3, AFFINITY | 1),), (ENDPOINTS, (mark(3, 0), 0)): ("10.42.0.1", 80)}
    stays = Timed((mark(7, 0), "10.42.0.9"), ("10.42.0.1", 80), 1000, 400)
    goes = Timed((mark(7, 0), "10.42.0.8"), ("10.42.0.2", 80), 1000, 400)
    other = Timed((mark(6, 0), "10.42.0.8"), ("10.42.0.1", 80), 1000, 400)
    found = list(carried([stays, goes, other], old, new))
    assert found == [Timed((mark(3, 0), "10.42.0.9"), ("10.42.0.1", 80), 1000, 400)]
    assert list(carried([stays], old, {front: (mark(3, 1),)})) == [], "affinity was switched off"


@pytest.mark.parametrize(
    ("word", "named", "family"),
    [
        ("fib", "fib (CONFIG_NFT_FIB_IPV4)", IPV4),
        ("numgen", "numgen", IPV4),
        ("flags interval", "5.6", IPV4),
        ("jhash", "jhash (CONFIG_NFT_HASH)", IPV6),
    ],
)
def test_what_a_kernel_lacks_is_named(word: str, named: str, family: Family) -> None:
    def load(text: str) -> None:
        if word in text:
            raise RulesetError("nft refused: Error: Could not process rule: No such file or directory")

    assert named in features.missing(load, family)
    assert features.missing(lambda _: None, family) == ""


def test_a_connection_table_without_sctp_is_told(tmp_path: Path) -> None:
    assert "CONFIG_NF_CT_PROTO_SCTP" in features.without_sctp(tmp_path / "established")
    assert features.without_sctp(tmp_path / "not" / "loaded" / "yet") == ""
    assert features.without_sctp(tmp_path) == ""


def test_a_foreign_chain_that_drops_is_told_with_what_to_do() -> None:
    def said(family: str, table: str, name: str, *, drops: bool = True, forwards: bool = True) -> str:
        chains = [Chain("ip", "x", "plain"), Chain(family, table, name, forwards, drops)]
        return drops_forwarding(chains, "10.42.0.0/16")

    assert "`nft insert rule inet fw fwd ip saddr 10.42.0.0/16 accept`" in said("inet", "fw", "fwd")
    assert said("inet", "fw", "fwd", drops=False) == said("inet", "fw", "fwd", forwards=False) == ""
    assert said("ip", "filter", "FORWARD") == "", "iptables' own is cared for elsewhere"
    assert said("ip6", "fw", "fwd") == said("ip", "mini8s_x", "fwd") == ""


def test_a_health_check_is_answered_in_kube_proxys_words() -> None:
    head, _, body = answer(Check("default", "web", 2), healthy=True).partition(b"\r\n\r\n")
    assert head.splitlines()[0] == b"HTTP/1.1 200 OK"
    assert b"X-Load-Balancing-Endpoint-Weight: 2" in head
    assert body.decode() == (
        '{\n\t"service": {\n\t\t"namespace": "default",\n\t\t"name": "web"\n\t},\n'
        '\t"localEndpoints": 2,\n\t"serviceProxyHealthy": true\n}'
    )
    for check, healthy in ((Check("default", "web", 0), True), (Check("default", "web", 2), False)):
        assert answer(check, healthy=healthy).startswith(b"HTTP/1.1 503 Service Unavailable")


@pytest.fixture
def checks() -> Iterator[tuple[HealthChecks, int]]:
    """Stopped before it began: the test takes its turns. With it the port of a Service's checks."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    stop = Stop()
    stop.set()
    found = HealthChecks(stop, lambda: True)
    found.set({port: Check("default", "web", 2)})
    found._listen()
    yield found, port
    found.stop()


def test_who_asks_in_pieces_is_answered_and_keeps_nobody_busy(checks: tuple[HealthChecks, int]) -> None:
    found, port = checks
    with socket.create_connection(("127.0.0.1", port), 5) as client:
        found.step()
        client.sendall(b"GET / HTTP/1.1\r\n")
        found.step()
        assert found._selector.select(0) == [], "half a head is no reason for a turn"
        client.sendall(b"Host: h1\r\n\r\n")
        found.step()
        assert client.recv(4096).startswith(b"HTTP/1.1 200 OK")


def test_who_says_nothing_is_cut_off(checks: tuple[HealthChecks, int]) -> None:
    found, port = checks
    with socket.create_connection(("127.0.0.1", port), 5) as client:
        found.step()
        (asking,) = found._waiting.values()
        found._cut_off(asking.until)
        assert found._waiting
        found._cut_off(asking.until + 1)
        assert client.recv(1) == b""
