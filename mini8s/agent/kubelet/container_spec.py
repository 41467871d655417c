"""PURE: a container of the API as the engine's spec."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace

from mini8s.agent.kubelet import handlers, notes
from mini8s.agent.kubelet.actions import StartContainer
from mini8s.agent.kubelet.env import expand
from mini8s.agent.kubelet.etc_files import hostname
from mini8s.agent.kubelet.plan import pod_grace
from mini8s.agent.kubelet.resources import limits
from mini8s.agent.runtime.base import ContainerSpec, Mount, Namespaces, SandboxSpec
from mini8s.objects import meta
from mini8s.objects.kinds import Obj


def sandbox_spec(pod: Obj, attempt: int) -> SandboxSpec:
    sysctls = (pod["spec"].get("securityContext") or {}).get("sysctls") or ()
    return SandboxSpec(
        meta.namespace(pod),
        meta.name(pod),
        meta.uid(pod),
        attempt,
        hostname(pod),
        labels=_grace(pod),
        namespaces=namespaces(pod["spec"]),
        sysctls={one["name"]: one["value"] for one in sysctls},
    )


def namespaces(spec: Obj) -> Namespaces:
    return Namespaces(
        host_network=bool(spec.get("hostNetwork")),
        host_pid=bool(spec.get("hostPID")),
        host_ipc=bool(spec.get("hostIPC")),
        shared_pid=bool(spec.get("shareProcessNamespace")),
    )


def container_spec(
    pod: Obj, start: StartContainer, image: str, env: Sequence[tuple[str, str]], mounts: Sequence[Mount]
) -> ContainerSpec:
    """`image` is what the engine calls it; `env` is complete and is what $(NAME) in the command means."""
    container, values = start.wanted.spec, dict(env)
    security = {**_pod_security(pod), **(container.get("securityContext") or {})}
    capabilities = security.get("capabilities") or {}
    return ContainerSpec(
        namespace=meta.namespace(pod),
        pod=meta.name(pod),
        uid=meta.uid(pod),
        name=start.wanted.name,
        attempt=start.attempt,
        image=image,
        command=_expanded(container.get("command"), values),
        args=_expanded(container.get("args"), values),
        env=env,
        working_dir=container.get("workingDir") or "",
        mounts=mounts,
        resources=limits(container),
        namespaces=replace(namespaces(pod["spec"]), pid_of=start.target),
        user=_user(security),
        groups=_groups(pod),
        privileged=bool(security.get("privileged")),
        read_only_root=bool(security.get("readOnlyRootFilesystem")),
        capabilities_add=capabilities.get("add") or (),
        capabilities_drop=capabilities.get("drop") or (),
        no_new_privileges=security.get("allowPrivilegeEscalation") is False,
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


def _pod_security(pod: Obj) -> Obj:
    """What a container takes over from its pod unless it says otherwise."""
    security = pod["spec"].get("securityContext") or {}
    return {key: security[key] for key in ("runAsUser", "runAsGroup") if key in security}


def _user(security: Obj) -> str:
    user, group = security.get("runAsUser"), security.get("runAsGroup")
    if user is None and group is None:
        return ""
    return f"{0 if user is None else user}" + ("" if group is None else f":{group}")


def _groups(pod: Obj) -> list[str]:
    security = pod["spec"].get("securityContext") or {}
    groups = [*(security.get("supplementalGroups") or ()), security.get("fsGroup")]
    return [str(group) for group in groups if group is not None]
