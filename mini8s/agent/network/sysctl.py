"""Switches of the kernel's IPv4, in the calling thread's network namespace."""

from __future__ import annotations

from pathlib import Path

from mini8s.agent.network.base import NetworkError

ROOT = Path("/proc/sys/net/ipv4")


def switch(name: str, value: int) -> None:
    """Write a switch that isn't as it should be. Raises NetworkError."""
    path = ROOT / name
    try:
        if path.read_text().strip() != str(value):
            path.write_text(str(value))
    except OSError as error:
        raise NetworkError(f"the kernel's net.ipv4.{name.replace('/', '.')} can't be set: {error}") from error
