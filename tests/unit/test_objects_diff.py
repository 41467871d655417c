"""The laws of apply's patch, checked by applying it."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from mini8s.objects.diff import merge_patch, three_way

leaf = st.integers(0, 3) | st.text("ab", max_size=1) | st.lists(st.integers(0, 2), max_size=2)
tree = st.recursive(
    leaf, lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3), max_leaves=8
)
objects = st.dictionaries(st.sampled_from("abc"), tree, max_size=3)


def applied(target: Any, patch: Any) -> Any:
    """RFC 7386, section 2."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = applied(result.get(key), value)
    return result


def holds(obj: Any, wanted: Any) -> bool:
    """Whether obj says everything that wanted says."""
    if isinstance(wanted, dict) and isinstance(obj, dict):
        return all(key in obj and holds(obj[key], value) for key, value in wanted.items())
    return bool(obj == wanted)


@given(objects, objects, objects)
def test_apply_makes_everything_wanted_so(original: Any, wanted: Any, current: Any) -> None:
    assert holds(applied(current, three_way(original, wanted, current)), wanted)


@given(objects, objects)
def test_a_second_apply_has_nothing_to_do(wanted: Any, current: Any) -> None:
    after = applied(current, merge_patch(current, wanted))
    assert three_way(wanted, wanted, after) == {}


@given(objects, objects)
def test_what_was_wanted_and_is_no_longer_goes(original: Any, wanted: Any) -> None:
    assert applied(original, three_way(original, wanted, original)) == wanted


def test_what_others_wrote_stays() -> None:
    original, wanted = {"data": {"a": 1, "b": 1}}, {"data": {"a": 2}}
    current = {"data": {"a": 1, "b": 1, "theirs": 1}, "status": {"x": 1}}
    patch = three_way(original, wanted, current)
    assert patch == {"data": {"a": 2, "b": None}}
