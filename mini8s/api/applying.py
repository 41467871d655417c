"""`POST /apply`: manifests as people write them, many in one body, applied on the server; the answer is what
kubectl would print. So that a host with nothing but curl can be given work."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl

from mini8s.api import query as queries
from mini8s.api.answer import Answer
from mini8s.api.attributes import of_request, require
from mini8s.api.authz import Authorizer
from mini8s.api.body import APPLY, Body
from mini8s.objects import kinds, meta
from mini8s.objects.errors import ApiError, BadRequest, MethodNotAllowed, NotFound
from mini8s.objects.kinds import Kind, Obj
from mini8s.registry.base import Context, Registry, User
from mini8s.wire.codec import decode_yaml_documents

PATH = "/apply"
MANAGER = "curl"  # whoever does not say who he is; one name, so that the next time knows what went


@dataclass(frozen=True, slots=True)
class Applying:
    registry: Registry
    authorize: Authorizer
    now: Callable[[], datetime]

    def answer(self, environ: Mapping[str, Any], user: User) -> Answer:
        """A line for each object; what can't be applied does not keep the others from being so. The status is
        that of the first that failed."""
        query = queries.parse(environ["QUERY_STRING"])
        query = replace(query, field_manager=query.field_manager or MANAGER)
        queries.check_writing(query, "PatchOptions", applying=True)
        objects = list(_objects(Body(environ).raw()))
        if not objects:
            raise BadRequest("no objects passed to apply")
        space = dict(parse_qsl(environ["QUERY_STRING"])).get("namespace", "")
        lines, status = [], 200
        for obj in objects:
            try:
                lines += self._apply(user, query, obj, space)
            except ApiError as error:
                status = error.code if status == 200 else status
                lines.append(f"Error from server ({error.reason}): {_about(obj)}{error.message}")
        return Answer("".join(f"{line}\n" for line in lines).encode(), status, "text/plain; charset=utf-8")

    def _apply(self, user: User, query: queries.Query, obj: Obj, space: str) -> list[str]:
        kind, name = _kind(obj), _name(obj)
        namespace = _namespace(obj, space) if kind.namespaced else ""

        def check(verb: str) -> None:
            require(self.authorize, user, of_request(verb, kind, namespace, name, "", ""))

        check("patch")
        ctx = Context(
            user,
            self.now(),
            dry_run=query.dry_run,
            field_validation=query.field_validation,
            field_manager=query.field_manager,
            force=query.force,
            check_create=lambda: check("create"),
            may=self.authorize.may(user),
            rules=self.authorize.rules(user),
        )
        before = self._find(kind, namespace, name)
        value, created = self.registry.patch(ctx, kind, namespace, name, obj, APPLY)
        done = "created" if created else "unchanged" if value == before else "configured"
        suffix = " (server dry run)" if query.dry_run else ""
        return [*(f"Warning: {text}" for text in ctx.warnings), f"{_title(kind, name)} {done}{suffix}"]

    def _find(self, kind: Kind, namespace: str, name: str) -> bytes | None:
        try:
            return self.registry.get(kind, namespace, name)
        except NotFound:
            return None


def _objects(data: bytes) -> Iterator[Obj]:
    """Every object, those of lists too. Raises BadRequest."""
    for document in decode_yaml_documents(data):
        if not isinstance(document, dict):
            raise BadRequest("every document must be an object with apiVersion, kind and metadata")
        items = document.get("items")
        if str(document.get("kind")).endswith("List") and isinstance(items, list):
            yield from (item if isinstance(item, dict) else {} for item in items)
        else:
            yield document


def _kind(obj: Obj) -> Kind:
    version, word = str(obj.get("apiVersion") or ""), str(obj.get("kind") or "")
    kind = kinds.by_kind(version, word)
    if kind is None:
        raise BadRequest(f'no matches for kind "{word}" in version "{version}"')
    if "patch" not in kind.verbs:
        raise MethodNotAllowed("the server does not allow this method on the requested resource")
    return kind


def _name(obj: Obj) -> str:
    metadata = obj.get("metadata")
    if not isinstance(metadata, dict):
        raise BadRequest("metadata must be an object")
    if not metadata.get("name") and metadata.get("generateName"):
        raise BadRequest(f"cannot use generate name with apply: {metadata['generateName']}")
    if not isinstance(metadata.get("name"), str) or not metadata["name"]:
        raise BadRequest("resource name may not be empty")
    return meta.name(obj)


def _namespace(obj: Obj, wanted: str) -> str:
    said = meta.namespace(obj)
    if said and wanted and said != wanted:
        raise BadRequest(
            f'the namespace from the provided object "{said}" does not match the namespace "{wanted}". '
            f"You must pass '?namespace={said}' to perform this operation."
        )
    return said or wanted or "default"


def _title(kind: Kind, name: str) -> str:
    return f"{kind.singular}.{kind.group}/{name}" if kind.group else f"{kind.singular}/{name}"


def _about(obj: Obj) -> str:
    """Which object an error is of, as far as it can be told."""
    metadata = obj.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    return f'error when applying {obj.get("kind") or "an object"} "{name or ""}": '
