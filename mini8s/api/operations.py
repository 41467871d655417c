"""What the OpenAPI documents say: paths and operations from the table of kinds, types from the schema data.

Clients look up three things here: types by `x-kubernetes-group-version-kind`, which parameters a PATCH takes
(kubectl asks that before it trusts `fieldValidation` and `dryRun` to the server), and merge keys. No more is
said than that needs: descriptions would be megabytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from mini8s.api.body import PATCH_TYPES
from mini8s.api.subresources import SUBRESOURCES, GroupVersionKind, Subresource
from mini8s.api.verbs import SHOWN_WHEN_DELETED
from mini8s.config import KUBERNETES_VERSION
from mini8s.objects import schema
from mini8s.objects.kinds import KINDS, PROXY, Kind, Obj

_META = "io.k8s.apimachinery.pkg.apis.meta.v1"
_INFO = {"title": "Kubernetes", "version": KUBERNETES_VERSION.partition("+")[0]}
_OPTIONS, _PATCH, _STATUS = (f"{_META}.{name}" for name in ("DeleteOptions", "Patch", "Status"))
_ALWAYS = (_OPTIONS, _PATCH, _STATUS, f"{_META}.WatchEvent")
_WRITE = ("dryRun", "fieldManager", "fieldValidation")
_SELECT = (
    "continue",
    "fieldSelector",
    "labelSelector",
    "limit",
    "resourceVersion",
    "resourceVersionMatch",
    "sendInitialEvents",
    "timeoutSeconds",
)
_REMOVE = ("dryRun", "gracePeriodSeconds", "orphanDependents", "propagationPolicy")
_QUERY = {  # x-kubernetes-action: the query parameters that it takes
    "get": (),
    "list": ("allowWatchBookmarks", *_SELECT, "watch"),
    "post": _WRITE,
    "put": _WRITE,
    "patch": (*_WRITE, "force"),
    "delete": _REMOVE,
    "deletecollection": (*_REMOVE, *_SELECT),
    "connect": (),
}
_TYPES = dict.fromkeys(("gracePeriodSeconds", "limit", "timeoutSeconds"), "integer") | dict.fromkeys(
    ("allowWatchBookmarks", "force", "orphanDependents", "sendInitialEvents", "watch"), "boolean"
)
_VERBS = {action: action for action in _QUERY} | {"post": "create", "put": "update"}  # action → verb
_COLLECTION = {"get": "list", "post": "post", "delete": "deletecollection"}
_OBJECT = {"get": "get", "put": "put", "patch": "patch", "delete": "delete"}
_PATH_PARTS = ("namespace", "name", "path")

Refer = Callable[[str], Obj]


@dataclass(frozen=True, slots=True)
class Operation:
    """What one method does on one path. `name` is the definition of what it takes and `gives` of the answer,
    "" for bytes."""

    action: str
    about: GroupVersionKind
    name: str
    gives: str
    parameters: Mapping[str, str] = field(default_factory=dict)  # of its own: name -> type

    @property
    def query(self) -> dict[str, str]:
        """Every parameter of the query, with its type."""
        return {name: _TYPES.get(name, "string") for name in _QUERY[self.action]} | dict(self.parameters)

    @property
    def takes(self) -> str:
        """The definition of the body, "" for none."""
        if self.action in {"delete", "deletecollection"}:
            return _OPTIONS
        return {"post": self.name, "put": self.name, "patch": _PATCH}.get(self.action, "")

    @property
    def extensions(self) -> Obj:
        group, version, kind = self.about
        return {
            "x-kubernetes-action": self.action,
            "x-kubernetes-group-version-kind": {"group": group, "kind": kind, "version": version},
        }


def v3(group: str, version: str) -> Obj:
    kinds = [kind for kind in KINDS if (kind.group, kind.version) == (group, version)]
    prefix = "#/components/schemas/"
    return {
        "openapi": "3.0.0",
        "info": _INFO,
        "paths": _paths(kinds, _operation_v3, _part_v3, lambda name: {"$ref": prefix + name}),
        "components": {
            "schemas": {name: _EITHER.get(name, said) for name, said in _definitions(kinds, prefix).items()}
        },
    }


# What is a number or a text: v3 can say so, v2 calls it a string.
_EITHER = {
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString": {
        "format": "int-or-string",
        "oneOf": [{"type": "integer"}, {"type": "string"}],
    },
    "io.k8s.apimachinery.pkg.api.resource.Quantity": {"oneOf": [{"type": "string"}, {"type": "number"}]},
}
_TEXT = {"type": "string"}


def v2() -> Obj:
    prefix = "#/definitions/"
    return {
        "swagger": "2.0",
        "info": _INFO,
        "paths": _paths(KINDS, _operation_v2, _part_v2, lambda name: {"$ref": prefix + name}),
        "definitions": _definitions(KINDS, prefix),
    }


def _paths(
    kinds: Iterable[Kind],
    operation: Callable[[Operation, Refer], Obj],
    part: Callable[[str], Obj],
    refer: Refer,
) -> Obj:
    made: Obj = {}
    for kind in kinds:
        for path, methods in _methods(kind):
            item: Obj = {method: operation(said, refer) for method, said in methods.items()}
            if parts := [part(name) for name in _PATH_PARTS if f"{{{name}}}" in path]:
                item["parameters"] = parts
            made[path] = item
    return made


def _methods(kind: Kind) -> Iterator[tuple[str, dict[str, Operation]]]:
    """A kind's paths, and what each method does there."""
    about, name = (kind.group, kind.version, kind.kind), schema.definition_name(kind)
    collection, one = (
        {
            method: Operation(action, about, name, _given(action, name, kind))
            for method, action in actions.items()
            if _VERBS[action] in kind.verbs
        }
        for actions in (_COLLECTION, _OBJECT)
    )
    if kind.namespaced and "list" in kind.verbs:
        yield kind.path(), {"get": collection["get"]}
    yield kind.path("{namespace}"), collection
    if one:
        yield kind.path("{namespace}", "{name}"), one
    for below in (SUBRESOURCES[word] for word in kind.subresources):
        path, methods = kind.path("{namespace}", "{name}", below.name), _below(kind, below)
        yield path, methods
        if below.name == PROXY:
            yield f"{path}/{{path}}", methods


