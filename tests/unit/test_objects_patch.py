"""The laws and the limits of JSON patch and JSON merge patch."""

from __future__ import annotations

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mini8s.objects.errors import BadRequest, Invalid, TooLarge
from mini8s.objects.patch import json_patch, merge_patch

KEYS = st.sampled_from(["a", "b", "c", "a/b", "~", "~1", ""])
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(-3, 3), st.text(max_size=2))
VALUES = st.recursive(
    SCALARS, lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=3))
)
NO_NULLS = st.recursive(
    st.one_of(st.booleans(), st.integers(-3, 3), st.lists(st.integers(0, 3), max_size=2)),
    lambda inner: st.dictionaries(KEYS, inner, max_size=3),
)


def merge_diff(old, new):
    """The merge patch from old to new."""
    if not isinstance(old, dict) or not isinstance(new, dict):
        return new
    gone = {key: None for key in old if key not in new}
    return gone | {
        key: merge_diff(old.get(key), value)
        for key, value in new.items()
        if key not in old or old[key] != value
    }


def json_diff(old, new, path=""):
    """The JSON patch from old to new."""
    if isinstance(old, dict) and isinstance(new, dict):
        ops = []
        for key in old.keys() | new.keys():
            at = f"{path}/{key.replace('~', '~0').replace('/', '~1')}"
            if key not in new:
                ops.append({"op": "remove", "path": at})
            elif key not in old:
                ops.append({"op": "add", "path": at, "value": new[key]})
            else:
                ops += json_diff(old[key], new[key], at)
        return ops
    return [{"op": "replace", "path": path, "value": new}, {"op": "test", "path": path, "value": new}]


@given(st.dictionaries(KEYS, NO_NULLS, max_size=4), st.dictionaries(KEYS, NO_NULLS, max_size=4))
def test_merging_the_difference_gives_the_new_one(old, new):
    before = copy.deepcopy(old)
    patch = merge_diff(old, new)
    assert merge_patch(old, patch) == new
    assert merge_patch(new, patch) == new
    assert old == before


@given(VALUES, VALUES)
def test_patching_the_difference_gives_the_new_one(old, new):
    before = copy.deepcopy(old)
    assert json_patch(old, json_diff(old, new)) == new
    assert old == before


@given(VALUES)
def test_an_empty_patch_changes_nothing(value):
    assert json_patch(value, []) == value


@pytest.mark.parametrize(
    ("doc", "patch", "result"),
    [  # the examples of RFC 7386
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        (["a", "b"], ["c", "d"], ["c", "d"]),
        ({"a": "b"}, ["c"], ["c"]),
        ({"e": None}, {"a": 1}, {"a": 1}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_merge_patch_examples(doc, patch, result):
    assert merge_patch(doc, patch) == result


@pytest.mark.parametrize(
    ("doc", "op", "result"),
    [  # the examples of RFC 6902
        ({"foo": ["bar"]}, {"op": "add", "path": "/foo/-", "value": ["a"]}, {"foo": ["bar", ["a"]]}),
        ({"foo": ["bar", "baz"]}, {"op": "add", "path": "/foo/1", "value": 1}, {"foo": ["bar", 1, "baz"]}),
        ({"foo": ["bar", "qux"]}, {"op": "remove", "path": "/foo/1"}, {"foo": ["bar"]}),
        ({"a": {"b": 1}, "c": {}}, {"op": "move", "from": "/a/b", "path": "/c/d"}, {"a": {}, "c": {"d": 1}}),
        ({"foo": [1, 2, 3]}, {"op": "move", "from": "/foo/0", "path": "/foo/2"}, {"foo": [2, 3, 1]}),
        ({"a": [1]}, {"op": "copy", "from": "/a", "path": "/b"}, {"a": [1], "b": [1]}),
        ({"/": 9, "~1": 10}, {"op": "test", "path": "/~01", "value": 10}, {"/": 9, "~1": 10}),
        ({"a": 1}, {"op": "replace", "path": "", "value": []}, []),
        ({"a": 1}, {"op": "test", "path": "/a", "value": 1.0}, {"a": 1}),
    ],
)
def test_json_patch_examples(doc, op, result):
    assert json_patch(doc, [op]) == result


@pytest.mark.parametrize(
    "op",
    [
        {"op": "remove", "path": "/x"},
        {"op": "replace", "path": "/x", "value": 1},
        {"op": "replace", "path": "/l/-", "value": 1},
        {"op": "add", "path": "/x/y", "value": 1},
        {"op": "add", "path": "/l/3", "value": 1},
        {"op": "add", "path": "/l/01", "value": 1},
        {"op": "add", "path": "/l/-1", "value": 1},
        {"op": "add", "path": "/s/x", "value": 1},
        {"op": "test", "path": "/one", "value": True},
        {"op": "test", "path": "/s", "value": "t"},
        {"op": "move", "from": "/x", "path": "/y"},
        {"op": "move", "from": "/d", "path": "/d/e"},
        {"op": "move", "from": "/m/0", "path": "/m/0/e"},
    ],
)
def test_what_a_document_cannot_take(op):
    doc = {"l": [1, 2], "s": "s", "one": 1, "d": {}, "m": [{}, {}]}
    with pytest.raises(Invalid) as caught:
        json_patch(doc, [op])
    said = f"the server rejected our request due to an error in our request: {op['path']}: "
    assert caught.value.message.startswith(said) or "from" in op
    assert doc == {"l": [1, 2], "s": "s", "one": 1, "d": {}, "m": [{}, {}]}


@pytest.mark.parametrize(
    "ops",
    [
        {},
        ["x"],
        [{"op": "x", "path": ""}],
        [{"op": "add", "path": "/a"}],
        [{"op": "remove", "path": "a"}],
        [{"op": "remove"}],
    ],
)
def test_what_is_no_patch(ops):
    with pytest.raises(BadRequest):
        json_patch({}, ops)


def test_what_a_patch_may_cost():
    double = {"op": "copy", "from": "", "path": "/b"}
    wide = {"op": "copy", "from": "/a", "path": "/a/-"}
    with pytest.raises(Invalid, match="rejected"):
        json_patch({}, [double] * 1000)
    with pytest.raises((TooLarge, Invalid)):
        json_patch({"a": [1]}, [wide] * 200)
    with pytest.raises(TooLarge):
        json_patch({}, [{"op": "test", "path": "", "value": {}}] * 10_001)
