"""Rules of `matchLabelKeys` and `mismatchLabelKeys` (KEP-3243 for spreading, KEP-3633 for affinity), and what
a pod's own labels make of those of affinity."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from mini8s.objects import meta, names
from mini8s.objects.kinds import Obj
from mini8s.registry.problems import Causes, forbidden, invalid, named

_NO_SELECTOR = "must not be specified when labelSelector is not set"
_TWICE = "exists in both matchLabelKeys and labelSelector"
_WAYS = tuple(f"{way}DuringSchedulingIgnoredDuringExecution" for way in ("required", "preferred"))


def of_spreading(rule: Obj, field: str) -> Causes:
    keys, selector = rule.get("matchLabelKeys") or (), rule.get("labelSelector")
    if keys and selector is None:
        yield forbidden(field, _NO_SELECTOR)
    taken = _selected(selector or {})
    for index, key in enumerate(keys):
        yield from named(f"{field}[{index}]", key, names.qualified_name(key))
        if key in taken:
            yield invalid(f"{field}[{index}]", key, _TWICE)


def of_term(term: Obj, field: str) -> Causes:
    """Of affinity. What `select` made of the keys is in the selector by now: a key that is there besides was
    the client's."""
    same, other = term.get("matchLabelKeys") or (), term.get("mismatchLabelKeys") or ()
    selector = term.get("labelSelector")
    yield from _names(same, selector, f"{field}.matchLabelKeys")
    yield from _names(other, selector, f"{field}.mismatchLabelKeys")
    seen = set((selector or {}).get("matchLabels") or ())
    for expression in (selector or {}).get("matchExpressions") or ():
        key = expression.get("key") or ""
        if key in same and key in seen:
            yield invalid(f"{field}[{list(same).index(key)}]", key, _TWICE)
        seen.add(key)
    for index, key in enumerate(same):
        if key in other:
            why = "exists in both matchLabelKeys and mismatchLabelKeys"
            yield invalid(f"{field}.matchLabelKeys[{index}]", key, why)


def select(pod: Obj) -> None:
    """Make a new pod's keys expressions of its selectors: what schedulers go by."""
    affinity = pod["spec"].get("affinity") or {}
    for part in ("podAffinity", "podAntiAffinity"):
        for way in _WAYS:
            for found in (affinity.get(part) or {}).get(way) or ():
                _select(found.get("podAffinityTerm") or {} if way == _WAYS[1] else found, meta.labels(pod))


def _select(term: Obj, labels: dict[str, str]) -> None:
    selector = term.get("labelSelector")
    if selector is None:
        return
    made = [
        {"key": key, "operator": operator, "values": [labels[key]]}
        for part, operator in (("matchLabelKeys", "In"), ("mismatchLabelKeys", "NotIn"))
        for key in term.get(part) or ()
        if key in labels
    ]
    if made:
        term["labelSelector"] = {
            **selector,
            "matchExpressions": [*(selector.get("matchExpressions") or ()), *made],
        }


def _selected(selector: Obj) -> set[str]:
    expressions: Iterator[str] = (item.get("key") or "" for item in selector.get("matchExpressions") or ())
    return {*(selector.get("matchLabels") or ()), *expressions}


def _names(keys: Collection[str], selector: Obj | None, field: str) -> Causes:
    if keys and selector is None:
        yield forbidden(field, _NO_SELECTOR)
        return
    for index, key in enumerate(keys):
        yield from named(f"{field}[{index}]", key, names.qualified_name(key))
