"""Label and field selectors: grammar, meaning, and the law that a selector's text parses to itself."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mini8s.objects import fields, labels
from mini8s.objects.errors import BadRequest

NAMES = st.from_regex(r"[a-z]([-a-z0-9_.]{0,5}[a-z0-9])?", fullmatch=True)
VALUES = st.one_of(st.just(""), st.sampled_from(["in", "notin", "a"]), NAMES)


@st.composite
def label_requirements(draw):
    op = draw(st.sampled_from(["=", "!=", "in", "notin", "exists", "!"]))
    if op in {"in", "notin"}:
        values = draw(st.frozensets(VALUES, min_size=1, max_size=4))
    else:
        values = frozenset({draw(VALUES)}) if op in {"=", "!="} else frozenset()
    return labels.Requirement(draw(NAMES), op, values)


@given(st.lists(label_requirements(), max_size=4))
def test_a_label_selectors_text_parses_to_it(requirements):
    selector = labels.Selector(tuple(requirements))
    assert labels.parse(str(selector)) == selector


@given(label_requirements(), st.dictionaries(NAMES, VALUES, max_size=3))
def test_a_requirement_and_its_opposite_never_agree(requirement, chosen):
    opposites = {"=": "!=", "!=": "=", "in": "notin", "notin": "in", "exists": "!", "!": "exists"}
    opposite = labels.Requirement(requirement.key, opposites[requirement.op], requirement.values)
    assert requirement.matches(chosen) != opposite.matches(chosen)


@pytest.mark.parametrize(
    ("text", "chosen", "matches"),
    [
        ("", {}, True),
        ("a=b", {"a": "b"}, True),
        ("a==b", {"a": "c"}, False),
        ("a!=b", {}, True),
        ("a in (b, c)", {"a": "c"}, True),
        ("a notin (b)", {"a": "b"}, False),
        ("a notin (b)", {}, True),
        (" a , !b ", {"a": ""}, True),
        ("a,!b", {"a": "", "b": ""}, False),
        ("a in ()", {"a": ""}, True),
        ("x.io/a=", {"x.io/a": ""}, True),
    ],
)
def test_matching(text, chosen, matches):
    assert labels.parse(text).matches(chosen) is matches


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("=", "found '=', expected: !, identifier, or 'end of string'"),
        ("a,", "found '', expected: identifier after ','"),
        ("a b", "unable to parse requirement: found 'b', expected: in, notin, =, ==, !="),
        ("a>1", "unable to parse requirement: found '>', expected: in, notin, =, ==, !="),
        ("a=b=c", "found '=', expected: ',' or 'end of string'"),
        ("a in (b", "unable to parse requirement: found '', expected: ',' or ')'"),
        ("a in (b c)", "unable to parse requirement: found 'c', expected: ',' or ')'"),
        ("a in b", "unable to parse requirement: found 'b' expected: '('"),
        ("!", "unable to parse requirement: found '', expected: identifier"),
    ],
)
def test_label_nonsense(text, message):
    with pytest.raises(BadRequest) as caught:
        labels.parse(text)
    assert caught.value.message == message


def test_label_selector_objects():
    made = labels.from_label_selector(
        {
            "matchLabels": {"a": "b"},
            "matchExpressions": [
                {"key": "c", "operator": "NotIn", "values": ["d"]},
                {"key": "e", "operator": "Exists"},
            ],
        }
    )
    assert str(made) == "a=b,c notin (d),e"
    assert labels.from_label_selector({}).empty
    assert not labels.from_label_selector(None).matches({})
    assert not labels.nothing().empty
    with pytest.raises(BadRequest, match="not a valid label selector operator"):
        labels.from_label_selector({"matchExpressions": [{"key": "a", "operator": "Like"}]})
    with pytest.raises(BadRequest, match="values set can't be empty"):
        labels.from_label_selector({"matchExpressions": [{"key": "a", "operator": "In"}]})


FIELD_REQUIREMENTS = st.builds(
    fields.Requirement,
    st.sampled_from(["metadata.name", "a"]),
    st.sampled_from(["=", "!="]),
    st.text(max_size=6),
)


@given(st.lists(FIELD_REQUIREMENTS, max_size=3))
def test_a_field_selectors_text_parses_to_it(requirements):
    selector = fields.FieldSelector(tuple(requirements))
    assert fields.parse(str(selector)) == selector


def test_field_selectors():
    selector = fields.parse("status.phase=Running,metadata.name!=a")
    values = {"status.phase": "Running", "metadata.name": "b"}
    assert selector.matches(values.__getitem__)
    assert not selector.matches({**values, "metadata.name": "a"}.__getitem__)
    assert selector.exact("status.phase") == "Running"
    assert selector.exact("metadata.name") is None
    assert fields.parse("").empty


@pytest.mark.parametrize("text", ["a", "a=b=c", "a=\\x", "a=b\\"])
def test_field_nonsense(text):
    with pytest.raises(BadRequest):
        fields.parse(text)
