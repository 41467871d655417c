"""PURE: devices of the host for a pod that isn't privileged: what the pod asks for in an annotation, and
whether the node lets it.

    mini8s.io/devices: /dev/ttyUSB0, /dev/i2c-1:/dev/i2c-0:rw

Each is SOURCE[:TARGET][:PERMISSIONS] as `docker run --device` takes it. A node allows what its
`--allow-device` patterns match (shell patterns: /dev/ttyUSB*), and nothing unless told."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence
from fnmatch import fnmatchcase

from mini8s.agent.kubelet.isolation.security import Refused
from mini8s.agent.runtime.specs import Device
from mini8s.objects import meta
from mini8s.objects.kinds import Obj

ANNOTATION = "mini8s.io/devices"
_PERMISSIONS = re.compile(r"(?=.)r?w?m?")


def devices(pod: Obj, allowed: Sequence[str]) -> list[Device]:
    """Raises Refused for what can't be read and for what the node doesn't allow."""
    said = meta.annotations(pod).get(ANNOTATION, "")
    found = [_parse(word.strip()) for word in said.split(",") if word.strip()]
    for device in found:
        if not any(fnmatchcase(device.source, pattern) for pattern in allowed):
            raise Refused(f"device {device.source} is not allowed on this node (--allow-device)")
    return found


def _parse(word: str) -> Device:
    source, *rest = word.split(":")
    permissions = "rwm"
    if rest and _PERMISSIONS.fullmatch(rest[-1]):
        permissions = rest.pop()
    target = rest[0] if rest else source
    paths = (source, target)
    if len(rest) > 1 or not all(path.startswith("/") and posixpath.normpath(path) == path for path in paths):
        raise Refused(f'annotation {ANNOTATION}: "{word}" is not SOURCE[:TARGET][:PERMISSIONS]')
    return Device(source, target, permissions)
