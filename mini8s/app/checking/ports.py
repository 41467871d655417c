"""PURE: who listens where, from what the kernel says in /proc/net (proc(5)), and what is in the way."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from mini8s.app.checking.base import Finding, fail, ok, warn

_LISTEN, _UNCONNECTED = "0A", "07"


@dataclass(frozen=True, slots=True)
class Listener:
    """`everywhere`: at all addresses of the host."""

    port: int
    inode: str
    everywhere: bool
    local: bool  # at a loopback address


@dataclass(frozen=True, slots=True)
class Wanted:
    """A port that mini8s takes. `vital`: nothing goes without it; `why` it must be free."""

    port: int
    why: str
    hint: str
    protocol: str = "tcp"
    vital: bool = False
    only_everywhere: bool = False  # it is taken at an address that nobody else has


def listeners(text: str, *, udp: bool = False) -> Iterator[Listener]:
    """Of one of /proc/net/tcp, tcp6, udp, udp6."""
    for line in text.splitlines()[1:]:
        fields = line.split()
        if len(fields) < 10 or fields[3] != (_UNCONNECTED if udp else _LISTEN):
            continue
        address, _, port = fields[1].partition(":")
        everywhere = not address.strip("0")
        local = address.endswith("7F") if len(address) == 8 else address == f"{'0' * 24}01000000"
        yield Listener(int(port, 16), fields[9], everywhere, local)


def judge(
    wanted: Iterable[Wanted], found: Mapping[str, Iterable[Listener]], owners: Mapping[str, str]
) -> Iterator[Finding]:
    """`found` is by protocol; `owners` says by inode who holds a socket, "mini8s" for what is ours."""
    for one in wanted:
        subject = f"port {one.port}" if one.protocol == "tcp" else f"port {one.port}/{one.protocol}"
        taken = [
            listener
            for listener in found[one.protocol]
            if listener.port == one.port and (listener.everywhere or not one.only_everywhere)
        ]
        holders = sorted({owners.get(listener.inode, "somebody") for listener in taken})
        if not taken:
            yield ok(subject, "free")
        elif holders == ["mini8s"]:
            yield ok(subject, "mini8s has it")
        else:
            bad = fail if one.vital else warn
            yield bad(subject, f"{', '.join(holders)} has it, and {one.why}", one.hint)
