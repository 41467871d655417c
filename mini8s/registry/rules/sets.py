"""Rules of StatefulSets, DaemonSets, ReplicationControllers and ControllerRevisions."""

from __future__ import annotations

from typing import Any

from mini8s.objects import intstr, meta
from mini8s.objects.kinds import Obj
from mini8s.registry.problems import Causes, forbidden, invalid, required
from mini8s.registry.rules import claims, metadata, values, workloads

_ROLLING, _BY_HAND = "RollingUpdate", "OnDelete"
_STATEFUL_FREE = (
    "replicas", "ordinals", "template", "updateStrategy", "revisionHistoryLimit",
    "persistentVolumeClaimRetentionPolicy", "minReadySeconds",
)  # fmt: skip


def stateful_set(found: Obj) -> Causes:
    spec = found["spec"]
    if spec.get("podManagementPolicy") not in {"OrderedReady", "Parallel"}:
        why = "must be 'OrderedReady' or 'Parallel'"
        yield invalid("spec.podManagementPolicy", spec.get("podManagementPolicy"), why)
    yield from _update_strategy(spec, "statefulset")
    rolling = (spec.get("updateStrategy") or {}).get("rollingUpdate") or {}
    yield from values.non_negative(rolling, "partition", "spec.updateStrategy.rollingUpdate")
    if (unavailable := rolling.get("maxUnavailable")) is not None:
        field = "spec.updateStrategy.rollingUpdate.maxUnavailable"
        yield from workloads.share(unavailable, field, at_most_all=True)
        if _zero(unavailable):
            yield invalid(field, unavailable, "cannot be 0")
    yield from values.all_non_negative(spec, "spec", "replicas", "minReadySeconds", "revisionHistoryLimit")
    yield from values.non_negative(spec.get("ordinals") or {}, "start", "spec.ordinals")
    policy = spec.get("persistentVolumeClaimRetentionPolicy") or {}
    for part in ("whenDeleted", "whenScaled"):
        field = "spec.persistentVolumeClaimRetentionPolicy"
        yield from values.one_of(policy, part, field, ("Delete", "Retain"))
    for index, claim in enumerate(spec.get("volumeClaimTemplates") or ()):
        yield from claims.spec(claim.get("spec") or {}, f"spec.volumeClaimTemplates[{index}].spec")
    yield from workloads.selector(spec, "statefulset")
    yield from workloads.template(_with_claims(spec), "StatefulSet")


def stateful_set_update(new: Obj, old: Obj) -> Causes:
    spec, was = ({k: v for k, v in obj["spec"].items() if k not in _STATEFUL_FREE} for obj in (new, old))
    if spec != was:
        *some, last = (f"'{part}'" for part in _STATEFUL_FREE)
        listed = f"{', '.join(some)} and {last}"
        yield forbidden("spec", f"updates to statefulset spec for fields other than {listed} are forbidden")


def daemon_set(found: Obj) -> Causes:
    spec = found["spec"]
    yield from workloads.selector(spec, "daemonset")
    yield from workloads.template(spec, "DaemonSet")
    yield from values.all_non_negative(spec, "spec", "minReadySeconds", "revisionHistoryLimit")
    yield from _update_strategy(spec, "daemonset")
    rolling = (spec.get("updateStrategy") or {}).get("rollingUpdate")
    if rolling is not None:
        yield from _rolling(rolling, "spec.updateStrategy.rollingUpdate")


def replication_controller(found: Obj) -> Causes:
    spec = found["spec"]
    yield from values.all_non_negative(spec, "spec", "replicas", "minReadySeconds")
    stated = spec.get("selector") or {}
    if not stated:
        yield required("spec.selector")
    yield from metadata.labels(stated, "spec.selector")
    yield from workloads.template(spec | {"selector": {"matchLabels": stated}}, "ReplicationController")


def controller_revision(found: Obj) -> Causes:
    if found.get("data") is None:
        yield required("data", "data is mandatory")
    yield from values.non_negative(found, "revision", "")


def controller_revision_update(new: Obj, old: Obj) -> Causes:
    yield from values.unchanged(new, old, "data")


def _update_strategy(spec: Obj, owner: str) -> Causes:
    strategy, field = spec.get("updateStrategy") or {}, "spec.updateStrategy"
    match strategy.get("type"):
        case None | "":
            yield required(f"{field}.type")
        case "OnDelete":
            if strategy.get("rollingUpdate") is not None and owner == "statefulset":
                why = f"only allowed for updateStrategy '{_ROLLING}'"
                yield invalid(f"{field}.rollingUpdate", strategy["rollingUpdate"], why)
        case "RollingUpdate":
            if strategy.get("rollingUpdate") is None and owner == "daemonset":
                yield required(f"{field}.rollingUpdate")
        case other:
            yield invalid(f"{field}.type", other, f"must be '{_ROLLING}' or '{_BY_HAND}'")


def _rolling(rolling: Obj, field: str) -> Causes:
    unavailable, surge = (rolling.get(part, 0) for part in ("maxUnavailable", "maxSurge"))
    yield from workloads.share(unavailable, f"{field}.maxUnavailable", at_most_all=True)
    yield from workloads.share(surge, f"{field}.maxSurge", at_most_all=True)
    if _zero(unavailable) and _zero(surge):
        yield required(f"{field}.maxUnavailable", "cannot be 0 when maxSurge is 0")
    elif not _zero(unavailable) and not _zero(surge):
        yield invalid(f"{field}.maxSurge", surge, "may not be set when maxUnavailable is non-zero")


def _zero(value: Any) -> bool:
    return value == 0 or intstr.percent(value) == 0


def _with_claims(spec: Obj) -> Obj:
    """The spec with a volume for each claim template, as its pods will have it: mounts may name them."""
    template = spec.get("template")
    if template is None:
        return spec
    inner = template.get("spec") or {}
    made = [meta.name(claim) for claim in spec.get("volumeClaimTemplates") or ()]
    kept = [volume for volume in inner.get("volumes") or () if volume.get("name") not in made]
    volumes = [*kept, *({"name": name, "emptyDir": {}} for name in made)]
    return spec | {"template": template | {"spec": inner | {"volumes": volumes}}}
