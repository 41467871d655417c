"""Switches of the kernel's IPv4 and IPv6, in the calling thread's network namespace."""

from __future__ import annotations

from pathlib import Path

from mini8s.agent.network.base import NetworkError

ROOT = Path("/proc/sys/net")


def switch(name: str, value: int, family: str = "ipv4") -> None:
    """Write a switch that isn't as it should be. Raises NetworkError."""
    path = ROOT / family / name
    try:
        if path.read_text().strip() != str(value):
            path.write_text(str(value))
    except OSError as error:
        dotted = f"net.{family}.{name.replace('/', '.')}"
        raise NetworkError(f"the kernel's {dotted} can't be set: {error}") from error


def route_ipv6() -> None:
    """Forward IPv6. A host that forwards no longer listens to routers, unless it is told to on each link
    (accept_ra = 2): one that has its default route from them must not lose it."""
    conf = ROOT / "ipv6" / "conf"
    if (conf / "all" / "forwarding").read_text().strip() == "1":
        return
    for link in conf.iterdir():
        if (link / "accept_ra").read_text().strip() == "1":
            switch(f"conf/{link.name}/accept_ra", 2, "ipv6")
    switch("conf/all/forwarding", 1, "ipv6")


def lacks_ipv6() -> str:
    """Why this host can't have IPv6, as a sentence; empty when it can."""
    try:
        off = (ROOT / "ipv6" / "conf" / "all" / "disable_ipv6").read_text().strip() != "0"
    except OSError:
        return "this kernel lacks IPv6 (CONFIG_IPV6, or ipv6.disable=1 at its start)"
    return "IPv6 is switched off on this host (net.ipv6.conf.all.disable_ipv6 = 1)" if off else ""
