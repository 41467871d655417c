"""What lies in the folder of manifests. As k3s has it, `FILE.skip` beside a file keeps anybody from touching
what that file is about."""

from __future__ import annotations

import hashlib
from pathlib import Path

from mini8s.app.deploying.plan import Ref, Source
from mini8s.objects import kinds, meta
from mini8s.objects.errors import BadRequest
from mini8s.objects.kinds import Obj
from mini8s.wire import codec

SUFFIXES = frozenset({".yaml", ".yml", ".json"})
SETTLED_SECONDS = 2.0  # a file that changed a moment ago may be half written


def read(folder: Path, now: float) -> dict[str, Source] | None:
    """By path within the folder. None where there is no folder: a disk that is not mounted proves nothing."""
    if not folder.is_dir():
        return None
    found = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.suffix not in SUFFIXES or path.name.startswith("."):
            continue
        if path.with_name(f"{path.name}.skip").exists():
            found[name] = Source(left_alone=True)
            continue
        try:
            if not path.is_file():
                continue
            young = 0 <= now - path.stat().st_mtime < SETTLED_SECONDS
            found[name] = Source(left_alone=True) if young else parse(path.read_bytes())
        except OSError as error:
            found[name] = Source(error=f"it can't be read: {error.strerror}")
    return found


def parse(data: bytes) -> Source:
    digest = hashlib.sha256(data).hexdigest()
    try:
        objects = [_checked(obj) for document in codec.decode_yaml_documents(data) for obj in _flat(document)]
    except BadRequest as error:
        return Source(digest, error=str(error))
    refs = [ref_of(obj) for obj in objects]
    if twice := next((ref for ref in refs if refs.count(ref) > 1), None):
        return Source(digest, error=f"{twice} is there twice")
    return Source(digest, tuple(zip(refs, objects, strict=True)))


def ref_of(obj: Obj) -> Ref:
    kind = kinds.by_kind(obj["apiVersion"], obj["kind"])
    namespaced = kind is not None and kind.namespaced
    return Ref(
        obj["apiVersion"],
        obj["kind"],
        (meta.namespace(obj) or "default") if namespaced else "",
        meta.name(obj),
    )


def _flat(document: object) -> list[object]:
    if document is None:
        return []
    if isinstance(document, dict) and document.get("kind") == "List":
        return [one for item in document.get("items") or () for one in _flat(item)]
    return [document]


def _checked(obj: object) -> Obj:
    metadata = obj.get("metadata") if isinstance(obj, dict) else None
    if not isinstance(obj, dict) or not isinstance(metadata, dict):
        raise BadRequest("a document is not an object with apiVersion, kind and metadata")
    version, word = str(obj.get("apiVersion") or ""), str(obj.get("kind") or "")
    if kinds.by_kind(version, word) is None:
        raise BadRequest(f'no matches for kind "{word}" in version "{version}"')
    if not isinstance(metadata.get("name"), str) or not metadata["name"]:
        raise BadRequest(f"an object of kind {word} has no name")
    return obj
