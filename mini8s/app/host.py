"""What this host is and has: its name, its address, whether root runs us, whether Docker answers."""

from __future__ import annotations

import fcntl
import ipaddress
import os
import re
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

from mini8s.agent.network import default_route, sysctl
from mini8s.app.layout import agent_files, write_private
from mini8s.config import NodeSettings, ServerSettings
from mini8s.objects import ip

ROUTES = Path("/proc/net/route")
_BY_GATEWAY = 2  # RTF_GATEWAY
_OWN_LINKS = ("m8p", "mini8s")


class HostError(Exception):
    """This host lacks something; the message says what, and what to do."""


def require_root(command: str) -> None:
    if os.geteuid() != 0:
        raise HostError(f"{command} must run as root: it makes network interfaces and rules")


def require_docker(address: str) -> None:
    """Raises HostError unless a Docker engine answers at address."""
    scheme, _, path = address.partition("://")
    if scheme != "unix" or not path:
        raise HostError(f"--docker-host {address} is not a unix:// address")
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
            sock.settimeout(5)
            sock.connect(path)
            sock.sendall(b"GET /_ping HTTP/1.0\r\n\r\n")
            answer = sock.recv(64)
    except OSError as error:
        hint = "is Docker installed and running?"
        raise HostError(
            f"no Docker engine answers at {address} ({error.strerror or error}): {hint}"
        ) from error
    if b" 200 " not in answer:
        raise HostError(f"what answers at {address} is not a Docker engine")


def node_name(wanted: str) -> str:
    """The node's name: what was asked for, else the host's name made fit for a node. Raises HostError."""
    name = wanted or socket.gethostname().lower().replace("_", "-")
    if len(name) > 253 or not re.fullmatch(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?", name):
        raise HostError(f"{name!r} can't name a node (lower case letters, digits, - and .): give --node-name")
    return name


def node_ip(wanted: str, note: Path, families: Sequence[str] = ()) -> str:
    """The addresses others reach this host at, one of each of the cluster's families in their order, with a
    comma between: those asked for, else the source addresses of the default routes, else what `note` says
    they were at the last start: a host whose cable is pulled may have none now. While the families are not
    known it is the first that the host has."""
    if ip.IPV6 in families and (lack := sysctl.lacks_ipv6()):
        raise HostError(f"{lack}, and the cluster's addresses are of IPv6 too")
    noted = ip.by_family(ip.split(note.read_text())) if note.exists() else {}
    given = _given(wanted)
    found = given or noted | {name: one for name in ip.FAMILIES if (one := default_route.address(name))}
    for name in families:
        if name not in found and given:
            why = f"has no address of {name}, which the cluster has: give both"
            raise HostError(f"--node-ip {wanted} {why}")
        if name not in found:
            raise HostError(_no_way_out(name, families))
    if not found:
        raise HostError(_no_way_out(ip.IPV4, ()))
    return ",".join(found[name] for name in families or list(found)[:1])


def _given(wanted: str) -> dict[str, str]:
    """What `--node-ip` says, by family. Raises HostError."""
    parts = [address(one, "--node-ip") for one in ip.split(wanted)]
    found = ip.by_family(parts)
    if len(parts) > len(found):
        raise HostError(f"--node-ip {wanted} is not one address, or one of IPv4 and one of IPv6")
    return found


def _no_way_out(family: str, families: Sequence[str]) -> str:
    named = f" of {family}" if families and families != (ip.IPV4,) else ""
    return f"this host has no default route{named} to take its address from: give --node-ip"


def note_node_ip(settings: NodeSettings, families: Sequence[str]) -> None:
    """Say where the children find the node's addresses, and the next start. Raises HostError."""
    note = agent_files(settings.data_dir).node_ip
    write_private(note, node_ip(settings.node_ip, note, families).encode())


def noted(settings: NodeSettings) -> tuple[str, ...]:
    """The node's addresses, which may have changed since the start unless they were given."""
    return ip.split(settings.node_ip or agent_files(settings.data_dir).node_ip.read_text())


def advertised(settings: ServerSettings) -> str:
    """The API's address for others: the node's first unless one was given."""
    return settings.advertise_address or noted(settings)[0]


def require_apart(ranges: Mapping[str, str], routes: str) -> None:
    """Raises HostError when a range of the cluster (by its flag) is also that of a link of this host: its
    neighbours there could not be reached any more. `routes` is what /proc/net/route says."""
    for line in routes.splitlines()[1:]:
        link, target, _, flags, *_, mask = line.split()[:8]
        size = int.from_bytes(bytes.fromhex(mask)).bit_count()
        if int(flags, 16) & _BY_GATEWAY or not size or link.startswith(_OWN_LINKS):
            continue
        network = ipaddress.IPv4Network((bytes.fromhex(target)[::-1], size))
        for flag, text in ranges.items():
            mine = ip.networks(text).get(ip.IPV4)
            if mine and network.overlaps(mine):
                raise HostError(
                    f"{flag} {mine} overlaps with {network}, a network of this host at {link}: choose another"
                )


def address(text: str, flag: str) -> str:
    """An address that others can reach this host at. Raises HostError."""
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        raise HostError(f"{flag} {text!r} is not an IP address") from None
    if found.is_loopback or found.is_unspecified or found.is_multicast or found.is_link_local:
        raise HostError(f"{flag} {text} can't be an address at which others reach this host")
    return str(found)


def lock(path: Path) -> IO[bytes]:
    """Hold a data folder for this process and its children. Raises HostError if another holds it, or if it
    can't be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        held = os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600), "ab")
    except OSError as error:
        raise unwritable(error, path) from error
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        held.close()
        raise HostError(f"another mini8s uses the data folder {path.parent}") from None
    return held


def unwritable(error: OSError, path: Path) -> HostError:
    """What to say when the disk refuses. A write that fails does not know its file, an open does."""
    return HostError(f"{error.filename or path} can't be written: {error.strerror}")


def read_token(path: str) -> str:
    """The token in a file, empty when no file is named. Raises HostError."""
    if not path:
        return ""
    try:
        return Path(path).read_text().strip()
    except OSError as error:
        raise HostError(f"the token file {path} can't be read: {error.strerror}") from error
