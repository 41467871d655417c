"""Whatever a client sends of a kind's fields is stored or refused with a reason, never an accident."""

from __future__ import annotations

from typing import Any

import pytest
from fakes.cluster import Cluster
from hypothesis import given, settings
from hypothesis import strategies as st

from mini8s.objects import schema
from mini8s.objects.errors import ApiError
from mini8s.objects.kinds import (
    CONFIGMAPS,
    DEPLOYMENTS,
    ENDPOINTS,
    KINDS,
    REPLICASETS,
    SERVICES,
    Kind,
    Obj,
)
from mini8s.objects.schema import Schema, Shape

DEPTH = 9
LONG = "9" * 5000  # more digits than Python reads as a number
WORDS = st.sampled_from(
    ["", "a", "A b", "ü☃", "²", "x" * 300, "..", "/", "10.43.0.9", "::1", "50%", f"{LONG}%", "None", "In"]
)
NUMBERS = st.sampled_from([0, 1, -1, 80, 65536, 2**31 - 1, 2**31, -(2**63), 10**30])
TIMES = ["2026-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "x"]
AMOUNTS = ["1", "-1", "1Gi", "1e400", ".", 1, 1.5]
ODD = st.sampled_from([None, [], {}, "", 0, 1.5, True, [None], {"": None}])
LEAVES: dict[Shape, st.SearchStrategy[Any]] = {
    Shape.STRING: WORDS,
    Shape.BYTES: st.sampled_from(["", "YQ==", "YQ", "☃"]),
    Shape.TIME: st.sampled_from(TIMES),
    Shape.QUANTITY: st.sampled_from(AMOUNTS),
    Shape.INT_OR_STRING: NUMBERS | WORDS,
    Shape.INTEGER: NUMBERS,
    Shape.NUMBER: st.sampled_from([0, 1.5, -1]),
    Shape.BOOLEAN: st.booleans(),
    Shape.ANY: ODD,
}


@st.composite
def values(draw: st.DrawFn, type: Schema, depth: int = 0) -> Any:
    """Mostly of the type, with some of anything."""
    if draw(st.integers(0, 24)) == 0:
        return draw(ODD)
    if type.shape in LEAVES:
        return draw(LEAVES[type.shape])
    if depth > DEPTH:
        return None
    if type.shape is Shape.OBJECT:
        names = st.lists(st.sampled_from(sorted(type.fields) or [""]), max_size=5, unique=True)
        return {name: draw(values(type.field(name).schema, depth + 1)) for name in draw(names)}
    count = range(draw(st.integers(0, 2)))
    if type.shape is Shape.MAP:
        return {draw(WORDS): draw(values(type.element, depth + 1)) for _ in count}
    return [draw(values(type.element, depth + 1)) for _ in count]


@pytest.mark.parametrize(
    "kind", [kind for kind in KINDS if kind.kept], ids=lambda kind: f"{kind.plural}-{kind.version}"
)
@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_wild_objects(kind: Kind, data: st.DataObject) -> None:
    cluster = Cluster()
    wild = data.draw(values(schema.of(kind)))
    if isinstance(wild, dict) and data.draw(st.booleans()):
        wild["metadata"] = {"name": "a"}
    stored = cluster.store.revision
    try:
        cluster.create(kind, wild)
    except ApiError as refusal:
        refused = refusal
    else:
        return
    assert refused.code < 500
    assert cluster.store.revision == stored


@pytest.mark.parametrize("kind", [DEPLOYMENTS, REPLICASETS, SERVICES], ids=lambda kind: kind.plural)
def test_who_says_nothing_of_what_is_wanted_is_told_so(kind: Kind) -> None:
    with pytest.raises(ApiError, match=r"spec\..*: Required value"):
        Cluster().create(kind, {"metadata": {"name": "a"}})


@pytest.mark.parametrize(
    ("kind", "obj"),
    [
        (CONFIGMAPS, {"data": {"a": None}}),
        (CONFIGMAPS, {"metadata": {"name": "a", "labels": {"a": None}}}),
    ],
)
def test_null_in_a_map_is_an_empty_value(kind: Kind, obj: Obj) -> None:
    made = Cluster().create(kind, {"metadata": {"name": "a"}} | obj)
    assert {"a": ""} in (made.get("data"), made["metadata"].get("labels"))


def test_null_in_a_list_is_an_empty_element() -> None:
    with pytest.raises(ApiError, match=r"subsets\[0\]: Required value"):
        Cluster().create(ENDPOINTS, {"metadata": {"name": "a"}, "subsets": [None]})
