"""Sets of fields, kept as what they are in `managedFields`: FieldsV1, a tree of path elements.

    {"f:spec": {"f:ports": {'k:{"port":80}': {".": {}, "f:name": {}}}}}

`f:` is a field or a map's entry, `k:` an element of a list by its keys, `v:` a member of a set, `i:` an
index. A node says that its path is in the set when it is empty or holds "."; at the root that means nothing.
So a stored set is ready to be used, and a result ready to be stored. Nothing here changes a tree that it is
given.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from mini8s.objects.schema.types import ANY_FIELD, Field, Grain

Tree = dict[str, "Tree"]

HERE = "."
LEAF: Tree = {}


def is_member(node: Tree) -> bool:
    """Whether a node's own path is in the set."""
    return not node or HERE in node


def with_self(node: Tree) -> Tree:
    """The node as a member."""
    return node if is_member(node) else {HERE: LEAF, **node}


def union(one: Tree, other: Tree) -> Tree:
    if not one or not other:
        return one or other
    joined = dict(one)
    for step, node in other.items():
        mine = joined.get(step)
        joined[step] = node if mine is None else _join(mine, node)
    return joined


def difference(one: Tree, other: Tree) -> Tree:
    """Paths of the one that are not in the other; what lies below them is looked at by itself."""
    left: Tree = {}
    for step, node in one.items():
        theirs = other.get(step)
        kept = node if theirs is None else _node(is_member(node) and not is_member(theirs), node, theirs)
        if kept is not None:
            left[step] = kept
    return left


def intersection(one: Tree, other: Tree) -> Tree:
    both: Tree = {}
    for step, node in one.items():
        theirs = other.get(step)
        if theirs is None or step == HERE:
            continue
        below = intersection(node, theirs)
        if is_member(node) and is_member(theirs):
            both[step] = with_self(below) if below else LEAF
        elif below:
            both[step] = below
    return both


def with_named(tree: Tree, field: Field) -> Tree:
    """The set and, of its paths' beginnings, the fields of objects: who owns `spec.template.metadata` has
    `spec` and `spec.template` too, but of a map nothing but the entries that are his."""
    return {step: _named(step, node, field) for step, node in tree.items()}


def steps(tree: Tree) -> list[tuple[str, ...]]:
    """All paths, in upstream's order: those that end here, then those that go on."""
    return list(_walk(tree, ()))


def text(path: tuple[str, ...]) -> str:
    """`.spec.ports[port=80,protocol="TCP"].name`"""
    return "".join(_shown(step) for step in path)


def child(field: Field, step: str) -> Field:
    """The type at a path element below a field."""
    if step[0] == "f":
        return field.schema.field(step[2:])
    return field.schema.items or ANY_FIELD


def _join(one: Tree, other: Tree) -> Tree:
    if not one or not other:
        return with_self(one or other)
    return union(one, other)


def _node(member: bool, node: Tree, less: Tree) -> Tree | None:
    below = difference({step: kid for step, kid in node.items() if step != HERE}, less)
    if member:
        return with_self(below) if below else LEAF
    return below or None


def _named(step: str, node: Tree, field: Field) -> Tree:
    if not node or step == HERE:
        return node
    named = with_named(node, child(field, step))
    is_field = field.grain is Grain.FIELDS and step[2:] in field.schema.fields
    return with_self(named) if is_field else named


def _walk(tree: Tree, above: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    ordered = sorted((step for step in tree if step != HERE), key=_order)
    yield from ((*above, step) for step in ordered if is_member(tree[step]))
    for step in ordered:
        yield from _walk(tree[step], (*above, step))


def _order(step: str) -> tuple[int, str]:
    return "fkvi".find(step[0]), step


def _shown(step: str) -> str:
    kind, _, rest = step.partition(":")
    match kind:
        case "f":
            return f".{rest}"
        case "k":
            keys = json.loads(rest)
            return "[" + ",".join(f"{key}={_json(keys[key])}" for key in sorted(keys)) + "]"
        case "v":
            return f"[={rest}]"
    return f"[{rest}]"


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
