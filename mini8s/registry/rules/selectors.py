"""Rules of selectors: labels, nodes, affinity."""

from __future__ import annotations

from mini8s.objects import names
from mini8s.objects.kinds import Obj
from mini8s.registry.problems import Causes, forbidden, invalid, named, required
from mini8s.registry.rules import label_keys, metadata

_SETS = frozenset({"In", "NotIn"})
_EXISTENCE = frozenset({"Exists", "DoesNotExist"})
_NUMBERS = frozenset({"Gt", "Lt"})
_UNKNOWN = "not a valid selector operator"


def label_selector(selector: Obj, field: str) -> Causes:
    yield from metadata.labels(selector.get("matchLabels") or {}, f"{field}.matchLabels")
    for index, expression in enumerate(selector.get("matchExpressions") or ()):
        yield from _expression(expression, f"{field}.matchExpressions[{index}]")


def node_selector(selector: Obj, field: str) -> Causes:
    """Terms of which one must hold, each of expressions that must all hold."""
    terms = selector.get("nodeSelectorTerms") or ()
    if not terms:
        yield required(f"{field}.nodeSelectorTerms", "must have at least one node selector term")
    for index, term in enumerate(terms):
        yield from node_term(term, f"{field}.nodeSelectorTerms[{index}]")


def node_term(term: Obj, field: str) -> Causes:
    for index, expression in enumerate(term.get("matchExpressions") or ()):
        yield from _node_expression(expression, f"{field}.matchExpressions[{index}]")
    for index, expression in enumerate(term.get("matchFields") or ()):
        yield from _field_expression(expression, f"{field}.matchFields[{index}]")


def affinity(found: Obj, field: str) -> Causes:
    yield from _node_affinity(found.get("nodeAffinity") or {}, f"{field}.nodeAffinity")
    for part in ("podAffinity", "podAntiAffinity"):
        yield from _pod_affinity(found.get(part) or {}, f"{field}.{part}")


def _node_affinity(found: Obj, field: str) -> Causes:
    must, like = (f"{way}DuringSchedulingIgnoredDuringExecution" for way in ("required", "preferred"))
    if found.get(must) is not None:
        yield from node_selector(found[must], f"{field}.{must}")
    for index, term in enumerate(found.get(like) or ()):
        path = f"{field}.{like}[{index}]"
        yield from _weight(term, path)
        yield from node_term(term.get("preference") or {}, f"{path}.preference")


def _pod_affinity(found: Obj, field: str) -> Causes:
    must, like = (f"{way}DuringSchedulingIgnoredDuringExecution" for way in ("required", "preferred"))
    for index, term in enumerate(found.get(must) or ()):
        yield from _pod_term(term, f"{field}.{must}[{index}]")
    for index, term in enumerate(found.get(like) or ()):
        path = f"{field}.{like}[{index}]"
        yield from _weight(term, path)
        yield from _pod_term(term.get("podAffinityTerm") or {}, f"{path}.podAffinityTerm")


def _pod_term(term: Obj, field: str) -> Causes:
    for part in ("labelSelector", "namespaceSelector"):
        yield from label_selector(term.get(part) or {}, f"{field}.{part}")
    for name in term.get("namespaces") or ():
        yield from named(f"{field}.namespace", name, names.dns_label(name))
    yield from label_keys.of_term(term, field)
    key = term.get("topologyKey") or ""
    if not key:
        yield required(f"{field}.topologyKey", "can not be empty")
    else:
        yield from named(f"{field}.topologyKey", key, names.qualified_name(key))


def _weight(term: Obj, field: str) -> Causes:
    if not 1 <= (term.get("weight") or 0) <= 100:
        yield invalid(f"{field}.weight", term.get("weight", 0), "must be in the range 1-100")


def _expression(expression: Obj, field: str) -> Causes:
    operator, values = expression.get("operator") or "", expression.get("values") or ()
    if operator in _SETS and not values:
        yield required(f"{field}.values", "must be specified when `operator` is 'In' or 'NotIn'")
    elif operator in _EXISTENCE and values:
        why = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
        yield forbidden(f"{field}.values", why)
    elif operator not in _SETS | _EXISTENCE:
        yield invalid(f"{field}.operator", operator, _UNKNOWN)
    key = expression.get("key") or ""
    yield from named(f"{field}.key", key, names.qualified_name(key))
    for index, value in enumerate(values):
        yield from named(f"{field}.values[{index}]", value, names.label_value(value))


def _node_expression(expression: Obj, field: str) -> Causes:
    operator = expression.get("operator") or ""
    if operator not in _NUMBERS:
        yield from _expression(expression, field)
    elif len(expression.get("values") or ()) != 1:
        yield required(f"{field}.values", "must be specified single value when `operator` is 'Lt' or 'Gt'")


def _field_expression(expression: Obj, field: str) -> Causes:
    operator, values = expression.get("operator") or "", expression.get("values") or ()
    if operator not in _SETS:
        yield invalid(f"{field}.operator", operator, _UNKNOWN)
    elif len(values) != 1:
        why = "must be only one value when `operator` is 'In' or 'NotIn' for node field selector"
        yield required(f"{field}.values", why)
    if expression.get("key") != "metadata.name":
        yield invalid(f"{field}.key", expression.get("key", ""), "not a valid field selector key")
        return
    for index, value in enumerate(values):
        yield from named(f"{field}.values[{index}]", value, names.dns_subdomain(value))
