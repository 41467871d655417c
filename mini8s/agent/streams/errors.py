"""What ends a session before its time."""

from __future__ import annotations


class ProtocolError(Exception):
    """The other end says what its protocol doesn't know."""


class Vanished(ConnectionError):
    """The other end hung up before its session was over."""
