"""`mini8s exec`, `top` and `expose`, which do what kubectl's do: what they say without a cluster."""

from __future__ import annotations

import socket
from decimal import Decimal

import pytest

from mini8s.cli.errors import CommandError
from mini8s.cli.exec import exit_code, pass_out
from mini8s.cli.expose import declared, selector
from mini8s.cli.top import cores
from mini8s.client.websocket import WebSocket


def test_a_server_that_goes_away_is_one_sentence() -> None:
    ours, theirs = socket.socketpair()
    session = WebSocket(ours, b"")
    try:
        session.send(b"what nobody reads, so that the other end resets")
        theirs.close()
        assert pass_out(session) is None
    finally:
        session.close()
    with pytest.raises(CommandError, match="the connection ended before the command did"):
        exit_code(None)


@pytest.mark.parametrize(
    ("used", "shown"), [("0", "0m"), ("0.0003", "1m"), ("0.2", "200m"), ("1.2341", "1235m")]
)
def test_cores_are_rounded_up(used: str, shown: str) -> None:
    assert cores(Decimal(used)) == shown


def test_what_has_no_spec_has_no_pods_to_expose() -> None:
    found = {"kind": "ConfigMap", "metadata": {"name": "c"}}
    assert declared(found) == []
    with pytest.raises(
        CommandError, match="configmap/c has no labels that a Service could select its pods by"
    ):
        selector(found, "configmap/c")
