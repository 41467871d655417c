"""Rules of Ingresses and IngressClasses."""

from __future__ import annotations

import ipaddress

from mini8s.objects import meta, names
from mini8s.objects.kinds import Obj
from mini8s.registry.problems import Causes, forbidden, invalid, named, required, too_long
from mini8s.registry.rules import values

_PATH_TYPES = ("Exact", "ImplementationSpecific", "Prefix")
_BAD_PARTS = ("//", "/./", "/../", "%2f", "%2F")
_BAD_ENDS = ("/..", "/.")
_ANNOTATION = "kubernetes.io/ingress.class"
_LONGEST_CONTROLLER = 250


def ingress(found: Obj) -> Causes:
    spec = found.get("spec") or {}
    rules, backend = spec.get("rules") or (), spec.get("defaultBackend")
    if not rules and backend is None:
        yield invalid("spec", [], "either `defaultBackend` or `rules` must be specified")
    if backend is not None:
        yield from _backend(backend, "spec.defaultBackend")
    for index, rule in enumerate(rules):
        yield from _rule(rule, f"spec.rules[{index}]")
    for index, tls in enumerate(spec.get("tls") or ()):
        yield from _tls(tls, f"spec.tls[{index}]")
    name, old_way = spec.get("ingressClassName"), meta.annotations(found).get(_ANNOTATION)
    if name is not None:
        yield from named("spec.ingressClassName", name, names.dns_subdomain(name))
        if old_way is not None and old_way != name:
            why = "must match `ingressClassName` when both are specified"
            yield invalid(f"annotations.{_ANNOTATION}", old_way, why)


def ingress_class(found: Obj) -> Causes:
    spec = found.get("spec") or {}
    controller, parameters = spec.get("controller") or "", spec.get("parameters")
    if not controller:
        yield required("spec.controller")
    elif len(controller) > _LONGEST_CONTROLLER:
        yield too_long("spec.controller", _LONGEST_CONTROLLER)
    elif "/" not in controller or names.qualified_name(controller):
        yield invalid("spec.controller", controller, "must be a domain-prefixed path (such as acme.io/foo)")
    if parameters is not None:
        yield from _parameters(parameters, "spec.parameters")


def same_controller(new: Obj, old: Obj) -> Causes:
    yield from values.unchanged(new, old, "spec.controller")


def _parameters(found: Obj, field: str) -> Causes:
    yield from values.said(found, "kind", field)
    yield from values.said(found, "name", field)
    scope, namespace = found.get("scope"), found.get("namespace")
    yield from values.one_of(found, "scope", field, ("Cluster", "Namespace"), must=True)
    if scope == "Namespace" and not namespace:
        yield required(f"{field}.namespace", "`parameters.scope` is set to 'Namespace'")
    if scope == "Cluster" and namespace:
        yield forbidden(f"{field}.namespace", "`parameters.scope` is set to 'Cluster'")


def _rule(rule: Obj, field: str) -> Causes:
    if host := rule.get("host"):
        yield from _host(host, f"{field}.host", address_why="must be a DNS name, not an IP address")
    if rule.get("http") is None:
        return
    paths = rule["http"].get("paths") or ()
    if not paths:
        yield required(f"{field}.http.paths")
    for index, path in enumerate(paths):
        yield from _path(path, f"{field}.http.paths[{index}]")


def _host(host: str, field: str, *, address_why: str = "") -> Causes:
    if address_why and _is_address(host):
        yield invalid(field, host, address_why)
    elif "*" in host:
        if not host.startswith("*.") or names.dns_subdomain(host[2:]):
            why = "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain"
            yield invalid(field, host, why)
    else:
        yield from named(field, host, names.dns_subdomain(host))


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _path(found: Obj, field: str) -> Causes:
    kind, path = found.get("pathType"), found.get("path") or ""
    if kind is None:
        yield required(f"{field}.pathType", "pathType must be specified")
    else:
        yield from values.one_of(found, "pathType", field, _PATH_TYPES)
    if kind in {"Exact", "Prefix"} or path:
        if not path.startswith("/"):
            yield invalid(f"{field}.path", path, "must be an absolute path")
        elif kind != "ImplementationSpecific":
            yield from _plain_path(path, f"{field}.path")
    yield from _backend(found.get("backend") or {}, f"{field}.backend")


def _plain_path(path: str, field: str) -> Causes:
    for part in _BAD_PARTS:
        if part in path:
            yield invalid(field, path, f"must not contain '{part}'")
    for end in _BAD_ENDS:
        if path.endswith(end):
            yield invalid(field, path, f"cannot end with '{end}'")


def _backend(found: Obj, field: str) -> Causes:
    service, resource = found.get("service"), found.get("resource")
    if service is not None and resource is not None:
        yield invalid(field, "", "cannot set both resource and service backends")
    elif resource is not None:
        yield from values.said(resource, "kind", f"{field}.resource")
        yield from values.said(resource, "name", f"{field}.resource")
    elif service is not None:
        yield from _service(service, f"{field}.service")
    else:
        yield required(field, "resource or service backend is required")


def _service(service: Obj, field: str) -> Causes:
    name, port = service.get("name") or "", service.get("port") or {}
    if not name:
        yield required(f"{field}.name")
    else:
        yield from named(f"{field}.name", name, names.dns_label_1035(name))
    if port.get("name") and port.get("number"):
        yield invalid(f"{field}.port", "", "cannot set both port name & port number")
    elif port.get("name"):
        yield from named(f"{field}.port.name", port["name"], names.port_name(port["name"]))
    elif port.get("number"):
        yield from values.port_number(port["number"], f"{field}.port.number")
    else:
        yield required(field, "port name or number is required")


def _tls(tls: Obj, field: str) -> Causes:
    for index, host in enumerate(tls.get("hosts") or ()):
        yield from _host(host, f"{field}.hosts[{index}]")
    if secret := tls.get("secretName"):
        yield from named(f"{field}.secretName", secret, names.dns_subdomain(secret))
