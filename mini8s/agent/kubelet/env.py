"""PURE: a container's environment: Services, envFrom, then env, each able to speak of what came before."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Mapping, Sequence

from mini8s.agent.kubelet.downward import Placed, field_value, resource_value
from mini8s.agent.kubelet.lookup import TITLES, Lookup, Missing, need
from mini8s.objects import ip, meta
from mini8s.objects.kinds import CONFIGMAPS, SECRETS, Kind, Obj

_REFERENCE = re.compile(r"\$(\$|\(([^()]*)\))")
MASTER = ("default", "kubernetes")  # the Service every container is told of


def expand(text: str, values: Mapping[str, str]) -> str:
    """Replace `$(NAME)` by its value; `$$` is a dollar, and what is unknown stays as it is."""

    def value(found: re.Match[str]) -> str:
        return "$" if found[1] == "$" else values.get(found[2], found[0])

    return _REFERENCE.sub(value, text)


def environment(
    placed: Placed, container: Obj, lookup: Lookup, services: Sequence[Obj]
) -> list[tuple[str, str]]:
    """The variables in order. Raises Missing."""
    told = service_variables(placed.pod, services)
    values: dict[str, str] = {}
    for source in container.get("envFrom") or ():
        values |= _whole(meta.namespace(placed.pod), source, lookup)
    for variable in container.get("env") or ():
        value = _value(placed, container, variable, lookup, {**told, **values})
        if value is not None:
            values[variable["name"]] = value
    return list({**told, **values}.items())


def service_variables(pod: Obj, services: Sequence[Obj]) -> dict[str, str]:
    """What the Services of the pod's namespace (unless it declines), and the API's own, are told as."""
    links = pod["spec"].get("enableServiceLinks") is not False
    own = [one for one in services if links and meta.namespace(one) == meta.namespace(pod)]
    found = {meta.name(one): one for one in (*filter(_is_master, services), *own)}
    values: dict[str, str] = {}
    for name in sorted(found):
        values |= dict(_of_service(name, found[name]["spec"]))
    return values


def _is_master(service: Obj) -> bool:
    return (meta.namespace(service), meta.name(service)) == MASTER


def _of_service(name: str, spec: Obj) -> Iterable[tuple[str, str]]:
    address, ports = spec.get("clusterIP") or "None", spec.get("ports") or ()
    if address == "None" or not ports:
        return
    prefix = _upper(name)
    yield f"{prefix}_SERVICE_HOST", address
    yield f"{prefix}_SERVICE_PORT", str(ports[0]["port"])
    for port in ports:
        if port.get("name"):
            yield f"{prefix}_SERVICE_PORT_{_upper(port['name'])}", str(port["port"])
    for place, port in enumerate(ports):
        protocol, number = str(port.get("protocol") or "TCP"), str(port["port"])
        url = f"{protocol.lower()}://{ip.in_url(address)}:{number}"
        if place == 0:
            yield f"{prefix}_PORT", url
        link = f"{prefix}_PORT_{number}_{protocol}"
        yield link, url
        yield f"{link}_PROTO", protocol.lower()
        yield f"{link}_PORT", number
        yield f"{link}_ADDR", address


def _upper(name: str) -> str:
    return name.upper().replace("-", "_")


def _whole(namespace: str, source: Obj, lookup: Lookup) -> dict[str, str]:
    """All of a ConfigMap or Secret, each name with the prefix."""
    prefix = source.get("prefix", "")
    for word, kind in (("configMapRef", CONFIGMAPS), ("secretRef", SECRETS)):
        if reference := source.get(word):
            found = need(lookup, kind, namespace, reference["name"], optional=bool(reference.get("optional")))
            return {prefix + key: value for key, value in _texts(kind, found).items()}
    return {}


def _value(
    placed: Placed, container: Obj, variable: Obj, lookup: Lookup, before: Mapping[str, str]
) -> str | None:
    source = variable.get("valueFrom")
    if not source:
        return expand(str(variable.get("value") or ""), before)
    if "fieldRef" in source:
        return field_value(placed, source["fieldRef"]["fieldPath"])
    if "resourceFieldRef" in source:
        return resource_value(placed, source["resourceFieldRef"], container["name"])
    for word, kind in (("configMapKeyRef", CONFIGMAPS), ("secretKeyRef", SECRETS)):
        if word in source:
            return _key(meta.namespace(placed.pod), kind, source[word], lookup)
    raise Missing(f"env {variable['name']} has a source that is not known here: {', '.join(source)}")


def _key(namespace: str, kind: Kind, reference: Obj, lookup: Lookup) -> str | None:
    name, key, optional = reference["name"], reference["key"], bool(reference.get("optional"))
    found = need(lookup, kind, namespace, name, optional=optional)
    value = _texts(kind, found).get(key)
    if value is None and not optional:
        raise Missing(f"couldn't find key {key} in {TITLES[kind]} {namespace}/{name}")
    return value


def _texts(kind: Kind, found: Obj | None) -> dict[str, str]:
    data: dict[str, str] = (found or {}).get("data") or {}
    return (
        data
        if kind is CONFIGMAPS
        else {key: base64.b64decode(value).decode(errors="replace") for key, value in data.items()}
    )
