"""Facts about a pod that several rooms must judge alike: controllers, scheduler, kubelet, printer columns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any

from mini8s.objects import conditions, quantity
from mini8s.objects.kinds import Obj
from mini8s.objects.time import parse_time

ON_NODE_LOST = "mini8s.io/on-node-lost"  # the annotation that says what `on_node_lost` answers
REPLACE, KEEP, FENCE = ON_NODE_LOST_POLICIES = ("replace", "keep", "fence")
ROOT_CA = "kube-root-ca.crt"  # the ConfigMap in every namespace by which pods know the API server


def phase(pod: Obj) -> str:
    return str((pod.get("status") or {}).get("phase") or "")


def node_name(pod: Obj) -> str:
    return str((pod.get("spec") or {}).get("nodeName") or "")


def secrets(spec: Obj) -> frozenset[str]:
    """The Secrets that a pod speaks of: in its environment, its volumes, for its pulls."""
    return frozenset(_named(spec, frozenset({"secretRef", "secretKeyRef", "secret"}), "imagePullSecrets"))


def config_maps(spec: Obj) -> frozenset[str]:
    """The ConfigMaps that a pod speaks of: in its environment and its volumes."""
    return frozenset(_named(spec, frozenset({"configMapRef", "configMapKeyRef", "configMap"}), ""))


def _named(said: Any, references: frozenset[str], names: str) -> Iterator[str]:
    if isinstance(said, list):
        for one in said:
            yield from _named(one, references, names)
    elif isinstance(said, dict):
        for key, value in said.items():
            if key in references and isinstance(value, dict):
                yield str(value.get("secretName") or value.get("name") or "")
            elif key == names and isinstance(value, list):
                yield from (str(one.get("name") or "") for one in value if isinstance(one, dict))
            else:
                yield from _named(value, references, names)


def is_terminal(pod: Obj) -> bool:
    """It ran to its end and never runs again."""
    return phase(pod) in {"Succeeded", "Failed"}


def is_active(pod: Obj) -> bool:
    """It counts as a replica: neither at its end nor on its way out."""
    return not is_terminal(pod) and not (pod.get("metadata") or {}).get("deletionTimestamp")


def is_ready(pod: Obj) -> bool:
    return conditions.is_true(pod, "Ready")


def is_available(pod: Obj, min_ready_seconds: int, now: datetime) -> bool:
    """Ready for at least so long."""
    ready = conditions.get(pod, "Ready")
    if ready is None or ready.get("status") != "True":
        return False
    if not min_ready_seconds:
        return True
    since = ready.get("lastTransitionTime")
    return bool(since) and parse_time(str(since)) + timedelta(seconds=min_ready_seconds) <= now


def available_in(pod: Obj, min_ready_seconds: int, now: datetime) -> float | None:
    """Seconds until a ready pod has been ready for so long; None when that is no matter of waiting."""
    since = (conditions.get(pod, "Ready") or {}).get("lastTransitionTime")
    if not min_ready_seconds or not is_ready(pod) or not since:
        return None
    left = (parse_time(str(since)) + timedelta(seconds=min_ready_seconds) - now).total_seconds()
    return left if left > 0 else None


def soonest_available(found: Iterable[Obj], min_ready_seconds: int, now: datetime) -> float | None:
    if not min_ready_seconds:
        return None
    waits = (available_in(pod, min_ready_seconds, now) for pod in found)
    return min((seconds for seconds in waits if seconds is not None), default=None)


def on_node_lost(pod: Obj) -> str:
    """`replace`, `keep` or `fence`: what is done about the pod when its node is lost."""
    return str(((pod.get("metadata") or {}).get("annotations") or {}).get(ON_NODE_LOST) or REPLACE)


def is_sidecar(container: Obj) -> bool:
    """An init container that stays: the next one starts when it has started."""
    return container.get("restartPolicy") == "Always"


def host_ports(spec: Obj) -> Iterator[tuple[str, str, int]]:
    """Address ("" for all), protocol and port of the host, of all that runs side by side: an init container
    that ends gives its ports back before they are needed."""
    for container in (*(spec.get("containers") or ()), *filter(is_sidecar, spec.get("initContainers") or ())):
        for port in container.get("ports") or ():
            if port.get("hostPort"):
                address = port.get("hostIP") or ""
                yield "" if address == "0.0.0.0" else address, port.get("protocol", "TCP"), port["hostPort"]


def requests(spec: Obj) -> tuple[int, int]:
    """cpu in millicores and memory in bytes, as the scheduler counts them for a pod's spec."""
    return needed(spec, "requests", "cpu"), needed(spec, "requests", "memory")


