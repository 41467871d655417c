"""What the OpenAPI documents say: paths and operations from the table of kinds, types from the schema data.

Clients look up three things here: types by `x-kubernetes-group-version-kind`, which parameters a PATCH takes
(kubectl asks that before it trusts `fieldValidation` and `dryRun` to the server), and merge keys. No more is
said than that needs: descriptions would be megabytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from mini8s.config import KUBERNETES_VERSION
from mini8s.objects import schema
from mini8s.objects.kinds import KINDS, Kind, Obj

_META = "io.k8s.apimachinery.pkg.apis.meta.v1"
_INFO = {"title": "Kubernetes", "version": KUBERNETES_VERSION.partition("+")[0]}
_ALWAYS = (f"{_META}.DeleteOptions", f"{_META}.Status", f"{_META}.WatchEvent")
_WRITE = ("dryRun", "fieldManager", "fieldValidation")
_QUERY = {  # x-kubernetes-action: the query parameters that it takes
    "get": (),
    "list": ("continue", "fieldSelector", "labelSelector", "limit", "resourceVersion", "watch"),
    "post": _WRITE,
    "put": _WRITE,
    "patch": (*_WRITE, "force"),
    "delete": ("dryRun", "gracePeriodSeconds", "propagationPolicy"),
    "deletecollection": ("dryRun", "fieldSelector", "labelSelector", "propagationPolicy"),
}
_TYPES = {"limit": "integer", "gracePeriodSeconds": "integer", "force": "boolean", "watch": "boolean"}
_VERBS = {action: action for action in _QUERY} | {"post": "create", "put": "update"}  # action → verb
_COLLECTION = {"get": "list", "post": "post", "delete": "deletecollection"}
_OBJECT = {"get": "get", "put": "put", "patch": "patch", "delete": "delete"}
_SUBRESOURCE = {"get": "get", "put": "put", "patch": "patch"}
_PATCHES = ("json-patch+json", "merge-patch+json", "strategic-merge-patch+json", "apply-patch+yaml")

Refer = Callable[[str], Obj]
Operation = Callable[[str, str, Kind, Refer], Obj]  # method, action, kind, how to name a type


def v3(group: str, version: str) -> Obj:
    kinds = [kind for kind in KINDS if (kind.group, kind.version) == (group, version)]
    prefix = "#/components/schemas/"
    return {
        "openapi": "3.0.0",
        "info": _INFO,
        "paths": _paths(kinds, _operation_v3, lambda name: {"$ref": prefix + name}),
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


def v2() -> Obj:
    prefix = "#/definitions/"
    return {
        "swagger": "2.0",
        "info": _INFO,
        "paths": _paths(KINDS, _operation_v2, lambda name: {"$ref": prefix + name}),
        "definitions": _definitions(KINDS, prefix),
    }


def _paths(kinds: Iterable[Kind], operation: Operation, refer: Refer) -> Obj:
    return {
        path: {method: operation(method, action, kind, refer) for method, action in actions.items()}
        for kind in kinds
        for path, actions in _actions(kind)
    }


def _actions(kind: Kind) -> Iterator[tuple[str, dict[str, str]]]:
    """A kind's paths, and what each method does there."""
    collection, one = (
        {method: action for method, action in methods.items() if _VERBS[action] in kind.verbs}
        for methods in (_COLLECTION, _OBJECT)
    )
    if kind.namespaced and "list" in kind.verbs:
        yield kind.path(), {"get": "list"}
    yield kind.path("{namespace}"), collection
    if one:
        yield kind.path("{namespace}", "{name}"), one
    if "status" in kind.subresources:
        yield kind.path("{namespace}", "{name}", "status"), _SUBRESOURCE


def _operation_v3(method: str, action: str, kind: Kind, refer: Refer) -> Obj:
    own = refer(schema.definition_name(kind))
    made: Obj = {
        "parameters": [
            {"name": name, "in": "query", "schema": {"type": _TYPES.get(name, "string")}}
            for name in _QUERY[action]
        ],
        "responses": {"200": {"description": "OK", "content": {"application/json": {"schema": own}}}},
        **_extensions(action, kind),
    }
    if method in {"post", "put"}:
        made["requestBody"] = {"content": {"*/*": {"schema": own}}}
    if method == "patch":
        made["requestBody"] = {"content": {f"application/{form}": {} for form in _PATCHES}}
    return made


def _operation_v2(method: str, action: str, kind: Kind, refer: Refer) -> Obj:  # noqa: ARG001
    return {
        "parameters": [
            {"name": name, "in": "query", "type": _TYPES.get(name, "string")} for name in _QUERY[action]
        ],
        "responses": {"200": {"description": "OK", "schema": refer(schema.definition_name(kind))}},
        **_extensions(action, kind),
    }


def _extensions(action: str, kind: Kind) -> Obj:
    return {
        "x-kubernetes-action": action,
        "x-kubernetes-group-version-kind": {
            "group": kind.group,
            "kind": kind.kind,
            "version": kind.version,
        },
    }


def _definitions(kinds: Iterable[Kind], prefix: str) -> Obj:
    """The types of these kinds and whatever those are made of."""
    known = schema.definitions()
    names = [schema.definition_name(kind) for kind in kinds]
    todo = [*names, *(f"{name}List" for name in names), *_ALWAYS]
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
