"""Rules of Services (`ValidateService`, `ValidateServiceUpdate`)."""

from __future__ import annotations

import ipaddress

from mini8s.objects import names
from mini8s.objects.kinds import Obj
from mini8s.registry import families
from mini8s.registry.problems import Causes, duplicate, forbidden, invalid, named, required
from mini8s.registry.rules import metadata, values

TYPES = ("ClusterIP", "NodePort", "LoadBalancer", "ExternalName")
_WITH_NODE_PORTS = ("NodePort", "LoadBalancer")
_PROTOCOLS = ("TCP", "UDP", "SCTP")
_LONGEST_AFFINITY = 86400


def check(service: Obj) -> Causes:
    spec = service["spec"]
    yield from values.one_of(spec, "type", "spec", TYPES, must=True)
    yield from _ports(spec)
    yield from metadata.labels(spec.get("selector") or {}, "spec.selector")
    yield from values.one_of(spec, "sessionAffinity", "spec", ("ClientIP", "None"), must=True)
    yield from _affinity(spec)
    yield from _cluster_ips(spec)
    yield from _external(spec)
    yield from _policies(spec)
    yield from _balancer(spec)
    yield from values.one_of(spec, "trafficDistribution", "spec", ("PreferClose",))


def check_update(new: Obj, old: Obj) -> Causes:
    """A cluster IP stays for the Service's life, except through ExternalName."""
    spec, was = new["spec"], old["spec"]
    if spec.get("type") == was.get("type") == "LoadBalancer":
        if spec.get("loadBalancerClass") != was.get("loadBalancerClass"):
            yield invalid("spec.loadBalancerClass", spec.get("loadBalancerClass"), "may not change once set")
        port, had = spec.get("healthCheckNodePort"), was.get("healthCheckNodePort")
        if port and had and port != had:
            yield invalid("spec.healthCheckNodePort", port, "field is immutable")
    if "ExternalName" in {spec.get("type"), was.get("type")} or not was.get("clusterIP"):
        return
    yield from families.check_update(spec, was)


def _ports(spec: Obj) -> Causes:
    ports = spec.get("ports") or ()
    headless, external = spec.get("clusterIP") == "None", spec.get("type") == "ExternalName"
    if not ports and not headless and not external:
        yield required("spec.ports")
    seen_names: set[str] = set()
    seen: set[tuple[str, int]] = set()
    for index, port in enumerate(ports):
        path = f"spec.ports[{index}]"
        yield from _port(port, path, must_be_named=len(ports) > 1)
        if (name := port.get("name")) and name in seen_names:
            yield duplicate(f"{path}.name", name)
        seen_names.add(port.get("name") or "")
        key = (port.get("protocol") or "TCP", port.get("port") or 0)
        if key in seen:
            yield duplicate(path, {"port": key[1], "protocol": key[0]})
        seen.add(key)
    yield from _node_ports(spec)


def _port(port: Obj, field: str, *, must_be_named: bool) -> Causes:
    name, target = port.get("name") or "", port.get("targetPort")
    if must_be_named and not name:
        yield required(f"{field}.name")
    elif name:
        yield from named(f"{field}.name", name, names.dns_label(name))
    yield from values.port_number(port.get("port") or 0, f"{field}.port")
    yield from values.one_of(port, "protocol", field, _PROTOCOLS)
    if isinstance(target, str):
        yield from named(f"{field}.targetPort", target, names.port_name(target))
    elif target is not None:
        yield from values.port_number(target, f"{field}.targetPort")
    if app := port.get("appProtocol"):
        yield from named(f"{field}.appProtocol", app, names.qualified_name(app))


def _node_ports(spec: Obj) -> Causes:
    kind, seen = spec.get("type"), set()
    for index, port in enumerate(spec.get("ports") or ()):
        path, number = f"spec.ports[{index}].nodePort", port.get("nodePort")
        if not number:
            continue
        if kind not in _WITH_NODE_PORTS:
            yield forbidden(path, f"may not be used when `type` is '{kind}'")
        key = (port.get("protocol"), number)
        if key in seen:
            yield duplicate(path, number)
        seen.add(key)


