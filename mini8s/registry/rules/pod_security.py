"""The Pod Security Standards, `baseline` and `restricted`, in upstream's words.

Source: `k8s.io/pod-security-admission`, its newest checks. Each check looks at a whole pod and says in one
sentence what is wrong with it, or nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from mini8s.objects import meta
from mini8s.objects.kinds import Obj

LEVELS = ("privileged", "baseline", "restricted")
_BASELINE_CAPABILITIES = frozenset({
    "AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE",
    "SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT",
})  # fmt: skip
_SYSCTLS = frozenset({
    "kernel.shm_rmid_forced", "net.ipv4.ip_local_port_range", "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.tcp_syncookies", "net.ipv4.ping_group_range", "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.tcp_keepalive_time", "net.ipv4.tcp_fin_timeout", "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes", "net.ipv4.tcp_rmem", "net.ipv4.tcp_wmem",
})  # fmt: skip
_VOLUMES = frozenset({
    "configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "image", "persistentVolumeClaim",
    "projected", "secret",
})  # fmt: skip
_SELINUX = frozenset({"", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"})
_APPARMOR = "container.apparmor.security.beta.kubernetes.io/"
_GOOD_PROFILES = ("RuntimeDefault", "Localhost")

Check = Callable[[Obj], str]


def violations(level: str, pod: Obj) -> list[str]:
    """What a pod (or template) does that the level does not allow."""
    checks = {"baseline": _BASELINE, "restricted": (*_BASELINE, *_RESTRICTED)}.get(level, ())
    if level == "restricted":  # which has its own, stricter form of these
        checks = tuple(check for check in checks if check not in {_capabilities, _seccomp})
    return [said for check in checks if (said := check(pod))]


def _spec(pod: Obj) -> Obj:
    return pod.get("spec") or {}


def _containers(pod: Obj) -> list[Obj]:
    parts = ("initContainers", "containers", "ephemeralContainers")
    return [container for part in parts for container in _spec(pod).get(part) or ()]


def _security(holder: Obj) -> Obj:
    return holder.get("securityContext") or {}


def _bad(pod: Obj, test: Callable[[Obj], bool]) -> list[str]:
    return [item.get("name") or "" for item in _containers(pod) if test(item)]


def _named(names: Iterable[str]) -> str:
    listed = [f'"{name}"' for name in names]
    return f"container{'s' if len(listed) > 1 else ''} {', '.join(listed)}"


def _host_namespaces(pod: Obj) -> str:
    found = [f"{part}=true" for part in ("hostNetwork", "hostPID", "hostIPC") if _spec(pod).get(part)]
    return f"host namespaces ({', '.join(found)})" if found else ""


def _privileged(pod: Obj) -> str:
    found = _bad(pod, lambda item: bool(_security(item).get("privileged")))
    return f"privileged ({_named(found)} must not set securityContext.privileged=true)" if found else ""


def _added(container: Obj) -> set[str]:
    return set((_security(container).get("capabilities") or {}).get("add") or ())


def _capabilities(pod: Obj) -> str:
    found = _bad(pod, lambda item: not _added(item) <= _BASELINE_CAPABILITIES)
    extra = sorted({cap for item in _containers(pod) for cap in _added(item)} - _BASELINE_CAPABILITIES)
    shown = ", ".join(f'"{cap}"' for cap in extra)
    said = f"must not include {shown} in securityContext.capabilities.add"
    return f"non-default capabilities ({_named(found)} {said})" if found else ""


def _host_paths(pod: Obj) -> str:
    found = [volume["name"] for volume in _spec(pod).get("volumes") or () if volume.get("hostPath")]
    return f"hostPath volumes (volume{_many(found)} {_quoted(found)})" if found else ""


def _host_ports(pod: Obj) -> str:
    found = _bad(pod, lambda item: any(port.get("hostPort") for port in item.get("ports") or ()))
    ports = sorted(
        port["hostPort"] for c in _containers(pod) for port in c.get("ports") or () if port.get("hostPort")
    )
    word = "hostPorts" if len(ports) > 1 else "hostPort"
    return f"hostPort ({_named(found)} uses {word} {', '.join(map(str, ports))})" if found else ""


def _app_armor(pod: Obj) -> str:
    found = [
        f'{key}="{value}"'
        for key, value in meta.annotations(pod).items()
        if key.startswith(_APPARMOR)
        and value not in {"", "runtime/default"}
        and not value.startswith("localhost/")
    ]
    return f"forbidden AppArmor profile ({', '.join(found)})" if found else ""


def _selinux(pod: Obj) -> str:
    options = [_security(item).get("seLinuxOptions") or {} for item in (_spec(pod), *_containers(pod))]
    bad = [item for item in options if (item.get("type") or "") not in _SELINUX]
    bad += [item for item in options if item.get("user") or item.get("role")]
    return (
        "seLinuxOptions (forbidden type, user or role set in securityContext.seLinuxOptions)" if bad else ""
    )


def _proc_mount(pod: Obj) -> str:
    found = _bad(pod, lambda item: _security(item).get("procMount") not in {None, "Default"})
    return f"procMount ({_named(found)} must not set securityContext.procMount)" if found else ""


def _seccomp(pod: Obj) -> str:
    holders = [_spec(pod), *_containers(pod)]
    bad = [item for item in holders if _profile(item) == "Unconfined"]
    why = 'must not set securityContext.seccompProfile.type to "Unconfined"'
    if not bad:
        return ""
    who = "pod" if bad[0] is holders[0] else _named(item.get("name") or "" for item in bad)
    return f"seccompProfile ({who} {why})"


def _sysctls(pod: Obj) -> str:
    stated = _security(_spec(pod)).get("sysctls") or ()
    found = [item.get("name") or "" for item in stated if item.get("name") not in _SYSCTLS]
    return f"forbidden sysctls ({', '.join(found)})" if found else ""


def _volume_types(pod: Obj) -> str:
    found = {
        volume["name"]: kind
        for volume in _spec(pod).get("volumes") or ()
        for kind in volume
        if kind != "name" and kind not in _VOLUMES
    }
    kinds = sorted(set(found.values()))
    if not found:
        return ""
    uses = f"volume{_many(found)} {_quoted(found)} use{_one(found)}"
    return f"restricted volume types ({uses} restricted volume type{_many(kinds)} {_quoted(kinds)})"


def _escalation(pod: Obj) -> str:
    found = _bad(pod, lambda item: _security(item).get("allowPrivilegeEscalation") is not False)
    said = "must set securityContext.allowPrivilegeEscalation=false"
    return f"allowPrivilegeEscalation != false ({_named(found)} {said})" if found else ""


def _few_capabilities(pod: Obj) -> str:
    keeps = _bad(pod, lambda item: "ALL" not in _dropped(item))
    adds = _bad(pod, lambda item: not _added(item) <= {"NET_BIND_SERVICE"})
    said = []
    if keeps:
        said.append(f'{_named(keeps)} must set securityContext.capabilities.drop=["ALL"]')
    if adds:
        extra = sorted({cap for item in _containers(pod) for cap in _added(item)} - {"NET_BIND_SERVICE"})
        said.append(f"{_named(adds)} must not include {_quoted(extra)} in securityContext.capabilities.add")
    return f"unrestricted capabilities ({'; '.join(said)})" if said else ""


def _dropped(container: Obj) -> set[str]:
    return set((_security(container).get("capabilities") or {}).get("drop") or ())


def _non_root(pod: Obj) -> str:
    whole = _security(_spec(pod)).get("runAsNonRoot")
    found = _bad(pod, lambda item: _security(item).get("runAsNonRoot", whole) is not True)
    said = "must set securityContext.runAsNonRoot=true"
    return f"runAsNonRoot != true (pod or {_named(found)} {said})" if found else ""


def _root_user(pod: Obj) -> str:
    if _security(_spec(pod)).get("runAsUser") == 0:
        return "runAsUser=0 (pod must not set runAsUser=0)"
    found = _bad(pod, lambda item: _security(item).get("runAsUser") == 0)
    return f"runAsUser=0 ({_named(found)} must not set runAsUser=0)" if found else ""


def _strict_seccomp(pod: Obj) -> str:
    whole = _profile(_spec(pod))
    found = _bad(pod, lambda item: (_profile(item) or whole) not in _GOOD_PROFILES)
    said = 'must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost"'
    return f"seccompProfile (pod or {_named(found)} {said})" if found else ""


def _profile(holder: Obj) -> str:
    return (_security(holder).get("seccompProfile") or {}).get("type") or ""


def _quoted(words: Iterable[str]) -> str:
    return ", ".join(f'"{word}"' for word in words)


def _many(things: Iterable[str]) -> str:
    return "s" if len(list(things)) > 1 else ""


def _one(things: Iterable[str]) -> str:
    return "" if len(list(things)) > 1 else "s"


_BASELINE: tuple[Check, ...] = (
    _app_armor,
    _capabilities,
    _host_namespaces,
    _host_paths,
    _host_ports,
    _privileged,
    _proc_mount,
    _selinux,
    _seccomp,
    _sysctls,
)
_RESTRICTED: tuple[Check, ...] = (
    _escalation,
    _few_capabilities,
    _volume_types,
    _non_root,
    _root_user,
    _strict_seccomp,
)
