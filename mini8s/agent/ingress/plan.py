"""From Ingresses, Services and endpoints to what the proxy is to do, and what can't be done of it. PURE.

What can't be had is told and keeps nothing else from being served: a path whose Service or port is missing
answers 503, a host whose certificate is missing has the default one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from mini8s.agent.ingress import model
from mini8s.agent.ingress.model import Backend, Picture, Rule, SecretKey
from mini8s.agent.network.facts import items
from mini8s.objects import meta
from mini8s.objects.kinds import Obj

NOBODY = "nobody"  # the target of what can't be served
FEWEST_SLOTS = 4  # endpoints that a backend has room for from the start
Address = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Problem:
    """What becomes an event of the Ingress."""

    ingress: Obj = field(compare=False)
    key: str
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Pool:
    """Endpoints that requests are spread over. `protocol`: what they speak, by the port's `appProtocol`:
    http, https, h2c. `sticky`: by the client's address, as the Service has it."""

    addresses: tuple[Address, ...]
    protocol: str = "http"
    sticky: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """`exact` and `prefixes`: targets by host and path; `hosts`: those that somebody named, which take no
    other rules. `certificates`: the Secrets to be served, with the hosts each is for."""

    hosts: frozenset[str] = frozenset()
    exact: Mapping[str, str] = field(default_factory=dict)
    prefixes: Mapping[str, str] = field(default_factory=dict)
    pools: Mapping[str, Pool] = field(default_factory=dict)
    certificates: Mapping[SecretKey, tuple[str, ...]] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
    ingresses: int = 0


def plan(picture: Picture) -> Plan:
    found = model.ours(picture)
    making = _Making(picture)
    ordered = [(ingress, rule) for ingress in found for rule in model.rules(ingress)]
    for ingress, rule in sorted(ordered, key=lambda one: one[1].default):
        making.add(ingress, rule)
    certificates = dict(making.certificates(found))
    return Plan(
        frozenset(making.hosts),
        making.exact,
        making.prefixes,
        making.pools,
        certificates,
        tuple(making.problems),
        len(found),
    )


class _Making:
    def __init__(self, picture: Picture) -> None:
        self._picture = picture
        self.hosts: set[str] = set()
        self.exact: dict[str, str] = {}
        self.prefixes: dict[str, str] = {}
        self.pools: dict[str, Pool] = {}
        self.problems: list[Problem] = []
        self._owners: dict[tuple[str, bool], Obj] = {}

    def add(self, ingress: Obj, rule: Rule) -> None:
        place = f"{rule.host}{rule.path}"
        if not all("!" <= letter <= "~" for letter in place):  # RFC 3986: others are written with %
            self._tell(ingress, "InvalidPath", f"no request can have the path {rule.path!r}")
            return
        owner = self._owners.setdefault((place, rule.exact), ingress)
        if owner is not ingress:
            if not rule.default:
                where = place if rule.host else f"*{place}"
                self._tell(ingress, "PathTaken", f"{where} is already routed by Ingress {meta.key(owner)}")
            return
        table = self.exact if rule.exact else self.prefixes
        if place in table:
            return  # said twice in one Ingress: the first counts
        if rule.host:
            self.hosts.add(rule.host)
        table[place] = self._target(ingress, rule.backend)

    def certificates(self, found: Sequence[Obj]) -> Iterator[tuple[SecretKey, tuple[str, ...]]]:
        wanted = model.wanted_secrets(found)
        for ingress in found:
            for key in model.wanted_secrets([ingress]):
                if key not in wanted:
                    continue  # an older Ingress has its hosts: nobody looked at it
                certificate = self._picture.certificates.get(key)
                if certificate is None:
                    self._tell(
                        ingress,
                        "SecretNotFound",
                        f'Secret "{key[1]}" not found: the default certificate is used',
                    )
                elif certificate.trouble:
                    message = f'Secret "{key[1]}": {certificate.trouble}: the default certificate is used'
                    self._tell(ingress, "InvalidCertificate", message)
        for key, hosts in wanted.items():
            certificate = self._picture.certificates.get(key)
            if certificate and not certificate.trouble:
                yield key, tuple(hosts)

    def _target(self, ingress: Obj, backend: Backend | None) -> str:
        if backend is None:
            self._tell(ingress, "UnsupportedBackend", "a backend is not a Service")
            return NOBODY
        key = f"{backend.namespace}/{backend.service}"
        service = self._picture.services.get(key)
        if service is None:
            self._tell(ingress, "ServiceNotFound", f'Service "{backend.service}" not found')
            return NOBODY
        spec = service.get("spec") or {}
        if spec.get("type") == "ExternalName":
            message = f'Service "{backend.service}" is an ExternalName: there are no endpoints to send to'
            self._tell(ingress, "UnsupportedBackend", message)
            return NOBODY
        port = _port(spec, backend.port)
        if port is None:
            message = f'Service "{backend.service}" has no port {backend.port or "that is named"}'
            self._tell(ingress, "PortNotFound", message)
            return NOBODY
        name = f"{backend.namespace}_{backend.service}_{port['port']}"
        if name not in self.pools:
            self.pools[name] = _pool(spec, port, self._picture.slices.get(key, ()))
        return name

    def _tell(self, ingress: Obj, reason: str, message: str) -> None:
        problem = Problem(ingress, meta.key(ingress), reason, message)
        if problem not in self.problems:
            self.problems.append(problem)


def slots(needed: int, before: int) -> int:
    """How many endpoints a backend is given room for: twice as many each time they are too few, and never
    fewer than before, since only a new configuration changes it."""
    room = max(before, FEWEST_SLOTS)
    while room < needed:
        room *= 2
    return room


def _port(spec: Obj, said: str) -> Obj | None:
    ports = [one for one in items(spec.get("ports")) if (one.get("protocol") or "TCP") == "TCP"]
    return next((one for one in ports if said in (one.get("name"), str(one.get("port")))), None)


def _pool(spec: Obj, port: Obj, slices: Sequence[Obj]) -> Pool:
    ready: set[Address] = set()
    ending: set[Address] = set()
    second = (spec.get("ipFamilies") or ())[1:]  # the same pods once more
    for piece in slices:
        if piece.get("addressType") in second:
            continue
        numbers = [
            one["port"]
            for one in items(piece.get("ports"))
            if (one.get("name") or "") == (port.get("name") or "") and isinstance(one.get("port"), int)
        ]
        for endpoint in items(piece.get("endpoints")):
            conditions, addresses = endpoint.get("conditions") or {}, endpoint.get("addresses") or ()
            found = {(str(address), number) for address in addresses[:1] for number in numbers}
            if conditions.get("ready") is not False:
                ready |= found
            elif conditions.get("serving"):
                ending |= found  # as kube-proxy does: better one that goes than nobody
    said = str(port.get("appProtocol") or "").lower()
    protocol = {"https": "https", "kubernetes.io/h2c": "h2c"}.get(said, "http")
    return Pool(tuple(sorted(ready or ending)), protocol, spec.get("sessionAffinity") == "ClientIP")
