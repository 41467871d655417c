"""The host's own name servers, as its resolv.conf has them now."""

from __future__ import annotations

import logging
from collections.abc import Collection
from pathlib import Path

from mini8s.agent.dns.custom import Server, server
from mini8s.util.log import OnChange

log = logging.getLogger(__name__)

RESOLV_CONF = Path("/etc/resolv.conf")
RESOLVED = Path("/run/systemd/resolve/resolv.conf")  # the servers behind systemd-resolved's stub
_STUB = ("127.0.0.53", 53)


class HostServers:
    """Looks at each call whether the file is another one. The addresses that we serve on are left out, and
    where there is only systemd-resolved's stub the servers that it asks itself, as the kubelet does it."""

    def __init__(self, path: Path, own: Collection[str], resolved: Path = RESOLVED) -> None:
        self._path, self._own, self._resolved = path, own, resolved
        self._stamp: tuple[int, ...] = ()
        self._servers: tuple[Server, ...] = ()
        self._said = OnChange(log)

    def __call__(self) -> tuple[Server, ...]:
        try:
            stamp = self._look()
            if stamp != self._stamp:
                self._servers, self._stamp = self._read(), stamp
        except OSError as error:
            self._said.say(f"the host's name servers can't be read: {error}")
        return self._servers

    def _look(self) -> tuple[int, ...]:
        """What changes when a file does; systemd-resolved changes only its own."""
        facts = [self._path.stat()] + ([self._resolved.stat()] if self._resolved.exists() else [])
        return tuple(number for one in facts for number in (one.st_ino, one.st_mtime_ns, one.st_size))

    def _read(self) -> tuple[Server, ...]:
        found = servers(self._path.read_text(encoding="utf-8", errors="replace"))
        if found == (_STUB,) and self._resolved.exists():
            found = servers(self._resolved.read_text(encoding="utf-8", errors="replace"))
        wanted = tuple(one for one in found if one[0] not in self._own)
        listed = ", ".join(host for host, _ in wanted)
        self._said.say(
            f"names elsewhere are asked of {listed}" if wanted else "no name server of the host's is known"
        )
        return wanted


def servers(resolv_conf: str) -> tuple[Server, ...]:
    """What a resolv.conf names (resolv.conf(5): a server's port is always 53)."""
    lines = (line.split() for line in resolv_conf.splitlines())
    said = (words[1].partition("%")[0] for words in lines if len(words) > 1 and words[0] == "nameserver")
    return tuple(one for text in said if (one := server(text)))
