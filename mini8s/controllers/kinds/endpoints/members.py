"""The pods behind a Service and the ports they are reached at: pure facts that both kinds are made of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from mini8s.client.cache import Cache
from mini8s.objects import ip, meta, pods
from mini8s.objects.kinds import Obj
from mini8s.objects.labels import from_labels

HEADLESS = "service.kubernetes.io/headless"
ZONE = "topology.kubernetes.io/zone"


@dataclass(frozen=True, slots=True, order=True)
class Port:
    name: str
    port: int
    protocol: str
    app_protocol: str = ""


@dataclass(frozen=True, slots=True)
class Member:
    """A pod of a Service, by its address of one family, with its ports resolved: pods may give one name to
    different numbers."""

    pod: Obj
    address: str
    ports: tuple[Port, ...]
    ready: bool
    terminating: bool
    zone: str = ""

    @property
    def target(self) -> Obj:
        return {
            "kind": "Pod",
            "namespace": meta.namespace(self.pod),
            "name": meta.name(self.pod),
            "uid": meta.uid(self.pod),
        }


def selects(service: Obj) -> bool:
    """Whether its endpoints are ours to make."""
    return bool(service["spec"].get("selector")) and service["spec"].get("type") != "ExternalName"


def is_headless(service: Obj) -> bool:
    return str(service["spec"].get("clusterIP")) == "None"


def publishes_unready(service: Obj) -> bool:
    return bool(service["spec"].get("publishNotReadyAddresses"))


def families(service: Obj) -> tuple[str, ...]:
    """Those of a Service; one that was not told has what all had once."""
    return tuple(service["spec"].get("ipFamilies") or (ip.IPV4,))


def members(
    service: Obj, found: Iterable[Obj], zones: Mapping[str, str], family: str = ip.IPV4
) -> list[Member]:
    """The pods with an address of the family that have not ended, in order of name; `zones`: those of the
    nodes."""
    chosen = {
        meta.key(pod): (pod, address)
        for pod in found
        if not pods.is_terminal(pod) and (address := ip.by_family(ip.pod_addresses(pod)).get(family))
    }
    return [
        Member(
            pod,
            address,
            ports_of(service, pod),
            pods.is_ready(pod),
            meta.deleting(pod),
            zones.get(pods.node_name(pod), ""),
        )
        for _, (pod, address) in sorted(chosen.items())
    ]


def ports_of(service: Obj, pod: Obj) -> tuple[Port, ...]:
    """The Service's ports at this pod; a named one that the pod does not have is left out."""
    ports = []
    for said in service["spec"].get("ports") or ():
        number = _number(said, pod)
        if number is not None:
            protocol = said.get("protocol") or "TCP"
            ports.append(Port(said.get("name") or "", number, protocol, said.get("appProtocol") or ""))
    return tuple(sorted(ports))


def hostname(service: Obj, pod: Obj) -> str:
    """The name the pod has below the Service's, if it asked for one."""
    spec = pod["spec"]
    return (
        str(spec["hostname"]) if spec.get("hostname") and spec.get("subdomain") == meta.name(service) else ""
    )


def services_of(pod: Obj, services: Cache) -> Iterable[str]:
    """The keys of the Services that select a pod."""
    for service in services.list(meta.namespace(pod)):
        if selects(service) and from_labels(service["spec"]["selector"]).matches(meta.labels(pod)):
            yield meta.key(service)


def zones(nodes: Iterable[Obj]) -> dict[str, str]:
    return {meta.name(node): meta.labels(node)[ZONE] for node in nodes if ZONE in meta.labels(node)}


def _number(said: Obj, pod: Obj) -> int | None:
    target = said.get("targetPort") or said["port"]
    if isinstance(target, int):
        return target
    protocol = said.get("protocol") or "TCP"
    spec = pod["spec"]
    sidecars = [item for item in spec.get("initContainers") or () if pods.is_sidecar(item)]
    for container in (*spec["containers"], *sidecars):
        for port in container.get("ports") or ():
            if port.get("name") == target and (port.get("protocol") or "TCP") == protocol:
                return int(port["containerPort"])
    return None
