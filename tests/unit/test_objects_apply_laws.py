"""Laws of server-side apply, on pods of every shape: field sets are sets, and nobody's fields get lost."""

from __future__ import annotations

import json
from typing import Any

import hypothesis.strategies as st
from hypothesis import assume, given, settings

from mini8s.objects import apply, schema
from mini8s.objects.apply import Manager, Managers, Writing, apply_as_kubectl
from mini8s.objects.apply.conflicts import ApplyConflict
from mini8s.objects.apply.extent import compare, stated
from mini8s.objects.apply.merge import merge, remove
from mini8s.objects.apply.sets import Tree, difference, intersection, is_member, steps, union
from mini8s.objects.kinds import PODS, Obj

ROOT = schema.root(PODS)
WORDS = st.sampled_from(["a", "b", "c"])
VALUES = st.sampled_from(["1", "2", "3"])


def maps(values: st.SearchStrategy[Any] = VALUES) -> st.SearchStrategy[Obj]:
    return st.dictionaries(WORDS, values, min_size=1, max_size=3)


def keyed(
    key: str, rest: dict[str, st.SearchStrategy[Any]], names: Any = WORDS
) -> st.SearchStrategy[list[Obj]]:
    item = st.fixed_dictionaries({key: names}, optional=rest)
    return st.lists(item, min_size=1, max_size=3, unique_by=lambda made: made[key])


ENV = keyed("name", {"value": VALUES})
PORTS = keyed("containerPort", {"protocol": st.just("UDP"), "name": WORDS}, st.sampled_from([80, 81, 82]))
CONTAINERS = keyed(
    "name",
    {
        "image": VALUES,
        "args": st.lists(VALUES, min_size=1, max_size=2),
        "env": ENV,
        "ports": PORTS,
        "resources": st.fixed_dictionaries({"limits": maps()}),
        "securityContext": st.fixed_dictionaries({"runAsUser": st.sampled_from([1, 2])}),
    },
)
SPEC = st.fixed_dictionaries(
    {},
    optional={
        "containers": CONTAINERS,
        "nodeSelector": maps(),
        "priority": st.sampled_from([1, 2]),
        "hostname": VALUES,
    },
)
METADATA = st.fixed_dictionaries(
    {"name": st.just("p")},
    optional={"labels": maps(), "finalizers": st.lists(WORDS, min_size=1, max_size=3, unique=True)},
)
CONFIGS = st.fixed_dictionaries({"metadata": METADATA}, optional={"spec": SPEC.filter(bool)})


def trees(kids: st.SearchStrategy[Tree]) -> st.SearchStrategy[Tree]:
    plain = st.dictionaries(st.sampled_from(["f:a", "f:b", "f:c"]), kids, min_size=1, max_size=3)
    return plain | plain.map(lambda tree: {".": {}, **tree})


TREES = st.recursive(st.just({}), trees, max_leaves=8).filter(lambda tree: "." not in tree)


def writing(name: str, operation: str = apply.APPLY) -> Writing:
    return Writing(ROOT, Manager(name, operation, "v1"), "2026-01-01T00:00:00Z")


def applied(
    name: str, config: Obj, obj: Obj, managers: Managers, *, force: bool = False
) -> tuple[Obj, Managers]:
    return apply_as_kubectl(writing(name), obj, config, managers, force=force)


def conflicts(name: str, config: Obj, obj: Obj, managers: Managers) -> bool:
    try:
        applied(name, config, obj, managers)
    except ApplyConflict:
        return True
    return False


def paths(tree: Tree) -> set[tuple[str, ...]]:
    return set(steps(tree))


def unordered(value: Any) -> Any:
    """The order of merged lists is whoever's was first: which elements there are is what counts. `args` is
    atomic."""
    if isinstance(value, dict):
        return {
            key: item if key == "args" else unordered(item) for key, item in value.items() if item is not None
        }
    if isinstance(value, list):
        return sorted(map(unordered, value), key=lambda item: json.dumps(item, sort_keys=True))
    return value


def view(config: Obj) -> Tree:
    return stated(ROOT, writing("x").view(config))


@given(TREES, TREES)
def test_trees_are_sets_of_paths(one: Tree, other: Tree) -> None:
    assert paths(union(one, other)) == paths(one) | paths(other)
    assert paths(difference(one, other)) == paths(one) - paths(other)
    assert paths(intersection(one, other)) == paths(one) & paths(other)
    assert union(one, other) == union(other, one)


@given(TREES, TREES, TREES)
def test_results_have_one_form(one: Tree, other: Tree, third: Tree) -> None:
    """Equal sets are equal trees: nothing empty hangs on, and no member says so twice."""
    assert union(difference(one, other), intersection(one, other)) == union(one, {})
    assert difference(one, union(other, third)) == difference(difference(one, other), third)


@given(CONFIGS, CONFIGS)
def test_a_difference_is_the_other_way_round_backwards(old: Obj, new: Obj) -> None:
    there, back = compare(ROOT, old, new), compare(ROOT, new, old)
    assert there.modified == back.modified
    assert not difference(difference(stated(ROOT, new), stated(ROOT, old)), there.added)
    assert not difference(difference(stated(ROOT, old), stated(ROOT, new)), there.removed)
    assert not compare(ROOT, new, new).touched
    assert not intersection(there.added, there.removed)
    assert not intersection(there.added, stated(ROOT, old))
    assert not intersection(there.removed, stated(ROOT, new))
    assert not difference(intersection(there.modified, stated(ROOT, new)), stated(ROOT, old))
    assert bool(there.touched) == (unordered(old) != unordered(new))


