"""PURE: what a pod may be told of itself: fieldRef and resourceFieldRef, in variables and in files."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from mini8s.agent.kubelet.lookup import Missing
from mini8s.agent.network.base import Ips
from mini8s.objects import meta, quantity
from mini8s.objects.kinds import Obj

_KEYED = re.compile(r"metadata\.(labels|annotations)\['(.*)'\]")


@dataclass(frozen=True, slots=True)
class Placed:
    """A pod where it runs: its addresses, and what the node has to give to a container without a limit."""

    pod: Obj
    pod_ips: Ips
    host_ips: Ips
    allocatable: Mapping[str, str]


def field_value(placed: Placed, path: str) -> str:
    """The value of a fieldRef. Raises Missing for a path that upstream doesn't know either."""
    pod, keyed = placed.pod, _KEYED.fullmatch(path)
    if keyed:
        return str((pod["metadata"].get(keyed[1]) or {}).get(keyed[2], ""))
    if path in {"metadata.labels", "metadata.annotations"}:
        return _lines(pod["metadata"].get(path.removeprefix("metadata.")) or {})
    values = {
        "metadata.name": meta.name(pod),
        "metadata.namespace": meta.namespace(pod),
        "metadata.uid": meta.uid(pod),
        "spec.nodeName": pod["spec"].get("nodeName", ""),
        "spec.serviceAccountName": pod["spec"].get("serviceAccountName", "default"),
        "status.hostIP": next(iter(placed.host_ips), ""),
        "status.hostIPs": ",".join(placed.host_ips),
        "status.podIP": next(iter(placed.pod_ips), ""),
        "status.podIPs": ",".join(placed.pod_ips),
    }
    if path not in values:
        raise Missing(f"unsupported fieldPath: {path}")
    return str(values[path])


def resource_value(placed: Placed, reference: Obj, default_container: str) -> str:
    """The value of a resourceFieldRef: a whole number of divisors, rounded up."""
    name = reference.get("containerName") or default_container
    side, _, resource = str(reference["resource"]).partition(".")
    containers = (*placed.pod["spec"]["containers"], *(placed.pod["spec"].get("initContainers") or ()))
    container = next((one for one in containers if one["name"] == name), None)
    if container is None:
        raise Missing(f"container {name} not found")
    stated = ((container.get("resources") or {}).get(side) or {}).get(resource)
    if stated is None and side == "limits":
        stated = placed.allocatable.get(resource)
    divisor = reference.get("divisor") or "0"
    each = quantity.parse(divisor) or 1
    return str(math.ceil(quantity.parse(stated or "0") / each))


def _lines(values: Mapping[str, str]) -> str:
    """`key="value"` lines in order, quoted as Go quotes."""
    return "\n".join(f"{key}={_quoted(value)}" for key, value in sorted(values.items()))


def _quoted(text: str) -> str:
    for plain, escaped in (("\\", "\\\\"), ('"', '\\"'), ("\n", "\\n"), ("\t", "\\t"), ("\r", "\\r")):
        text = text.replace(plain, escaped)
    return f'"{text}"'
