"""Rules of a pod's spec, as it stands in pods and in templates."""

from __future__ import annotations

from collections.abc import Collection

from mini8s.objects import meta, names
from mini8s.objects.kinds import Obj
from mini8s.registry.problems import Causes, forbidden, invalid, named, required
from mini8s.registry.rules import (
    containers,
    ephemeral_containers,
    metadata,
    resources,
    security_contexts,
    selectors,
    spreading,
    values,
    volumes,
)

_RESTART = ("Always", "OnFailure", "Never")
_DNS = ("ClusterFirst", "ClusterFirstWithHostNet", "Default", "None")
_PREEMPTION = ("Never", "PreemptLowerPriority")
_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
_NAMESERVERS, _SEARCHES = 3, 32


def check(pod: Obj) -> Causes:
    yield from spec(pod.get("spec") or {}, "spec")


def new(pod: Obj) -> Causes:
    if pod["spec"].get("ephemeralContainers"):
        yield forbidden("spec.ephemeralContainers", "cannot be set on create")


def template(found: Obj, field: str) -> Causes:
    """A pod template's labels, annotations and spec."""
    yield from metadata.labels(meta.labels(found), f"{field}.labels")
    yield from metadata.annotation_map(meta.annotations(found), f"{field}.annotations")
    yield from spec(found.get("spec") or {}, f"{field}.spec")
    if (found.get("spec") or {}).get("ephemeralContainers"):
        yield forbidden(
            f"{field}.spec.ephemeralContainers", "ephemeral containers not allowed in pod template"
        )


def spec(found: Obj, field: str) -> Causes:
    declared = {volume.get("name") or "": volume for volume in found.get("volumes") or ()}
    yield from volumes.check(found, field)
    yield from containers.check(found, declared, field)
    yield from ephemeral_containers.check(found, declared, field)
    yield from _resize_policies(found, field)
    yield from values.one_of(found, "restartPolicy", field, _RESTART)
    yield from values.one_of(found, "dnsPolicy", field, _DNS)
    yield from values.one_of(found, "preemptionPolicy", field, _PREEMPTION)
    yield from values.non_negative(found, "terminationGracePeriodSeconds", field)
    yield from _deadline(found, field)
    yield from security_contexts.of_pod(found, field)
    yield from _system(found.get("os"), f"{field}.os")
    yield from _gates(found.get("readinessGates") or (), f"{field}.readinessGates")
    yield from _names(found, field)
    yield from metadata.labels(found.get("nodeSelector") or {}, f"{field}.nodeSelector")
    yield from tolerations(found.get("tolerations") or (), f"{field}.tolerations")
    yield from selectors.affinity(found.get("affinity") or {}, f"{field}.affinity")
    yield from _dns(found, field)
    yield from _host_aliases(found, field)
    spread = found.get("topologySpreadConstraints") or ()
    yield from spreading.check(spread, f"{field}.topologySpreadConstraints")


def tolerations(found: Collection[Obj], field: str) -> Causes:
    for index, toleration in enumerate(found):
        path, key = f"{field}[{index}]", toleration.get("key") or ""
        operator, effect = toleration.get("operator") or "Equal", toleration.get("effect") or ""
        if key:
            yield from named(f"{path}.key", key, names.qualified_name(key))
        elif operator != "Exists":
            why = 'operator must be Exists when `key` is empty, which means "match all values and all keys"'
            yield invalid(f"{path}.operator", operator, why)
        if operator == "Exists" and toleration.get("value"):
            why = "value must be empty when `operator` is 'Exists'"
            yield invalid(f"{path}.operator", toleration["value"], why)
        if toleration.get("tolerationSeconds") is not None and effect != "NoExecute":
            yield invalid(
                f"{path}.effect", effect, "effect must be 'NoExecute' when `tolerationSeconds` is set"
            )
        yield from values.one_of({"operator": operator}, "operator", path, ("Equal", "Exists"))
        yield from values.one_of(toleration, "effect", path, _EFFECTS)


def _deadline(found: Obj, field: str) -> Causes:
    seconds = found.get("activeDeadlineSeconds")
    if seconds is not None and not 1 <= seconds <= 2**31 - 1:
        why = "must be between 1 and 2147483647, inclusive"
        yield invalid(f"{field}.activeDeadlineSeconds", seconds, why)


def _system(stated: Obj | None, field: str) -> Causes:
    if stated is not None:
        yield from values.one_of(stated, "name", field, ("linux", "windows"), must=True)


def _gates(stated: Collection[Obj], field: str) -> Causes:
    for index, gate in enumerate(stated):
        kind = gate.get("conditionType") or ""
        yield from named(f"{field}[{index}].conditionType", kind, names.qualified_name(kind))


def _resize_policies(found: Obj, field: str) -> Causes:
    for part in containers.PARTS:
        for index, container in enumerate(found.get(part) or ()):
            path = f"{field}.{part}[{index}].resizePolicy"
            policies = container.get("resizePolicy") or ()
            yield from resources.resize_policies(policies, path, ends=found.get("restartPolicy") == "Never")


def _names(found: Obj, field: str) -> Causes:
    for part, rule in (
        ("nodeName", names.dns_subdomain),
        ("serviceAccountName", names.dns_subdomain),
        ("hostname", names.dns_label),
        ("subdomain", names.dns_label),
        ("schedulerName", names.qualified_name),
    ):
        if value := found.get(part):
            yield from named(f"{field}.{part}", value, rule(value))


def _dns(found: Obj, field: str) -> Causes:
    config = found.get("dnsConfig") or {}
    servers = config.get("nameservers") or ()
    if found.get("dnsPolicy") == "None" and not servers:
        why = "must provide at least one DNS nameserver when `dnsPolicy` is None"
        yield required(f"{field}.dnsConfig.nameservers", why)
    if len(servers) > _NAMESERVERS:
        path = f"{field}.dnsConfig.nameservers"
        yield invalid(path, servers, f"must not have more than {_NAMESERVERS} nameservers")
    for index, server in enumerate(servers):
        yield from values.ip_address(server, f"{field}.dnsConfig.nameservers[{index}]")
    searches = config.get("searches") or ()
    if len(searches) > _SEARCHES:
        path = f"{field}.dnsConfig.searches"
        yield invalid(path, searches, f"must not have more than {_SEARCHES} search paths")


def _host_aliases(found: Obj, field: str) -> Causes:
    for index, alias in enumerate(found.get("hostAliases") or ()):
        path = f"{field}.hostAliases[{index}]"
        yield from values.ip_address(alias.get("ip") or "", f"{path}.ip")
        for place, name in enumerate(alias.get("hostnames") or ()):
            yield from named(f"{path}.hostnames[{place}]", name, names.dns_subdomain(name))
