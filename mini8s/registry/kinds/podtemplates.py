"""PodTemplates: what pods could look like."""

from __future__ import annotations

from mini8s.objects import meta
from mini8s.objects.kinds import PODTEMPLATES, Obj
from mini8s.registry import columns
from mini8s.registry.columns import NAME, column
from mini8s.registry.problems import Causes
from mini8s.registry.rules import pods
from mini8s.registry.strategy import Strategy


def _check(found: Obj) -> Causes:
    yield from pods.template(found.get("template") or {}, "template")


def _containers(found: Obj, part: str) -> str:
    spec = (found.get("template") or {}).get("spec") or {}
    return ",".join(item.get(part) or "" for item in spec.get("containers") or ())


STRATEGY = Strategy(
    kind=PODTEMPLATES,
    columns=(
        NAME,
        column("Containers", lambda obj: _containers(obj, "name")),
        column("Images", lambda obj: _containers(obj, "image")),
        column("Pod Labels", lambda obj: columns.listed_labels(meta.labels(obj.get("template") or {}))),
    ),
    validate=_check,
    generation=lambda obj: obj.get("template"),
)
