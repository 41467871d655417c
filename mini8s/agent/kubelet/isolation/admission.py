"""PURE: what a node refuses to begin, whoever put it there: such a pod fails at once, with the kubelet's
reason.

Only what can't change while the pod waits is judged here. What a change of the node or of another object
could mend (a device, a profile's file) holds the container up instead, and is tried again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from mini8s.agent.kubelet.isolation.policy import Policy
from mini8s.agent.kubelet.isolation.security import wants_apparmor
from mini8s.objects.kinds import Obj

# namespaced and without effect on others (https://kubernetes.io/docs/tasks/administer-cluster/sysctl-cluster/)
SAFE_SYSCTLS = frozenset({
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.ping_group_range",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.tcp_wmem",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Rejection:
    """Of the pod's status. The message is without its usual beginning, `Pod was rejected: `."""

    reason: str
    message: str


def rejection(pod: Obj, policy: Policy) -> Rejection | None:
    """Why this node never begins this pod, None when it does."""
    system = (pod["spec"].get("os") or {}).get("name", "linux")
    if system != "linux":
        return Rejection("PodOSNotSupported", "Failed to admit pod as the OS field doesn't match node OS")
    forbidden = _forbidden_sysctl(pod["spec"], policy.allowed_unsafe_sysctls)
    if forbidden:
        return Rejection("SysctlForbidden", f'forbidden sysctl: "{forbidden}" not allowlisted')
    if wants_apparmor(pod) and not policy.apparmor:
        return Rejection("AppArmor", "Cannot enforce AppArmor: AppArmor is not enabled on the host")
    return None


def _forbidden_sysctl(spec: Obj, unsafe: Sequence[str]) -> str:
    stated = (spec.get("securityContext") or {}).get("sysctls") or ()
    named = (str(one["name"]).replace("/", ".") for one in stated)
    return next((name for name in named if name not in SAFE_SYSCTLS and not _matches(name, unsafe)), "")


def _matches(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)
