"""Bars for what takes long: on a terminal, on standard error, so that what a script reads stays as it is."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
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
