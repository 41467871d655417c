"""Telling systemd how we are: sd_notify(3) without libsystemd. Outside systemd every call does nothing."""

from __future__ import annotations

import os
import socket


def notify(message: str) -> bool:
    """Send lines such as READY=1, STATUS=…, STOPPING=1, WATCHDOG=1; whether anybody listens."""
    path = os.environ.get("NOTIFY_SOCKET", "")
    if not path:
        return False
    address = "\0" + path[1:] if path.startswith("@") else path
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
        try:
            sock.sendto(message.encode(), address)
        except OSError:
            return False
    return True
