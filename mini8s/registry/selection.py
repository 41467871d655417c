"""Which objects a list or watch wants: label and field selectors, parsed once for their kind."""

from __future__ import annotations

from dataclasses import dataclass

from mini8s.objects import fields, labels, meta
from mini8s.objects.errors import BadRequest
from mini8s.objects.kinds import JOBS, Obj
from mini8s.registry.base import ListOptions
from mini8s.registry.strategy import Strategy

_EVERY_KIND = {"metadata.name": meta.name, "metadata.namespace": meta.namespace}


@dataclass(frozen=True, slots=True)
class Selection:
    """Both selectors must hold."""

    strategy: Strategy
    labels: labels.Selector
    fields: fields.FieldSelector

    @property
    def empty(self) -> bool:
        """Whether it takes everything, so that nothing has to be decoded."""
        return self.labels.empty and self.fields.empty

    @property
    def name(self) -> str:
        """The one name that can match; "" when several can."""
        return self.fields.exact("metadata.name") or ""

    def matches(self, obj: Obj) -> bool:
        return self.fields.matches(lambda path: self._field(obj, path)) and self.labels.matches(
            meta.labels(obj)
        )

    def _field(self, obj: Obj, path: str) -> str:
        return (_EVERY_KIND.get(path) or self.strategy.fields[path])(obj)


def _unknown(strategy: Strategy, path: str) -> str:
    """Upstream has a sentence for kinds without fields of their own, one for those with, and one for jobs."""
    if not strategy.fields:
        allowed = ", ".join(f'"{known}"' for known in _EVERY_KIND)
        return f'"{path}" is not a known field selector: only {allowed}'
    if strategy.kind is JOBS:
        return f'field label "{path}" not supported for Job'
    return f"field label not supported: {path}"


def parse(strategy: Strategy, options: ListOptions) -> Selection:
    """Raises BadRequest for what does not parse, and for fields that the kind is not selected by."""
    selector = fields.parse(options.field_selector)
    known = {**_EVERY_KIND, **strategy.fields}
    for requirement in selector.requirements:
        if requirement.path not in known:
            raise BadRequest(_unknown(strategy, requirement.path))
    return Selection(strategy, labels.parse(options.label_selector), selector)
