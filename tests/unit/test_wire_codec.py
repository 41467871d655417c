"""Bodies in JSON and YAML: what is good comes back, what is bad is a BadRequest and nothing else."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mini8s.objects.errors import BadRequest
from mini8s.objects.kinds import PODS
from mini8s.wire import codec, framing

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(1 << 53), 1 << 53),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    st.sampled_from(
        [
            "y",
            "no",
            "1e3",
            "0o17",
            "0x1",
            "12:30",
            "2026-01-01",
            "~",
            "",
            "<<",
            "=",
            "1_0",
            ".5",
            ".inf",
            "a\n b\n",
        ]
    ),
)
KEYS = st.one_of(st.sampled_from(["a", "y", "1", "null", "x: y", "#", "<<"]), st.text("ab\n ", max_size=3))
VALUES = st.recursive(
    SCALARS, lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=3))
)


@given(VALUES)
def test_json_comes_back(value):
    assert codec.decode_json(codec.encode_json(value)) == value
    assert codec.decode_strict_json(codec.encode_json(value)) == (value, [])


@given(st.dictionaries(KEYS, VALUES, min_size=1, max_size=3))
def test_yaml_comes_back(value):
    assert codec.decode_yaml(codec.encode_yaml(value)) == value


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b'{"a":1}x',
        b'{"a":1}{"b":2}',
        b"NaN",
        b"[1e999]",
        b'"\xff"',
        b'"\\ud800"',
        b"\xef\xbb\xbf{}",
        b"{'a':1}",
        b"[1,]",
    ],
)
def test_bad_json(data):
    with pytest.raises(BadRequest, match="not valid JSON"):
        codec.decode_json(data)


@pytest.mark.parametrize("depth", [300, 5_000, 200_000])
@pytest.mark.parametrize("decode", [codec.decode_json, codec.decode_strict_json, codec.decode_yaml])
def test_deep_nesting_is_refused(depth, decode):
    with pytest.raises(BadRequest, match="nested deeper"):
        decode(b"[" * depth + b"]" * depth)


def test_wide_is_not_deep():
    data = json.dumps([[{}] * 100] * 100).encode()
    assert len(codec.decode_json(data)) == 100


def test_duplicate_keys_are_told_by_path():
    data = b'{"spec":{"a":[{"x":1,"x":2}],"b":1,"b":{"c":1}},"spec2":{}}'
    value, twice = codec.decode_strict_json(data)
    assert value["spec"]["b"] == {"c": 1}
    assert twice == ["spec.b", "spec.a[0].x"]


PIECES = st.sampled_from([r"\"", r"\u0022", r"\\", r"\t", ":", " ", "a", "{", ","])
TRICKY = st.lists(PIECES, max_size=3).map(lambda pieces: f'"{"".join(pieces)}"')
OBJECTS = st.recursive(
    TRICKY,
    lambda inner: st.lists(st.tuples(TRICKY, st.sampled_from([":", " :"]), inner)).map(
        lambda pairs: "{" + ",".join(f"{key}{colon} {value}" for key, colon, value in pairs) + "}"
    ),
    max_leaves=12,
)


@given(OBJECTS)
@example(r'{"a": 1, "a": "\u0022:"}')  # what is lost in one place comes in another
def test_no_duplicate_key_is_overlooked(text):
    """Whether there is one is found out without the slow way where it can be: both must agree."""
    twice = []

    def look(pairs):
        twice.extend([1] * (len(pairs) - len(dict(pairs))))
        return dict(pairs)

    value = json.loads(text, object_pairs_hook=look)
    found, paths = codec.decode_strict_json(text.encode())
    assert (found, bool(paths)) == (value, bool(twice))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("yes", True), ("y", True), ("Off", False), ("n", False), ("yEs", "yEs"), ("True", True),
        ("0777", 511), ("0o17", 15), ("0x1F", 31), ("0b101", 5), ("-0x1", -1), ("1_000", 1000), ("08", 8),
        ("1e3", 1000), ("1.5", 1.5), (".5", 0.5), ("1.", 1), ("1.0", 1), ("12:30:45", "12:30:45"),
        ("2020-01-01", "2020-01-01"), ("2020-01-01T00:00:00Z", "2020-01-01T00:00:00Z"), ("~", None),
        ('"1"', "1"), ("'y'", "y"), ("=", "="), ("0o8", "0o8"), ("1.2.3", "1.2.3"), ("-", [None]),
        ("!!str 5", "5"), ("!!binary aGk=", "hi"), ("!!float 1", 1), ("!!null x", None), (".nan1", ".nan1"),
        ("9223372036854775808", 9223372036854775808), ("+5", 5), ("1e999", "1e999"),
    ],
)  # fmt: skip
def test_scalars_mean_what_kubernetes_reads(text, value):
    read = codec.decode_yaml(f"a: {text}".encode() if text != "-" else b"a:\n-")["a"]
    assert read == value
    assert type(read) is type(value)


def test_keys_and_merges():
    assert codec.decode_yaml(b"{1: a, true: b, 1.5: c, 0x10: d}") == {
        "1": "a",
        "true": "b",
        "1.5": "c",
        "16": "d",
    }
    text = b"a: &a {x: 1, y1: 1}\nb: {<<: *a, x: 2}\nc: {<<: [*a, {z: 3, x: 9}]}\n"
    read = codec.decode_yaml(text)
    assert read["b"] == {"x": 2, "y1": 1}
    assert read["c"] == {"x": 1, "y1": 1, "z": 3}


def test_documents():
    assert codec.decode_yaml_documents(b"---\n---\na: 1\n---\n# nothing\n---\n- 2\n") == [{"a": 1}, [2]]
    assert codec.decode_yaml_documents(b"") == []
    with pytest.raises(BadRequest, match="expected one YAML document, found 2"):
        codec.decode_yaml(b"a: 1\n---\nb: 1")


BOMB = b"a: &a [x,x,x,x,x,x,x,x,x]\n" + b"".join(
    b"%c: &%c [%s]\n" % (98 + at, 98 + at, b",".join([b"*%c" % (97 + at)] * 9)) for at in range(9)
)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"a: 1\na: 2", 'line 2: key "a" already set in map'),
        (b"a: [", "line 2: did not find expected node content"),
        (b"a: *x", "unknown anchor 'x' referenced"),
        (b"&a [*a]", "unknown anchor 'a' referenced"),
        (b"? [a]\n: b", "unsupported map key"),
        (b"~: b", "unsupported map key"),
        (b"a: .inf", "no number that JSON knows"),
        (b"a: !!binary x", "invalid base64"),
        (b"a: {<<: 1}", "map merge requires map"),
        (b"\xff", "invalid leading UTF-8"),
        (b"a: \x00", "control characters"),
        (b"\t a", "."),
        (BOMB, "expand to too much"),
    ],
)  # fmt: skip
def test_bad_yaml(data, says):
    with pytest.raises(BadRequest, match=says.replace("[", r"\[")):
        codec.decode_yaml_documents(data)


@given(st.binary(max_size=40))
def test_any_bytes_are_a_value_or_a_bad_request(data):
    for decode in (codec.decode_json, codec.decode_yaml_documents):
        try:
            decode(data)
        except BadRequest as error:
            assert error.message  # noqa: PT017


def test_lists_and_watch_events_are_joined():
    items = [b'{"a":1}', b'{"b":2}']
    body = framing.list_body(PODS, items, 7, "next", 3)
    assert codec.decode_json(body) == {
        "kind": "PodList",
        "apiVersion": "v1",
        "metadata": {"resourceVersion": "7", "continue": "next", "remainingItemCount": 3},
        "items": [{"a": 1}, {"b": 2}],
    }
    empty = codec.decode_json(framing.list_body(PODS, [], 7, remaining=3))
    assert empty["items"] == []
    assert empty["metadata"] == {"resourceVersion": "7"}
    event = framing.watch_event("ADDED", b"{}")
    assert event == b'{"type":"ADDED","object":{}}\n'
