"""Bytes both ways between a client and something that listens here, until either has said all."""

from __future__ import annotations

from mini8s.agent.streams.duct import Duct, hung_up, wait


def relay(client: Duct, target: Duct) -> None:
    """What the target said last still reaches the client; an end of the client is the end of both. A slow one
    holds up the other. Raises OSError."""
    try:
        while not (client.ended or (target.ended and not client.waiting)):
            _turn(client, target)
    finally:
        target.close()


def _turn(client: Duct, target: Duct) -> None:
    hears_client, hears_target = not target.full, not (client.full or target.ended)
    ready = wait({client: hears_client, target: hears_target}, watched=client)
    if client in ready:
        client.flush()
        if hears_client:
            target.put(client.take())
        elif hung_up(client):
            client.ended = True
    client.put(_served(target, hears=hears_target and target in ready))
    client.flush()


def _served(target: Duct, *, hears: bool) -> bytes:
    """What it says, after it was told what waited for it. One that is gone is told no more."""
    data = b""
    try:
        target.flush()
        data = target.take() if hears else b""
    except OSError:
        target.ended = True
    if target.ended:
        target.drop()
    return data
