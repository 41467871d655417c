"""Patches: which media type is which patch. The arithmetic is `objects.patch`'s.

Server-side apply is none of these: it needs to know who manages what (`registry.managing`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mini8s.objects import patch as patches
from mini8s.objects import schema
from mini8s.objects.errors import UnsupportedMediaType
from mini8s.objects.kinds import Kind, Obj

APPLY = "application/apply-patch+yaml"

Patch = Callable[[Kind, Obj, Any], Obj]

PATCHES: dict[str, Patch] = {
    "application/json-patch+json": lambda _, obj, patch: patches.json_patch(obj, patch),
    "application/merge-patch+json": lambda _, obj, patch: patches.merge_patch(obj, patch),
    "application/strategic-merge-patch+json": lambda kind, obj, patch: patches.strategic_merge(
        obj, patch, schema.of(kind)
    ),
}


def patch_for(media_type: str) -> Patch:
    found = PATCHES.get(media_type)
    if found is None:
        accepted = ", ".join((*PATCHES, APPLY))
        raise UnsupportedMediaType(
            f"the body of the request was in an unknown format - accepted media types include: {accepted}"
        )
    return found
