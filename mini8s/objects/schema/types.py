"""Types as linked records: what a definition says, resolved once, so that a walk over an object only follows
attributes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

_META = "io.k8s.apimachinery.pkg.apis.meta.v1."
_JSON = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSON"


class Shape(Enum):
    """What a value looks like in JSON and, for strings, what it must say."""

    OBJECT = "object"  # fields with names of their own
    MAP = "map"  # any names, one type
    LIST = "list"
    STRING = "string"
    BYTES = "bytes"  # base64
    TIME = "time"
    QUANTITY = "quantity"
    INT_OR_STRING = "int-or-string"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    ANY = "any"

    __hash__ = (
        object.__hash__
    )  # Enum's own is Python, and every walk over an object asks for it at each field


class Grain(Enum):
    """How finely a value is owned and merged by server-side apply (upstream: the list and map types)."""

    WHOLE = "whole"  # scalars, and what is `atomic`
    FIELDS = "fields"  # an object, by its fields
    ENTRIES = "entries"  # a map, by its names
    KEYED = "keyed"  # a list of objects, by some of their fields
    VALUES = "values"  # a list as a set
    OPEN = "open"  # nothing is known: a map goes by its names, all else is a whole


@dataclass(slots=True, eq=False)
class Schema:
    """One type. Types refer to themselves and to each other, so they are filled in after they are made."""

    shape: Shape
    name: str = ""  # the definition's, "" for a field's own
    atomic: bool = False  # wherever it is used, unless a field says otherwise
    format: str = ""  # int32, int64, double
    fields: Mapping[str, Field] = field(default_factory=dict)
    items: Field | None = None  # of a map or list

    @property
    def short_name(self) -> str:
        return self.name.rpartition(".")[2]

    @property
    def element(self) -> Schema:
        """The type of a map's or list's elements."""
        return self.items.schema if self.items else ANY

    def field(self, name: str) -> Field:
        """The field of an object, or what a map holds under any name; ANY_FIELD where nothing is known."""
        if self.shape is Shape.OBJECT:
            return self.fields.get(name, ANY_FIELD)
        return (self.items or ANY_FIELD) if self.shape is Shape.MAP else ANY_FIELD


@dataclass(slots=True, eq=False)
class Field:
    """A type at its place, with how two values there are merged: the first three by a strategic merge patch,
    the others by server-side apply."""

    schema: Schema
    merges: bool = False  # a list whose elements are merged, by merge_key or as a set
    replaces: bool = False  # an object that is replaced as a whole
    merge_key: str = ""
    grain: Grain = Grain.WHOLE
    keys: tuple[str, ...] = ()  # of the elements, where the grain is KEYED
    omits: bool = False  # an empty map or list is not written (Go's omitempty)


# Lists that need not be there and are written when they are empty.
_WRITTEN = frozenset(
    {"Role.rules", "ClusterRole.rules", "EndpointSlice.ports", "HorizontalPodAutoscalerStatus.currentMetrics"}
)

ANY = Schema(Shape.ANY)
ANY_FIELD = Field(ANY, grain=Grain.OPEN)

_MAP_TYPE = "x-kubernetes-map-type"
_OWN_SHAPES = {
    f"{_META}Time": Shape.TIME,
    f"{_META}MicroTime": Shape.TIME,
    "io.k8s.apimachinery.pkg.api.resource.Quantity": Shape.QUANTITY,
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString": Shape.INT_OR_STRING,
    f"{_META}FieldsV1": Shape.ANY,
    "io.k8s.apimachinery.pkg.runtime.RawExtension": Shape.ANY,
    _JSON: Shape.ANY,
    f"{_JSON}SchemaPropsOrArray": Shape.ANY,
    f"{_JSON}SchemaPropsOrBool": Shape.ANY,
    f"{_JSON}SchemaPropsOrStringArray": Shape.ANY,
}
_SHAPES = {
    "string": Shape.STRING,
    "integer": Shape.INTEGER,
    "number": Shape.NUMBER,
    "boolean": Shape.BOOLEAN,
    "array": Shape.LIST,
}


class Types:
    """All types of a set of definitions, each linked when it is first asked for."""

    def __init__(self, definitions: Mapping[str, Mapping[str, Any]]) -> None:
        self._definitions = definitions
        self._made: dict[str, Schema] = {}
        self._names = {
            (kind["group"], kind["version"], kind["kind"]): name
            for name, definition in definitions.items()
            for kind in definition.get("x-kubernetes-group-version-kind", ())
        }

    def name_of(self, group: str, version: str, kind: str) -> str | None:
        return self._names.get((group, version, kind))

    def named(self, name: str) -> Schema:
        if name in self._made:
            return self._made[name]
        definition = self._definitions[name]
        shape = _OWN_SHAPES.get(name) or _shape(definition)
        schema = Schema(shape, name, definition.get(_MAP_TYPE) == "atomic")
        self._made[name] = schema  # before its fields are linked: types are recursive
        self._link(schema, definition)
        return schema

    def _link(self, schema: Schema, definition: Mapping[str, Any]) -> None:
        if schema.shape is Shape.OBJECT:
            properties = definition.get("properties") or {}
            needed = frozenset(definition.get("required") or ())
            schema.fields = {
                name: self._field(
                    stated, omits=name not in needed and f"{schema.short_name}.{name}" not in _WRITTEN
                )
                for name, stated in properties.items()
            }
        elif schema.shape is Shape.MAP:
            schema.items = self._field(definition["additionalProperties"])
        elif schema.shape is Shape.LIST:
            schema.items = self._field(definition["items"])
        schema.format = definition.get("format", "")

    def _field(self, stated: Mapping[str, Any], *, omits: bool = False) -> Field:
        strategies = stated.get("x-kubernetes-patch-strategy", "").split(",")
        schema = self._schema(stated)
        return Field(
            schema,
            merges="merge" in strategies,
            replaces="replace" in strategies,
            merge_key=stated.get("x-kubernetes-patch-merge-key", ""),
            grain=_grain(schema, stated),
            keys=tuple(stated.get("x-kubernetes-list-map-keys", ())),
            omits=omits and schema.shape in {Shape.MAP, Shape.LIST},
        )

    def _schema(self, stated: Mapping[str, Any]) -> Schema:
        if "$ref" in stated:
            return self.named(stated["$ref"])
        schema = Schema(_shape(stated))
        self._link(schema, stated)
        return schema


def _shape(stated: Mapping[str, Any]) -> Shape:
    if "additionalProperties" in stated:
        return Shape.MAP
    if stated.get("type") == "string" and stated.get("format") == "byte":
        return Shape.BYTES
    return _SHAPES.get(stated.get("type", ""), Shape.OBJECT)


def _grain(schema: Schema, stated: Mapping[str, Any]) -> Grain:
    if schema.shape is Shape.LIST:
        return _LIST_GRAINS.get(stated.get("x-kubernetes-list-type", ""), Grain.WHOLE)
    said = stated.get(_MAP_TYPE, "atomic" if schema.atomic else "granular")
    return Grain.WHOLE if said == "atomic" else _GRAINS.get(schema.shape, Grain.WHOLE)


_LIST_GRAINS = {"map": Grain.KEYED, "set": Grain.VALUES}
_GRAINS = {Shape.OBJECT: Grain.FIELDS, Shape.MAP: Grain.ENTRIES, Shape.ANY: Grain.OPEN}
