"""Noticing that the other end of a silent connection is gone: a cable that is pulled says nothing."""

from __future__ import annotations

import socket

IDLE_SECONDS, EVERY_SECONDS, TRIES = 30, 10, 3  # a lost peer is found out after a minute


def keep_alive(sock: socket.socket) -> None:
    """Let the kernel ask a TCP peer that says nothing whether it is still there."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, IDLE_SECONDS)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, EVERY_SECONDS)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, TRIES)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
