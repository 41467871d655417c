"""What a node says of itself when it registers: the labels and taints that its flags give."""

from __future__ import annotations

from mini8s.config import NodeSettings
from mini8s.objects import names, node_labels
from mini8s.objects.kinds import Obj
from mini8s.objects.taints import NO_EXECUTE, NO_SCHEDULE, PREFER_NO_SCHEDULE

EFFECTS = (NO_SCHEDULE, PREFER_NO_SCHEDULE, NO_EXECUTE)


class BadFlag(ValueError):
    """A label or taint that can't be one; the message says which and why."""


def labels(settings: NodeSettings) -> dict[str, str]:
    """Raises BadFlag, also for those that the API would not let a node give itself."""
    found = dict(_label(text) for text in settings.node_label)
    if wrong := node_labels.forbidden(found):
        prefixes, others = " and ".join(node_labels.ALLOWED_PREFIXES), ", ".join(sorted(node_labels.ALLOWED))
        raise BadFlag(
            f"--node-label can't give a node {', '.join(wrong)}: of the kubernetes.io and k8s.io labels "
            f"those under {prefixes} and {others} are a node's own; give it others with kubectl label node"
        )
    return found


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
