"""Services: a name and an address for pods. Addresses and ports come from `registry.allocators`."""

from __future__ import annotations

from typing import Any

from mini8s.objects import names
from mini8s.objects.kinds import SERVICES, Obj
from mini8s.registry import columns, families
from mini8s.registry.columns import AGE, NAME, NONE, column, spec, status
from mini8s.registry.rules import services
from mini8s.registry.strategy import STATUS, Strategy, Update, keep_status, selectable

_OUTWARD = frozenset({"NodePort", "LoadBalancer"})
_ADDRESS = ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy")


def _begin(new: Obj) -> None:
    new["status"] = {"loadBalancer": {}}
    _complete(new)


def _keep(new: Obj, old: Obj) -> None:
    """What was given to the Service stays its own when an update does not speak of it."""
    keep_status(new, old)
    spec, was = new["spec"], old["spec"]
    if spec.get("type") != "ExternalName" and was.get("clusterIP") and not spec.get("clusterIP"):
        spec["clusterIP"] = was["clusterIP"]
    if spec.get("clusterIP") == was.get("clusterIP") and was.get("clusterIPs") and not spec.get("clusterIPs"):
        spec["clusterIPs"] = was["clusterIPs"]
    if spec.get("clusterIP") != was.get("clusterIP") and spec.get("clusterIPs") == was.get("clusterIPs"):
        spec.pop("clusterIPs", None)  # whoever changed the one says the same of the other
    if spec.get("type") == "ExternalName":
        _drop_what_stayed(spec, was, _ADDRESS)
    else:
        families.keep(spec, was)
    _keep_node_ports(spec, was)
    _complete(new)


def _keep_node_ports(spec: Obj, was: Obj) -> None:
    had = {_identity(port): port.get("nodePort") for port in was.get("ports") or ()}
    outward = spec.get("type") in _OUTWARD
    for port in spec.get("ports") or ():
        number = had.get(_identity(port))
        if outward and number and not port.get("nodePort"):
            port["nodePort"] = number
        elif not outward and was.get("type") in _OUTWARD and port.get("nodePort") == number:
            port.pop("nodePort", None)
    if not outward:
        _drop_what_stayed(spec, was, ("externalTrafficPolicy",))
    if spec.get("type") != "LoadBalancer":
        _drop_what_stayed(spec, was, ("allocateLoadBalancerNodePorts", "loadBalancerClass"))
    _keep_check_port(spec, was)


def _keep_check_port(spec: Obj, was: Obj) -> None:
    if spec.get("type") == "LoadBalancer" and spec.get("externalTrafficPolicy") == "Local":
        if was.get("healthCheckNodePort"):
            spec.setdefault("healthCheckNodePort", was["healthCheckNodePort"])
    else:
        spec.pop("healthCheckNodePort", None)


def _drop_what_stayed(spec: Obj, was: Obj, parts: tuple[str, ...]) -> None:
    """A change of type takes along what belonged to the old type, unless the client changed it too."""
    if spec.get("type") == was.get("type"):
        return
    for part in parts:
        if part in spec and spec[part] == was.get(part):
            del spec[part]


def _identity(port: Obj) -> tuple[str, int]:
    return port.get("protocol") or "TCP", port.get("port") or 0


def _complete(new: Obj) -> None:
    """The fields that say the same thing twice."""
    spec = new.setdefault("spec", {})
    if spec.get("type") == "ExternalName":
        return
    if spec.get("clusterIP") and not spec.get("clusterIPs"):
        spec["clusterIPs"] = [spec["clusterIP"]]
    elif spec.get("clusterIPs") and not spec.get("clusterIP"):
        spec["clusterIP"] = spec["clusterIPs"][0]


def _external_ip(service: Obj) -> str:
    found = spec(service)
    external: list[str] = list(found.get("externalIPs") or ())
    match found.get("type"):
        case "ExternalName":
            return str(found.get("externalName") or NONE)
        case "LoadBalancer":
            ingress = (status(service).get("loadBalancer") or {}).get("ingress") or ()
            external = [place.get("ip") or place.get("hostname") or "" for place in ingress] + external
            return ",".join(external) or "<pending>"
    return columns.joined(external)


def _ports(service: Obj) -> str:
    return columns.joined(map(_port, spec(service).get("ports") or ()))


def _port(port: dict[str, Any]) -> str:
    node = f":{port['nodePort']}" if port.get("nodePort") else ""
    return f"{port.get('port')}{node}/{port.get('protocol') or 'TCP'}"


STRATEGY = Strategy(
    kind=SERVICES,
    columns=(
        NAME,
        column("Type", lambda obj: spec(obj).get("type") or ""),
        column("Cluster-IP", lambda obj: spec(obj).get("clusterIP") or NONE),
        column("External-IP", _external_ip),
        column("Port(s)", _ports),
        AGE,
        column("Selector", lambda obj: columns.listed_labels(spec(obj).get("selector")), wide=True),
    ),
    fields=selectable("spec.clusterIP", "spec.type"),
    name_rule=names.dns_label_1035,
    prepare_for_create=_begin,
    validate=services.check,
    update=Update(_keep, services.check_update),
    subresources=STATUS,
    create_on_update=True,
)
