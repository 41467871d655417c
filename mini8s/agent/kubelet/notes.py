"""The kubelet's own notes on the containers it starts: labels that a later agent reads back."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

from mini8s.objects.kinds import Obj

SPEC_HASH = "mini8s.io/spec-hash"
BACKOFF = "mini8s.io/backoff-seconds"  # how long to wait after this attempt's end
GRACE = "mini8s.io/grace-seconds"  # of the pod, for when nobody can be asked about it any more
PRE_STOP = "mini8s.io/pre-stop"  # the hook's handler as JSON, its port a number
SIDECAR = "mini8s.io/sidecar"  # its place among the init containers


def spec_hash(container: Obj) -> str:
    """What identifies a container's definition. Only what may change in place counts, so that an upgrade
    which adds a default to the API restarts nothing."""
    identity = json.dumps([container["name"], container.get("image", "")])
    return hashlib.sha256(identity.encode()).hexdigest()[:16]


def number(labels: Mapping[str, str], label: str, default: int) -> int:
    text = labels.get(label, "")
    return int(text) if text.isdigit() else default
