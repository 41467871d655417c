"""The door: what a client sent becomes an object of ours, typed, pruned and with its defaults."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from mini8s.objects import meta, schema
from mini8s.objects.errors import BadRequest, Cause, Invalid
from mini8s.objects.kinds import Kind, Obj
from mini8s.registry import problems
from mini8s.registry.base import Context
from mini8s.wire.codec import decode_json, encode_json, parts_of_json


class Undecodable(BadRequest):
    """No object of its kind, for a reason (`why`)."""

    def __init__(self, kind: Kind, why: str, causes: Sequence[Cause] = ()) -> None:
        said = f'{kind.kind} in version "{kind.version}" cannot be handled as a {kind.kind}: {why}'
        super().__init__(said, causes=causes)
        self.why = why


@contextmanager
def made_by(patch: Any) -> Iterator[None]:
    """An object that is none because of a patch is the patch's fault, and invalid rather than a bad request
    (upstream: `jsonPatcher`, which shows what came of the patch instead)."""
    try:
        yield
    except Undecodable as error:
        cause = problems.invalid("patch", encode_json(patch).decode(), error.why)
        raise Invalid(f' "" is invalid: patch: {cause.message}', causes=[cause]) from error


def parse(ctx: Context, kind: Kind, obj: Obj, *, stored: bytes = b"") -> Obj:
    """A new object; raises BadRequest for a wrong kind, wrong types, and in Strict mode unknown fields.

    What of it is word for word as it was `stored` came through here before and is not looked at again: of a
    pod whose status is written that is all but the status."""
    _check_identity(kind, obj)
    same = _same(obj, parts_of_json(stored)) if stored else {}
    rest = {part: value for part, value in obj.items() if part not in same} if same else obj
    found = schema.validate(kind, rest)
    if found.errors:
        why = ", ".join(cause.message for cause in found.errors)
        raise Undecodable(kind, why, found.errors)
    _report(ctx, kind, found.unknown)
    if "spec" in schema.of(kind).fields and obj.get("spec") is None:
        rest = rest | {
            "spec": {}
        }  # who says nothing of what is wanted gets the defaults, or is told what is missing
    made = schema.apply_defaults(kind, rest) | same
    first = {"kind": kind.kind, "apiVersion": kind.api_version, "metadata": made.get("metadata") or {}}
    return first | {part: made[part] for part in {**obj, **made} if part in made and part not in first}


def _same(obj: Obj, stored: Mapping[str, bytes]) -> Obj:
    """The parts that are as they were stored, made anew: nobody else has them. Bytes are compared, since to
    Python a 1 is a true."""
    return {
        part: decode_json(stored[part])
        for part, value in obj.items()
        if part in stored and encode_json(value) == stored[part]
    }


def check_place(kind: Kind, namespace: str, name: str, obj: Obj) -> None:
    """Whether an object that is put somewhere says that it belongs there."""
    said = meta.name(obj)
    if not said:
        raise BadRequest("name must be provided")
    if said != name:
        raise BadRequest(
            f"the name of the object ({said}) does not match the name on the URL ({name})",
            group=kind.group,
            kind=kind.plural,
            name=name,
        )
    check_namespace(kind, namespace, obj)


def check_namespace(kind: Kind, namespace: str, obj: Obj) -> None:
    said = meta.namespace(obj)
    if said and said != (namespace if kind.namespaced else ""):
        raise BadRequest(
            "the namespace of the provided object does not match the namespace sent on the request"
        )


def _check_identity(kind: Kind, obj: Obj) -> None:
    if not isinstance(obj, dict):
        raise BadRequest(f"the object provided is unrecognized (must be of type {kind.kind})")
    version, said = obj.get("apiVersion") or kind.api_version, obj.get("kind") or kind.kind
    if said != kind.kind:
        raise BadRequest(
            f'{said} in version "{version}" cannot be handled as a {kind.kind}: '
            f"the kind in the data ({said}) does not match the expected kind ({kind.kind})"
        )
    if version != kind.api_version:
        raise BadRequest(
            f"the API version in the data ({version}) does not match the expected API version "
            f"({kind.api_version})"
        )


def _report(ctx: Context, kind: Kind, unknown: Sequence[str]) -> None:
    """What is in a body and is not taken: refused, warned of or passed over, as the client wishes."""
    said = [f'duplicate field "{path}"' for path in ctx.repeated]
    said += [f'unknown field "{path}"' for path in unknown]
    if said and ctx.field_validation == "Strict":
        raise Undecodable(kind, f"strict decoding error: {', '.join(said)}")
    if ctx.field_validation == "Warn":
        ctx.warnings.extend(said)
