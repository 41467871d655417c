"""PURE: what Kubernetes has and a pod on Docker can't get: one table, each with its reason.

Nothing that a manifest asks for is left out in silence: such a container waits with this reason, in its
status and in an event. FIELDS.md lists these beside all that is done.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mini8s.objects.kinds import Obj


@dataclass(frozen=True, slots=True)
class Unsupported:
    """`field` as FIELDS.md names it; `asked` is given the pod's spec and the container."""

    field: str
    asked: Callable[[Obj, Obj], bool]
    why: str


UNSUPPORTED: tuple[Unsupported, ...] = (
    Unsupported(
        "PodSpec.hostUsers",
        lambda spec, _: spec.get("hostUsers") is False,
        "hostUsers: false is not supported: Docker can't give a single pod a user namespace of its own",
    ),
    Unsupported(
        "PodSpec.resourceClaims",
        lambda spec, _: bool(spec.get("resourceClaims")),
        "resourceClaims are not supported: this cluster does not serve resource.k8s.io",
    ),
    Unsupported(
        "PodSpec.resources",
        lambda spec, _: bool(spec.get("resources")),
        "resources of a whole pod are not supported: state them for each container",
    ),
    Unsupported(
        "PodSecurityContext.supplementalGroupsPolicy",
        lambda spec, _: _security(spec).get("supplementalGroupsPolicy") == "Strict",
        "supplementalGroupsPolicy: Strict is not supported: Docker adds the groups of the image's user",
    ),
    Unsupported(
        "PodSecurityContext.windowsOptions",
        lambda spec, _: bool(_security(spec).get("windowsOptions")),
        "windowsOptions are not supported: this node runs Linux",
    ),
    Unsupported(
        "SecurityContext.windowsOptions",
        lambda _, container: bool(_security(container).get("windowsOptions")),
        "windowsOptions are not supported: this node runs Linux",
    ),
    Unsupported(
        "ResourceRequirements.claims",
        lambda _, container: bool((container.get("resources") or {}).get("claims")),
        "resources.claims are not supported: this cluster does not serve resource.k8s.io",
    ),
)


def why_not(spec: Obj, container: Obj) -> str:
    """Why this container of a pod can't be had as it is asked for, "" when it can."""
    return next((one.why for one in UNSUPPORTED if one.asked(spec, container)), "")


def _security(holder: Obj) -> Obj:
    context: Obj = holder.get("securityContext") or {}
    return context