def _given(action: str, name: str, kind: Kind) -> str:
    if action == "list":
        return f"{name}List"
    ends = action == "deletecollection" or (action == "delete" and kind.resource not in SHOWN_WHEN_DELETED)
    return _STATUS if ends else name


def _below(kind: Kind, below: Subresource) -> dict[str, Operation]:
    about = below.kind_below(kind)
    name = "" if below.connects or below.name == "log" else _definition_of(about)
    return {
        method: Operation(action, about, name, name, below.parameters)
        for method, action in below.methods.items()
    }


def _definition_of(about: GroupVersionKind) -> str:
    group, version, kind = about
    return schema.of_version_kind(f"{group}/{version}" if group else version, kind).name


def _part_v3(name: str) -> Obj:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}


def _part_v2(name: str) -> Obj:
    return {"name": name, "in": "path", "required": True, "type": "string"}


def _operation_v3(said: Operation, refer: Refer) -> Obj:
    given = {"application/json": {"schema": refer(said.gives)}} if said.gives else {"*/*": {"schema": _TEXT}}
    made: Obj = {
        "parameters": [
            {"name": name, "in": "query", "schema": {"type": form}} for name, form in said.query.items()
        ],
        "responses": {"200": {"description": "OK", "content": given}},
        **said.extensions,
    }
    if said.takes:
        forms = PATCH_TYPES if said.action == "patch" else ("*/*",)
        made["requestBody"] = {"content": {form: {"schema": refer(said.takes)} for form in forms}}
    return made


def _operation_v2(said: Operation, refer: Refer) -> Obj:
    parameters: list[Obj] = [{"name": name, "in": "query", "type": form} for name, form in said.query.items()]
    if said.takes:
        parameters.append({"name": "body", "in": "body", "schema": refer(said.takes)})
    return {
        "parameters": parameters,
        "responses": {"200": {"description": "OK", "schema": refer(said.gives) if said.gives else _TEXT}},
        **said.extensions,
    }


def _definitions(kinds: Iterable[Kind], prefix: str) -> Obj:
    """The types of these kinds and whatever those are made of."""
    known = schema.definitions()
    operations = [said for kind in kinds for _, methods in _methods(kind) for said in methods.values()]
    todo = [*_ALWAYS, *(name for said in operations for name in (said.takes, said.gives))]
    found: Obj = {}
    while todo:
        name = todo.pop()
        if name in found or name not in known:
            continue
        found[name] = _with_prefix(known[name], prefix, todo)
    return dict(sorted(found.items()))


def _with_prefix(value: Any, prefix: str, seen: list[str]) -> Any:
    """A copy whose references say where they are in the document; each is noted in `seen`."""
    if isinstance(value, list):
        return [_with_prefix(item, prefix, seen) for item in value]
    if not isinstance(value, dict):
        return value
    name = value.get("$ref")
    if isinstance(name, str):
        seen.append(name)
        return {**value, "$ref": prefix + name}
    return {key: _with_prefix(item, prefix, seen) for key, item in value.items()}
