"""ControllerRevisions: what a StatefulSet or DaemonSet looked like, so that it can go back."""

from __future__ import annotations

from mini8s.objects import meta
from mini8s.objects.kinds import CONTROLLERREVISIONS, Obj
from mini8s.registry.columns import AGE, NAME, NONE, column
from mini8s.registry.rules import sets
from mini8s.registry.strategy import Strategy, Update


def _controller(found: Obj) -> str:
    """`statefulset.apps/web`."""
    owner = meta.controller_ref(found)
    if owner is None:
        return NONE
    group = owner["apiVersion"].rpartition("/")[0]
    kind = owner["kind"].lower()
    return f"{kind}.{group}/{owner['name']}" if group else f"{kind}/{owner['name']}"


STRATEGY = Strategy(
    kind=CONTROLLERREVISIONS,
    columns=(
        NAME,
        column("Controller", _controller),
        column("Revision", lambda obj: obj.get("revision", 0)),
        AGE,
    ),
    validate=sets.controller_revision,
    update=Update(validate=sets.controller_revision_update),
)
