"""PURE: a container's requests and limits as the kernel takes them."""

from __future__ import annotations

from mini8s.agent.runtime.specs import Resources
from mini8s.objects import quantity
from mini8s.objects.kinds import Obj

LEAST_SHARES = 2  # what the kernel takes at least, and what asks for nothing gets
LEAST_QUOTA_US = 1000


def differs(container: Obj, has: Resources | None) -> frozenset[str]:
    """Of which resources a container that runs has other amounts than it is to have."""
    if has is None:
        return frozenset()
    wanted = limits(container)
    cpu = (wanted.cpu_shares, wanted.cpu_quota_us) != (has.cpu_shares, has.cpu_quota_us)
    memory = wanted.memory_bytes != has.memory_bytes
    return frozenset(name for name, other in (("cpu", cpu), ("memory", memory)) if other)


def shrinks_quota(wanted: Resources, has: Resources | None) -> bool:
    """Whether less of a processor is allowed than now; no quota is all of them."""
    now = has.cpu_quota_us if has else 0
    return bool(wanted.cpu_quota_us) and (not now or wanted.cpu_quota_us < now)


def needs_restart(container: Obj, changed: frozenset[str]) -> bool:
    """Whether its `resizePolicy` says so of one of them."""
    policies = {one["resourceName"]: one["restartPolicy"] for one in container.get("resizePolicy") or ()}
    return any(policies.get(name) == "RestartContainer" for name in changed)


def limits(container: Obj) -> Resources:
    stated = container.get("resources") or {}
    most = stated.get("limits") or {}
    asked = {**most, **(stated.get("requests") or {})}
    cpu_most = quantity.milli(most.get("cpu") or "0")
    return Resources(
        cpu_shares=max(LEAST_SHARES, quantity.milli(asked.get("cpu") or "0") * 1024 // 1000),
        cpu_quota_us=max(LEAST_QUOTA_US, cpu_most * 100) if cpu_most else 0,
        memory_bytes=quantity.value(most.get("memory") or "0"),
    )
