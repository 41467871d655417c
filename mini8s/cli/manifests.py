"""Objects from files, folders and standard input: YAML with several documents, or JSON."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from mini8s.cli.errors import CommandError
from mini8s.cli.resources import kind_of_object
from mini8s.objects import meta
from mini8s.objects.errors import BadRequest
from mini8s.objects.kinds import Obj
from mini8s.wire import codec

SUFFIXES = (".yaml", ".yml", ".json")


def read(names: Iterable[str], namespace: str) -> list[Obj]:
    """Every object in the files, in order; those without a namespace get the one given. Raises
    CommandError."""
    objects = [obj for name in names for path in _files(name) for obj in _documents(path)]
    if not objects:
        raise CommandError("no objects passed to apply or delete")
    return [_in_namespace(obj, namespace) for obj in objects]


def _files(name: str) -> list[str]:
    path = Path(name)
    if path.is_dir():
        return sorted(str(item) for item in path.iterdir() if item.suffix in SUFFIXES)
    return [name]


def _documents(name: str) -> Iterator[Obj]:
    try:
        data = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    except OSError as error:
        raise CommandError(f"{name} can't be read: {error.strerror}") from error
    try:
        documents = codec.decode_yaml_documents(data)
    except BadRequest as error:
        raise CommandError(f"{name}: {error}") from error
    for document in documents:
        yield from _objects(document, name)


def _objects(document: object, name: str) -> Iterator[Obj]:
    if document is None:
        return
    if not isinstance(document, dict):
        raise CommandError(f"{name}: a document is not an object")
    if document.get("kind") == "List":
        for item in document.get("items") or ():
            yield from _objects(item, name)
    elif not meta.name(document) and not (document.get("metadata") or {}).get("generateName"):
        raise CommandError(f"{name}: an object of kind {document.get('kind')} has no name")
    else:
        yield document


def _in_namespace(obj: Obj, namespace: str) -> Obj:
    if not kind_of_object(obj).namespaced or meta.namespace(obj):
        return obj
    return obj | {"metadata": obj["metadata"] | {"namespace": namespace}}
