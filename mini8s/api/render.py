"""Objects and lists in the form that was asked for. Stored bytes go out as they are wherever that is what was
wanted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from mini8s.api import representation
from mini8s.api.representation import PARTIAL, TEXT, YAML, Representation
from mini8s.objects.kinds import Kind, Obj
from mini8s.registry.base import Column, Listed
from mini8s.wire import framing, table
from mini8s.wire.codec import decode_json, encode_json, encode_yaml


class Renderer:
    """How one kind's objects look to one caller."""

    def __init__(
        self,
        kind: Kind,
        columns: Sequence[Column],
        wanted: Representation,
        *,
        now: Callable[[], datetime],
        include_object: str = "",
        all_namespaces: bool = False,
    ) -> None:
        self._kind = kind
        self._columns = columns
        self._wanted = wanted
        self._now = now
        self._include = include_object or "Metadata"
        self._show_namespace = all_namespaces and kind.namespaced

    def one(self, value: bytes) -> bytes:
        wanted = self._wanted
        if wanted.plain:
            return value
        obj: Obj = decode_json(value)
        if wanted.media == TEXT or wanted.form == "Table":
            return self._encode(self.table([obj], obj["metadata"].get("resourceVersion", "")))
        return self._encode(self.shaped(obj))

    def many(self, listed: Listed) -> bytes:
        wanted, kind = self._wanted, self._kind
        if wanted.plain:
            return framing.list_body(
                kind, listed.items, listed.revision, listed.continue_token, listed.remaining
            )
        objects: list[Obj] = [decode_json(item) for item in listed.items]
        revision = str(listed.revision or "")
        if wanted.media == TEXT or wanted.form == "Table":
            return self._encode(_with_page(self.table(objects, revision), listed))
        body: Obj = {"kind": f"{kind.kind}List", "apiVersion": kind.api_version}
        if wanted.form == PARTIAL:
            body = {"kind": f"{PARTIAL}List", "apiVersion": self._meta_version}
        items = [self.shaped(obj) for obj in objects]
        body |= {"metadata": {"resourceVersion": revision} if revision else {}, "items": items}
        return self._encode(_with_page(body, listed))

    def shaped(self, obj: Obj) -> Obj:
        """As much of an object as the caller wants."""
        match self._wanted.form:
            case representation.PARTIAL:
                return {"kind": PARTIAL, "apiVersion": self._meta_version, "metadata": obj["metadata"]}
            case representation.READ:
                metadata = {
                    part: obj["metadata"][part] for part in obj["metadata"] if part != "managedFields"
                }
                return obj | {"metadata": metadata}
        return obj

    def table(self, objects: Sequence[Obj], revision: str, *, headers: bool = True) -> Obj:
        made = table.table(
            self._columns, objects, self._now(), revision=revision, include=self._include, headers=headers
        )
        return made | {"apiVersion": self._meta_version}

    def lines(self, obj: Obj, widths: list[int]) -> str:
        """One object as a line of text; as the first, below the columns' names."""
        return table.text(
            self.table([obj], ""),
            no_headers=bool(widths),
            wide=self._wanted.form == "wide",
            namespaces=self._show_namespace,
            widths=widths,
        )

    @property
    def _meta_version(self) -> str:
        return f"meta.k8s.io/{self._wanted.version}"

    def _encode(self, obj: Obj) -> bytes:
        if self._wanted.media == TEXT:
            return self._text(obj).encode()
        return encode_yaml(obj) if self._wanted.media == YAML else encode_json(obj)

    def _text(self, made: Obj) -> str:
        if not made["rows"]:
            return "No resources found\n"
        return table.text(made, wide=self._wanted.form == "wide", namespaces=self._show_namespace)


def _with_page(body: Obj, listed: Listed) -> Obj:
    if listed.continue_token:
        body["metadata"]["continue"] = listed.continue_token
        if listed.remaining is not None:
            body["metadata"]["remainingItemCount"] = listed.remaining
    return body
