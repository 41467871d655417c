"""What an administrator adds to the names: the ConfigMap `kube-system/mini8s-dns-custom`. PURE.

    data:
      hosts: |                       lines as in /etc/hosts
        192.0.2.7  printer printer.lan
      stubDomains: |                 who is asked about which domain, in JSON as kube-dns had it
        {"corp.example": ["192.0.2.53", "192.0.2.54:5353"]}
      upstreamNameservers: |         who is asked about all else, instead of the host's own servers
        ["192.0.2.1"]

What can't be understood is left out and told of; the rest counts.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from mini8s.agent.dns.records import Record, of_host
from mini8s.objects import names
from mini8s.objects.kinds import Obj

NAMESPACE, NAME = "kube-system", "mini8s-dns-custom"
PORT = 53

Server = tuple[str, int]  # address and port


@dataclass(frozen=True, slots=True)
class Custom:
    """`hosts` by name; `upstreams` empty: the host's own. `problems`: a sentence for each part that is left
    out."""

    hosts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    stubs: Mapping[str, tuple[Server, ...]] = field(default_factory=dict)
    upstreams: tuple[Server, ...] = ()
    problems: tuple[str, ...] = ()

    def records(self) -> Iterator[Record]:
        for name, addresses in self.hosts.items():
            yield from of_host(name, addresses)

    def servers(self, name: str) -> tuple[Server, ...]:
        """Who is to be asked about a name, by the longest domain that it is in; empty: as always."""
        while name:
            if name in self.stubs:
                return self.stubs[name]
            name = name.partition(".")[2]
        return self.upstreams


def read(found: Obj | None, domain: str) -> Custom:
    """`domain`: the cluster's, in which no name can be added."""
    data = (found or {}).get("data") or {}
    problems: list[str] = []
    hosts = _hosts(str(data.get("hosts") or ""), domain, problems)
    said = _json(data, "stubDomains", dict, problems)
    stubs = {
        _domain(name): _servers(servers, f"stubDomains: {name}", problems) for name, servers in said.items()
    }
    for name in list(stubs):
        if name == domain or name.endswith(f".{domain}"):
            problems.append(f"stubDomains: {name} is the cluster's own")
            del stubs[name]
        elif not name:
            problems.append("stubDomains: the root is no stub: upstreamNameservers is for all else")
            del stubs[name]
    upstreams = _servers(_json(data, "upstreamNameservers", list, problems), "upstreamNameservers", problems)
    wanted = {name: servers for name, servers in stubs.items() if servers}
    return Custom(hosts, wanted, upstreams, tuple(problems))


def server(text: Any) -> Server | None:
    """An address with or without a port: 192.0.2.1, 192.0.2.1:5353, [2001:db8::1]:5353."""
    host, colon, port = str(text).strip().rpartition(":")
    if not colon or (":" in host and not host.startswith("[")):
        host, port = str(text).strip(), str(PORT)
    host = host.removeprefix("[").removesuffix("]")
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return None
    return (host, int(port)) if port.isdecimal() and 0 < int(port) < 65536 else None


def _hosts(text: str, domain: str, problems: list[str]) -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    for number, line in enumerate(text.splitlines(), 1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        address, *called = words
        if server(address) != (address, PORT) or not called:
            problems.append(f"hosts: line {number} is not an address and its names")
            continue
        for name in map(_domain, called):
            if names.dns_subdomain(name) or name == domain or name.endswith(f".{domain}"):
                problems.append(f"hosts: line {number}: {name} is no name outside {domain}")
            elif address not in found.setdefault(name, []):
                found[name].append(address)
    return {name: tuple(addresses) for name, addresses in found.items()}


def _json(data: Mapping[str, Any], key: str, wanted: type, problems: list[str]) -> Any:
    text = data.get(key)
    if not text:
        return wanted()
    try:
        value = json.loads(text)
    except ValueError as error:
        problems.append(f"{key}: {error}")
        return wanted()
    if not isinstance(value, wanted):
        problems.append(f"{key}: not a JSON {'object' if wanted is dict else 'array'}")
        return wanted()
    return value


def _servers(said: Any, where: str, problems: list[str]) -> tuple[Server, ...]:
    listed: Iterable[Any] = said if isinstance(said, list) else [said]
    found = []
    for text in listed:
        if one := server(text):
            found.append(one)
        else:
            problems.append(f"{where}: {text} is not an address")
    return tuple(found)


def _domain(name: Any) -> str:
    return str(name).rstrip(".").lower()
