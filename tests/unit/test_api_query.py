from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mini8s.api.query import EMPTY, Query, delete_options, parse
from mini8s.objects.errors import BadRequest, Invalid
from mini8s.registry.base import DeleteOptions, ListOptions


def test_nothing_said() -> None:
    assert parse("") == EMPTY == Query()


def test_what_an_informer_says() -> None:
    query = parse(
        "allowWatchBookmarks=true&labelSelector=app%3Dweb&resourceVersion=12&timeoutSeconds=300&watch=true"
    )
    assert query.watch
    assert query.bookmarks
    assert query.timeout_seconds == 300
    assert query.list == ListOptions(label_selector="app=web", resource_version="12")


def test_the_first_of_two_values_counts() -> None:
    assert parse("limit=1&limit=2").list.limit == 1


@pytest.mark.parametrize(
    ("text", "on"),
    [
        ("watch", True),
        ("watch=", True),
        ("watch=1", True),
        ("watch=yes", True),
        ("watch=0", False),
        ("watch=false", False),
        ("watch=False", False),
        ("", False),
    ],
)
def test_booleans_are_upstreams(text: str, on: bool) -> None:
    assert parse(text).watch is on


@pytest.mark.parametrize("text", ["limit=x", "timeoutSeconds=1.5", "gracePeriodSeconds=99999999999999999999"])
def test_numbers_that_are_none(text: str) -> None:
    with pytest.raises(BadRequest, match=r"strconv\.ParseInt"):
        parse(text)


def test_a_choice_outside_the_supported() -> None:
    with pytest.raises(Invalid) as caught:
        parse("fieldValidation=Loud")
    assert 'Unsupported value: "Loud": supported values: "Ignore", "Strict", "Warn"' in caught.value.message
    assert caught.value.causes[0].field == "fieldValidation"


def test_dry_run() -> None:
    assert parse("dryRun=All").dry_run
    with pytest.raises(Invalid):
        parse("dryRun=Some")


def test_delete_without_a_body_listens_to_the_query() -> None:
    options, dry_run = delete_options(parse("gracePeriodSeconds=0&propagationPolicy=Orphan&dryRun=All"), None)
    assert options == DeleteOptions(grace_seconds=0, propagation="Orphan")
    assert dry_run


def test_delete_with_a_body() -> None:
    body = {
        "kind": "DeleteOptions",
        "gracePeriodSeconds": 5,
        "propagationPolicy": "Foreground",
        "preconditions": {"uid": "u", "resourceVersion": "7"},
        "dryRun": ["All"],
    }
    options, dry_run = delete_options(EMPTY, body)
    assert options == DeleteOptions(5, "Foreground", "u", "7")
    assert dry_run


def test_orphan_dependents_is_the_old_name() -> None:
    assert delete_options(EMPTY, {"orphanDependents": True})[0].propagation == "Orphan"
    assert delete_options(EMPTY, {"orphanDependents": False})[0].propagation == "Background"
    with pytest.raises(Invalid, match="cannot be both set"):
        delete_options(EMPTY, {"orphanDependents": True, "propagationPolicy": "Orphan"})


@pytest.mark.parametrize(
    "body",
    [
        {"gracePeriodSeconds": "5"},
        {"gracePeriodSeconds": True},
        {"preconditions": []},
        {"dryRun": "All"},
        {"preconditions": {"uid": 5}},
        {"propagationPolicy": "Sideways"},
        {"dryRun": ["No"]},
    ],
)
def test_delete_options_of_wrong_types(body: dict[str, object]) -> None:
    with pytest.raises((BadRequest, Invalid)):
        delete_options(EMPTY, body)


@given(st.text(alphabet="abcdwatchlimit=&%0123456789+;ü", max_size=60))
def test_no_text_breaks_the_parser(text: str) -> None:
    with contextlib.suppress(BadRequest, Invalid):
        parse(text)
