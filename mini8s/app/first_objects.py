"""The objects every cluster has: its namespaces, roles, system priorities and storage class, and the Services
behind which the API and the resolver answer.

Applied at every start of the API server, straight into the registry. What exists is left alone, but for the
address of the API, which follows the server's.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import gevent

from mini8s.config import ServerSettings
from mini8s.objects import claims, ingresses, kinds
from mini8s.objects.errors import AlreadyExists, NotFound
from mini8s.objects.kinds import Kind, Obj
from mini8s.registry.base import Context, DeleteOptions, Registry
from mini8s.registry.policy import reconcile
from mini8s.registry.rules.classes import SYSTEM_PRIORITIES
from mini8s.wire.codec import decode_json

log = logging.getLogger(__name__)

NAMESPACES = ("default", "kube-system", "kube-public", "kube-node-lease")
_PRIORITIES = {
    "system-node-critical": ("Used for system critical pods that must not be moved from their current node."),
    "system-cluster-critical": (
        "Used for system critical pods that must run in the cluster, but can be moved to another node if "
        "necessary."
    ),
}
# Named as k3s names it, so that charts find it. The provisioner is our own and bears our name: who brings the
# one that is called rancher.io/local-path, for a class of another name, shall not find two at work.
STORAGE_CLASS: Obj = {
    "metadata": {
        "name": "local-path",
        "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
    },
    "provisioner": claims.PROVISIONER,
    "volumeBindingMode": "WaitForFirstConsumer",
    "reclaimPolicy": "Delete",
    "allowVolumeExpansion": True,
}
# The agents serve what is of a class of this controller: without the class they serve nothing.
INGRESS_CLASS: Obj = {
    "metadata": {"name": ingresses.CLASS, "annotations": {ingresses.DEFAULT_CLASS: "true"}},
    "spec": {"controller": ingresses.CONTROLLER},
}


def ensure(
    registry: Registry, context: Callable[[], Context], settings: ServerSettings, first_ip: str
) -> None:
    """Create what is missing; point `kubernetes` at the server's address."""
    for name in NAMESPACES:
        _create(registry, context(), kinds.NAMESPACES, "", {"metadata": {"name": name}})
    gevent.joinall([gevent.spawn(step) for step in reconcile.steps(registry, context)], raise_error=True)
    for name, value in SYSTEM_PRIORITIES.items():
        said = {"metadata": {"name": name}, "value": value, "description": _PRIORITIES[name]}
        _create(registry, context(), kinds.PRIORITYCLASSES, "", said)
    _create(registry, context(), kinds.STORAGECLASSES, "", STORAGE_CLASS)
    if "ingress" in settings.disable:
        _remove(registry, context(), kinds.INGRESSCLASSES, ingresses.CLASS)
    else:
        _create(registry, context(), kinds.INGRESSCLASSES, "", INGRESS_CLASS)
    _create(registry, context(), kinds.SERVICES, "default", kubernetes_service(first_ip))
    _create(registry, context(), kinds.SERVICES, "kube-system", dns_service(settings.cluster_dns))
    address, port = settings.advertise_address, settings.https_listen_port
    _put(registry, context(), kinds.ENDPOINTS, kubernetes_endpoints(address, port))
    _put(registry, context(), kinds.ENDPOINTSLICES, kubernetes_slice(address, port))


def kubernetes_service(ip: str) -> Obj:
    labels = {"component": "apiserver", "provider": "kubernetes"}
    port = {"name": "https", "port": 443, "protocol": "TCP", "targetPort": 6443}
    return _named("kubernetes", "default", labels) | {"spec": {"clusterIP": ip, "ports": [port]}}


def dns_service(ip: str) -> Obj:
    """The address at which each host's own resolver answers; no endpoints stand behind it."""
    labels = {
        "k8s-app": "kube-dns",
        "kubernetes.io/cluster-service": "true",  # kubectl cluster-info lists it
        "kubernetes.io/name": "mini8s-dns",
    }
    ports = [
        {"name": "dns", "port": 53, "protocol": "UDP", "targetPort": 53},
        {"name": "dns-tcp", "port": 53, "protocol": "TCP", "targetPort": 53},
    ]
    return _named("kube-dns", "kube-system", labels) | {"spec": {"clusterIP": ip, "ports": ports}}


def kubernetes_endpoints(address: str, port: int) -> Obj:
    subset = {"addresses": [{"ip": address}], "ports": [{"name": "https", "port": port, "protocol": "TCP"}]}
    labels = {"endpointslice.kubernetes.io/skip-mirror": "true"}
    return _named("kubernetes", "default", labels) | {"subsets": [subset]}


def kubernetes_slice(address: str, port: int) -> Obj:
    return _named("kubernetes", "default", {"kubernetes.io/service-name": "kubernetes"}) | {
        "addressType": "IPv4",
        "endpoints": [{"addresses": [address], "conditions": {"ready": True}}],
        "ports": [{"name": "https", "port": port, "protocol": "TCP"}],
    }


def _named(name: str, namespace: str, labels: dict[str, str]) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": namespace, "labels": labels}}


def _create(registry: Registry, ctx: Context, kind: Kind, namespace: str, obj: Obj) -> bool:
    try:
        registry.create(ctx, kind, namespace, _typed(kind, obj))
    except AlreadyExists:
        return False
    log.info("created %s %s", kind.singular, obj["metadata"]["name"])
    return True


def _remove(registry: Registry, ctx: Context, kind: Kind, name: str) -> None:
    try:
        registry.delete(ctx, kind, "", name, DeleteOptions())
    except NotFound:
        return
    log.info("removed %s %s", kind.singular, name)


def _put(registry: Registry, ctx: Context, kind: Kind, obj: Obj) -> None:
    """Create, or replace all but the metadata if that differs."""
    if _create(registry, ctx, kind, "default", obj):
        return
    name = obj["metadata"]["name"]
    current = decode_json(registry.get(kind, "default", name))
    wanted = current | {key: value for key, value in obj.items() if key != "metadata"}
    if wanted != current:
        registry.update(ctx, kind, "default", name, wanted)
        log.info("%s default/%s now says %s", kind.singular, name, obj.get("subsets") or obj.get("endpoints"))


def _typed(kind: Kind, obj: Obj) -> Obj:
    return {"apiVersion": kind.api_version, "kind": kind.kind} | obj
