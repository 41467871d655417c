"""Rules of security contexts, a pod's and its containers' (`ValidatePodSecurityContext`,
`ValidateSecurityContext`)."""

from __future__ import annotations

import re
from typing import Any

from mini8s.objects.kinds import Obj
from mini8s.registry.problems import Causes, duplicate, invalid, not_supported, required, too_long
from mini8s.registry.rules import values

_MOST_ID = 2**31 - 1
_LONGEST_APPARMOR = 4095
_PROFILES = ("Localhost", "RuntimeDefault", "Unconfined")
_SYSCTL = re.compile(r"([a-z0-9]([-_a-z0-9]*[a-z0-9])?[./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?")
_LONGEST_SYSCTL = 253
_OF_IPC = re.compile(r"kernel\.(shm.*|msg.*|sem)|fs\.mqueue\..*")


def of_pod(spec: Obj, field: str) -> Causes:
    stated, path = spec.get("securityContext") or {}, f"{field}.securityContext"
    yield from _ids(stated, path)
    yield from _id(stated.get("fsGroup"), f"{path}.fsGroup")
    for index, group in enumerate(stated.get("supplementalGroups") or ()):
        yield from _id(group, f"{path}.supplementalGroups[{index}]")
    if spec.get("shareProcessNamespace") and spec.get("hostPID"):
        why = "ShareProcessNamespace and HostPID cannot both be enabled"
        yield invalid(f"{path}.shareProcessNamespace", True, why)
    yield from values.one_of(stated, "fsGroupChangePolicy", path, ("Always", "OnRootMismatch"))
    yield from values.one_of(stated, "supplementalGroupsPolicy", path, ("Merge", "Strict"))
    yield from _sysctls(spec, stated.get("sysctls") or (), f"{path}.sysctls")
    yield from _profiles(stated, path)


def of_container(container: Obj, field: str) -> Causes:
    stated, path = container.get("securityContext") or {}, f"{field}.securityContext"
    yield from _ids(stated, path)
    yield from values.one_of(stated, "procMount", path, ("Default", "Unmasked"))
    yield from _profiles(stated, path)
    if stated.get("allowPrivilegeEscalation") is not False:
        return
    if stated.get("privileged"):
        why = "cannot set `allowPrivilegeEscalation` to false and `privileged` to true"
        yield invalid(path, stated, why)
    if "CAP_SYS_ADMIN" in ((stated.get("capabilities") or {}).get("add") or ()):
        why = "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN"
        yield invalid(path, stated, why)


def _ids(stated: Obj, path: str) -> Causes:
    for part in ("runAsUser", "runAsGroup"):
        yield from _id(stated.get(part), f"{path}.{part}")


def _id(value: Any, path: str) -> Causes:
    if value is not None and not 0 <= value <= _MOST_ID:
        yield invalid(path, value, f"must be between 0 and {_MOST_ID}, inclusive")


def _sysctls(spec: Obj, stated: Any, field: str) -> Causes:
    seen: set[str] = set()
    for index, one in enumerate(stated):
        path, name = f"{field}[{index}].name", one.get("name") or ""
        if not name:
            yield required(path)
            continue
        if len(name) > _LONGEST_SYSCTL or not _SYSCTL.fullmatch(name):
            why = f"must have at most {_LONGEST_SYSCTL} characters and match regex ^{_SYSCTL.pattern}$"
            yield invalid(path, name, why)
        dotted = name.replace("/", ".")
        if spec.get("hostNetwork") and dotted.startswith("net."):
            yield invalid(path, name, "may not be specified when 'hostNetwork' is true")
        if spec.get("hostIPC") and _OF_IPC.fullmatch(dotted):
            yield invalid(path, name, "may not be specified when 'hostIPC' is true")
        if dotted in seen:
            yield duplicate(path, name)
        seen.add(dotted)


def _profiles(stated: Obj, path: str) -> Causes:
    if (seccomp := stated.get("seccompProfile")) is not None:
        yield from _profile(seccomp, f"{path}.seccompProfile", "seccomp")
        if seccomp.get("type") == "Localhost":
            inner = f"{path}.seccompProfile.localhostProfile"
            yield from values.inner_path(seccomp.get("localhostProfile") or "", inner)
    if (apparmor := stated.get("appArmorProfile")) is not None:
        yield from _profile(apparmor, f"{path}.appArmorProfile", "AppArmor")
        yield from _apparmor_name(
            apparmor.get("localhostProfile") or "", f"{path}.appArmorProfile.localhostProfile"
        )


def _profile(profile: Obj, path: str, word: str) -> Causes:
    """A type, and the name of a profile exactly when the type asks for one."""
    wanted, name = profile.get("type") or "", profile.get("localhostProfile")
    holder = path.rpartition(".")[2]
    if not wanted:
        yield required(f"{path}.type", f"type is required when {holder} is set")
    elif wanted not in _PROFILES:
        yield not_supported(f"{path}.type", wanted, _PROFILES)
    elif wanted == "Localhost":
        if not (name or "").strip():
            yield required(f"{path}.localhostProfile", f"must be set when {word} type is Localhost")
    elif name is not None:
        why = f"can only be set when {word} type is Localhost"
        yield invalid(f"{path}.localhostProfile", name, why)


def _apparmor_name(name: str, path: str) -> Causes:
    if name != name.strip():
        yield invalid(path, name, "must not be padded with whitespace")
    if len(name) > _LONGEST_APPARMOR:
        yield too_long(path, _LONGEST_APPARMOR)
