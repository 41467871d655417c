"""PURE: API objects as they may be shown to others: what Secrets and ConfigMaps hold, and what containers are
told in their environment, is left out; that it is there, and how much of it, is not."""

from __future__ import annotations

from typing import Any

from mini8s.app.bundle.redact import HIDDEN
from mini8s.objects.kinds import Obj

_HOLDERS = ("data", "binaryData", "stringData")
# kubectl keeps the whole manifest there
_ANNOTATIONS = frozenset({"kubectl.kubernetes.io/last-applied-configuration"})


def shown(obj: Obj) -> Obj:
    found: Obj = _without_values(obj)
    found["metadata"] = _metadata(obj.get("metadata") or {})
    if obj.get("kind") in ("Secret", "ConfigMap", "ControllerRevision"):
        return found | {holder: _sizes(obj[holder]) for holder in _HOLDERS if obj.get(holder)}
    return found


def _metadata(said: Obj) -> Obj:
    annotations = {
        key: value for key, value in (said.get("annotations") or {}).items() if key not in _ANNOTATIONS
    }
    kept = {key: value for key, value in said.items() if key != "managedFields"}
    return kept | ({"annotations": annotations} if annotations else {"annotations": {}})


def _sizes(held: Any) -> Any:
    if not isinstance(held, dict):
        return HIDDEN
    return {key: f"{len(str(value))} characters" for key, value in held.items()}


def _without_values(said: Any) -> Any:
    """Wherever containers are described, in pods and in templates of pods."""
    if isinstance(said, list):
        return [_without_values(one) for one in said]
    if not isinstance(said, dict):
        return said
    found = {key: _without_values(value) for key, value in said.items()}
    if isinstance(said.get("env"), list):
        found["env"] = [
            one | {"value": HIDDEN} if isinstance(one, dict) and one.get("value") else one
            for one in said["env"]
        ]
    return found
