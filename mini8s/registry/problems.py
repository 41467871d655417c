"""What can be wrong with a field, in upstream's words (`k8s.io/apimachinery/pkg/util/validation/field`).

Rules are generators of these causes; nothing is raised before all of them have spoken, so that a person sees
everything that is wrong at once.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from mini8s.objects.errors import Cause

Causes = Iterator[Cause]

_WORDS = {
    "FieldValueRequired": "Required value",
    "FieldValueInvalid": "Invalid value",
    "FieldValueTypeInvalid": "Invalid value",
    "FieldValueNotSupported": "Unsupported value",
    "FieldValueDuplicate": "Duplicate value",
    "FieldValueForbidden": "Forbidden",
    "FieldValueTooLong": "Too long",
    "FieldValueTooMany": "Too many",
    "FieldValueNotFound": "Not found",
}


def required(field: str, detail: str = "") -> Cause:
    return _cause("FieldValueRequired", field, "", detail)


def invalid(field: str, value: Any, detail: str) -> Cause:
    return _cause("FieldValueInvalid", field, _shown(value), detail)


def not_supported(field: str, value: Any, allowed: Iterable[str]) -> Cause:
    listed = ", ".join(f'"{item}"' for item in sorted(allowed))
    return _cause("FieldValueNotSupported", field, _shown(value), f"supported values: {listed}")


def duplicate(field: str, value: Any) -> Cause:
    return _cause("FieldValueDuplicate", field, _shown(value), "")


def forbidden(field: str, detail: str) -> Cause:
    return _cause("FieldValueForbidden", field, "", detail)


def too_long(field: str, most: int) -> Cause:
    return _cause("FieldValueTooLong", field, "", f"may not be more than {most} bytes")


def too_many(field: str, count: int, most: int) -> Cause:
    return _cause("FieldValueTooMany", field, _shown(count), f"must have at most {most} items")


def not_found(field: str, value: Any) -> Cause:
    return _cause("FieldValueNotFound", field, _shown(value), "")


def named(field: str, value: str, wrong: str | None) -> Causes:
    """What a grammar of `objects.names` said of a value; nothing when it said nothing."""
    if wrong:
        yield invalid(field, value, wrong)


def text(cause: Cause) -> str:
    return f"{cause.field}: {cause.message}" if cause.field else cause.message


def aggregate(causes: Iterable[Cause]) -> str:
    """All of them as one sentence, each said once: `a`, or `[a, b]`."""
    said = list(dict.fromkeys(map(text, causes)))
    return said[0] if len(said) == 1 else f"[{', '.join(said)}]"


def _cause(reason: str, field: str, value: str, detail: str) -> Cause:
    message = ": ".join(part for part in (_WORDS[reason], value, detail) if part)
    return Cause(field, message, reason)


def _shown(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
