"""PURE: node selectors: terms that are alternatives, whose expressions must all hold.

An empty term matches nothing (Kubernetes documentation, "Assigning Pods to Nodes").
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mini8s.objects.kinds import Obj


def matches(selector: Obj, labels: Mapping[str, str], name: str) -> bool:
    return any(term_matches(term, labels, name) for term in selector.get("nodeSelectorTerms") or ())


def term_matches(term: Obj, labels: Mapping[str, str], name: str) -> bool:
    by_label, by_field = term.get("matchExpressions") or (), term.get("matchFields") or ()
    if not by_label and not by_field:
        return False
    return all(_holds(item, labels) for item in by_label) and all(
        _holds(item, {"metadata.name": name}) for item in by_field
    )


def _holds(expression: Obj, facts: Mapping[str, str]) -> bool:
    value, wanted = facts.get(expression["key"]), expression.get("values") or ()
    match expression["operator"]:
        case "In":
            return value in wanted
        case "NotIn":
            return value not in wanted
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
        case "Gt" | "Lt" as operator:
            return _compare(value, wanted, greater=operator == "Gt")
    return False


def _compare(value: str | None, wanted: Sequence[str], *, greater: bool) -> bool:
    try:
        here, there = int(value or ""), int(wanted[0])
    except (ValueError, IndexError):
        return False
    return here > there if greater else here < there
