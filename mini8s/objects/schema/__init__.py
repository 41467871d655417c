"""What fields a kind has, of which types, with which defaults, and how its lists merge.

All of it is data: `types.json.gz`, made by `scripts/schema` from the published definitions of the Kubernetes
version that mini8s speaks (all its kinds, not only those served), and `defaults.py`, written by hand.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from mini8s.objects.errors import NotFound
from mini8s.objects.kinds import Kind, Obj
from mini8s.objects.schema.check import Problems, check
from mini8s.objects.schema.complete import complete
from mini8s.objects.schema.defaults import COMPUTED
from mini8s.objects.schema.load import raw_definitions
from mini8s.objects.schema.types import Field, Grain, Schema, Shape, Types

__all__ = [
    "Field",
    "Grain",
    "Problems",
    "Schema",
    "Shape",
    "apply_defaults",
    "definition_name",
    "definitions",
    "of",
    "of_version_kind",
    "parts_stand_alone",
    "root",
    "validate",
]


@cache
def _types() -> Types:
    return Types(raw_definitions())


def of(kind: Kind) -> Schema:
    """The type of a kind's objects."""
    return of_version_kind(kind.api_version, kind.kind)


@cache
def root(kind: Kind) -> Field:
    """The same as a place: where a walk that needs one begins."""
    return Field(of(kind), grain=Grain.FIELDS)


@cache
def of_version_kind(api_version: str, kind: str) -> Schema:
    """The same by an object's own words: Scale, Eviction, DeleteOptions have a type and no resource. Raises
    NotFound."""
    group, _, version = api_version.rpartition("/")
    name = _types().name_of(group, version, kind)
    if name is None:
        raise NotFound(f'no kind "{kind}" is registered for version "{api_version}"', group=group, kind=kind)
    return _types().named(name)


def definition_name(kind: Kind) -> str:
    """`io.k8s.api.core.v1.Pod`: the kind's key in `definitions()`."""
    return of(kind).name


def validate(kind: Kind, obj: Any) -> Problems:
    """What of the object is not of the kind's types, and which fields the kind does not have."""
    return check(of(kind), obj)


def apply_defaults(kind: Kind, obj: Obj) -> Obj:
    """A new object: without nulls and unknown fields, quantities canonical, defaults filled in. The object
    must have passed `validate`."""
    made: Obj = complete(of(kind), obj)
    return made


@cache
def parts_stand_alone(kind: Kind) -> bool:
    """Whether no default in one part of such an object (spec, metadata) comes from what another part says."""
    return of(kind).name not in COMPUTED


def definitions() -> Mapping[str, Mapping[str, Any]]:
    """The OpenAPI definitions by name, with their Kubernetes extensions. A `$ref` is the bare name: the
    documents of v2 and v3 each put their own prefix before it. Shared, and not to be changed."""
    return raw_definitions()
