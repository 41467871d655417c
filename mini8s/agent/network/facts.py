"""Reading Services, EndpointSlices and Nodes tolerantly, for the three rooms that live by them. PURE.

What cannot be understood counts as not there, because one odd object must not keep all others from being
served.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from mini8s.agent.network.base import Ips
from mini8s.objects import ip, meta
from mini8s.objects.kinds import Obj
from mini8s.objects.pods import is_sidecar, is_terminal

SERVICE_NAME = "kubernetes.io/service-name"  # the label by which a slice says whose it is
BY_SERVICE = "service"  # the index of slices by the Service they belong to


def items(value: Any) -> list[Obj]:
    """The objects of a list."""
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def listening(spec: Obj) -> list[Obj]:
    """The containers of a pod that stay, so that somebody may reach their ports."""
    return items(spec.get("containers")) + list(filter(is_sidecar, items(spec.get("initContainers"))))


def pod_addresses(pods: Iterable[Obj]) -> dict[str, Ips]:
    """By which addresses each pod that may still run is known, by uid."""
    found = {
        meta.uid(pod): tuple(filter(ip.family_of_address, ip.pod_addresses(pod)))
        for pod in pods
        if not is_terminal(pod) and not (pod.get("spec") or {}).get("hostNetwork")
    }
    return {uid: addresses for uid, addresses in found.items() if addresses}


def service_of(piece: Obj) -> str:
    """The key of the Service that an EndpointSlice belongs to, empty when it belongs to none."""
    name = meta.labels(piece).get(SERVICE_NAME, "")
    return f"{meta.namespace(piece)}/{name}" if name else ""


def by_service(piece: Obj) -> list[str]:
    """The index function for BY_SERVICE."""
    owner = service_of(piece)
    return [owner] if owner else []


def cluster_addresses(spec: Obj, family: str) -> tuple[str, ...]:
    """A Service's own addresses of a family; none when it is headless."""
    listed = spec.get("clusterIPs") or [spec.get("clusterIP")]
    return tuple(str(one) for one in listed if ip.family_of_address(one) == family)
