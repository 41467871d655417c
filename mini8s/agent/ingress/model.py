"""What Ingresses say, read tolerantly: whose they are, what they route, which certificates they want.
PURE."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from mini8s.agent.network.facts import items
from mini8s.objects import ingresses, meta
from mini8s.objects.kinds import Obj

EXACT = "Exact"
SecretKey = tuple[str, str]  # namespace and name


@dataclass(frozen=True, slots=True)
class Backend:
    """A port of a Service, by name or number, as an Ingress says it."""

    namespace: str
    service: str
    port: str


@dataclass(frozen=True, slots=True)
class Rule:
    """`host`: "" for all that nobody else has, `*.x` for one label more. A prefix ends with a slash: it is
    matched element by element. `default`: only what no other rule of any Ingress is for."""

    host: str
    path: str
    exact: bool
    backend: Backend | None
    default: bool = False


@dataclass(frozen=True, slots=True)
class Certificate:
    """What is in a Secret: `pem`, or what is wrong with it."""

    pem: bytes = b""
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class Picture:
    """All that a plan is made of. `slices` by their Service's key; `certificates` are those that were looked
    at: a Secret that isn't in there doesn't exist."""

    ingresses: Sequence[Obj]
    classes: Sequence[Obj] = ()
    services: Mapping[str, Obj] = field(default_factory=dict)
    slices: Mapping[str, Sequence[Obj]] = field(default_factory=dict)
    certificates: Mapping[SecretKey, Certificate] = field(default_factory=dict)


def ours(picture: Picture) -> list[Obj]:
    """The Ingresses that are of our class, the oldest first: where two want the same it has it."""
    names, default = ingresses.our_classes(picture.classes)
    found = [one for one in picture.ingresses if ingresses.is_ours(one, names, default=default)]
    return sorted(found, key=lambda one: (str(one["metadata"].get("creationTimestamp") or ""), meta.key(one)))


def rules(ingress: Obj) -> Iterator[Rule]:
    """In the order in which they are written; a default backend comes last, for the hosts that the others are
    for, and for all that nobody wants."""
    spec, namespace = ingress.get("spec") or {}, meta.namespace(ingress)
    hosts: list[str] = []
    for rule in items(spec.get("rules")):
        host = str(rule.get("host") or "").lower()
        hosts.append(host)
        for path in items((rule.get("http") or {}).get("paths")):
            exact = path.get("pathType") == EXACT
            text = str(path.get("path") or "/")
            backend = _backend(path.get("backend"), namespace)
            yield Rule(host, text if exact else f"{text.rstrip('/')}/", exact, backend)
    if "defaultBackend" in spec:
        backend = _backend(spec["defaultBackend"], namespace)
        for host in dict.fromkeys([*hosts, ""]):
            yield Rule(host, "/", exact=False, backend=backend, default=bool(hosts))


def wanted_secrets(found: Iterable[Obj]) -> dict[SecretKey, list[str]]:
    """The Secrets that they name, with the hosts that each is for, the oldest Ingress's first; none: those
    that the certificate is for by itself. One that is for hosts of others only isn't wanted."""
    wanted: dict[SecretKey, list[str]] = {}
    taken: set[str] = set()
    for ingress in found:
        for tls in items((ingress.get("spec") or {}).get("tls")):
            if not tls.get("secretName"):
                continue
            said = [str(host).lower() for host in tls.get("hosts") or ()]
            new = [host for host in said if host not in taken]
            taken.update(new)
            if new or not said:
                wanted.setdefault((meta.namespace(ingress), str(tls["secretName"])), []).extend(new)
    return wanted


def _backend(said: object, namespace: str) -> Backend | None:
    """None for what is no Service."""
    service = said.get("service") if isinstance(said, dict) else None
    if not isinstance(service, dict) or not service.get("name"):
        return None
    port = service.get("port") or {}
    return Backend(namespace, str(service["name"]), str(port.get("name") or port.get("number") or ""))
