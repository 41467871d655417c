"""RFC 7386: a null removes, an object merges, all else replaces."""

from __future__ import annotations

from typing import Any


def merge_patch(doc: Any, patch: Any) -> Any:
    if not isinstance(patch, dict):
        return patch
    base = doc if isinstance(doc, dict) else {}
    merged = {key: value for key, value in base.items() if patch.get(key, value) is not None}
    merged |= {key: merge_patch(base.get(key), value) for key, value in patch.items() if value is not None}
    return merged
