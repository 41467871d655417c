"""Health in upstream's words: nothing secret leaves, and what is left out is said."""

from __future__ import annotations

import pytest

from mini8s.api import health
from mini8s.objects.errors import NotFound

CHECKS: dict[str, health.Check] = {"ping": lambda: "", "store": lambda: "the disk is full"}


def report(*, verbose: bool = False, excluded: tuple[str, ...] = ()) -> tuple[int, str]:
    answer = health.report("readyz", CHECKS, verbose=verbose, excluded=excluded)
    return answer.status, answer.body.decode()


def test_a_failure_is_always_told_in_full_but_for_its_reason() -> None:
    assert report() == (500, "[+]ping ok\n[-]store failed: reason withheld\nreadyz check failed\n")


def test_what_is_excluded_counts_as_well() -> None:
    assert report(excluded=("store",)) == (200, "ok")
    said = "[+]ping ok\n[+]store excluded: ok\nreadyz check passed\n"
    assert report(excluded=("store",), verbose=True) == (200, said)


def test_who_excludes_what_there_is_not_is_told() -> None:
    warning = 'warn: some health checks cannot be excluded: no matches for "a","etcd"\n'
    status, said = report(excluded=("store", "etcd", "a"), verbose=True)
    assert (status, said) == (200, f"[+]ping ok\n[+]store excluded: ok\n{warning}readyz check passed\n")


def test_one_check_gives_its_reason() -> None:
    assert health.single(CHECKS, "ping").body == b"ok"
    failed = health.single(CHECKS, "store")
    assert (failed.status, failed.body) == (500, b"internal server error: the disk is full\n")
    with pytest.raises(NotFound):
        health.single(CHECKS, "etcd")
