"""Namespaces: a deletion only begins their end, which is reached when their content is gone."""

from __future__ import annotations

from mini8s.objects import meta, names
from mini8s.objects.kinds import NAMESPACES, Obj
from mini8s.registry.columns import AGE, NAME, column, status
from mini8s.registry.strategy import Strategy, Update, keep_spec, keep_status, selectable

_FINALIZER = "kubernetes"
_NAME_LABEL = "kubernetes.io/metadata.name"


def _begin(new: Obj) -> None:
    spec = new.setdefault("spec", {})
    if _FINALIZER not in (spec.get("finalizers") or ()):
        spec["finalizers"] = [*(spec.get("finalizers") or ()), _FINALIZER]
    new["status"] = {"phase": "Active"}
    _label(new)


def _keep(new: Obj, old: Obj) -> None:
    keep_spec(new, old)
    keep_status(new, old)
    _label(new)


def _label(new: Obj) -> None:
    """Selectors of namespaces can name one."""
    new["metadata"]["labels"] = meta.labels(new) | {_NAME_LABEL: meta.name(new)}


def _terminate(namespace: Obj) -> None:
    namespace.setdefault("status", {})["phase"] = "Terminating"


def _finished(namespace: Obj) -> bool:
    return not (namespace.get("spec") or {}).get("finalizers")


STRATEGY = Strategy(
    kind=NAMESPACES,
    columns=(NAME, column("Status", lambda obj: status(obj).get("phase") or ""), AGE),
    fields=selectable("status.phase"),
    name_rule=names.dns_label,
    prepare_for_create=_begin,
    update=Update(_keep),
    subresources={"status": Update(keep_spec), "finalize": Update(keep_status)},
    begin_deletion=_terminate,
    finished=_finished,
)