def limits(spec: Obj) -> tuple[int, int]:
    """The same of the limits; a container without a limit counts as 0."""
    return needed(spec, "limits", "cpu"), needed(spec, "limits", "memory")


def qos_class(spec: Obj) -> str:
    """Guaranteed, Burstable or BestEffort (`qos.ComputePodQOS`)."""
    every = [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]
    stated = [_positive(item, side) for item in every for side in ("requests", "limits")]
    if not any(stated):
        return "BestEffort"
    return "Guaranteed" if all(map(_guaranteed, every)) else "Burstable"


def needed(spec: Obj, side: str, resource: str) -> int:
    """Of cpu thousandths, of all else whole units.

    Containers and sidecars together, or the hungriest moment of the init phase, and the overhead.
    """
    running = sum(container_needs(item, side, resource) for item in spec.get("containers") or ())
    hungriest = _init_phase(spec.get("initContainers") or (), side, resource)
    sidecars = sum(
        container_needs(item, side, resource) for item in spec.get("initContainers") or () if is_sidecar(item)
    )
    return max(running + sidecars, hungriest) + _number((spec.get("overhead") or {}).get(resource), resource)


def _init_phase(containers: Iterable[Obj], side: str, resource: str) -> int:
    beside = most = 0
    for container in containers:
        amount = container_needs(container, side, resource)
        most = max(most, beside + amount)
        if is_sidecar(container):
            beside += amount
    return most


def container_needs(container: Obj, side: str, resource: str) -> int:
    """One container's, in the units of `needed`; 0 when it says nothing."""
    stated = (container.get("resources") or {}).get(side) or {}
    return _number(stated.get(resource), resource)


def _number(stated: str | float | None, resource: str) -> int:
    if stated is None:
        return 0
    return quantity.milli(stated) if resource == "cpu" else quantity.value(stated)


def amount_text(resource: str, count: int) -> str:
    """What `needed` gave as a quantity."""
    if resource == "cpu":
        return quantity.format_decimal_milli(count)
    binary = resource in {"memory", "ephemeral-storage"} or resource.startswith("hugepages-")
    return quantity.format_binary(count) if binary else str(count)


def _positive(container: Obj, side: str) -> dict[str, int]:
    found = {resource: container_needs(container, side, resource) for resource in ("cpu", "memory")}
    return {resource: amount for resource, amount in found.items() if amount > 0}


def _guaranteed(container: Obj) -> bool:
    limit = _positive(container, "limits")
    return len(limit) == 2 and (_positive(container, "requests") or limit) == limit


MIRROR = "kubernetes.io/config.mirror"  # the annotation of an object that only shows a host's static pod


def referenced(spec: Obj) -> str:
    """What of the API a pod's spec speaks of, in the words of upstream's NodeRestriction; "" for nothing."""
    if spec.get("serviceAccountName"):
        return "a service account"
    if spec.get("imagePullSecrets"):
        return "secrets"
    containers = (*(spec.get("initContainers") or ()), *(spec.get("containers") or ()))
    sources = [source for one in containers for source in one.get("envFrom") or ()]
    sources += [item.get("valueFrom") or {} for one in containers for item in one.get("env") or ()]
    sources += spec.get("volumes") or ()
    for volume in spec.get("volumes") or ():
        sources += (volume.get("projected") or {}).get("sources") or ()
    given = {part for source in sources for part, value in source.items() if value is not None}
    for what, parts in _REFERENCES.items():
        if given & parts:
            return what
    return ""


_REFERENCES = {
    "secrets": {"secret", "secretRef", "secretKeyRef"},
    "configmaps": {"configMap", "configMapRef", "configMapKeyRef"},
    "persistentvolumeclaims": {"persistentVolumeClaim", "ephemeral"},
    "a service account": {"serviceAccountToken"},
}
