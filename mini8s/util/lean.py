"""Importing less of a library than it would like: on a host with little memory, what nobody calls is still
resident."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager


def bare_package(name: str) -> None:
    """Let a package's modules be imported one by one, without its `__init__`, which would import them all.
    Nothing happens when somebody has imported it whole."""
    if name in sys.modules:
        return
    spec = importlib.util.find_spec(name)
    if spec is None:
        raise ModuleNotFoundError(name=name)
    sys.modules[name] = importlib.util.module_from_spec(spec)


@contextmanager
def absent(*names: str) -> Iterator[None]:
    """Let what is imported meanwhile think that these optional modules aren't installed."""
    hidden = [name for name in names if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]  # None is the import system's word for it
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]
