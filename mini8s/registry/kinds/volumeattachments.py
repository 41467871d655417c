"""VolumeAttachments: a volume that a CSI driver brings to a node."""

from __future__ import annotations

from mini8s.objects.kinds import VOLUMEATTACHMENTS, Obj
from mini8s.registry.columns import AGE, NAME, column, spec, status
from mini8s.registry.rules import classes
from mini8s.registry.strategy import STATUS, Strategy, Update, empty_status, keep_status


def _volume(found: Obj) -> str:
    return (spec(found).get("source") or {}).get("persistentVolumeName") or ""


STRATEGY = Strategy(
    kind=VOLUMEATTACHMENTS,
    columns=(
        NAME,
        column("Attacher", lambda obj: spec(obj).get("attacher") or ""),
        column("PV", _volume),
        column("Node", lambda obj: spec(obj).get("nodeName") or ""),
        column("Attached", lambda obj: bool(status(obj).get("attached")), type="boolean"),
        AGE,
    ),
    prepare_for_create=empty_status,
    validate=classes.attachment,
    update=Update(keep_status, classes.same_attachment),
    subresources=STATUS,
)