@given(CONFIGS)
def test_what_is_stated_can_be_taken_out_again(config: Obj) -> None:
    assert not _clean(remove(ROOT, config, stated(ROOT, config)) or {})


@given(CONFIGS, CONFIGS)
def test_a_merge_has_the_fields_of_both(live: Obj, config: Obj) -> None:
    merged = merge(ROOT, live, config)
    assert stated(ROOT, merged) == union(stated(ROOT, live), stated(ROOT, config))
    assert merge(ROOT, merged, config) == merged
    assert not intersection(compare(ROOT, config, merged).modified, stated(ROOT, config))


@given(CONFIGS, CONFIGS)
def test_applying_twice_is_a_no_op(first: Obj, second: Obj) -> None:
    obj, managers = applied("one", first, {}, {})
    obj, managers = applied("two", second, obj, managers, force=True)
    assert applied("two", second, obj, managers) == (obj, managers)


@given(CONFIGS, CONFIGS)
def test_those_who_agree_may_apply_in_any_order(one: Obj, two: Obj) -> None:
    start = {"metadata": {"name": "p"}}, {}
    obj, managers = applied("one", one, *start)
    assume(not conflicts("two", two, obj, managers))
    obj, managers = applied("two", two, obj, managers)
    other, others = applied("two", two, *start)
    other, others = applied("one", one, other, others)
    assert unordered(obj) == unordered(other)
    assert {key: entry.fields for key, entry in managers.items()} == {
        key: entry.fields for key, entry in others.items()
    }


@given(CONFIGS, CONFIGS)
def test_conflicts_are_mutual(one: Obj, two: Obj) -> None:
    assert conflicts("two", two, *applied("one", one, {}, {})) == conflicts(
        "one", one, *applied("two", two, {}, {})
    )


@given(CONFIGS, CONFIGS)
def test_what_is_no_longer_applied_goes(first: Obj, second: Obj) -> None:
    """As if the first had never been, as nobody else has said anything."""
    obj, managers = applied("one", first, {}, {})
    obj, managers = applied("one", second, obj, managers)
    assert view(_clean(obj)) == view(second)
    assert not compare(ROOT, writing("x").view(_clean(obj)), writing("x").view(second)).touched


@given(CONFIGS, CONFIGS)
def test_what_the_server_has_said_stays(first: Obj, second: Obj) -> None:
    """Nobody manages an object's name, its uid or its status."""
    obj, managers = applied("one", first, {}, {})
    served = {"uid": "u", "namespace": "default", "resourceVersion": "7"}
    obj = obj | {"metadata": obj["metadata"] | served, "status": {"phase": "Running"}}
    obj, managers = applied("one", second, obj, managers)
    assert served.items() <= obj["metadata"].items()
    assert (obj["metadata"]["name"], obj["status"]) == ("p", {"phase": "Running"})


@given(CONFIGS, CONFIGS, CONFIGS)
def test_what_others_have_stays(one: Obj, others: Obj, later: Obj) -> None:
    obj, managers = applied("one", one, {}, {})
    obj, managers = applied("other", others, obj, managers, force=True)
    assume(not conflicts("one", later, obj, managers))
    after, _ = applied("one", later, obj, managers)
    assert not difference(view(others), stated(ROOT, _clean(after)))


@given(CONFIGS, CONFIGS)
def test_force_takes_and_agreement_shares(one: Obj, two: Obj) -> None:
    obj, managers = applied("one", one, {}, {})
    obj, managers = applied("two", two, obj, managers, force=True)
    entries = {entry.manager.name: entry.fields for entry in managers.values()}
    assert entries.get("two", {}) == view(two)
    disputed = compare(ROOT, one, merge(ROOT, one, two)).modified
    assert not intersection(entries.get("one", {}), disputed)
    assert not conflicts("two", two, obj, managers)


@given(CONFIGS, CONFIGS)
def test_an_update_owns_what_it_changed_and_nothing_else(first: Obj, second: Obj) -> None:
    _, managers = applied("one", first, {}, {})
    after = apply.update(writing("two", apply.UPDATE), first, second, managers)
    fields = {entry.manager.name: entry.fields for entry in after.values()}
    found = writing("x").compare(first, second)
    assert fields.get("two", {}) == found.taken
    assert fields.get("one", {}) == difference(view(first), found.touched)


@settings(max_examples=50)
@given(CONFIGS)
def test_stored_books_are_read_as_they_were_written(config: Obj) -> None:
    _, managers = applied("one", config, {}, {})
    assert apply.decode(apply.encode(managers)) == managers
    assert all(
        is_member(_at(entry.fields, path)) for entry in managers.values() for path in steps(entry.fields)
    )


def _at(tree: Tree, path: tuple[str, ...]) -> Tree:
    for step in path:
        tree = tree[step]
    return tree


def _clean(value: Any) -> Any:
    """Without the nulls and the empty containers that pruning leaves; reading an object drops them."""
    if isinstance(value, dict):
        cleaned = {key: _clean(item) for key, item in value.items()}
        return {key: item for key, item in cleaned.items() if item not in (None, {}, [])}
    return [_clean(item) for item in value] if isinstance(value, list) else value
