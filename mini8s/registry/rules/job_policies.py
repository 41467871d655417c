"""Rules of what a Job makes of its pods' ends: podFailurePolicy, successPolicy, limits per index."""

from __future__ import annotations

import re
from collections.abc import Sequence

from mini8s.objects import names
from mini8s.objects.kinds import Obj
from mini8s.registry.problems import Causes, duplicate, invalid, named, not_supported, required, too_many
from mini8s.registry.rules import values

_ACTIONS = ("Count", "FailIndex", "FailJob", "Ignore")
_OPERATORS = ("In", "NotIn")
_STATUSES = ("False", "True", "Unknown")
_MOST_RULES, _MOST_CODES = 20, 255
_SPAN = re.compile(r"([0-9]{1,10})(?:-([0-9]{1,10}))?", re.ASCII)
_ORDERED = "must be ordered"


def policies(spec: Obj, field: str) -> Causes:
    yield from _per_index(spec, field)
    yield from _never_restarted(spec, field)
    if spec.get("podFailurePolicy") is not None:
        yield from _failure_policy(spec, field)
    if spec.get("successPolicy") is not None:
        yield from _success_policy(spec, f"{field}.successPolicy")
    manager = spec.get("managedBy")
    if manager is not None:
        domain, slash, path = manager.partition("/")
        yield from named(f"{field}.managedBy", manager, names.dns_subdomain(domain))
        if not slash or not path:
            why = 'must be a domain-prefixed path (such as "acme.io/foo")'
            yield invalid(f"{field}.managedBy", manager, why)


def _per_index(spec: Obj, field: str) -> Causes:
    limit, most, completions = (
        spec.get(part) for part in ("backoffLimitPerIndex", "maxFailedIndexes", "completions")
    )
    if limit is not None and spec.get("completionMode") != "Indexed":
        yield invalid(f"{field}.backoffLimitPerIndex", limit, "requires indexed completion mode")
    if most is not None:
        if limit is None:
            yield required(f"{field}.backoffLimitPerIndex", "when maxFailedIndexes is specified")
        if completions is not None and most > completions:
            yield invalid(f"{field}.maxFailedIndexes", most, "must be less than or equal to completions")


def _never_restarted(spec: Obj, field: str) -> Causes:
    stated = ((spec.get("template") or {}).get("spec") or {}).get("restartPolicy")
    for part in ("podFailurePolicy", "backoffLimitPerIndex"):
        if spec.get(part) is not None and stated == "OnFailure":
            why = f'only "Never" is supported when {part} is specified'
            yield invalid(f"{field}.template.spec.restartPolicy", stated, why)


def _failure_policy(spec: Obj, field: str) -> Causes:
    replaced = spec.get("podReplacementPolicy")
    if replaced not in {None, "Failed"}:
        yield not_supported(f"{field}.podReplacementPolicy", replaced, ("Failed",))
    rules, path = spec["podFailurePolicy"].get("rules") or (), f"{field}.podFailurePolicy.rules"
    if len(rules) > _MOST_RULES:
        yield too_many(path, len(rules), _MOST_RULES)
    for index, rule in enumerate(rules):
        yield from _rule(spec, rule, f"{path}[{index}]")


def _rule(spec: Obj, rule: Obj, field: str) -> Causes:
    yield from values.one_of(rule, "action", field, _ACTIONS, must=True)
    if rule.get("action") == "FailIndex" and spec.get("backoffLimitPerIndex") is None:
        yield invalid(f"{field}.action", "FailIndex", "requires the backoffLimitPerIndex to be set")
    codes, patterns = rule.get("onExitCodes"), rule.get("onPodConditions") or ()
    if codes is not None:
        yield from _exit_codes(spec, codes, f"{field}.onExitCodes")
    if len(patterns) > _MOST_RULES:
        yield too_many(f"{field}.onPodConditions", len(patterns), _MOST_RULES)
    for index, pattern in enumerate(patterns):
        path, stated = f"{field}.onPodConditions[{index}]", pattern.get("type") or ""
        yield from named(f"{path}.type", stated, names.qualified_name(stated))
        yield from values.one_of(pattern, "status", path, _STATUSES, must=True)
    if codes is not None and patterns:
        yield invalid(field, rule, "specifying both OnExitCodes and OnPodConditions is not supported")
    if codes is None and not patterns:
        yield invalid(field, rule, "specifying one of OnExitCodes and OnPodConditions is required")


