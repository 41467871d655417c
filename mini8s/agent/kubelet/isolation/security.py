"""PURE: a container's security context, with what it takes over from its pod, as the engine's contract says
it.

Where Kubernetes leaves a container without a seccomp profile unconfined, it gets the engine's own profile
here, as a kubelet with `--seccomp-default` gives it: hosts at the edge are rarely looked after. `Unconfined`
is there for whoever needs it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mini8s.agent.kubelet.isolation.unsupported import why_not
from mini8s.agent.runtime.specs import Confinement
from mini8s.objects import meta
from mini8s.objects.kinds import Obj

_FROM_POD = ("runAsUser", "runAsGroup", "runAsNonRoot", "seLinuxOptions", "seccompProfile", "appArmorProfile")
_OLD_APPARMOR = "container.apparmor.security.beta.kubernetes.io/"  # an annotation, before 1.30


class Refused(Exception):
    """This container can't run as it is asked to; the message is its status's
    (CreateContainerConfigError)."""


@dataclass(frozen=True, slots=True)
class Security:
    """What a container is and may be. `user` is `UID[:GID]`, empty for the image's own."""

    user: str
    groups: Sequence[str]
    privileged: bool
    read_only_root: bool
    capabilities_add: Sequence[str]
    capabilities_drop: Sequence[str]
    no_new_privileges: bool
    confinement: Confinement


def effective(pod: Obj, container: Obj) -> Obj:
    """The container's context over its pod's."""
    whole = pod["spec"].get("securityContext") or {}
    inherited = {key: whole[key] for key in _FROM_POD if whole.get(key) is not None}
    return inherited | {
        key: value for key, value in (container.get("securityContext") or {}).items() if value is not None
    }


def security(
    pod: Obj, container: Obj, image_user: Callable[[], str], profile: Callable[[str], str]
) -> Security:
    """`image_user` asks the engine whom the image runs as, `profile` reads a seccomp profile of the node by
    its name: both only when it matters. Raises Refused."""
    stated = effective(pod, container)
    if why := why_not(pod["spec"], container):
        raise Refused(why)
    _check_non_root(pod, container, stated, image_user)
    capabilities = stated.get("capabilities") or {}
    return Security(
        user=_user(stated, image_user),
        groups=_groups(pod),
        privileged=bool(stated.get("privileged")),
        read_only_root=bool(stated.get("readOnlyRootFilesystem")),
        capabilities_add=capabilities.get("add") or (),
        capabilities_drop=capabilities.get("drop") or (),
        no_new_privileges=stated.get("allowPrivilegeEscalation") is False,
        confinement=Confinement(
            seccomp=_seccomp(stated, profile),
            apparmor=_apparmor(pod, container, stated),
            selinux=_selinux(stated),
            unmasked=stated.get("procMount") == "Unmasked",
        ),
    )


def _check_non_root(pod: Obj, container: Obj, stated: Obj, image_user: Callable[[], str]) -> None:
    """The kubelet's `verifyRunAsNonRoot`, with its words."""
    if not stated.get("runAsNonRoot"):
        return
    who = f'(pod: "{meta.name(pod)}_{meta.namespace(pod)}({meta.uid(pod)})", container: {container["name"]})'
    user = stated.get("runAsUser")
    if user is not None:
        if user == 0:
            raise Refused(f"container's runAsUser breaks non-root policy {who}")
        return
    name = image_user().partition(":")[0]
    if not name or name == "0":
        raise Refused(f"container has runAsNonRoot and image will run as root {who}")
    if not name.isdigit():
        raise Refused(
            f"container has runAsNonRoot and image has non-numeric user ({name}), "
            f"cannot verify user is non-root {who}"
        )


def _user(stated: Obj, image_user: Callable[[], str]) -> str:
    """A group alone leaves the image's user."""
    user, group = stated.get("runAsUser"), stated.get("runAsGroup")
    if user is None and group is None:
        return ""
    who = (image_user().partition(":")[0] or "0") if user is None else str(user)
    return who if group is None else f"{who}:{group}"


def _groups(pod: Obj) -> list[str]:
    whole = pod["spec"].get("securityContext") or {}
    groups = [*(whole.get("supplementalGroups") or ()), whole.get("fsGroup")]
    return [str(group) for group in dict.fromkeys(groups) if group is not None]


def _seccomp(stated: Obj, profile: Callable[[str], str]) -> str:
    wanted = stated.get("seccompProfile") or {}
    if wanted.get("type") == "Unconfined":
        return "unconfined"
    if wanted.get("type") != "Localhost":
        return ""
    name = wanted.get("localhostProfile") or ""
    try:
        text = profile(name)
        json.loads(text)
    except OSError as error:
        raise Refused(f'cannot load seccomp profile "{name}": {error.strerror}') from error
    except ValueError as error:
        raise Refused(f'cannot load seccomp profile "{name}": {error}') from error
    return text


def _apparmor(pod: Obj, container: Obj, stated: Obj) -> str:
    wanted = stated.get("appArmorProfile") or _annotated(pod, container)
    if wanted.get("type") == "Unconfined":
        return "unconfined"
    return str(wanted["localhostProfile"]) if wanted.get("type") == "Localhost" else ""


def _annotated(pod: Obj, container: Obj) -> Obj:
    said = meta.annotations(pod).get(_OLD_APPARMOR + container["name"], "")
    if said == "unconfined":
        return {"type": "Unconfined"}
    where, _, name = said.partition("/")
    return {"type": "Localhost", "localhostProfile": name} if where == "localhost" and name else {}


def wants_apparmor(pod: Obj) -> bool:
    """Whether any container asks for a profile by name, which only a host with AppArmor has."""
    every = [*(pod["spec"].get("initContainers") or ()), *pod["spec"]["containers"]]
    asked = [effective(pod, one).get("appArmorProfile") or _annotated(pod, one) for one in every]
    return any(one.get("type") == "Localhost" for one in asked)


def _selinux(stated: Obj) -> tuple[str, ...]:
    options = stated.get("seLinuxOptions") or {}
    return tuple(f"{part}:{options[part]}" for part in ("user", "role", "type", "level") if options.get(part))
