"""PodSecurity: how much of its host a namespace's pods may touch, by the namespace's labels.

`enforce` refuses pods, `warn` warns of pods and of the templates they are made of. The standards are in
`registry.rules.pod_security`.
"""

from __future__ import annotations

from collections.abc import Callable

from mini8s.objects import meta
from mini8s.objects.kinds import (
    CRONJOBS,
    DAEMONSETS,
    DEPLOYMENTS,
    JOBS,
    NAMESPACES,
    PODS,
    PODTEMPLATES,
    REPLICASETS,
    REPLICATIONCONTROLLERS,
    STATEFULSETS,
    Obj,
)
from mini8s.registry import problems, refusals
from mini8s.registry.admission.attempt import Attempt
from mini8s.registry.rules import pod_security

_LABEL = "pod-security.kubernetes.io/"
_MODES = ("enforce", "audit", "warn")


def _in_spec(obj: Obj) -> Obj:
    return obj.get("spec") or {}


_TEMPLATED = (DEPLOYMENTS, REPLICASETS, STATEFULSETS, DAEMONSETS, JOBS, REPLICATIONCONTROLLERS)
_TEMPLATES: dict[object, Callable[[Obj], Obj | None]] = {
    **{kind: lambda obj: _in_spec(obj).get("template") for kind in _TEMPLATED},
    CRONJOBS: lambda obj: _in_spec(_in_spec(obj).get("jobTemplate") or {}).get("template"),
    PODTEMPLATES: lambda obj: obj.get("template"),
}


def pod_security_labels(attempt: Attempt) -> None:
    """A namespace's labels must name levels that there are."""
    causes = [
        problems.invalid(f"metadata.labels[{_LABEL}{mode}]", level, why)
        for mode in _MODES
        if (level := meta.labels(attempt.obj).get(f"{_LABEL}{mode}", pod_security.LEVELS[0]))
        not in pod_security.LEVELS
        for why in [f"must be one of {', '.join(pod_security.LEVELS)}"]
    ]
    if causes:
        raise refusals.invalid(NAMESPACES, attempt.name, causes)


def pod_security_standard(attempt: Attempt) -> None:
    if attempt.operation == "DELETE" or attempt.subresource not in {"", "ephemeralcontainers"}:
        return
    if attempt.kind is NAMESPACES:
        pod_security_labels(attempt)
        return
    template = attempt.obj if attempt.kind is PODS else _template(attempt)
    if template is None:
        return
    levels = meta.labels(attempt.world.find(NAMESPACES, "", attempt.namespace) or {})
    if attempt.kind is PODS and (why := _violated(template, levels, "enforce")):
        raise refusals.forbidden(PODS, attempt.name, f"violates {why}")
    if why := _violated(template, levels, "warn"):
        attempt.ctx.warnings.append(f"would violate {why}")


def _template(attempt: Attempt) -> Obj | None:
    find = _TEMPLATES.get(attempt.kind)
    return find(attempt.obj) if find else None


def _violated(pod: Obj, levels: dict[str, str], mode: str) -> str:
    """`PodSecurity "baseline:latest": …`, "" when all is well. The standard is always the newest."""
    level = levels.get(f"{_LABEL}{mode}", "")
    found = pod_security.violations(level, pod)
    return f'PodSecurity "{level}:latest": {", ".join(found)}' if found else ""
