"""Who manages which fields, kept at every write. The rules are `objects.apply`'s.

Keeping books has its price in bytes: a pod's books are half as long as the pod. So what controllers make for
themselves (pods of a ReplicaSet, EndpointSlices, leases, events) has none until somebody applies to it; all
that it was until then belongs to `before-first-apply`, which is what upstream does with objects without
books. An object whose books were thrown away (`managedFields: [{}]`) is treated the same.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mini8s.objects import apply, meta, schema
from mini8s.objects.errors import BadRequest
from mini8s.objects.kinds import Kind, Obj
from mini8s.objects.time import format_time
from mini8s.registry.base import Context

Note = Callable[[Context, Kind, Obj, Obj | None, str], None]  # new, old or None, through which subresource

_THROWN_AWAY: list[Obj] = [{}]


def updated(ctx: Context, kind: Kind, new: Obj, old: Obj | None, subresource: str) -> None:
    """Note who made `new` of `old`, or of nothing. Its books may have been written by the client, which is
    how fields are handed over; what can't be read, or an empty list, is no statement."""
    if old is None:
        owned = kind.ephemeral or meta.controller_ref(new) is not None
        writing = _writing(ctx, kind, apply.UPDATE, "")
        _keep(new, {} if owned else apply.update(writing, {}, new, {}))
        return
    said = new["metadata"].get("managedFields")
    managers = apply.decode(old["metadata"].get("managedFields") or []) or {}
    if said == _THROWN_AWAY and not subresource:
        managers = {}
    elif said and not subresource:
        managers = apply.decode(said) or managers
    if managers:
        managers = apply.update(_writing(ctx, kind, apply.UPDATE, subresource), old, new, managers)
    _keep(new, managers)


def scaled(ctx: Context, kind: Kind, new: Obj, old: Obj | None, _subresource: str) -> None:
    """The same for a change of the Scale, which is a change of the whole object to the writer."""
    updated(ctx, kind, new, old, "scale")


def left(_ctx: Context, _kind: Kind, _new: Obj, _old: Obj | None, _subresource: str) -> None:
    """Nothing to note: the books are as they should be."""


def applied(ctx: Context, kind: Kind, live: Obj, config: Obj, subresource: str) -> Obj:
    """What applying a configuration, which must have passed `check`, makes of the object (of nothing: {}).
    Raises ApplyConflict."""
    writing = _writing(ctx, kind, apply.APPLY, subresource)
    managers = apply.decode((live.get("metadata") or {}).get("managedFields") or []) or {}
    merged, managers = apply.apply_as_kubectl(writing, live, config, managers, force=ctx.force)
    made = merged | {"metadata": dict(merged.get("metadata") or {})}
    _keep(made, managers)
    return made


def same(new: Obj, old: Obj) -> bool:
    """Whether nothing has changed, or nothing but the times in the books."""
    if new == old:
        return True
    return bool(new["metadata"].get("managedFields")) and _without_times(new) == _without_times(old)


def _writing(ctx: Context, kind: Kind, operation: str, subresource: str) -> apply.Writing:
    by = apply.Manager(ctx.field_manager or "unknown", operation, kind.api_version, subresource)
    return apply.Writing(schema.root(kind), by, format_time(ctx.now), _hidden(kind, subresource))


def _hidden(kind: Kind, subresource: str) -> frozenset[str]:
    if subresource == "status":
        return frozenset({"spec"})
    return frozenset({"status"}) if "status" in kind.subresources else frozenset()


def _keep(obj: Obj, managers: apply.Managers) -> None:
    if managers:
        obj["metadata"]["managedFields"] = apply.encode(managers)
    else:
        obj["metadata"].pop("managedFields", None)


def check(kind: Kind, config: Any) -> None:
    """Whether it is a configuration of this kind that can be applied. Raises BadRequest."""
    if not isinstance(config, dict) or not isinstance(config.get("metadata") or {}, dict):
        raise BadRequest("the body of an apply patch must be an object")
    version = config.get("apiVersion") or ""
    if version != kind.api_version:
        raise BadRequest(
            "Incorrect version specified in apply patch. "
            f"Specified patch version: {version}, expected: {kind.api_version}"
        )
    if (config.get("metadata") or {}).get("managedFields"):
        raise BadRequest("metadata.managedFields must be nil")
    if wrong := apply.problems(schema.root(kind), config):
        said = wrong[0] if len(wrong) == 1 else "errors:" + "".join(f"\n  {each}" for each in wrong)
        where = f"{meta.namespace(config)}/{meta.name(config)}; {kind.api_version}, Kind={kind.kind}"
        raise BadRequest(f"failed to create typed patch object ({where}): {said}")


def _without_times(obj: Obj) -> Obj:
    metadata: Obj = obj["metadata"]
    books = [
        {part: value for part, value in entry.items() if part != "time"}
        for entry in metadata.get("managedFields") or ()
    ]
    return obj | {"metadata": metadata | {"managedFields": books}}
