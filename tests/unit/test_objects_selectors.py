"""Label and field selectors: grammar, meaning, and the law that a selector's text parses to itself."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from mini8s.objects import fields, labels
from mini8s.objects.errors import BadRequest

NO_INTEGER = "for 'Gt', 'Lt' operators, the value must be an integer"
NAMES = st.from_regex(r"[a-z]([-a-z0-9_.]{0,5}[a-z0-9])?", fullmatch=True)
VALUES = st.one_of(st.just(""), st.sampled_from(["in", "notin", "a"]), NAMES)


@st.composite
def label_requirements(draw, names=NAMES):
    op = draw(st.sampled_from(["=", "!=", "in", "notin", "exists", "!", "<", ">"]))
    if op in {"in", "notin"}:
        values = draw(st.frozensets(VALUES, min_size=1, max_size=4))
    elif op in {"<", ">"}:
        values = frozenset({str(draw(st.integers(0, 12)))})
    else:
        values = frozenset({draw(VALUES)}) if op in {"=", "!="} else frozenset()
    return labels.Requirement(draw(names), op, values)


@given(st.lists(label_requirements(), max_size=4))
def test_a_label_selectors_text_parses_to_it(requirements):
    selector = labels.Selector(tuple(requirements))
    assert labels.parse(str(selector)) == selector


@given(label_requirements(), st.dictionaries(NAMES, VALUES, max_size=3))
def test_a_requirement_and_its_opposite_never_agree(requirement, chosen):
    assume(requirement.op not in {"<", ">"})
    opposites = {"=": "!=", "!=": "=", "in": "notin", "notin": "in", "exists": "!", "!": "exists"}
    opposite = labels.Requirement(requirement.key, opposites[requirement.op], requirement.values)
    assert requirement.matches(chosen) != opposite.matches(chosen)


def plainly(requirement, chosen):
    """What upstream's page on labels says that it means, in so many words."""
    there, value = requirement.key in chosen, chosen.get(requirement.key)
    one = next(iter(requirement.values), "")
    match requirement.op:
        case "=":
            return there and value == one
        case "!=":
            return not there or value != one
        case "in":
            return there and any(value == each for each in requirement.values)
        case "notin":
            return not there or all(value != each for each in requirement.values)
        case "<":
            return there and value.isdecimal() and int(value) < int(one)
        case ">":
            return there and value.isdecimal() and int(value) > int(one)
    return there is (requirement.op == "exists")


FEW = st.sampled_from(["a", "b"])


@given(
    st.lists(label_requirements(names=FEW), max_size=4),
    st.dictionaries(FEW, st.sampled_from(["", "a", "in", "3", "11"])),
)
def test_a_selector_takes_what_all_its_requirements_take(requirements, chosen):
    wanted = all(plainly(requirement, chosen) for requirement in requirements)
    assert labels.Selector(tuple(requirements)).matches(chosen) is wanted
    assert not labels.nothing().matches(chosen)


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
        ("a>1", {"a": "2"}, True),
        ("a>1", {"a": "1"}, False),
        ("a < 10,a>3", {"a": "9"}, True),
        ("a<10", {"a": "x"}, False),
        ("a<10", {}, False),
    ],
)
def test_matching(text, chosen, matches):
    assert labels.parse(text).matches(chosen) is matches


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("=", "found '=', expected: !, identifier, or 'end of string'"),
        ("a,", "found '', expected: identifier after ','"),
        ("a b", "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"),
        (
            "a>b",
            f'unable to parse requirement: values[0]: Invalid value: "b": {NO_INTEGER}',
        ),
        (
            "a>",
            f'unable to parse requirement: values[0]: Invalid value: "": {NO_INTEGER}',
        ),
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
