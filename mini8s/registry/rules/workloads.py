"""Rules of Deployments and ReplicaSets: a selector, a template that it selects, a way to roll.

What other workloads share with them is public: `selector`, `template`, `share`.
"""

from __future__ import annotations

from typing import Any

from mini8s.objects import intstr, labels, meta
from mini8s.objects.errors import BadRequest
from mini8s.objects.kinds import Obj
from mini8s.registry.problems import Causes, forbidden, invalid, not_supported, required
from mini8s.registry.rules import pods, selectors, values


def deployment(found: Obj) -> Causes:
    spec = found["spec"]
    yield from replica_set(found)
    for part in ("revisionHistoryLimit",):
        yield from values.non_negative(spec, part, "spec")
    yield from _strategy(spec.get("strategy") or {})
    yield from _deadline(spec)


def replica_set(found: Obj) -> Causes:
    spec = found["spec"]
    yield from values.non_negative(spec, "replicas", "spec")
    yield from values.non_negative(spec, "minReadySeconds", "spec")
    yield from selector(spec, "deployment")
    yield from template(spec, "ReplicaSet")


def same_selector(new: Obj, old: Obj) -> Causes:
    yield from values.unchanged(new, old, "spec.selector")


def selector(spec: Obj, owner: str) -> Causes:
    """A selector that is said and takes something in particular."""
    stated = spec.get("selector")
    if stated is None:
        yield required("spec.selector")
        return
    yield from selectors.label_selector(stated, "spec.selector")
    if not stated.get("matchLabels") and not stated.get("matchExpressions"):
        yield invalid("spec.selector", stated, f"empty selector is invalid for {owner}")


def template(spec: Obj, owner: str) -> Causes:
    """A template of pods that run for good, and that the selector takes."""
    stated = spec.get("template")
    if stated is None:
        yield required("spec.template")
        return
    found = meta.labels(stated)
    if spec.get("selector") and not selects(spec["selector"], found):
        yield invalid("spec.template.metadata.labels", found, "`selector` does not match template `labels`")
    yield from pods.template(stated, "spec.template")
    inner = stated.get("spec") or {}
    if inner.get("restartPolicy", "Always") != "Always":
        yield not_supported("spec.template.spec.restartPolicy", inner["restartPolicy"], ("Always",))
    if inner.get("activeDeadlineSeconds") is not None:
        why = f"activeDeadlineSeconds in {owner} is not Supported"
        yield forbidden("spec.template.spec.activeDeadlineSeconds", why)


def selects(stated: Obj, found: dict[str, str]) -> bool:
    try:
        return labels.from_label_selector(stated).matches(found)
    except BadRequest:  # said already, by the selector's own rules
        return True


def _strategy(strategy: Obj) -> Causes:
    kind, rolling = strategy.get("type"), strategy.get("rollingUpdate")
    yield from values.one_of(strategy, "type", "spec.strategy", ("Recreate", "RollingUpdate"), must=True)
    if kind == "Recreate" and rolling is not None:
        why = "may not be specified when strategy `type` is 'Recreate'"
        yield forbidden("spec.strategy.rollingUpdate", why)
    elif kind == "RollingUpdate":
        field = "spec.strategy.rollingUpdate"
        unavailable, surge = ((rolling or {}).get(part, 0) for part in ("maxUnavailable", "maxSurge"))
        yield from share(unavailable, f"{field}.maxUnavailable", at_most_all=True)
        yield from share(surge, f"{field}.maxSurge", at_most_all=False)
        if _zero(unavailable) and _zero(surge):
            why = "may not be 0 when `maxSurge` is 0"
            yield invalid(f"{field}.maxUnavailable", unavailable, why)


def share(value: Any, field: str, *, at_most_all: bool) -> Causes:
    """A count or a percentage."""
    if isinstance(value, int):
        if value < 0:
            yield invalid(field, value, "must be greater than or equal to 0")
        return
    share = intstr.percent(value)
    if share is None:
        why = "a valid percent string must be a numeric string followed by an ending '%'"
        yield invalid(field, value, f"{why} (e.g. '1%', or '93%', regex used for validation is '[0-9]+%')")
    elif at_most_all and share > 100:
        yield invalid(field, value, "must not be greater than 100%")


def _zero(value: Any) -> bool:
    return value == 0 or intstr.percent(value) == 0


def _deadline(spec: Obj) -> Causes:
    seconds = spec.get("progressDeadlineSeconds")
    yield from values.non_negative(spec, "progressDeadlineSeconds", "spec")
    if seconds is not None and seconds <= spec.get("minReadySeconds", 0):
        why = "must be greater than minReadySeconds"
        yield invalid("spec.progressDeadlineSeconds", seconds, why)
