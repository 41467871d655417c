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


@dataclass(slots=True, eq=False)
class Schema:
    """One type. Types refer to themselves and to each other, so they are filled in after they are made."""

    shape: Shape
    name: str = ""  # the definition's, "" for a field's own
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
    """A type at its place, with how two values there are merged. (The list and map types that server-side
    apply goes by are in the definitions, and get their attributes here with it.)"""

    schema: Schema
    merges: bool = False  # a list whose elements are merged, by merge_key or as a set
    replaces: bool = False  # an object that is replaced as a whole
    merge_key: str = ""


ANY = Schema(Shape.ANY)
ANY_FIELD = Field(ANY)

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
        schema = Schema(_OWN_SHAPES.get(name) or _shape(definition), name)
        self._made[name] = schema  # before its fields are linked: types are recursive
        self._link(schema, definition)
        return schema

    def _link(self, schema: Schema, definition: Mapping[str, Any]) -> None:
        if schema.shape is Shape.OBJECT:
            properties = definition.get("properties") or {}
            schema.fields = {name: self._field(stated) for name, stated in properties.items()}
        elif schema.shape is Shape.MAP:
            schema.items = self._field(definition["additionalProperties"])
        elif schema.shape is Shape.LIST:
            schema.items = self._field(definition["items"])
        schema.format = definition.get("format", "")

    def _field(self, stated: Mapping[str, Any]) -> Field:
        strategies = stated.get("x-kubernetes-patch-strategy", "").split(",")
        return Field(
            self._schema(stated),
            merges="merge" in strategies,
            replaces="replace" in strategies,
            merge_key=stated.get("x-kubernetes-patch-merge-key", ""),
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
