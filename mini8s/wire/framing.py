"""Lists and watch events put together from bytes that are final already: nothing is decoded or encoded
again."""

from __future__ import annotations

from collections.abc import Sequence

from mini8s.objects.kinds import Kind, Obj
from mini8s.wire.codec import encode_json


def watch_event(type: str, value: bytes) -> bytes:
    """One line of a watch; type is ADDED, MODIFIED, DELETED, BOOKMARK or ERROR."""
    return b'{"type":"%s","object":%s}\n' % (type.encode(), value)


def list_body(
    kind: Kind,
    items: Sequence[bytes],
    revision: int,
    continue_token: str = "",
    remaining: int | None = None,
) -> bytes:
    """A List object; `remaining` is said only beside a continue token, as upstream does. What is not kept has
    no revision: 0."""
    metadata: Obj = {"resourceVersion": str(revision)} if revision else {}
    if continue_token:
        metadata["continue"] = continue_token
        if remaining is not None:
            metadata["remainingItemCount"] = remaining
    head = encode_json({"kind": f"{kind.kind}List", "apiVersion": kind.api_version, "metadata": metadata})
    return b"".join((head[:-1], b',"items":[', b",".join(items), b"]}"))
