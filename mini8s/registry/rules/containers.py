"""Rules of containers: the ones that run, and those before them."""

from __future__ import annotations

from collections.abc import Iterable

from mini8s.objects import names
from mini8s.objects.kinds import Obj
from mini8s.registry.problems import Causes, duplicate, forbidden, invalid, named, required
from mini8s.registry.rules import mounts, probes, resources, security_contexts, values

PARTS = ("containers", "initContainers")
_PULL = ("Always", "IfNotPresent", "Never")
_PROTOCOLS = ("TCP", "UDP", "SCTP")
_MESSAGES = ("File", "FallbackToLogsOnError")
_SOURCES = ("fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef")
_FIELDS = frozenset({
    "metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName", "spec.serviceAccountName",
    "status.hostIP", "status.hostIPs", "status.podIP", "status.podIPs",
})  # fmt: skip


def check(spec: Obj, volumes: mounts.Declared, field: str) -> Causes:
    """Every container of a pod; their names are unique among all of them."""
    if not spec.get("containers"):
        yield required(f"{field}.containers")
    seen: set[str] = set()
    for part in PARTS:
        for index, container in enumerate(spec.get(part) or ()):
            path = f"{field}.{part}[{index}]"
            yield from one(container, volumes, path)
            yield from _restart(container, path, init=part == "initContainers")
            name = container.get("name") or ""
            if name and name in seen:
                yield duplicate(f"{path}.name", name)
            seen.add(name)
    yield from _host_ports(spec, field)


def image(container: Obj, field: str) -> Causes:
    stated = container.get("image") or ""
    if not stated:
        yield required(f"{field}.image")
    elif stated != stated.strip():
        yield invalid(f"{field}.image", stated, "must not have leading or trailing whitespace")


def one(container: Obj, volumes: mounts.Declared, field: str) -> Causes:
    """What holds for each container, whichever list it is in."""
    yield from values.said(container, "name", field)
    if name := container.get("name"):
        yield from named(f"{field}.name", name, names.dns_label(name))
    yield from image(container, field)
    yield from values.one_of(container, "imagePullPolicy", field, _PULL)
    yield from values.one_of(container, "terminationMessagePolicy", field, _MESSAGES)
    yield from _ports(container.get("ports") or (), f"{field}.ports")
    yield from _env(container, field)
    yield from mounts.check(container, volumes, field)
    yield from resources.check(container.get("resources") or {}, f"{field}.resources")
    yield from security_contexts.of_container(container, field)


def _restart(container: Obj, field: str, *, init: bool) -> Causes:
    """An init container that restarts always is a sidecar, and only that may have probes."""
    policy = container.get("restartPolicy")
    if policy and not init:
        yield forbidden(f"{field}.restartPolicy", "may not be set for non-init containers")
    elif init:
        yield from values.one_of(container, "restartPolicy", field, ("Always",))
    yield from probes.check(container, field, allowed=not init or policy == "Always")
    if init and policy != "Always" and container.get("resizePolicy"):
        yield forbidden(f"{field}.resizePolicy", "must not be set for init containers")


def _ports(ports: Iterable[Obj], field: str) -> Causes:
    seen: set[str] = set()
    for index, port in enumerate(ports):
        path = f"{field}[{index}]"
        if name := port.get("name"):
            yield from named(f"{path}.name", name, names.port_name(name))
            if name in seen:
                yield duplicate(f"{path}.name", name)
            seen.add(name)
        if not port.get("containerPort"):
            yield required(f"{path}.containerPort")
        else:
            yield from values.port_number(port["containerPort"], f"{path}.containerPort")
        if port.get("hostPort"):
            yield from values.port_number(port["hostPort"], f"{path}.hostPort")
        yield from values.one_of(port, "protocol", path, _PROTOCOLS)


def _host_ports(spec: Obj, field: str) -> Causes:
    """A host has each port once; with the host's network a container's port is the host's."""
    seen: set[tuple[str, str, int]] = set()
    for number, container in enumerate(spec.get("containers") or ()):
        for index, port in enumerate(container.get("ports") or ()):
            path = f"{field}.containers[{number}].ports[{index}]"
            host = port.get("hostPort")
            if not host:
                continue
            if spec.get("hostNetwork") and host != port.get("containerPort"):
                yield invalid(
                    f"{path}.containerPort",
                    port.get("containerPort"),
                    "must match `hostPort` when `hostNetwork` is true",
                )
            key = (port.get("protocol") or "TCP", port.get("hostIP") or "", host)
            if key in seen:
                yield duplicate(f"{path}.hostPort", f"{key[0]}/{key[1]}/{host}")
            seen.add(key)


def _env(container: Obj, field: str) -> Causes:
    for index, entry in enumerate(container.get("env") or ()):
        path, name = f"{field}.env[{index}]", entry.get("name") or ""
        yield from values.said(entry, "name", path)
        if name:
            yield from named(f"{path}.name", name, names.env_name(name))
        if entry.get("valueFrom") is not None:
            yield from _env_source(entry, f"{path}.valueFrom")
    for index, source in enumerate(container.get("envFrom") or ()):
        path = f"{field}.envFrom[{index}]"
        given = [part for part in ("configMapRef", "secretRef") if source.get(part) is not None]
        if len(given) != 1:
            which = "may not have more than one field specified at a time" if given else None
            why = which or "must specify one of: `configMapRef` or `secretRef`"
            yield invalid(path, "", why)
        for part in given:
            yield from values.said(source[part], "name", f"{path}.{part}")


def _env_source(entry: Obj, field: str) -> Causes:
    source = entry["valueFrom"]
    given = [part for part in _SOURCES if source.get(part) is not None]
    if len(given) != 1:
        why = "may not have more than one field specified at a time"
        options = "`fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`"
        yield invalid(field, "", why if given else f"must specify one of: {options}")
    elif entry.get("value"):
        yield invalid(field, "", "may not be specified when `value` is not empty")
    for part in given:
        yield from _reference(part, source[part], f"{field}.{part}")


def _reference(part: str, reference: Obj, field: str) -> Causes:
    if part == "fieldRef":
        path = reference.get("fieldPath") or ""
        if not path:
            yield required(f"{field}.fieldPath")
        elif path not in _FIELDS and not path.startswith(("metadata.labels['", "metadata.annotations['")):
            yield invalid(
                f"{field}.fieldPath", path, f"error converting fieldPath: field label not supported: {path}"
            )
    elif part == "resourceFieldRef":
        yield from values.said(reference, "resource", field)
    else:
        yield from values.said(reference, "name", field)
        yield from values.said(reference, "key", field)
