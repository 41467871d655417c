"""Containers that are put into a pod that runs, to look at it (`kubectl debug`): they come and never change
(`ValidatePodEphemeralContainersUpdate`)."""

from __future__ import annotations

from mini8s.objects import meta
from mini8s.objects.kinds import Obj
from mini8s.objects.pods import MIRROR
from mini8s.registry.problems import Causes, duplicate, forbidden, not_found
from mini8s.registry.rules import containers, mounts

_FIELD = "spec.ephemeralContainers"
_NOT_FOR_THEM = "cannot be set for an Ephemeral Container"
_ALLOWED = frozenset({
    "name", "image", "command", "args", "workingDir", "envFrom", "env", "volumeMounts", "volumeDevices",
    "terminationMessagePath", "terminationMessagePolicy", "imagePullPolicy", "securityContext", "stdin",
    "stdinOnce", "tty", "targetContainerName",
})  # fmt: skip


def check(spec: Obj, volumes: mounts.Declared, field: str) -> Causes:
    """Those that a pod has, as they stand."""
    others = {item.get("name") or "" for part in containers.PARTS for item in spec.get(part) or ()}
    seen = set(others)
    for index, container in enumerate(spec.get("ephemeralContainers") or ()):
        path, name = f"{field}.ephemeralContainers[{index}]", container.get("name") or ""
        yield from containers.one(container, volumes, path)
        if name in seen:
            yield duplicate(f"{path}.name", name)
        seen.add(name)
        target = container.get("targetContainerName") or ""
        if target and target not in others:
            yield not_found(f"{path}.targetContainerName", target)
        for part in sorted(container):
            if container[part] and part not in _ALLOWED:
                yield forbidden(f"{path}.{part}", _NOT_FOR_THEM)
        for place, mount in enumerate(container.get("volumeMounts") or ()):
            for part in ("subPath", "subPathExpr"):
                if mount.get(part):
                    yield forbidden(f"{path}.volumeMounts[{place}].{part}", _NOT_FOR_THEM)


def only(new: Obj, old: Obj) -> None:
    """Of what a client sent for the subresource nothing else counts."""
    found = (new.get("spec") or {}).get("ephemeralContainers")
    spec = {part: value for part, value in old["spec"].items() if part != "ephemeralContainers"}
    keep_but_spec(new, old, spec | ({"ephemeralContainers": found} if found else {}))


def keep_but_spec(new: Obj, old: Obj, spec: Obj) -> None:
    """Make the new pod the old one with another spec."""
    books = new["metadata"].get("managedFields")
    new.clear()
    new |= old | {"metadata": dict(old["metadata"]), "spec": spec}
    if books:
        new["metadata"]["managedFields"] = books


def check_update(new: Obj, old: Obj) -> Causes:
    if MIRROR in meta.annotations(old):
        yield forbidden("", "static pods do not support ephemeral containers")
        return
    now = {item.get("name"): item for item in new["spec"].get("ephemeralContainers") or ()}
    for before in old["spec"].get("ephemeralContainers") or ():
        name = before["name"]
        if name not in now:
            yield forbidden(_FIELD, f'existing ephemeral containers "{name}" may not be removed\n')
        elif before != now[name]:
            parts = {*before, *now[name]}
            changed = sorted(part for part in parts if before.get(part) != now[name].get(part))
            why = f'existing ephemeral containers "{name}" may not be changed\n{", ".join(changed)}'
            yield forbidden(_FIELD, why)
