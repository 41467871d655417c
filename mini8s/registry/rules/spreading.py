"""Rules of `topologySpreadConstraints`."""

from __future__ import annotations

from collections.abc import Collection

from mini8s.objects.kinds import Obj
from mini8s.registry.problems import Causes, duplicate, invalid
from mini8s.registry.rules import label_keys, selectors, values

_STRICT = "DoNotSchedule"
_WAYS = (_STRICT, "ScheduleAnyway")
_POLICIES = ("Honor", "Ignore")
_POSITIVE = "must be greater than zero"


def check(rules: Collection[Obj], field: str) -> Causes:
    seen: set[tuple[str, str]] = set()
    for index, rule in enumerate(rules):
        path = f"{field}[{index}]"
        if not rule.get("maxSkew", 0) > 0:
            yield invalid(f"{path}.maxSkew", rule.get("maxSkew", 0), _POSITIVE)
        yield from values.said(rule, "topologyKey", path)
        yield from values.one_of(rule, "whenUnsatisfiable", path, _WAYS, must=True)
        key = (rule.get("topologyKey") or "", rule.get("whenUnsatisfiable") or "")
        if key in seen:
            yield duplicate(f"{path}.{{topologyKey, whenUnsatisfiable}}", f"{{{key[0]}, {key[1]}}}")
        seen.add(key)
        yield from _domains(rule, f"{path}.minDomains")
        for part in ("nodeAffinityPolicy", "nodeTaintsPolicy"):
            yield from values.one_of(rule, part, path, _POLICIES)
        yield from label_keys.of_spreading(rule, f"{path}.matchLabelKeys")
        yield from selectors.label_selector(rule.get("labelSelector") or {}, f"{path}.labelSelector")


def _domains(rule: Obj, field: str) -> Causes:
    least, way = rule.get("minDomains"), rule.get("whenUnsatisfiable") or ""
    if least is None:
        return
    if least <= 0:
        yield invalid(field, least, _POSITIVE)
    if way != _STRICT:
        why = f"can only use minDomains if whenUnsatisfiable={_STRICT}, not {way}"
        yield invalid(field, least, why)
