"""The objects every cluster has: its namespaces and roles, the Service behind which the API answers, and what
comes in files with the program (`packaged.py`).

Made at every start of the API server, straight into the registry. What exists is left alone, but for the
address of the API, which follows the server's.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import gevent

from mini8s.app import networks, packaged
from mini8s.config import ServerSettings
from mini8s.objects import ip, kinds, meta
from mini8s.objects.errors import AlreadyExists, NotFound
from mini8s.objects.kinds import Kind, Obj
from mini8s.registry.base import Context, DeleteOptions, ListOptions, Registry
from mini8s.registry.policy import reconcile
from mini8s.wire.codec import decode_json

log = logging.getLogger(__name__)

NAMESPACES = ("default", "kube-system", "kube-public", "kube-node-lease")


def ensure(
    registry: Registry, context: Callable[[], Context], settings: ServerSettings, first_ip: str
) -> None:
    """Create what is missing; point `kubernetes` at the server's address."""
    for name in NAMESPACES:
        _create(registry, context(), kinds.NAMESPACES, "", {"metadata": {"name": name}})
    gevent.joinall([gevent.spawn(step) for step in reconcile.steps(registry, context)], raise_error=True)
    _create(registry, context(), kinds.SERVICES, "default", kubernetes_service(first_ip))
    for obj in packaged.objects(settings):
        made = _create(registry, context(), _kind(obj), meta.namespace(obj), obj)
        if not made and _kind(obj) == kinds.SERVICES:
            _widen(registry, context(), obj)
    for obj in packaged.objects(settings, disabled=True):
        _remove(registry, context(), _kind(obj), obj)
    _second_ranges(registry, context, settings)
    address, port = settings.advertise_address, settings.https_listen_port
    _put(registry, context(), kinds.ENDPOINTS, kubernetes_endpoints(address, port))
    _put(registry, context(), kinds.ENDPOINTSLICES, kubernetes_slice(address, port))


def _widen(registry: Registry, ctx: Context, wanted: Obj) -> None:
    """Give the resolver's Service its address of a family that the cluster did not have when it was made."""
    namespace, name = meta.namespace(wanted), meta.name(wanted)
    current = decode_json(registry.get(kinds.SERVICES, namespace, name))
    has, addresses = current["spec"].get("clusterIPs") or [], wanted["spec"]["clusterIPs"]
    if has == addresses[: len(has)] and len(has) < len(addresses):
        spec = current["spec"] | {part: wanted["spec"][part] for part in ("clusterIPs", "ipFamilyPolicy")}
        registry.update(ctx, kinds.SERVICES, namespace, name, current | {"spec": spec})
        log.info("service %s/%s has the addresses %s now", namespace, name, ", ".join(addresses))


def _second_ranges(registry: Registry, context: Callable[[], Context], settings: ServerSettings) -> None:
    """Give nodes their range of a family that the cluster did not have when they registered."""
    nodes = [decode_json(value) for value in registry.list(kinds.NODES, "", ListOptions()).items]
    taken = {one for node in nodes for one in node["spec"].get("podCIDRs") or ()}
    for node in nodes:
        has = list(node["spec"].get("podCIDRs") or ())
        wanted = has + networks.further_ranges(settings, has, taken)
        if has and wanted != has:
            taken |= set(wanted)
            changed = node | {"spec": node["spec"] | {"podCIDRs": wanted}}
            registry.update(context(), kinds.NODES, "", node["metadata"]["name"], changed)
            log.info("pods of node %s get addresses of %s", node["metadata"]["name"], " and ".join(wanted))


def kubernetes_service(ip: str) -> Obj:
    labels = {"component": "apiserver", "provider": "kubernetes"}
    port = {"name": "https", "port": 443, "protocol": "TCP", "targetPort": 6443}
    return _named("kubernetes", "default", labels) | {"spec": {"clusterIP": ip, "ports": [port]}}


def kubernetes_endpoints(address: str, port: int) -> Obj:
    subset = {"addresses": [{"ip": address}], "ports": [{"name": "https", "port": port, "protocol": "TCP"}]}
    labels = {"endpointslice.kubernetes.io/skip-mirror": "true"}
    return _named("kubernetes", "default", labels) | {"subsets": [subset]}


def kubernetes_slice(address: str, port: int) -> Obj:
    return _named("kubernetes", "default", {"kubernetes.io/service-name": "kubernetes"}) | {
        "addressType": ip.family(address),
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


def _remove(registry: Registry, ctx: Context, kind: Kind, obj: Obj) -> None:
    """What somebody else has put under that name stays."""
    namespace, name = meta.namespace(obj), meta.name(obj)
    try:
        current = decode_json(registry.get(kind, namespace, name))
        said = {key: value for key, value in obj.items() if key != "metadata"}
        if current | said == current:
            registry.delete(ctx, kind, namespace, name, DeleteOptions())
            log.info("removed %s %s", kind.singular, name)
    except NotFound:
        return


def _kind(obj: Obj) -> Kind:
    kind = kinds.by_kind(obj["apiVersion"], obj["kind"])
    if kind is None:
        raise NotFound(f"no matches for kind {obj['kind']} in version {obj['apiVersion']}")
    return kind


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
