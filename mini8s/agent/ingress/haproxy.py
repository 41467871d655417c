"""What a plan is in HAProxy's words: its configuration, its maps and its list of certificates. PURE.

Requests are routed by look-ups in maps, so that thousands of paths cost what one does: the host as it is,
else with `*` for its first label, else nothing; then host and path as they are, else the longest prefix,
ended with a slash so that `/foo` is no prefix of `/foobar`. That is the order that the Ingress API wants.

Which endpoints a backend has is not part of what the proxy is started with: it has slots, and is told over
its socket what is in them. Only a change of anything else makes another `version`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from mini8s.agent.ingress.model import SecretKey
from mini8s.agent.ingress.plan import NOBODY, Address, Plan, Pool

CONFIGURATION, SOCKET = "haproxy.cfg", "socket"
HOSTS, EXACT, PREFIXES, CERTIFICATES, DEFAULT = (
    "hosts.map",
    "exact.map",
    "prefixes.map",
    "certificates.list",
    "default.pem",
)
FREE: Address = ("127.0.0.1", 1)  # in a slot that nobody has
LAST_SECONDS = 600  # that a connection may outlive the configuration it was made under
MOST_CONNECTIONS = 4000


@dataclass(frozen=True, slots=True)
class Host:
    """What is so on this host: where to listen, as whom to run."""

    addresses: tuple[str, ...] = ("",)  # "" for IPv4, "::" for IPv6
    http_port: int = 80
    https_port: int = 443
    user: str = ""
    threads: int = 1


@dataclass(frozen=True, slots=True)
class Configuration:
    """`files` by name, in a folder of their own; `slots` of each backend with the endpoint that is in it."""

    version: str
    files: Mapping[str, bytes]
    slots: Mapping[str, Mapping[str, Address]]


def configuration(
    plan: Plan,
    host: Host,
    folder: str,
    room: Mapping[str, int],
    pems: Mapping[SecretKey, bytes],
    default: bytes,
) -> Configuration:
    """`folder`: where the folder of this version will be; `room`: slots by backend."""
    files: dict[str, bytes] = {
        HOSTS: _map((name, name) for name in plan.hosts),
        EXACT: _map(plan.exact.items()),
        PREFIXES: _map(plan.prefixes.items()),
        DEFAULT: default,
    }
    files |= {_pem(key): pems[key] for key in plan.certificates}
    slots = {name: _slots(pool.addresses, room[name]) for name, pool in plan.pools.items()}
    fixed = _text(plan, host, "", "", {name: _slots((), room[name]) for name in slots})
    seen = hashlib.blake2b(fixed.encode(), digest_size=8)
    for name in sorted(files):
        seen.update(name.encode() + b"\0" + hashlib.blake2b(files[name]).digest())
    seen.update(repr(list(plan.certificates.items())).encode())
    version = seen.hexdigest()
    where = f"{folder}/{version}"
    files[CERTIFICATES] = "".join(_certificates(plan, where)).encode()
    files[CONFIGURATION] = _text(plan, host, version, where, slots).encode()
    return Configuration(version, files, slots)


def commands(
    now: Mapping[str, Mapping[str, Address]], wanted: Mapping[str, Mapping[str, Address]]
) -> Iterator[str]:
    """What to tell a running proxy so that the slots have what is wanted: who stays keeps its slot."""
    for backend, slots in wanted.items():
        current = now.get(backend, {})
        yield from _changes(backend, current, set(slots.values()) - {FREE})


def _changes(backend: str, current: Mapping[str, Address], wanted: set[Address]) -> Iterator[str]:
    kept: set[Address] = set()
    free: list[str] = []
    for slot, address in current.items():
        if address in wanted and address not in kept:
            kept.add(address)
        else:
            free.append(slot)
    new = sorted(wanted - kept)
    for slot, address in zip(free, new, strict=False):
        server = f"{backend}/{slot}"
        yield f"set server {server} state maint"
        yield f"set server {server} addr {address[0]} port {address[1]}"
        yield f"set server {server} state ready"
    for slot in free[len(new) :]:
        if current[slot] != FREE:
            yield f"set server {backend}/{slot} state maint"
            yield f"set server {backend}/{slot} addr {FREE[0]} port {FREE[1]}"


def occupied(state: str) -> dict[str, dict[str, Address]]:
    """What `show servers state` says is in each slot."""
    found: dict[str, dict[str, Address]] = {}
    columns: dict[str, int] = {}
    for line in state.splitlines():
        words = line.split()
        if line.startswith("# be_id"):
            columns = {name: number for number, name in enumerate(words[1:])}
        elif columns and len(words) > columns["srv_port"]:
            address = (words[columns["srv_addr"]], int(words[columns["srv_port"]]))
            found.setdefault(words[columns["be_name"]], {})[words[columns["srv_name"]]] = address
    return found


def version_of(info: str) -> str:
    """What `show info` says of the version that a proxy runs."""
    lines = (line.partition(": ") for line in info.splitlines())
    return next((value.removeprefix("mini8s-") for key, _, value in lines if key == "description"), "")


def _slots(addresses: Iterable[Address], room: int) -> dict[str, Address]:
    filled = dict(enumerate(addresses))
    return {f"s{number + 1}": filled.get(number, FREE) for number in range(room)}


def _map(entries: Iterable[tuple[str, str]]) -> bytes:
    return "".join(f"{key} {value}\n" for key, value in sorted(entries)).encode()


def _pem(key: SecretKey) -> str:
    return f"{key[0]}_{key[1]}.pem"


def _certificates(plan: Plan, where: str) -> Iterator[str]:
    """The first is for whoever names no host that there is a certificate for; of two for a host the first
    counts."""
    yield f"{where}/{DEFAULT}\n"
    for key, hosts in plan.certificates.items():
        yield " ".join((f"{where}/{_pem(key)}", *hosts)) + "\n"


def _text(
    plan: Plan, host: Host, version: str, where: str, slots: Mapping[str, Mapping[str, Address]]
) -> str:
    lines = [*_general(host, version, where), *_frontend(host, where)]
    for name, pool in sorted(plan.pools.items()):
        lines += _backend(name, pool, slots[name])
    return "\n".join((*lines, ""))


def _general(host: Host, version: str, where: str) -> Iterator[str]:
    yield "# Made by mini8s from Ingresses; changes here are lost."
    yield "global"
    yield f"    description mini8s-{version}"
    yield f"    stats socket unix@{where}/{SOCKET} mode 600 level admin expose-fd listeners"
    yield f"    maxconn {MOST_CONNECTIONS}"
    yield f"    nbthread {host.threads}"
    yield f"    hard-stop-after {LAST_SECONDS}s"
    yield "    ssl-default-bind-options ssl-min-ver TLSv1.2 no-tls-tickets"
    if host.user:
        yield f"    user {host.user}"
    yield "defaults"
    yield "    mode http"
    yield "    timeout connect 3s"
    yield "    timeout client 60s"
    yield "    timeout server 60s"
    yield "    timeout http-request 10s"
    yield "    timeout tunnel 1h"
    # A request may be on its way when a process is to end. Not with `close-spread-time`, which closes idle
    # connections at any moment of that time all the same.
    yield "    option idle-close-on-response"
    yield "    option forwardfor"
    yield "    option redispatch 1"
    yield "    retries 3"


def _frontend(host: Host, where: str) -> Iterator[str]:
    yield "frontend ingress"
    for address in host.addresses:
        only = " v6only" if address else ""
        yield f"    bind {address}:{host.http_port}{only}"
        tls = f"ssl crt-list {where}/{CERTIFICATES} alpn h2,http/1.1"
        yield f"    bind {address}:{host.https_port}{only} {tls}"
    key = "var(txn.host),concat(,txn.path"
    yield "    http-request set-var(txn.asked) req.hdr(host),field(1,:),lower"
    yield f"    http-request set-var(txn.host) var(txn.asked),map_str({where}/{HOSTS})"
    wildcard = f"var(txn.asked),regsub(^[^.]*,*),map_str({where}/{HOSTS})"
    yield f"    http-request set-var(txn.host) {wildcard} unless {{ var(txn.host) -m found }}"
    yield "    http-request set-var(txn.host) str() unless { var(txn.host) -m found }"
    yield "    http-request set-var(txn.path) path"
    yield f"    http-request set-var(txn.to) {key}),map_str({where}/{EXACT})"
    prefix = f"{key},/),map_beg({where}/{PREFIXES})"
    yield f"    http-request set-var(txn.to) {prefix} unless {{ var(txn.to) -m found }}"
    answer = 'http-request return status {} content-type text/plain string "{}\\n" {}'
    yield "    " + answer.format(404, "no Ingress is for this", "unless { var(txn.to) -m found }")
    yield "    " + answer.format(503, "nobody serves this", f"if {{ var(txn.to) -m str {NOBODY} }}")
    # what a client says of this is not to be believed
    yield "    http-request del-header X-Forwarded-For"
    yield "    http-request set-header X-Forwarded-Host %[req.hdr(host)]"
    yield "    http-request set-header X-Forwarded-Port %[dst_port]"
    yield "    http-request set-header X-Forwarded-Proto %[ssl_fc,iif(https,http)]"
    yield "    http-request set-header X-Real-IP %[src]"
    yield "    use_backend %[var(txn.to)]"


def _backend(name: str, pool: Pool, slots: Mapping[str, Address]) -> Iterator[str]:
    yield f"backend {name}"
    yield f"    balance {'source' if pool.sticky else 'roundrobin'}"
    if pool.sticky:
        yield "    hash-type consistent"
    how = {"https": " ssl verify none", "h2c": " proto h2"}.get(pool.protocol, "")
    for slot, (address, port) in slots.items():
        where = f"[{address}]" if ":" in address else address
        yield f"    server {slot} {where}:{port}{how}{' disabled' if (address, port) == FREE else ''}"
