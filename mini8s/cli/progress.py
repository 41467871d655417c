"""Bars for what takes long: on a terminal, on standard error, so that what a script reads stays as it is."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

import click

T = TypeVar("T")


@contextmanager
def steps(items: Sequence[T], label: str) -> Iterator[Iterator[T]]:
    if not sys.stderr.isatty():
        yield iter(items)
        return
    with click.progressbar(items, label=label, file=sys.stderr) as bar:
        yield iter(bar)


@contextmanager
def amount(label: str) -> Iterator[Callable[[int, int], None] | None]:
    """A bar of bytes, told how many are done and of how many, as far as that is known."""
    if not sys.stderr.isatty():
        yield None
        return
    with click.progressbar(length=1, label=label, file=sys.stderr) as bar:

        def tell(done: int, whole: int) -> None:
            bar.length = max(1, whole)
            bar.update(done - bar.pos)

        yield tell
        bar.update(max(0, (bar.length or 1) - bar.pos))
