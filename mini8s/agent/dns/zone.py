"""All names this host answers for, kept true one owner (a Service) at a time. PURE.

What most questions ask, the address of a name, is ready as bytes under the question's own bytes. Reading
needs no lock: every change is to a single entry of a dictionary.
"""

from __future__ import annotations

import ipaddress
import socket
import struct
from collections import Counter
from collections.abc import Iterable, Mapping

from mini8s.agent.dns.records import Data, Record, of_domain
from mini8s.objects import ip

TTL = 5  # seconds, as CoreDNS has it: short, because endpoints change
A, NS, CNAME, SOA, PTR, TXT, AAAA, SRV, ANY = 1, 2, 5, 6, 12, 16, 28, 33, 255
IN = 1
ROTATIONS = 8  # orders in which a name's addresses are given, so that clients spread
PLAIN_SIZE = 512  # what a client takes that says nothing else
OPTIONS_SIZE = 11  # of the EDNS record in our answers

_RR = struct.Struct(">HHIH")  # type, class, TTL, length of data
_POINTER = b"\xc0\x0c"  # to the question's name
_ADDRESSES = {"A": (A, socket.AF_INET), "AAAA": (AAAA, socket.AF_INET6)}


class Zone:
    """Records by name, type and owner; existence of names between them and the domain."""

    def __init__(self, domain: str, service_cidr: str, cluster_cidr: str, server: str = "") -> None:
        """Ranges are of one family or two. `server`: the address at which all this is answered, or two."""
        self.domain = domain.rstrip(".").lower()
        self.suffix = wire_name(self.domain)
        self.pod_suffix = wire_name(f"pod.{self.domain}")
        self.synced = False  # while it isn't, no name is known not to exist
        self.answers: dict[
            bytes, tuple[tuple[bytes, bytes], ...]
        ] = {}  # counts and records, in several orders
        self.long: set[bytes] = set()  # questions whose answer is too long for that
        self.names: set[bytes] = set()  # every name that exists, in wire form
        self.aliases: set[bytes] = set()  # names with a CNAME
        self.denial = _soa(self.domain)
        self._ranges = [*ip.networks(service_cidr).values(), *ip.networks(cluster_cidr).values()]
        self._sets: dict[tuple[str, str], dict[str, tuple[Data, ...]]] = {}
        self._of: dict[str, frozenset[tuple[str, str]]] = {}
        self._uses: Counter[str] = Counter()
        self._enter(self.domain)
        self.put("", of_domain(self.domain, server))

    def put(self, owner: str, records: Iterable[Record]) -> None:
        """Make these all the records of `owner`; none removes it. One thread at a time."""
        sets: dict[tuple[str, str], list[Data]] = {}
        for record in records:
            if _fits(record.name):
                sets.setdefault((record.name, record.type), []).append(record.data)
        before = self._of.get(owner, frozenset())
        for key, data in sets.items():
            self._set(key, owner, tuple(data), new=key not in before)
        for key in before - sets.keys():
            self._unset(key, owner)
        if sets:
            self._of[owner] = frozenset(sets)
        else:
            self._of.pop(owner, None)

    def find(self, name: str, type: str) -> tuple[Data, ...]:
        """The data of all owners."""
        owners: Mapping[str, tuple[Data, ...]] = self._sets.get((name, type), {})
        return tuple(one for data in list(owners.values()) for one in data)

    def exists(self, name: str) -> bool:
        return name in self._uses

    def covers(self, name: str) -> bool:
        """Whether this zone, and no server elsewhere, says what `name` is: it is the cluster's, an address of
        it, or a name that was given to us."""
        if self.within(name) or name in self._uses:
            return True
        address = address_of(name)
        return bool(address) and any(ipaddress.ip_address(address) in one for one in self._ranges)

    def within(self, name: str) -> bool:
        return name == self.domain or name.endswith("." + self.domain)

    def __len__(self) -> int:
        return len(self._of)

    def _set(self, key: tuple[str, str], owner: str, data: tuple[Data, ...], *, new: bool) -> None:
        owners = self._sets.setdefault(key, {})
        if owners.get(owner) == data:
            return
        owners[owner] = data
        if new:
            self._enter(key[0])
        self._prepare(key)

    def _unset(self, key: tuple[str, str], owner: str) -> None:
        owners = self._sets[key]
        del owners[owner]
        if not owners:
            del self._sets[key]
        self._prepare(key)
        self._leave(key[0])

    def _prepare(self, key: tuple[str, str]) -> None:
        """The bytes that the fast path gives."""
        name, kind = key
        wire = wire_name(name)
        data = self.find(name, kind)
        if kind == "CNAME":
            (self.aliases.add if data else self.aliases.discard)(wire)
        if kind not in _ADDRESSES:
            return
        number, family = _ADDRESSES[kind]
        question = wire + struct.pack(">HH", number, IN)
        packed = [socket.inet_pton(family, str(one)) for one in data]
        answer = [_POINTER + _RR.pack(number, IN, TTL, len(one)) + one for one in packed]
        length = 12 + len(question) + sum(map(len, answer)) + OPTIONS_SIZE
        (self.long.add if length > PLAIN_SIZE else self.long.discard)(question)
        if answer and length <= PLAIN_SIZE:
            counts = struct.pack(">HHHH", 1, len(answer), 0, 0)
            orders = range(min(len(answer), ROTATIONS))
            self.answers[question] = tuple((counts, b"".join(answer[i:] + answer[:i])) for i in orders)
        else:
            self.answers.pop(question, None)

    def _enter(self, name: str) -> None:
        for one in self._above(name):
            self._uses[one] += 1
            if self._uses[one] == 1:
                self.names.add(wire_name(one))

    def _leave(self, name: str) -> None:
        for one in self._above(name):
            self._uses[one] -= 1
            if not self._uses[one]:
                del self._uses[one]
                self.names.discard(wire_name(one))

    def _above(self, name: str) -> list[str]:
        """The name, and those between it and the domain: they exist too, though they have no records."""
        above = [name]
        while name != self.domain and name.endswith("." + self.domain):
            name = name.partition(".")[2]
            above.append(name)
        return above


def wire_name(name: str) -> bytes:
    labels = [label.encode() for label in name.split(".") if label]
    return b"".join(bytes((len(label),)) + label for label in labels) + b"\0"


def address_of(name: str) -> str:
    """The address that a name below in-addr.arpa or ip6.arpa stands for, empty when it isn't one."""
    if name.endswith(".in-addr.arpa"):
        text = ".".join(reversed(name.removesuffix(".in-addr.arpa").split(".")))
    elif name.endswith(".ip6.arpa"):
        digits = name.removesuffix(".ip6.arpa").replace(".", "")[::-1]
        text = ":".join(digits[i : i + 4] for i in range(0, len(digits), 4))
    else:
        return ""
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return ""


def _fits(name: str) -> bool:
    """Whether DNS can carry the name."""
    labels = name.split(".")
    return len(name) <= 253 and all(0 < len(label.encode()) <= 63 for label in labels)


def _soa(domain: str) -> bytes:
    """The record that a denial carries: for how long it holds."""
    data = wire_name(f"ns.dns.{domain}") + wire_name(f"hostmaster.{domain}")
    data += struct.pack(">IIIII", 1, 7200, 1800, 86400, TTL)
    return wire_name(domain) + _RR.pack(SOA, IN, TTL, len(data)) + data
