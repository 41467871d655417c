"""The address at which others reach this host, also when it changes while pods run.

The address stays for as long as a link that is up has it: a second way out, such as a VPN that comes and
goes, moves no node. When it is gone, that of the default route is taken, and who lives by it is called: the
node's status, by which all other hosts learn it, and this host's own routes. Without a default route the old
one stays announced: a cable that is pulled is no move. An address that was given (`--node-ip`) always stays.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from mini8s.agent.network import default_route
from mini8s.agent.network.base import Ips
from mini8s.agent.network.changes import Changes
from mini8s.agent.network.netlink import Kernel
from mini8s.objects import ip
from mini8s.util.workers import Stop, Worker

log = logging.getLogger(__name__)

SETTLE_SECONDS = 0.2  # a client of DHCP takes an address away, gives another and makes routes

_INTERNET = (socket.AF_INET, socket.AF_INET6)

Call = Callable[[], None]


class OwnAddress:
    """Called, it answers with the addresses, that of the cluster's first family first. `given` is what the
    flag says, `known` what the host had at its start; `note` is told of each new one, before anybody else."""

    def __init__(
        self,
        given: str,
        known: str,
        stop: Stop,
        *,
        note: Callable[[str], None],
        has_address: Callable[[str], bool] | None = None,
        way_out: Callable[[str], str] = default_route.address,
    ) -> None:
        self._given = bool(given)
        self._addresses = ip.by_family(ip.split(given or known))
        self._stop, self._note = stop, note
        self._has_address, self._way_out = has_address or Kernel().has_address, way_out
        self._changes = Changes(ipv6=ip.IPV6 in self._addresses)
        self._moved: list[Call] = []
        self._changed: list[Call] = []
        self._missed: set[str] = set()  # families whose address no link has
        self._worker = Worker("own-address", self.step, stop)

    def __call__(self) -> Ips:
        return tuple(self._addresses.values())

    def on_move(self, call: Call) -> None:
        """Call when an address is another. Before the start."""
        self._moved.append(call)

    def on_change(self, call: Call) -> None:
        """Call when any address or route of the host was changed, but for those that are ours: the kernel
        takes routes away with the address they were made by. Before the start."""
        self._changed.append(call)

    def start(self) -> None:
        self.look()
        self._worker.start()

    def stop(self) -> None:
        self._stop.set()
        self._changes.end()
        if self._worker.join(2.0):
            self.close()

    def close(self) -> None:
        self._changes.close()

    def step(self) -> None:
        """Wait for a change, let what belongs to it come, and look."""
        self._changes.wait()
        if self._stop.wait(SETTLE_SECONDS):
            return
        self.look()
        for call in self._changed:
            call()

    def look(self) -> None:
        """Take a new address where the old one is gone."""
        for family in list(self._addresses):
            self._look(family)

    def _look(self, family: str) -> None:
        old = self._addresses[family]
        if self._has_address(old):
            if family in self._missed:
                log.info("a link of this host has the address %s again", old)
            self._missed.discard(family)
            return
        found = "" if self._given else self._way_out(family)
        if not found or found == old:
            self._miss(family)
            return
        self._addresses[family] = found
        self._missed.discard(family)
        log.warning("the address of this host was %s and is %s now", old, found)
        self._note(",".join(self()))
        hang_up(old)
        for call in self._moved:
            call()

    def _miss(self, family: str) -> None:
        if family not in self._missed:
            why = "which --node-ip names" if self._given else "and no default route leads to another"
            gone = self._addresses[family]
            log.warning("no link of this host that is up has the address %s, %s", gone, why)
        self._missed.add(family)


def hang_up(address: str) -> None:
    """End this process's connections from an address that is gone: no answer will ever come, and whoever
    waits for one would do so for as long as the kernel tries."""
    for name in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # it is no socket, was closed meanwhile, or ends by itself just now
            if not str(name.readlink()).startswith("socket:"):
                continue
            with socket.socket(fileno=os.dup(int(name.name))) as sock:
                if sock.family in _INTERNET and sock.getsockname()[0] == address:
                    sock.shutdown(socket.SHUT_RDWR)
