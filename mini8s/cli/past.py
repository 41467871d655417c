"""What was: an object's revisions as the store's log still has them, asked for as any watch asks.

A watch from the oldest revision that is left tells every change since; a list of exactly one revision
(resourceVersionMatch=Exact) tells how things were then. How far back that goes is `--compact-minutes` and
`--compact-revisions`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from mini8s.cli.errors import CommandError
from mini8s.cli.resources import Target
from mini8s.client.rest import Rest
from mini8s.objects import diff, meta
from mini8s.objects.errors import BadRequest, Expired, NotFound
from mini8s.objects.kinds import Obj
from mini8s.wire import codec

HIDDEN = ("managedFields", "resourceVersion", "generation")
WIDTH = 60  # of a value in a line
WATCH_SECONDS = 1  # what is past comes at once
_OLDEST = re.compile(r"\((\d+)\)$")


@dataclass(frozen=True, slots=True)
class Revision:
    number: int
    who: str
    what: Sequence[str]


def revisions(rest: Rest, target: Target, namespace: str) -> list[Revision]:
    """Oldest first. Raises CommandError when nothing is left of it."""
    found: list[Revision] = []
    before: Obj | None = None
    for kind, obj in _changes(rest, target, namespace):
        gone = kind == "DELETED"
        found.append(_revision(before, None if gone else obj, meta.revision(obj)))
        before = None if gone else obj
    if not found:
        raise CommandError(f"nothing is left of {target.kind.singular} {target.name}")
    return found


def at(rest: Rest, target: Target, namespace: str, revision: int) -> Obj | None:
    """The object as it was at a revision of the store; None if it was not there. Raises Expired."""
    query = {
        "fieldSelector": f"metadata.name={target.name}",
        "resourceVersion": str(revision),
        "resourceVersionMatch": "Exact",
    }
    answer = rest.request("GET", target.kind.path(namespace), query=query)
    items = codec.decode_json(answer.body)["items"] or ()
    typed = {"apiVersion": target.kind.api_version, "kind": target.kind.kind}
    return next((typed | item for item in items), None)


def restored(current: Obj | None, past: Obj) -> Obj:
    """What to write so that the object is as it was: what others gave it since (identity, status, revision)
    stays."""
    metadata: Obj = {
        key: past["metadata"][key] for key in ("labels", "annotations") if past["metadata"].get(key)
    }
    kept = ("name", "namespace", "uid", "resourceVersion", "finalizers", "ownerReferences")
    source = current or {"metadata": {key: past["metadata"].get(key) for key in ("name", "namespace")}}
    metadata |= {key: source["metadata"][key] for key in kept if source["metadata"].get(key)}
    body = {key: value for key, value in past.items() if key not in ("metadata", "status")}
    return (
        body
        | {"metadata": metadata}
        | ({"status": current["status"]} if current and "status" in current else {})
    )


def _changes(rest: Rest, target: Target, namespace: str) -> Iterator[tuple[str, Obj]]:
    oldest, fields = _oldest(rest, target, namespace), f"metadata.name={target.name}"
    if first := at(rest, target, namespace, oldest):
        yield "ADDED", first
    newest = _newest(rest, target, namespace)
    if first and newest == meta.revision(first):
        return
    with_fields = {"resource_version": str(oldest), "fields": fields, "timeout_seconds": WATCH_SECONDS}
    for kind, obj in rest.watch(target.kind, namespace, **with_fields):  # type: ignore[arg-type]
        if kind in ("ADDED", "MODIFIED", "DELETED"):
            yield kind, obj
            if newest and meta.revision(obj) >= newest:
                return


def _newest(rest: Rest, target: Target, namespace: str) -> int:
    try:
        return meta.revision(rest.get(target.kind, namespace, target.name))
    except NotFound:
        return 0


def _oldest(rest: Rest, target: Target, namespace: str) -> int:
    """The oldest revision that can be listed: the refusal of an older one names it."""
    try:
        at(rest, target, namespace, 1)
    except Expired as refused:
        named = _OLDEST.search(str(refused))
        return int(named[1]) if named else 0
    except BadRequest as refused:
        raise CommandError(str(refused)) from refused
    return 1


def _revision(before: Obj | None, after: Obj | None, number: int) -> Revision:
    if after is None:
        return Revision(number, "", ("deleted",))
    if before is None:
        return Revision(number, _who({}, after), (f"as of generation {meta.generation(after) or 1}",))
    return Revision(number, _who(before, after), tuple(_told(before, after)) or ("nothing that shows",))


def _who(before: Obj, after: Obj) -> str:
    """Whose entries of the books are new; controllers keep none for what is theirs."""
    known = (before.get("metadata") or {}).get("managedFields") or ()
    fresh = [entry for entry in after["metadata"].get("managedFields") or () if entry not in known]
    names = (
        entry.get("manager", "") + (f" ({entry['subresource']})" if entry.get("subresource") else "")
        for entry in fresh
    )
    return ", ".join(dict.fromkeys(names)) or "-"


def _told(before: Obj, after: Obj) -> Iterator[str]:
    for path, old, new in diff.differences(_shown(before), _shown(after)):
        if old is None:
            yield f"{path}: {_short(new)}"
        elif new is None:
            yield f"{path} removed, was {_short(old)}"
        else:
            yield f"{path}: {_short(old)} -> {_short(new)}"


def _shown(obj: Obj) -> Obj:
    metadata = {key: value for key, value in obj["metadata"].items() if key not in HIDDEN}
    secret = obj.get("kind") == "Secret"
    body = {key: _masked(value) if secret and key == "data" else value for key, value in obj.items()}
    return body | {"metadata": metadata}


def _masked(data: Any) -> Any:
    """Values of a Secret do not belong on a screen; that they changed does."""
    return {key: f"<{hash(value) & 0xFFFF:04x}>" for key, value in (data or {}).items()}


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= WIDTH else f"{text[: WIDTH - 1]}…"
