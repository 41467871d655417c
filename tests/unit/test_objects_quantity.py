"""Quantities: exact, canonical, and bounded for hostile input."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mini8s.objects import quantity

SUFFIXES = ["", "n", "u", "m", "k", "M", "G", "T", "Ki", "Mi", "Gi", "Ti", "e3", "E-3", "e0"]
TEXTS = st.builds(
    lambda whole, fraction, suffix: f"{whole}{fraction}{suffix}",
    st.integers(-(10**6), 10**6),
    st.one_of(st.just(""), st.from_regex(r"\.[0-9]{0,4}", fullmatch=True)),
    st.sampled_from(SUFFIXES),
)


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("1024Mi", "1Gi"),
        ("1.5Gi", "1536Mi"),
        ("0.5", "500m"),
        ("1000m", "1"),
        ("1e3", "1e3"),
        ("12E6", "12e6"),
        ("1E", "1E"),
        ("100000", "100k"),
        ("0.5Ki", "512"),
        ("0Mi", "0"),
        (".5", "500m"),
        ("+5.", "5"),
        ("-1.5", "-1500m"),
        ("0.1m", "100u"),
        ("1e-20", "1e-9"),
        ("9999999999999999999999", "9223372036854775807"),
        ("1e999999999", "9223372036854775807"),
        (0.1, "100m"),
        (2, "2"),
    ],
)
def test_canonical(text, canonical):
    assert quantity.canonical(text) == canonical


@given(TEXTS)
def test_canonical_is_final_and_keeps_the_amount(text):
    once = quantity.canonical(text)
    assert quantity.canonical(once) == once
    whole = quantity.parse(text) % 1 == 0 or not text.endswith("i")
    assert (quantity.parse(once) == quantity.parse(text)) or not whole


@given(st.integers(0, 1 << 62))
def test_numbers_come_back(number):
    assert quantity.value(quantity.format_binary(number)) == number
    assert quantity.milli(quantity.format_decimal_milli(number % 10**15)) == number % 10**15


def test_units():
    assert quantity.parse("1.5Gi") == Decimal(1610612736)
    assert quantity.value("1500m") == 2
    assert quantity.milli("0.1m") == 1
    assert quantity.format_binary(1536 << 20) == "1536Mi"
    assert quantity.format_decimal_milli(1500) == "1500m"


@pytest.mark.parametrize(
    "text", ["", ".", "1e", "x", "1.2.3", "1KiB", "--1", "1 Gi", "٣", "1" * 600, "NaN", "inf"]
)
def test_nonsense(text):
    with pytest.raises(ValueError, match=r"quantit"):
        quantity.parse(text)
