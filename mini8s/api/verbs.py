"""The verbs on resources: one function each, which the fast path and Flask's routes share.

A verb reads what it needs from the `Call`, asks the registry, and gives the bytes back in the form wanted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from mini8s.api.answer import Answer
from mini8s.api.answered import Answered
from mini8s.api.body import APPLY, check_object
from mini8s.api.call import Call
from mini8s.api.query import check_writing, delete_options
from mini8s.api.render import Renderer
from mini8s.api.watch import Watching, check_list
from mini8s.objects.errors import BadRequest, MethodNotAllowed
from mini8s.objects.kinds import KINDS, Kind, Obj
from mini8s.registry import scale
from mini8s.registry.base import Column, Context, Listed, Registry
from mini8s.wire.codec import decode_json, encode_json

# DeleteOptions belong to every group (upstream: `metav1.AddToGroupVersion`).
_OPTIONS_VERSIONS = frozenset({"meta.k8s.io/v1", *(kind.api_version for kind in KINDS)})

Verb = Callable[[Call], Answer]

# Upstream answers the deletion of these with the object, of all others with a Status (its OpenAPI document
# declares it, so that typed clients rely on it).
SHOWN_WHEN_DELETED = frozenset(
    {
        "persistentvolumeclaims",
        "persistentvolumes",
        "pods",
        "podtemplates",
        "resourcequotas",
        "serviceaccounts",
        "services",
        "csidrivers.storage.k8s.io",
        "csinodes.storage.k8s.io",
        "storageclasses.storage.k8s.io",
        "volumeattachments.storage.k8s.io",
    }
)


class Verbs:
    """`collection`, `object` and `subresource` map a method to its verb."""

    def __init__(self, registry: Registry, watching: Watching, answered: Answered) -> None:
        self._registry = registry
        self._answered = answered
        self._watching = watching
        self._collection: Mapping[str, Verb] = {
            "GET": self.list,
            "POST": self.create,
            "DELETE": self.delete_collection,
        }
        self._object: Mapping[str, Verb] = {
            "GET": self.get,
            "PUT": self.update,
            "PATCH": self.patch,
            "DELETE": self.delete,
        }
        self._subresource: Mapping[str, Verb] = {
            "GET": self.get_subresource,
            "POST": self.create_subresource,
            "PUT": self.update,
            "PATCH": self.patch,
        }

    def find(self, method: str, call: Call, verb: str) -> Verb:
        """Raises MethodNotAllowed."""
        target = call.target
        if verb == "watch" and "watch" in target.kind.verbs:
            return self._watching.watch
        if target.watching:
            raise MethodNotAllowed("the server does not allow this method on the requested resource")
        table = self._collection
        if target.name:
            table = self._subresource if target.subresource else self._object
        found = table.get(method)
        everywhere = target.kind.namespaced and not target.namespace and method != "GET"
        if found is None or everywhere or (not target.subresource and verb not in target.kind.verbs):
            raise MethodNotAllowed("the server does not allow this method on the requested resource")
        return found

    def get(self, call: Call) -> Answer:
        target = call.target
        if not target.kind.kept:
            shown = self._answered.shown(target.kind).get(target.namespace, target.name)
            return self._one(call, encode_json(shown))
        version = call.query.list.resource_version
        value = self._registry.get(target.kind, target.namespace, target.name, resource_version=version)
        return self._one(call, value)

    def list(self, call: Call) -> Answer:
        check_list(call.query.send_initial_events)
        target = call.target
        if target.kind.kept:
            listed = self._registry.list(target.kind, target.namespace, call.query.list)
        else:
            shown = self._answered.shown(target.kind).list(target.namespace, call.query.list)
            listed = Listed([encode_json(one) for one in shown], 0)
        return Answer(self._renderer(call).many(listed), 200, call.wanted.content_type)

    def create(self, call: Call) -> Answer:
        check_writing(call.query, "CreateOptions")
        target, context = call.target, call.context()
        obj = self._body(call, context, target.kind)
        if not target.kind.kept:
            made = self._answered.answer(context, target.kind, target.namespace, obj)
            return self._one(call, encode_json(made), status=201)
        return self._one(call, self._registry.create(context, target.kind, target.namespace, obj), status=201)

    def update(self, call: Call) -> Answer:
        check_writing(call.query, "UpdateOptions")
        target, context = call.target, call.context()
        obj = self._body(call, context, _kind_of(call))
        said = obj["metadata"].get("name")
        if said and said != target.name:
            raise BadRequest(
                f"the name of the object ({said}) does not match the name on the URL ({target.name})"
            )
        value, created = self._registry.update(
            context, target.kind, target.namespace, target.name, obj, subresource=target.subresource
        )
        return self._one(call, value, status=201 if created else 200)

    def patch(self, call: Call) -> Answer:
        target, context = call.target, call.context()
        judged = context.field_validation != "Ignore"
        patch, media, context.repeated = call.body.patch(look_for_repeated=judged)
        check_writing(call.query, "PatchOptions", applying=media == APPLY)
        value, created = self._registry.patch(
            context,
            target.kind,
            target.namespace,
            target.name,
            patch,
            media,
            subresource=target.subresource,
        )
        return self._one(call, value, status=201 if created else 200)

    def delete(self, call: Call) -> Answer:
        target = call.target
        options, dry_run = delete_options(call.query, _options_body(call))
        context = call.context(dry_run=dry_run)
        value, gone = self._registry.delete(context, target.kind, target.namespace, target.name, options)
        if gone and target.kind.resource not in SHOWN_WHEN_DELETED:
            return Answer(_success(target.kind, value))
        return self._one(call, value)

    def delete_collection(self, call: Call) -> Answer:
        target = call.target
        options, dry_run = delete_options(call.query, _options_body(call))
        context = call.context(dry_run=dry_run)
        listed = self._registry.delete_collection(
            context, target.kind, target.namespace, call.query.list, options
        )
        return Answer(self._renderer(call).many(listed), 200, call.wanted.content_type)

    def get_subresource(self, call: Call) -> Answer:
        target = call.target
        value = self._registry.get_subresource(target.kind, target.namespace, target.name, target.subresource)
        return self._one(call, value)

    def create_subresource(self, call: Call) -> Answer:
        target, context = call.target, call.context()
        judged = context.field_validation != "Ignore"
        obj, context.repeated = call.body.value(look_for_repeated=judged)
        if not isinstance(obj, dict):
            raise BadRequest("the body of the request must be an object")
        made = self._registry.create_subresource(
            context, target.kind, target.namespace, target.name, target.subresource, obj
        )
        return Answer(encode_json(made), 201)

    def _body(self, call: Call, context: Context, kind: Kind | None) -> Obj:
        judged = context.field_validation != "Ignore"
        value, context.repeated = call.body.value(look_for_repeated=judged)
        if kind is not None:
            return check_object(value, kind)
        if not isinstance(value, dict) or not isinstance(value.setdefault("metadata", {}), dict):
            raise BadRequest("the body of the request must be an object with metadata")
        return value

    def _one(self, call: Call, value: bytes, *, status: int = 200) -> Answer:
        shown = value if call.wanted.plain else self._renderer(call).one(value)
        return Answer(shown, status, call.wanted.content_type)

    def _renderer(self, call: Call) -> Renderer:
        kind = call.target.kind
        return Renderer(
            kind,
            self._columns(call),
            call.wanted,
            now=lambda: call.now,
            include_object=call.query.include_object,
            all_namespaces=not call.target.namespace,
        )

    def _columns(self, call: Call) -> Sequence[Column]:
        kind = call.target.kind
        if call.wanted.plain:
            return ()
        if call.target.subresource == "scale":
            return scale.COLUMNS
        return self._registry.columns(kind) if kind.kept else self._answered.columns(kind)


def _kind_of(call: Call) -> Kind | None:
    """What a body must be. Scale has a kind of its own, which the registry knows."""
    return None if call.target.subresource == "scale" else call.target.kind


def _options_body(call: Call) -> Obj | None:
    """DeleteOptions in any of the forms that clients send; an empty body says nothing."""
    value, _ = call.body.value()
    if value is None:
        return None
    if not isinstance(value, dict):
        raise BadRequest("the body of the request must be a DeleteOptions object")
    kind, version = value.get("kind") or "DeleteOptions", value.get("apiVersion") or "v1"
    if kind != "DeleteOptions":
        raise BadRequest(f"the body of the request must be DeleteOptions, not {kind}")
    if not isinstance(version, str) or version not in _OPTIONS_VERSIONS:
        raise BadRequest(f'no kind "DeleteOptions" is registered for version "{version}"')
    return value


def _success(kind: Kind, value: bytes) -> bytes:
    """What upstream answers when the object is gone."""
    metadata = decode_json(value)["metadata"]
    details = {"name": metadata["name"], "kind": kind.plural, "uid": metadata.get("uid", "")}
    if kind.group:
        details["group"] = kind.group
    return encode_json(
        {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}
    )
