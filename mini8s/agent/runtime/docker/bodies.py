"""PURE: the bodies of the engine's create requests, made from the kubelet's specs.

The Docker API's own field names, so that what is sent can be compared with `docker inspect`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mini8s.agent.runtime.docker import names
from mini8s.agent.runtime.specs import (
    Confinement,
    ContainerSpec,
    Device,
    Mount,
    Namespaces,
    Resources,
    SandboxSpec,
)

Body = dict[str, Any]
CPU_PERIOD_US = 100_000


def sandbox(spec: SandboxSpec, image: str) -> Body:
    """A sandbox has an empty network namespace, unless it is the host's, and nothing to log.

    `NetworkDisabled` only says that the engine does nothing about that namespace, such as starting itself
    once more to register it (two thirds of a start). To filter system calls takes another fifth, and our
    program, which waits for signals, gains nothing by it; in a shared process tree others could make it do
    more, so there it has the usual filter."""
    reachable = spec.namespaces.shared_pid or spec.namespaces.host_pid
    body: Body = {
        "Image": image,
        "Labels": names.sandbox_labels(spec),
        "HostConfig": {
            "NetworkMode": "host" if spec.namespaces.host_network else "none",
            "IpcMode": "host" if spec.namespaces.host_ipc else "shareable",
            "PidMode": "host" if spec.namespaces.host_pid else "",
            "UTSMode": "host" if spec.namespaces.host_network else "",
            "LogConfig": {"Type": "none"},
            "Sysctls": dict(spec.sysctls),
            "CapDrop": ["ALL"],
            "SecurityOpt": [] if reachable else ["seccomp=unconfined"],
            "CpuShares": 2,
        },
    }
    if not spec.namespaces.host_network:
        body |= {"Hostname": spec.hostname, "NetworkDisabled": True}
    return body


def container(sandbox_id: str, spec: ContainerSpec) -> Body:
    """A container joins its sandbox; the engine shares the sandbox's host name with it."""
    body: Body = {
        "Image": spec.image,
        "Labels": names.container_labels(sandbox_id, spec),
        "Env": [f"{name}={value}" for name, value in spec.env],
        "Tty": spec.tty,
        "OpenStdin": spec.stdin,
        "StdinOnce": spec.stdin_once,
        "HostConfig": _host_config(sandbox_id, spec),
    }
    if spec.command:
        body["Entrypoint"] = list(spec.command)
        body["Cmd"] = list(spec.args)
    elif spec.args:
        body["Cmd"] = list(spec.args)
    if spec.working_dir:
        body["WorkingDir"] = spec.working_dir
    if spec.user:
        body["User"] = spec.user
    if spec.stop_signal:
        body["StopSignal"] = spec.stop_signal
    # an image's own health check costs an exec every so often, and Kubernetes doesn't know it
    body["Healthcheck"] = {"Test": ["NONE"]}
    return body


def _host_config(sandbox_id: str, spec: ContainerSpec) -> Body:
    join = f"container:{sandbox_id}"
    return {
        "NetworkMode": join,
        "IpcMode": "host" if spec.namespaces.host_ipc else join,
        "PidMode": _pid_mode(join, spec.namespaces),
        "UTSMode": "host" if spec.namespaces.host_network else "",
        "Binds": [_bind(mount) for mount in spec.mounts],
        "Privileged": spec.privileged,
        "ReadonlyRootfs": spec.read_only_root,
        "CapAdd": list(spec.capabilities_add),
        "CapDrop": list(spec.capabilities_drop),
        "SecurityOpt": [*_security_options(spec)],
        "GroupAdd": list(spec.groups),
        "LogConfig": {
            "Type": "json-file",
            "Config": {"max-size": str(spec.log_bytes), "max-file": str(spec.log_files)},
        },
        "CgroupParent": spec.cgroup_parent,
        "Runtime": spec.runtime,
        "OomScoreAdj": spec.oom_score_adj,
        "Devices": [_device(device) for device in spec.devices],
        **_unmasked(spec.confinement),
        **_limits(spec.resources),
    }


def _security_options(spec: ContainerSpec) -> Iterator[str]:
    """`docker run --security-opt`, each."""
    if spec.no_new_privileges:
        yield "no-new-privileges"
    if spec.confinement.seccomp:
        yield f"seccomp={spec.confinement.seccomp}"
    if spec.confinement.apparmor:
        yield f"apparmor={spec.confinement.apparmor}"
    yield from (f"label={part}" for part in spec.confinement.selinux)


def _unmasked(confinement: Confinement) -> Body:
    """Lists that are there and empty hide nothing; without lists the engine hides its own choice."""
    return {"MaskedPaths": [], "ReadonlyPaths": []} if confinement.unmasked else {}


def _device(device: Device) -> Body:
    return {
        "PathOnHost": device.source,
        "PathInContainer": device.target,
        "CgroupPermissions": device.permissions,
    }


def _pid_mode(join: str, namespaces: Namespaces) -> str:
    if namespaces.host_pid:
        return "host"
    if namespaces.pid_of and not namespaces.shared_pid:
        return f"container:{namespaces.pid_of}"
    return join if namespaces.shared_pid else ""


def _bind(mount: Mount) -> str:
    options = ["ro"] if mount.read_only else ["rw"]
    if mount.propagation:
        options.append(mount.propagation)
    return f"{mount.source}:{mount.target}:{','.join(options)}"


def _limits(resources: Resources) -> Body:
    """Memory and swap together are limited to the memory: a pod never swaps, as the scheduler counted."""
    limits: Body = {}
    if resources.cpu_shares:
        limits["CpuShares"] = resources.cpu_shares
    if resources.cpu_quota_us:
        limits |= {"CpuPeriod": CPU_PERIOD_US, "CpuQuota": resources.cpu_quota_us}
    if resources.memory_bytes:
        limits |= {"Memory": resources.memory_bytes, "MemorySwap": resources.memory_bytes}
    if resources.pids:
        limits["PidsLimit"] = resources.pids
    return limits


def update(resources: Resources) -> Body:
    """The same as the SDK's words for a container that is there."""
    found: Body = {
        "cpu_shares": resources.cpu_shares,
        "cpu_quota": resources.cpu_quota_us,
        "cpu_period": CPU_PERIOD_US if resources.cpu_quota_us else 0,
        "mem_limit": resources.memory_bytes,
        "memswap_limit": resources.memory_bytes,
    }
    return {word: number for word, number in found.items() if number}
