"""What a node says of itself when it registers: the labels and taints that its flags give."""

from __future__ import annotations

from mini8s.config import NodeSettings
from mini8s.objects import names
from mini8s.objects.kinds import Obj
from mini8s.objects.taints import NO_EXECUTE, NO_SCHEDULE, PREFER_NO_SCHEDULE

CONTROL_PLANE = "node-role.kubernetes.io/control-plane"
EFFECTS = (NO_SCHEDULE, PREFER_NO_SCHEDULE, NO_EXECUTE)


class BadFlag(ValueError):
    """A label or taint that can't be one; the message says which and why."""


def labels(settings: NodeSettings, *, control_plane: bool) -> dict[str, str]:
    """Raises BadFlag."""
    found = {CONTROL_PLANE: "true"} if control_plane else {}
    return found | dict(_label(text) for text in settings.node_label)


def taints(settings: NodeSettings) -> list[Obj]:
    """Raises BadFlag."""
    return [_taint(text) for text in settings.node_taint]


def _label(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    wrong = names.qualified_name(key) or names.label_value(value)
    if not equals or wrong:
        raise BadFlag(f"--node-label {text!r} is not KEY=VALUE: {wrong or 'there is no ='}")
    return key, value


def _taint(text: str) -> Obj:
    said, colon, effect = text.rpartition(":")
    key, _, value = said.partition("=")
    wrong = names.qualified_name(key) or names.label_value(value)
    if not colon or effect not in EFFECTS or wrong:
        raise BadFlag(f"--node-taint {text!r} is not KEY=VALUE:EFFECT, effect one of {', '.join(EFFECTS)}")
    return {"key": key, "effect": effect} | ({"value": value} if value else {})
