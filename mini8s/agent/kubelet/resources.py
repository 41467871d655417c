"""PURE: a container's requests and limits as the kernel takes them."""

from __future__ import annotations

from mini8s.agent.runtime.base import Resources
from mini8s.objects import quantity
from mini8s.objects.kinds import Obj

LEAST_SHARES = 2  # what the kernel takes at least, and what asks for nothing gets
LEAST_QUOTA_US = 1000


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
