"""PURE: a container of the API as the engine's spec."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from mini8s.agent.kubelet import notes
from mini8s.agent.kubelet.actions import StartContainer
from mini8s.agent.kubelet.env import expand
from mini8s.agent.kubelet.etc_files import hostname, qualified
from mini8s.agent.kubelet.isolation.devices import devices
from mini8s.agent.kubelet.isolation.pod_cgroup import oom_score_adj, parent
from mini8s.agent.kubelet.isolation.policy import Policy
from mini8s.agent.kubelet.isolation.resources import limits
from mini8s.agent.kubelet.isolation.security import Refused, security
from mini8s.agent.kubelet.plan import pod_grace
from mini8s.agent.kubelet.probes import handlers
from mini8s.agent.runtime.specs import ContainerSpec, Mount, Namespaces, SandboxSpec
from mini8s.objects import meta
from mini8s.objects.kinds import Obj

LONGEST_KERNEL_HOSTNAME = 64  # sethostname(2), HOST_NAME_MAX


def sandbox_spec(pod: Obj, attempt: int, cluster_domain: str) -> SandboxSpec:
    """Raises Refused."""
    sysctls = (pod["spec"].get("securityContext") or {}).get("sysctls") or ()
    return SandboxSpec(
        meta.namespace(pod),
        meta.name(pod),
        meta.uid(pod),
        attempt,
        kernel_hostname(pod, cluster_domain),
        labels=_grace(pod),
        namespaces=namespaces(pod["spec"]),
        sysctls={one["name"]: one["value"] for one in sysctls},
    )


def kernel_hostname(pod: Obj, cluster_domain: str) -> str:
    """What uname(2) says in the pod: its name, or all of it when the pod asks (`setHostnameAsFQDN`)."""
    if not pod["spec"].get("setHostnameAsFQDN"):
        return hostname(pod)
    full = qualified(pod, cluster_domain) or hostname(pod)
    if len(full) > LONGEST_KERNEL_HOSTNAME:
        raise Refused(
            f"Failed to construct FQDN from Pod hostname and cluster domain, FQDN {full} is too long "
            f"({LONGEST_KERNEL_HOSTNAME} characters is the max, {len(full)} characters requested)"
        )
    return full


def namespaces(spec: Obj) -> Namespaces:
    return Namespaces(
        host_network=bool(spec.get("hostNetwork")),
        host_pid=bool(spec.get("hostPID")),
        host_ipc=bool(spec.get("hostIPC")),
        shared_pid=bool(spec.get("shareProcessNamespace")),
    )


def container_spec(
    pod: Obj,
    start: StartContainer,
    env: Sequence[tuple[str, str]],
    mounts: Sequence[Mount],
    *,
    image_user: Callable[[], str],
    runtime: str,
    policy: Policy,
) -> ContainerSpec:
    """`env` is complete and is what $(NAME) in the command means; `runtime` is the engine's name of what runs
    it. Raises Refused."""
    container, values = start.wanted.spec, dict(env)
    allowed = security(pod, container, image_user, policy.seccomp_profile)
    return ContainerSpec(
        namespace=meta.namespace(pod),
        pod=meta.name(pod),
        uid=meta.uid(pod),
        name=start.wanted.name,
        attempt=start.attempt,
        image=container["image"],
        command=_expanded(container.get("command"), values),
        args=_expanded(container.get("args"), values),
        env=env,
        working_dir=container.get("workingDir") or "",
        mounts=mounts,
        resources=limits(container),
        namespaces=replace(namespaces(pod["spec"]), pid_of=start.target),
        user=allowed.user,
        groups=allowed.groups,
        privileged=allowed.privileged,
        read_only_root=allowed.read_only_root,
        capabilities_add=allowed.capabilities_add,
        capabilities_drop=allowed.capabilities_drop,
        no_new_privileges=allowed.no_new_privileges,
        confinement=allowed.confinement,
        devices=devices(pod, policy.allow_device),
        runtime=runtime,
        log_bytes=policy.log_bytes,
        log_files=policy.log_files,
        cgroup_parent=parent(meta.uid(pod), policy),
        oom_score_adj=oom_score_adj(pod, container, policy),
        stop_signal=(container.get("lifecycle") or {}).get("stopSignal") or "",
        tty=bool(container.get("tty")),
        stdin=bool(container.get("stdin")),
        stdin_once=bool(container.get("stdinOnce")),
        labels=_notes(pod, start),
    )


def _notes(pod: Obj, start: StartContainer) -> dict[str, str]:
    """What a later agent must know of it, also when the pod is gone from the server."""
    wanted = start.wanted
    found = {notes.SPEC_HASH: wanted.hash, notes.BACKOFF: str(start.backoff_seconds), **_grace(pod)}
    if wanted.sidecar:
        found[notes.SIDECAR] = str(wanted.place)
    if hook := (wanted.spec.get("lifecycle") or {}).get("preStop"):
        found[notes.PRE_STOP] = json.dumps(handlers.resolved(wanted.spec, hook))
    return found


def _grace(pod: Obj) -> dict[str, str]:
    return {notes.GRACE: str(round(pod_grace(pod["spec"])))}


def _expanded(words: Sequence[str] | None, values: Mapping[str, str]) -> list[str]:
    return [expand(word, values) for word in words or ()]
