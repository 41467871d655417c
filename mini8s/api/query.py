"""A request's query string as typed values, parsed once at the door.

Names and meanings are those of `metav1.ListOptions`, `CreateOptions`, `PatchOptions` and `DeleteOptions`;
what is not known is left alone, as upstream does.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl

from mini8s.objects.errors import BadRequest, Cause, Invalid
from mini8s.registry.base import DeleteOptions, ListOptions

PROPAGATIONS = ("Background", "Foreground", "Orphan")
MAX_MANAGER = 128  # bytes of a field manager's name
VALIDATIONS = ("Ignore", "Strict", "Warn")


@dataclass(frozen=True, slots=True)
class Query:
    list: ListOptions = field(default_factory=ListOptions)
    watch: bool = False
    timeout_seconds: int = 0  # 0: not said
    bookmarks: bool = False
    send_initial_events: bool | None = None
    dry_run: bool = False
    field_validation: str = "Warn"
    field_manager: str = ""
    force: bool = False
    grace_seconds: int | None = None
    propagation: str = ""
    represent_as: str = ""  # our own: table, wide, yaml, json
    include_object: str = ""  # of a Table: None, Metadata, Object


EMPTY = Query()


def parse(text: str) -> Query:
    """Raises BadRequest, Invalid."""
    if not text:
        return EMPTY
    return _remembered(text) if len(text) < 1024 else _parse(text)


def _parse(text: str) -> Query:
    said = _pairs(text)
    return Query(
        list=ListOptions(
            label_selector=said.get("labelSelector", ""),
            field_selector=said.get("fieldSelector", ""),
            limit=max(0, _integer(said, "limit") or 0),
            continue_token=said.get("continue", ""),
            resource_version=said.get("resourceVersion", ""),
            resource_version_match=said.get("resourceVersionMatch", ""),
        ),
        watch=_boolean(said, "watch") or False,
        timeout_seconds=max(0, _integer(said, "timeoutSeconds") or 0),
        bookmarks=_boolean(said, "allowWatchBookmarks") or False,
        send_initial_events=_boolean(said, "sendInitialEvents"),
        dry_run=check_dry_run([value for key, value in parse_qsl(text) if key == "dryRun"]),
        field_validation=_choice(said, "fieldValidation", VALIDATIONS) or "Warn",
        field_manager=said.get("fieldManager", ""),
        force=_boolean(said, "force") or False,
        grace_seconds=_integer(said, "gracePeriodSeconds"),
        propagation=_propagation(said),
        represent_as=said.get("as", ""),
        include_object=said.get("includeObject", ""),
    )


_remembered = lru_cache(maxsize=256)(_parse)  # informers and kubectl repeat themselves


def delete_options(query: Query, body: Mapping[str, Any] | None) -> tuple[DeleteOptions, bool]:
    """The options of a DELETE and whether it is a dry run. A body, if there is one, speaks; else the query
    does."""
    if body is None:
        options = DeleteOptions(grace_seconds=query.grace_seconds, propagation=query.propagation)
        return options, query.dry_run
    preconditions = _typed(body, "preconditions", dict) or {}
    options = DeleteOptions(
        grace_seconds=_typed(body, "gracePeriodSeconds", int),
        propagation=_propagation_of_body(body) or query.propagation,
        uid=_typed(preconditions, "uid", str) or "",
        resource_version=_typed(preconditions, "resourceVersion", str) or "",
    )
    return options, check_dry_run(_typed(body, "dryRun", list) or []) or query.dry_run


def check_writing(query: Query, options: str, *, applying: bool = False) -> None:
    """Whether what is said of the writer is right for `options` (CreateOptions, …). Raises Invalid."""
    said = list(_manager_problems(query.field_manager))
    if applying and not query.field_manager:
        said.append(
            Cause("fieldManager", "Required value: is required for apply patch", "FieldValueRequired")
        )
    if query.force and not applying:
        why = "Forbidden: may not be specified for non-apply patch"
        said.append(Cause("force", why, "FieldValueForbidden"))
    if said:
        told = ", ".join(f"{cause.field}: {cause.message}" for cause in said)
        message = f'{options}.meta.k8s.io "" is invalid: {told if len(said) == 1 else f"[{told}]"}'
        raise Invalid(message, causes=said, group="meta.k8s.io", kind=options)


def check_dry_run(values: list[Any]) -> bool:
    """Raises Invalid for anything but All."""
    for value in values:
        if value != "All":
            raise _unsupported("dryRun", value, ("All",))
    return bool(values)


def _manager_problems(name: str) -> Iterator[Cause]:
    if len(name.encode()) > MAX_MANAGER:
        why = f"Too long: may not be more than {MAX_MANAGER} bytes"
        yield Cause("fieldManager", why, "FieldValueTooLong")
    if not name.isprintable():
        shown = json.dumps(name, ensure_ascii=False)
        why = f"Invalid value: {shown}: should only contain printable characters"
        yield Cause("fieldManager", why, "FieldValueInvalid")


def _pairs(text: str) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for key, value in parse_qsl(text, keep_blank_values=True):
        pairs.setdefault(key, value)
    return pairs


def _integer(said: Mapping[str, str], key: str) -> int | None:
    text = said.get(key, "")
    if not text:
        return None
    try:
        number = int(text)
    except ValueError:
        raise BadRequest(f'{key}: strconv.ParseInt: parsing "{text}": invalid syntax') from None
    if abs(number) >= 1 << 63:
        raise BadRequest(f'{key}: strconv.ParseInt: parsing "{text}": value out of range')
    return number


def _boolean(said: Mapping[str, str], key: str) -> bool | None:
    """Upstream: whatever is not `false` or `0` is true, an empty value too."""
    if key not in said:
        return None
    return said[key].lower() not in {"false", "0"}


def _choice(said: Mapping[str, str], key: str, choices: tuple[str, ...]) -> str:
    value = said.get(key, "")
    if value and value not in choices:
        raise _unsupported(key, value, choices)
    return value


def _propagation(said: Mapping[str, str]) -> str:
    orphan = _boolean(said, "orphanDependents")
    chosen = _choice(said, "propagationPolicy", PROPAGATIONS)
    return _one_policy(orphan, chosen)


def _propagation_of_body(body: Mapping[str, Any]) -> str:
    chosen = _choice(
        {"propagationPolicy": _typed(body, "propagationPolicy", str) or ""}, "propagationPolicy", PROPAGATIONS
    )
    return _one_policy(_typed(body, "orphanDependents", bool), chosen)


def _one_policy(orphan: bool | None, chosen: str) -> str:
    if orphan is None:
        return chosen
    if chosen:
        raise _refused("propagationPolicy", "orphanDependents and deletionPropagation cannot be both set")
    return "Orphan" if orphan else "Background"


def _typed(body: Mapping[str, Any], key: str, kind: Callable[..., Any] | type) -> Any:
    value = body.get(key)
    if value is None:
        return None
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):  # type: ignore[arg-type]
        raise BadRequest(f"DeleteOptions: {key} has the wrong type")
    return value


def _unsupported(field: str, value: object, supported: tuple[str, ...]) -> Invalid:
    choices = ", ".join(f'"{choice}"' for choice in supported)
    message = f'Unsupported value: "{value}": supported values: {choices}'
    return _refused(field, message, "FieldValueNotSupported")


def _refused(field: str, message: str, reason: str = "FieldValueInvalid") -> Invalid:
    text = message if reason == "FieldValueNotSupported" else f"Invalid value: {message}"
    return Invalid(f" {field}: {text}".strip(), causes=[Cause(field, text, reason)], group="meta.k8s.io")