def _affinity(spec: Obj) -> Causes:
    config = (spec.get("sessionAffinityConfig") or {}).get("clientIP") or {}
    field = "spec.sessionAffinityConfig.clientIP.timeoutSeconds"
    if spec.get("sessionAffinity") == "None" and spec.get("sessionAffinityConfig"):
        why = "must not be set when session affinity is None"
        yield forbidden("spec.sessionAffinityConfig", why)
    elif "timeoutSeconds" in config and not 0 < config["timeoutSeconds"] <= _LONGEST_AFFINITY:
        why = f"must be greater than 0 and less than {_LONGEST_AFFINITY}"
        yield invalid(field, config["timeoutSeconds"], why)


def _cluster_ips(spec: Obj) -> Causes:
    first, listed = spec.get("clusterIP") or "", spec.get("clusterIPs") or []
    if spec.get("type") == "ExternalName":
        if first or listed:
            yield forbidden("spec.clusterIPs", "may not be set when `type` is 'ExternalName'")
        for part in ("ipFamilies", "ipFamilyPolicy"):
            if spec.get(part):
                yield forbidden(f"spec.{part}", "may not be set when `type` is 'ExternalName'")
        return
    if listed and listed[0] != first:
        yield invalid("spec.clusterIPs", listed, "first value must match `clusterIP`")
    if first == "None" and spec.get("type") in _WITH_NODE_PORTS:
        why = f"may not be set to 'None' for {spec['type']} services"
        yield invalid("spec.clusterIPs[0]", "None", why)
    yield from families.check_addresses(spec)
    yield from families.check(spec)


def _external(spec: Obj) -> Causes:
    for index, ip in enumerate(spec.get("externalIPs") or ()):
        yield from values.ip_address(ip, f"spec.externalIPs[{index}]")
    if spec.get("type") == "ExternalName":
        name = (spec.get("externalName") or "").removesuffix(".")
        if not name:
            yield required("spec.externalName")
        else:
            yield from named("spec.externalName", name, names.dns_subdomain(name))


def _balancer(spec: Obj) -> Causes:
    """What only load balancers have."""
    is_one = spec.get("type") == "LoadBalancer"
    why = "may only be used when `type` is 'LoadBalancer'"
    ranges = "spec.LoadBalancerSourceRanges"  # upstream's path, capital and all
    if spec.get("loadBalancerSourceRanges") and not is_one:
        yield forbidden(ranges, why)
    for index, text in enumerate(spec.get("loadBalancerSourceRanges") or ()):
        if not _is_network(text.strip()):
            hint = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"
            yield invalid(f"{ranges}[{index}]", text, hint)
    if spec.get("allocateLoadBalancerNodePorts") is not None and not is_one:
        yield forbidden("spec.allocateLoadBalancerNodePorts", why)
    if (found := spec.get("loadBalancerClass")) is not None:
        if not is_one:
            yield forbidden("spec.loadBalancerClass", why)
        yield from named("spec.loadBalancerClass", found, names.qualified_name(found))
    local = is_one and spec.get("externalTrafficPolicy") == "Local"
    if spec.get("healthCheckNodePort") and not local:
        why = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'"
        yield invalid("spec.healthCheckNodePort", spec["healthCheckNodePort"], why)


def _is_network(text: str) -> bool:
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        return False
    return "/" in text


def _policies(spec: Obj) -> Causes:
    ways = ("Cluster", "Local")
    yield from values.one_of(spec, "internalTrafficPolicy", "spec", ways)
    policy = spec.get("externalTrafficPolicy")
    outward = spec.get("type") in _WITH_NODE_PORTS or spec.get("externalIPs")
    if policy and not outward:
        why = "may only be set for externally-accessible services"
        yield invalid("spec.externalTrafficPolicy", policy, why)
    else:
        yield from values.one_of(spec, "externalTrafficPolicy", "spec", ways)