def _exit_codes(spec: Obj, said: Obj, field: str) -> Causes:
    yield from values.one_of(said, "operator", field, _OPERATORS, must=True)
    name, codes = said.get("containerName"), said.get("values") or []
    if name is not None and name not in _containers(spec):
        why = "must be one of the container or initContainer names in the pod template"
        yield invalid(f"{field}.containerName", name, why)
    if not codes:
        yield invalid(f"{field}.values", codes, "at least one value is required")
    elif len(codes) > _MOST_CODES:
        yield too_many(f"{field}.values", len(codes), _MOST_CODES)
    for index, code in enumerate(codes):
        if code in codes[:index]:
            yield duplicate(f"{field}.values[{index}]", code)
        elif code == 0 and said.get("operator") == "In":
            yield invalid(f"{field}.values[{index}]", code, "must not be 0 for the In operator")
    if codes != sorted(codes):
        yield invalid(f"{field}.values", codes, _ORDERED)


def _containers(spec: Obj) -> Sequence[str]:
    inner = (spec.get("template") or {}).get("spec") or {}
    every = [*(inner.get("containers") or ()), *(inner.get("initContainers") or ())]
    return [container.get("name") or "" for container in every]


def _success_policy(spec: Obj, field: str) -> Causes:
    rules = spec["successPolicy"].get("rules") or ()
    if spec.get("completionMode") != "Indexed":
        yield invalid(field, spec["successPolicy"], "requires indexed completion mode")
        return
    if not rules:
        why = "at least one rules must be specified when the successPolicy is specified"
        yield required(f"{field}.rules", why)
    if len(rules) > _MOST_RULES:
        yield too_many(f"{field}.rules", len(rules), _MOST_RULES)
    for index, rule in enumerate(rules):
        yield from _success(rule, spec.get("completions") or 0, f"{field}.rules[{index}]")


def _success(rule: Obj, completions: int, field: str) -> Causes:
    named_ones, count = rule.get("succeededIndexes"), rule.get("succeededCount")
    if named_ones is None and count is None:
        yield required(field, "at least one of succeededCount or succeededIndexes must be specified")
    known = completions
    if named_ones is not None:
        try:
            known = _how_many(named_ones, completions)
        except ValueError as error:
            why = f"error parsing succeededIndexes: {error}"
            yield invalid(f"{field}.succeededIndexes", named_ones, why)
    yield from values.non_negative(rule, "succeededCount", field)
    if count is not None and count > completions:
        why = f"must be less than or equal to {completions} (the number of specified completions)"
        yield invalid(f"{field}.succeededCount", count, why)
    elif count is not None and count > known:
        which = "the number of indexes in the specified succeededIndexes field"
        yield invalid(f"{field}.succeededCount", count, f"must be less than or equal to {known} ({which})")


def _how_many(text: str, completions: int) -> int:
    """Raises ValueError for what is no rising list of indexes."""
    total, last = 0, -1
    for part in text.split(",") if text else ():
        found = _SPAN.fullmatch(part)
        if not found:
            raise ValueError(f'cannot convert string to integer for index: "{part}"')
        start, end = int(found[1]), int(found[2] or found[1])
        if start <= last or end < start:
            raise ValueError(f'non-increasing order, previous: {last}, current: "{part}"')
        if end >= completions:
            raise ValueError(f'too large index: "{end}"')
        total, last = total + end - start + 1, end
    return total
