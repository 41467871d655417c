"""Secrets: bytes by key, in base64. `stringData` is for writing only: it becomes data."""

from __future__ import annotations

import base64
from collections.abc import Iterable

from mini8s.objects.errors import Cause
from mini8s.objects.kinds import SECRETS, Obj
from mini8s.registry.columns import AGE, NAME, column
from mini8s.registry.rules import configs
from mini8s.registry.strategy import Strategy, Update, selectable


def _encode_strings(new: Obj) -> None:
    plain = new.pop("stringData", None) or {}
    if plain:
        encoded = {key: base64.b64encode(value.encode()).decode() for key, value in plain.items()}
        new["data"] = (new.get("data") or {}) | encoded


def _keep(new: Obj, old: Obj) -> None:
    _encode_strings(new)
    if old.get("type") and new.get("type") == "Opaque" != old["type"]:
        new["type"] = old["type"]  # the default, not the client's word


def _check_update(new: Obj, old: Obj) -> Iterable[Cause]:
    yield from configs.same_type(new, old)
    yield from configs.immutable(new, old)


STRATEGY = Strategy(
    kind=SECRETS,
    columns=(
        NAME,
        column("Type", lambda obj: obj.get("type") or ""),
        column("Data", lambda obj: len(obj.get("data") or ()), type="integer"),
        AGE,
    ),
    fields=selectable("type"),
    prepare_for_create=_encode_strings,
    validate=configs.secret,
    update=Update(_keep, _check_update),
)
